package gmailsim

import (
	"fmt"
	"strings"
	"testing"
)

func TestSearchLabels(t *testing.T) {
	_, id, c := labelled(t, `\Inbox`, "Übung", "R&D", "work/project x")
	c.play(`C: b UID SEARCH X-GM-LABELS &ANw-bung
		S: * SEARCH
		S: b OK SEARCH completed (Success)
		C: c UID SEARCH X-GM-LABELS "R&D"
		S: * SEARCH 1
		S: c OK SEARCH completed (Success)
		C: d UID SEARCH X-GM-LABELS "R&-D"
		S: * SEARCH
		S: d OK SEARCH completed (Success)
		C: e UID SEARCH X-GM-LABELS "Übung"
		S: e BAD Could not parse command
		C: f UID SEARCH CHARSET UTF-8 X-GM-LABELS {6}
		S: + go ahead
		C: Übung
		S: * SEARCH 1
		S: f OK SEARCH completed (Success)
		C: g UID SEARCH X-GM-LABELS \Inbox
		S: g BAD Could not parse command
		C: h UID SEARCH X-GM-LABELS "\\Inbox"
		S: * SEARCH 1
		S: h OK SEARCH completed (Success)
		C: i UID SEARCH X-GM-RAW "label:work-project-x"
		S: * SEARCH 1
		S: i OK SEARCH completed (Success)
		C: j UID SEARCH X-GM-RAW "rfc822msgid:1@example.org -in:unread larger:10"
		S: * SEARCH 1
		S: j OK SEARCH completed (Success)`)
	for _, key := range []string{"X-GM-MSGID", "X-GM-THRID"} {
		if got := c.ok(fmt.Sprintf("k UID SEARCH %s %d", key, id))[0]; got != "* SEARCH 1" {
			t.Fatal(got)
		}
	}
}

func TestSearchKeys(t *testing.T) {
	s := New(Options{})
	for i := range 5 {
		m := Message{Body: rfcMail(fmt.Sprint(i), fmt.Sprintf("topic %d", i)), Date: march.AddDate(0, 0, i), Labels: []string{`\Inbox`}}
		if i%2 == 0 {
			m.Flags = []string{`\Seen`}
		}
		deliver(t, s, m)
	}
	big := append(rfcMail("big", "=?utf-8?q?Gr=C3=BC=C3=9Fe?="), strings.Repeat("x", 5000)...)
	deliver(t, s, Message{Body: big, Date: march.AddDate(0, 0, 9), Labels: []string{`\Inbox`}, Flags: []string{"$Label1"}})
	c := login(t, s.Start(t))
	c.ok("a SELECT INBOX")
	for query, want := range map[string]string{
		"ALL": "1 2 3 4 5 6", "UNSEEN": "2 4 6", "SEEN": "1 3 5", "NOT SEEN": "2 4 6", "2:3": "2 3", "UID 4:*": "4 5 6", "*": "6",
		"SINCE 3-Mar-2026": "3 4 5 6", "BEFORE 3-Mar-2026": "1 2", "ON 3-Mar-2026": "3", "SUBJECT topic": "1 2 3 4 5",
		"OR SUBJECT \"topic 1\" SUBJECT \"topic 3\"": "2 4", "LARGER 1000": "6", "SMALLER 1000": "1 2 3 4 5", "FROM ann@": "1 2 3 4 5 6",
		"HEADER Message-ID <3@example.org>": "4", "BODY hello": "1 2 3 4 5 6", "TEXT nothing": "", "KEYWORD $label1": "6",
		"(SEEN 2:6) SMALLER 1000": "3 5", "CHARSET UTF-8 SUBJECT {6+}\r\ngrüß": "6", "SENTON 1-Sep-2026": "1 2 3 4 5 6", "UNKEYWORD $Label1 UNSEEN": "2 4",
	} {
		// Literal sizes count bytes: "grüß" has six.
		if got := c.ok("b UID SEARCH " + query)[0]; strings.TrimSpace(got) != strings.TrimSpace("* SEARCH "+want) {
			t.Errorf("SEARCH %s: got %q, want %q", query, got, want)
		}
	}
	c.play(`C: c UID SEARCH RETURN (ALL) ALL
		S: * ESEARCH (TAG "c") UID ALL 1:6
		S: c OK SEARCH completed (Success)
		C: d SEARCH RETURN (MIN MAX COUNT) UNSEEN
		S: * ESEARCH (TAG "d") MIN 2 MAX 6 COUNT 3
		S: d OK SEARCH completed (Success)
		C: e UID SEARCH RETURN () UNSEEN
		S: * ESEARCH (TAG "e") UID ALL 2,4,6
		S: e OK SEARCH completed (Success)
		C: f SEARCH RETURN (ALL) SUBJECT absent
		S: * ESEARCH (TAG "f")
		S: f OK SEARCH completed (Success)
		C: g SEARCH CHARSET KOI8-R ALL
		S: g NO [BADCHARSET (US-ASCII UTF-8)] Unsupported charset (Failure)`)
}
