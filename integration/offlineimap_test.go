package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/dovecot"
	"mailkeep/integration/need"
)

const offlineimapRC = `[general]
accounts = all
metadata = %[5]s/meta
ui = quiet
fsync = False

[Account all]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = %[5]s/mail
sep = /
sync_deletes = yes

[Repository far]
type = IMAP
remotehost = %[1]s
remoteport = %[2]s
remoteuser = %[3]s
remotepass = %[4]s
ssl = no
starttls = no
readonly = True
folderfilter = lambda name: name != "[Gmail]/All Mail" and not name.startswith("Gone") and not any(c in name for c in '%%%%*"\\()')
`

// unquoted are characters that a mailbox name must be quoted for, which offlineimap does not do.
const unquoted = "%*\"\\()"

// offlineimap is run again and again, as mbsync is.
func TestOfflineimapAgain(t *testing.T) {
	offlineimap := need.Program(t, "offlineimap", "offlineimap3")
	c := newChanging(t)
	dir := t.TempDir()
	rc := filepath.Join(dir, "rc")
	host, port, _ := strings.Cut(c.addr, ":")
	must(t, os.WriteFile(rc, fmt.Appendf(nil, offlineimapRC, host, port, c.user, c.password, dir), 0o600))
	before := account{}
	for i, change := range []func(*testing.T){func(*testing.T) {}, func(*testing.T) {}, c.live} {
		change(t)
		after := served(t, c.served)
		maps.DeleteFunc(after, func(name string, _ []mail) bool {
			return name == "[Gmail]/All Mail" || strings.ContainsAny(name, unquoted)
		})
		from := len(c.said.Lines())
		if out, err := client(t, 2*time.Minute, offlineimap, "-o", "-c", rc); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got, want := c.bodies(from), placements(before, after); got != want {
			t.Errorf("run %d: offlineimap has fetched %d messages, want %d", i, got, want)
		}
		boxes, _ := readMaildirs(t, filepath.Join(dir, "mail"))
		for name, messages := range after {
			compareIDs(t, name, messages, boxes[dovecot.EncodeName(name)])
		}
		before = after
	}
	checkAnswers(t, c.said)
}

var messageID = regexp.MustCompile(`(?im)^message-id: *(\S+)`)

// compareIDs compares which messages a mailbox has, and their flags: offlineimap writes their bytes anew, and dates the files by the day of the copy.
func compareIDs(t *testing.T, name string, want []mail, got []pulled) {
	t.Helper()
	count := map[string]int{}
	for _, m := range want {
		count[fmt.Sprintf("%s with flags %q", messageID.Find(m.raw), maildirFlags(m.flags))]++
	}
	for _, m := range got {
		count[fmt.Sprintf("%s with flags %q", messageID.Find(m.raw), m.flags)]--
	}
	for m, n := range count {
		if n != 0 {
			t.Errorf("mailbox %q: %+d of %s", name, -n, m)
		}
	}
}
