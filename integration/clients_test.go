package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/dovecot"
	"mailkeep/integration/need"
)

// login is where and as whom a client reads.
type login struct{ addr, user, password string }

// client runs a mail program to its end and gives what it wrote to standard output.
func client(t *testing.T, timeout time.Duration, name string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, stderr.Bytes())
	}
	return out, err
}

// curlURL is the address of a mailbox, or of what query asks in it, as curl takes it.
func curlURL(l login, mailbox, rest string) string {
	escaped := strings.NewReplacer("%", "%25", "?", "%3F", ";", "%3B", " ", "%20", `"`, "%22", "&", "%26").Replace(dovecot.EncodeName(mailbox))
	return "imap://" + l.addr + "/" + escaped + rest
}

// testCurl lists, reads every message of a mailbox and searches.
func testCurl(t *testing.T, l login, mailbox string, want []mail, word string, hits []int) {
	curl := need.Program(t, "curl", "curl")
	run := func(url string, args ...string) []byte {
		out, err := client(t, time.Minute, curl, append([]string{"-s", "-S", "--user", l.user + ":" + l.password, url}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if list := string(run("imap://" + l.addr + "/")); !strings.Contains(list, dovecot.EncodeName(mailbox)) {
		t.Errorf("the list of mailboxes lacks %q:\n%s", mailbox, list)
	}
	for i, uid := range uids(run(curlURL(l, mailbox, "?ALL"))) {
		if i >= len(want) {
			t.Fatalf("more than %d messages", len(want))
		}
		if i%10 != 0 && i != len(want)-1 {
			continue // a process for each message is slow
		}
		got := run(curlURL(l, mailbox, ";UID="+uid))
		if sha256.Sum256(got) != want[i].sum {
			t.Errorf("message %d (UID %s): %d bytes differ from the source's %d", i, uid, len(got), want[i].size)
		}
	}
	if n := len(uids(run(curlURL(l, mailbox, "?BODY%20"+word)))); n != len(hits) {
		t.Errorf("a search for %q finds %d messages, want %d", word, n, len(hits))
	}
}

// uids reads the numbers of a SEARCH reply.
func uids(reply []byte) []string {
	rest, _ := strings.CutPrefix(strings.TrimSpace(string(reply)), "* SEARCH")
	return strings.Fields(rest)
}

const imaplibScript = `
import hashlib, imaplib, json, sys
host, port, user, password, box, word = sys.argv[1:7]
out = {}
m = imaplib.IMAP4(host, int(port))
m.login(user, password)
out["boxes"] = len(m.list()[1])
out["status"] = m.status('"%s"' % box, "(MESSAGES UIDNEXT)")[0]
try:
    m.select('"%s"' % box)
    out["writable"] = True
except imaplib.IMAP4.readonly:
    out["writable"] = False
m.select('"%s"' % box, readonly=True)
sums = []
for item in m.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]:
    if isinstance(item, tuple):
        sums.append(hashlib.sha256(item[1]).hexdigest())
out["sums"] = sums
out["found"] = len(m.uid("SEARCH", "BODY", word)[1][0].split())
out["append"] = m.append('"%s"' % box, None, None, b"Subject: x\r\n\r\nx\r\n")[0]
out["store"] = m._simple_command("STORE", "1", "+FLAGS", "(\\Deleted)")[0]
m.logout()
json.dump(out, sys.stdout)
`

// testImaplib reads a mailbox with Python's imaplib and tries to write.
func testImaplib(t *testing.T, l login, mailbox string, want []mail, boxes int, word string, hits []int) {
	python := need.Program(t, "python3", "python3")
	host, port, _ := strings.Cut(l.addr, ":")
	raw, err := client(t, 2*time.Minute, python, "-c", imaplibScript, host, port, l.user, l.password, dovecot.EncodeName(mailbox), word)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Boxes, Found          int
		Status, Append, Store string
		Writable              bool
		Sums                  []string
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if got.Boxes < boxes || got.Status != "OK" || got.Writable || got.Append != "NO" || got.Store != "NO" || got.Found != len(hits) {
		t.Errorf("want at least %d mailboxes, %d found, nothing writable; got %s", boxes, len(hits), bytes.Split(raw, []byte(`"sums"`))[0])
	}
	if len(got.Sums) != len(want) {
		t.Fatalf("%d messages, want %d", len(got.Sums), len(want))
	}
	for i, sum := range got.Sums {
		if sum != hex.EncodeToString(want[i].sum[:]) {
			t.Errorf("message %d differs from the source", i)
		}
	}
}

// muttSettings make neomutt do what keys say, without questions.
var muttSettings = []string{
	"set ssl_starttls=no", "set ssl_force_tls=no", "set pipe_decode=no", "set pipe_split=no", "set pipe_sep=''", "set wait_key=no",
	"set quit=yes", "set delete=no", "set move=no", "set confirmappend=no", "set sort=mailbox-order", "set imap_peek=yes",
	"set imap_check_subscribed=no", "set pager=builtin", "set sleep_time=0", "set beep=no", "set abort_key=^G",
	"set weed=yes", "set mail_check=600", "set timeout=600", "set imap_list_subscribed=no",
}

// testNeomutt opens a mailbox in neomutt on a terminal, reads the first message, writes all messages out, limits the view by a search
// that the server makes, goes to another mailbox through the list of them, and writes that out; then it tries to delete.
func testNeomutt(t *testing.T, l login, all account, mailbox, other, word string, hits []int) {
	want := all[mailbox]
	neomutt := need.Program(t, "neomutt", "neomutt")
	script := need.Program(t, "script", "bsdutils")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	rc := strings.Join(append(slices.Clone(muttSettings),
		"set imap_user="+l.user, "set imap_pass="+l.password, "set folder=imap://"+l.addr+"/", "set header_cache=", "set tmpdir="+dir), "\n")
	if err := os.WriteFile(file("rc"), []byte(rc+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	push := strings.Join([]string{
		"<first-entry><display-message><exit>",
		"<tag-pattern>~A<enter><tag-prefix><pipe-message>cat > " + file("all") + "<enter>",
		"<untag-pattern>~A<enter><limit>=b " + word + "<enter><tag-pattern>~A<enter><tag-prefix><pipe-message>cat > " + file("found") + "<enter>",
		"<untag-pattern>~A<enter><limit>~A<enter>",
		"<change-folder>?<toggle-mailboxes><search>" + other + "<enter><select-entry>",
		"<tag-pattern>~A<enter><tag-prefix><pipe-message>cat > " + file("other") + "<enter>",
		"<quit>",
	}, "")
	command := func(push string) string {
		return fmt.Sprintf("stty rows 60 cols 160; TERM=xterm LC_ALL=C.UTF-8 exec %s -n -F %s -f 'imap://%s/%s' -e 'push \"%s\"'",
			neomutt, file("rc"), l.addr, dovecot.EncodeName(mailbox), push)
	}
	if _, err := client(t, time.Minute, script, "-q", "-f", "-e", "-c", command(push), file("screen")); err != nil {
		screen, _ := os.ReadFile(file("screen"))
		t.Fatalf("%v\n%q", err, tail(screen, 3000))
	}
	var found []mail
	for _, i := range hits {
		found = append(found, want[i])
	}
	comparePiped(t, file("all"), want)
	comparePiped(t, file("other"), all[other])
	comparePiped(t, file("found"), found)
	// The refusal makes neomutt forget the keys pushed after it, so that it has to be ended from outside.
	waitForScreen(t, "read-only", file("refusal"), script, "-q", "-f", "-c", command("<delete-message>"), file("refusal"))
}

// waitForScreen runs a program until the file that records its screen shows a text, and then ends it.
func waitForScreen(t *testing.T, text, screen, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := false
	for !seen && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
		raw, _ := os.ReadFile(screen)
		seen = bytes.Contains(raw, []byte(text))
	}
	cancel()
	cmd.Wait()
	if !seen {
		raw, _ := os.ReadFile(screen)
		t.Errorf("the screen never shows %q:\n%q", text, tail(raw, 2000))
	}
}

// tagsLine is the header line in which neomutt shows a message's keywords.
var tagsLine = regexp.MustCompile(`(?m)^Tags: .*\n`)

// comparePiped compares a file that messages were written to, one after the other, with them.
func comparePiped(t *testing.T, path string, want []mail) {
	t.Helper()
	var whole bytes.Buffer
	for _, m := range want {
		whole.Write(tagsLine.ReplaceAll(local(m.raw), nil))
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	if got = tagsLine.ReplaceAll(local(got), nil); !bytes.Equal(got, whole.Bytes()) {
		t.Errorf("%s: %d bytes, which differ from the %d of %d messages", filepath.Base(path), len(got), whole.Len(), len(want))
	}
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
