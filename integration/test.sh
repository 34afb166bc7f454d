#!/bin/bash
# integration/test.sh: everything that must hold before a change is accepted.
#
# Installs the Debian packages that are missing (as root), then: format, vet, staticcheck, module file, all tests with
# the race detector and nothing skipped, the cross builds, generated files. Ends with "N passed, N failed, N skipped"
# and exit status 0, or 1 when any step failed. Every test's output is in artifacts/test.log, beside pictures of Thunderbird.
#
# The mixed load of many clients is short here, and few backups are killed. A day's worth, with the program's own data races looked for too or without (GOFLAGS):
#   MAILKEEP_MIXED=10m [GOFLAGS=-race] go test -timeout 30m -run TestMixedLoad -v ./integration
#   MAILKEEP_KILLS=100 [GOFLAGS=-race] go test -timeout 1h -run TestKilledBackups -v ./integration
set -u
cd "$(dirname "$0")/.." || exit 1

# Pinned: the same findings everywhere until somebody moves it.
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

# what must be there, and the package that brings it
needed=(
	thunderbird:thunderbird Xvfb:xvfb /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core
	dovecot:dovecot-imapd mbsync:isync neomutt:neomutt mutt:mutt offlineimap:offlineimap3 curl:curl python3:python3 zstd:zstd strace:strace /usr/lib/*/sasl2/libplain.so:libsasl2-modules git:git gcc:gcc node:nodejs npm:npm
	/usr/include/stdlib.h:libc6-dev /usr/lib/dovecot/imap:dovecot-imapd /etc/ssl/certs/ca-certificates.crt:ca-certificates
)

# the packages whose tests take longest, longest first
longest=(./integration ./imapd ./archive ./backup ./cmd/mailkeep ./message)

export PATH=$PATH:/usr/local/go/bin:/usr/sbin:/sbin
failed=() passed=0 failures=0 skipped=0

install_missing() {
	local entry thing missing=()
	for entry in "${needed[@]}"; do
		thing=${entry%%:*}
		case $thing in
		/*) compgen -G "$thing" > /dev/null ;;
		*) command -v "$thing" > /dev/null ;;
		esac || missing+=("${entry#*:}")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	if ! command -v apt-get > /dev/null; then
		echo "missing, and no apt-get to install them: ${missing[*]}" >&2
		return 1
	fi
	if [ "$(id -u)" != 0 ]; then
		echo "missing; install them first: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
		return 1
	fi
	apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# The OAuth server that tests log in at, in the versions that its package-lock.json names.
oauth_server() {
	local dir=integration/oauthserver
	[ $dir/node_modules/.package-lock.json -nt $dir/package-lock.json ] || npm ci --prefix $dir --no-audit --no-fund
}

have_go() {
	command -v go > /dev/null || { echo "go is not installed; see https://go.dev/doc/install (go.mod names the version)" >&2; return 1; }
	go version
}

formatted() {
	local bad
	bad=$(gofmt -l .) || return 1
	[ -z "$bad" ] || { printf 'not formatted; run gofmt -w on:\n%s\n' "$bad"; return 1; }
}

tests() {
	local log=artifacts/test.log status allowed
	mkdir -p artifacts
	# SQLite, which is C made into Go, is compiled as it is without -race: its memory lies outside Go's heap, where the detector looks at nothing, and
	# calling it at every access makes whatever uses a database several times slower. The driver above it is watched like everything else.
	# The longest packages first, so that none of them runs alone at the end.
	MAILKEEP_NO_SKIP=1 MAILKEEP_ARTIFACTS=$PWD/artifacts go test -race -gcflags='modernc.org/sqlite/lib=-race=false -d=checkptr=0' -v -timeout 13m \
		"${longest[@]}" $(go list ./... | grep -vxE "mailkeep/($(IFS='|'; echo "${longest[*]#./}"))") > "$log" 2>&1
	status=$?
	# what remains: results by package, failures, and what tests have to say
	grep -vE '^[[:space:]]*(=== (RUN|PAUSE|CONT|NAME)|--- PASS|\?  )' "$log"
	passed=$(grep -cE '^[[:space:]]*--- PASS' "$log")
	failures=$(grep -cE '^[[:space:]]*--- FAIL|^FAIL.*\[(build|setup) failed\]|^panic: ' "$log")
	skipped=$(grep -cE '^[[:space:]]*--- SKIP' "$log")
	allowed=0
	if [ ! -d ../shared/corpus ]; then
		# The corpus of other people's mail is no part of the project.
		allowed=$(grep -c 'beside the project' "$log")
		echo "$allowed tests need the test corpus in ../shared, which is not here; they were left out"
	fi
	[ "$skipped" = "$allowed" ] || { echo "skipped, which this run does not allow:"; grep -B2 -E '^[[:space:]]*--- SKIP' "$log"; }
	[ $status = 0 ] && [ "$skipped" = "$allowed" ] && [ "$passed" -gt 0 ]
}

cross_builds() {
	local target status=0
	for target in linux/amd64 darwin/arm64 windows/amd64; do
		echo "$target"
		CGO_ENABLED=0 GOOS=${target%/*} GOARCH=${target#*/} go build ./... || status=1
	done
	return $status
}

generated() {
	grep -rqE --include='*.go' '^//go:generate' . || { echo "no go:generate directive"; return 0; }
	local before after
	before=$(git diff --no-color; git status --porcelain)
	go generate ./... || return 1
	after=$(git diff --no-color; git status --porcelain)
	[ "$before" = "$after" ] || { echo "go generate changes files:"; git status --short; return 1; }
}

step() { # NAME COMMAND...
	local name=$1 start=$SECONDS status
	shift
	echo "== $name"
	"$@"
	status=$?
	[ $status = 0 ] || failed+=("$name")
	echo "== $name: $([ $status = 0 ] && echo ok || echo FAILED), $((SECONDS - start)) s"
	return $status
}

step "programs" install_missing && step "go" have_go || exit 1
step "OAuth server" oauth_server
step "gofmt" formatted
step "go vet" go vet ./...
step "staticcheck" go run "$staticcheck" ./...
step "go.mod is tidy" go mod tidy -diff
step "tests" tests
step "cross builds" cross_builds
step "generated files" generated

echo "== $SECONDS s in all"
[ ${#failed[@]} = 0 ] || { echo "failed steps: $(printf '%s, ' "${failed[@]}" | sed 's/, $//')"; failures=$((failures > 0 ? failures : 1)); }
echo "$passed passed, $failures failed, $skipped skipped"
[ ${#failed[@]} = 0 ]
