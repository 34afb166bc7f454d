package imapd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

func TestPreview(t *testing.T) {
	s := newArchive(t)
	s.add("Subject: 1\r\n\r\nsome\r\ntext\r\n", "INBOX")
	s.add("Content-Type: text/plain; charset=utf-8\r\n\r\nh\u00e9llo \"you\"", "INBOX")
	s.add("Subject: 3\r\n\r\n"+strings.Repeat("large ", 10000), "INBOX")
	s.add("Content-Type: image/png\r\n\r\nx", "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for command, want := range map[string]string{
		"FETCH 1 PREVIEW":               "* 1 FETCH (PREVIEW \"some text\")\r\n",
		"FETCH 1 (PREVIEW (LAZY) UID)":  "* 1 FETCH (UID 1 PREVIEW \"some text\")\r\n",
		"FETCH 1 preview (lazy)":        "* 1 FETCH (PREVIEW \"some text\")\r\n",
		"UID FETCH 2 (PREVIEW)":         "* 2 FETCH (UID 2 PREVIEW {12}\r\nh\u00e9llo \"you\")\r\n",
		"FETCH 3 (PREVIEW (LAZY))":      "* 3 FETCH (PREVIEW NIL)\r\n",
		"FETCH 3 (PREVIEW)":             "* 3 FETCH (PREVIEW \"" + strings.TrimSpace(strings.Repeat("large ", 33)) + " la\")\r\n",
		"FETCH 4 (PREVIEW RFC822.SIZE)": "* 4 FETCH (RFC822.SIZE 28 PREVIEW \"\")\r\n",
	} {
		if got := c.ok(command); got != want {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	if got := c.ok("FETCH 1 (PREVIEW (LAZY)) (CHANGEDSINCE 1)"); !fits("* 1 FETCH (PREVIEW \"some text\" MODSEQ (~))\r\n* OK [HIGHESTMODSEQ ~", got) {
		t.Errorf("with a modifier: %q", got)
	}
	for _, command := range []string{"FETCH 1 (PREVIEW (EAGER))", "FETCH 1 (PREVIEW(LAZY))", "FETCH 1 (PREVIEW (LAZY LAZY))", "FETCH 1 (UID (LAZY))"} {
		if _, tagged := c.do(command); !strings.HasPrefix(tagged, "BAD") {
			t.Errorf("%s: %s", command, tagged)
		}
	}
	c.ok("ENABLE UTF8=ACCEPT")
	if got := c.ok("FETCH 2 PREVIEW"); got != "* 2 FETCH (PREVIEW \"h\u00e9llo \\\"you\\\"\")\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestSearchByAge(t *testing.T) {
	s := newArchive(t)
	for i, age := range []time.Duration{time.Minute, 3 * time.Hour, 1000 * 24 * time.Hour} {
		m := s.copyOf(fmt.Sprint(i, simple), "INBOX")
		m.Date = time.Now().Add(-age)
		s.record(archive.Batch{Copies: []archive.Copy{m}})
	}
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for key, want := range map[string]string{
		"YOUNGER 3600": " 1", "OLDER 3600": " 2 3", "YOUNGER 86400 OLDER 3600": " 2", "NOT OLDER 4294967295": " 1 2 3", "OR YOUNGER 3600 (OLDER 86400)": " 1 3",
	} {
		if got := c.ok("SEARCH " + key); got != "* SEARCH"+want+"\r\n" {
			t.Errorf("%s: got %q", key, got)
		}
	}
	for _, key := range []string{"OLDER 0", "YOUNGER x", "OLDER", "YOUNGER -1", "OLDER 4294967296"} {
		if _, tagged := c.do("SEARCH " + key); !strings.HasPrefix(tagged, "BAD") {
			t.Errorf("%s: %s", key, tagged)
		}
	}
}
