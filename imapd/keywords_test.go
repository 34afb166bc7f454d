package imapd

import (
	"fmt"
	"strings"
	"testing"

	"mailkeep/archive"
)

// SELECT announces the keywords that are in use; of a large mailbox they are announced when its messages are looked at for the first time.
func TestKeywordsAreAnnounced(t *testing.T) {
	s := newArchive(t)
	uid := s.add(simple, "INBOX", `\Seen`, "zeta", "$forwarded", `\Seen`)
	s.add("2"+simple, "INBOX", "Alpha")
	var many []archive.Copy
	for i := range fewMessages + 1 {
		many = append(many, s.copyOf(fmt.Sprint(i, simple), "Large", `\Seen`, "large"))
	}
	s.record(archive.Batch{Copies: many})
	c := login(t, serve(t, s.w.Reader, testOptions()))
	const system = `* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $Junk $NotJunk $MDNSent $Important $Phishing`
	if got := c.ok("SELECT INBOX"); !strings.Contains(got, system+" Alpha zeta)\r\n") {
		t.Error(got)
	}
	s.change(uid, "INBOX", "new]", "new")
	if got, want := c.ok("NOOP"), system+" Alpha new)\r\n* 1 FETCH (UID 1 FLAGS (new))\r\n"; got != want {
		t.Errorf("got %q", got)
	}
	s.change(uid, "INBOX", "Alpha")
	if got, want := c.ok("NOOP"), "* 1 FETCH (UID 1 FLAGS (Alpha))\r\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got := c.ok("SELECT Large"); !strings.Contains(got, system+")\r\n") {
		t.Error(got)
	}
	if got := c.ok("FETCH 1 FLAGS"); got != system+" large)\r\n* 1 FETCH (FLAGS (\\Seen large))\r\n" {
		t.Errorf("got %q", got)
	}
	if got := c.ok("FETCH 1 FLAGS"); strings.Contains(got, "* FLAGS") {
		t.Errorf("told twice: %q", got)
	}
}

func TestKeywordsAreBounded(t *testing.T) {
	s := newArchive(t)
	var b archive.Batch
	for i := range 2 * maxKeywords {
		b.Copies = append(b.Copies, s.copyOf(fmt.Sprint(i, simple), "INBOX", fmt.Sprintf("k%d", i)))
	}
	s.record(b)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	if got := c.ok("SELECT INBOX"); strings.Count(got, " k") != maxKeywords {
		t.Errorf("%d keywords: %s", strings.Count(got, " k"), got)
	}
}
