package gmailsim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// march is a clock; every message of a test has its own second.
var march = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// labelled starts a server with one message that carries labels, opened in
// All Mail by a logged-in client.
func labelled(t *testing.T, labels ...string) (*Server, MsgID, *client) {
	t.Helper()
	s := New(Options{})
	id := deliver(t, s, Message{Body: rfcMail("1", "one"), Labels: labels, Date: march, Flags: []string{`\Seen`}})
	c := login(t, s.Start(t))
	c.ok(`a SELECT "[Gmail]/All Mail"`)
	return s, id, c
}

func TestGreetingAndCapabilities(t *testing.T) {
	c := dial(t, New(Options{}).Start(t))
	if got := c.read(); !strings.HasPrefix(got, "* OK Gimap ready for requests from 127.0.0.1 ") {
		t.Fatal(got)
	}
	c.play(`C: a CAPABILITY
		S: * CAPABILITY IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 XYZZY SASL-IR AUTH=XOAUTH2 AUTH=PLAIN AUTH=PLAIN-CLIENTTOKEN AUTH=OAUTHBEARER
		S: a OK Thats all she wrote! sim
		C: b LOGIN user@example.com "wrong"
		S: b NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)
		C: c SELECT INBOX
		S: c BAD Unknown command c
		C: d LOGIN USER@example.com "pass word"
		S: * CAPABILITY IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS COMPRESS=DEFLATE ENABLE MOVE CONDSTORE ESEARCH UTF8=ACCEPT LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE APPENDLIMIT=35651584
		S: d OK USER@example.com authenticated (Success)
		C: e NAMESPACE
		S: * NAMESPACE (("" "/")) NIL NIL
		S: e OK Success
		C: f SELECT "[Gmail]"
		S: f NO [NONEXISTENT] Unknown Mailbox: [Gmail] (Failure)
		C: g GETQUOTAROOT INBOX
		S: * QUOTAROOT "INBOX" ""
		S: * QUOTA "" (STORAGE 9437184 15728640)
		S: g OK Success
		C: h LOGOUT
		S: * BYE LOGOUT Requested
		S: h OK 73 good day (Success)`)
}

func TestListLocalized(t *testing.T) {
	for locale, want := range map[string][]string{
		"en-GB": {`* LIST (\Trash \HasNoChildren) "/" "[Gmail]/Bin"`, `* LIST (\HasChildren \Noselect) "/" "[Gmail]"`},
		"de":    {`* LIST (\All \HasNoChildren) "/" "[Google Mail]/Alle Nachrichten"`, `* LIST (\Drafts \HasNoChildren) "/" "[Google Mail]/Entw&APw-rfe"`},
		"fr":    {`* LIST (\Sent \HasNoChildren) "/" "[Gmail]/Messages envoy&AOk-s"`, `* LIST (\Trash \HasNoChildren) "/" "[Gmail]/Corbeille"`},
		"ru":    {`* LIST (\All \HasNoChildren) "/" "[Gmail]/&BBIEQQRP- &BD8EPgRHBEIEMA-"`},
		"ja":    {`* LIST (\All \HasNoChildren) "/" "[Gmail]/&MFkweTBmMG4w4TD8MOs-"`},
	} {
		s := New(Options{Locale: locale})
		got := login(t, s.Start(t)).ok(`a LIST "" "*"`)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: no %s in\n%s", locale, w, strings.Join(got, "\n"))
			}
		}
		if err := s.HideFolder(`\All`); err != nil {
			t.Fatal(err)
		}
		if got := login(t, s.Start(t)).ok(`a LIST "" "*"`); strings.Contains(strings.Join(got, "\n"), `\All `) {
			t.Errorf("%s: All Mail is listed though hidden", locale)
		}
	}
}

func TestListExtended(t *testing.T) {
	s := New(Options{})
	deliver(t, s, Message{Body: rfcMail("1", "one"), Labels: []string{"work/project x"}, Date: march})
	login(t, s.Start(t)).play(`C: a LIST "" (work%) RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN UIDNEXT))
		S: * LIST (\HasChildren \Noselect \Subscribed) "/" "work"
		S: a OK Success
		C: b LIST "" ("work/*") RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))
		S: * LIST (\HasNoChildren) "/" "work/project x"
		S: * STATUS "work/project x" (MESSAGES 1 UNSEEN 1 UIDNEXT 2)
		S: b OK Success
		C: c LIST (SPECIAL-USE) "" "[Gmail]/S*"
		S: * LIST (\Sent \HasNoChildren) "/" "[Gmail]/Sent Mail"
		S: * LIST (\Junk \HasNoChildren) "/" "[Gmail]/Spam"
		S: * LIST (\Flagged \HasNoChildren) "/" "[Gmail]/Starred"
		S: c OK Success
		C: d XLIST "" INBOX
		S: * XLIST (\Inbox \HasNoChildren) "/" "Inbox"
		S: d OK Success
		C: e UNSUBSCRIBE "work/project x"
		S: e OK Success
		C: f LIST (SUBSCRIBED) "" "work/*"
		S: f OK Success
		C: g LIST "" ""
		S: * LIST (\Noselect) "/" ""
		S: g OK Success`)
}

func TestLabelForms(t *testing.T) {
	_, id, c := labelled(t, `\Inbox`, `\Important`, "Receipts", "work/project x", "Übung", "R&D", `\foo`, "+x", "[odd]", `say "hi"`)
	want := `("[odd]" "\\Important" "\\Inbox" "\\foo" "say \"hi\"" "work/project x" &ANw-bung +x R&-D Receipts)`
	got := c.ok(`b UID FETCH 1:* (UID X-GM-MSGID X-GM-THRID X-GM-LABELS)`)[0]
	if got != fmt.Sprintf(`* 1 FETCH (X-GM-THRID %d X-GM-MSGID %d X-GM-LABELS %s UID 1)`, id, id, want) {
		t.Fatal(got)
	}
	// A label folder's view omits its own label, system or not.
	c.ok(`c SELECT "&ANw-bung"`)
	if got := c.ok(`d FETCH 1 (X-GM-LABELS)`)[0]; got != `* 1 FETCH (X-GM-LABELS `+strings.Replace(want, "&ANw-bung ", "", 1)+`)` {
		t.Fatal(got)
	}
	c.ok(`e SELECT INBOX`)
	if got := c.ok(`f FETCH 1 (X-GM-LABELS)`)[0]; got != `* 1 FETCH (X-GM-LABELS `+strings.Replace(want, `"\\Inbox" `, "", 1)+`)` {
		t.Fatal(got)
	}
}

func TestIDHoldsTheDate(t *testing.T) {
	s := New(Options{})
	seen := map[MsgID]bool{}
	for i := range 2000 {
		id := deliver(t, s, Message{Body: []byte("\r\n"), Date: march})
		if ms := int64(id >> 20); ms < march.UnixMilli() || ms >= march.UnixMilli()+1000 || seen[id] {
			t.Fatalf("message %d: id %d, date %d ms", i, id, ms)
		}
		seen[id] = true
	}
	old := deliver(t, s, Message{Body: []byte("\r\n"), Date: time.Unix(0, 0)})
	if old>>20 >= 1000 {
		t.Fatalf("id of 1970: %d", old)
	}
}

func TestUTF8Accept(t *testing.T) {
	_, _, c := labelled(t, "Übung", "R&D", "work/project x")
	c.play(`C: b UID FETCH 1 (X-GM-LABELS)
		S: * 1 FETCH (X-GM-LABELS ("work/project x" &ANw-bung R&-D) UID 1)
		S: b OK Success
		C: c ENABLE UTF8=ACCEPT
		S: * ENABLED UTF8=ACCEPT
		S: c OK Success
		C: d UID FETCH 1 (X-GM-LABELS)
		S: * 1 FETCH (X-GM-LABELS ("work/project x" "Übung" R&D) UID 1)
		S: d OK Success
		C: e UID STORE 1 -X-GM-LABELS ("Übung")
		S: * 1 FETCH (X-GM-LABELS ("work/project x" R&D) UID 1)
		S: e OK Success
		C: f UID STORE 1 +X-GM-LABELS ("R&-D")
		S: * 1 FETCH (X-GM-LABELS ("work/project x" R&-D R&D) UID 1)
		S: f OK Success
		C: g LIST "" "R*"
		S: * LIST (\HasNoChildren) "/" "R&-D"
		S: * LIST (\HasNoChildren) "/" "R&D"
		S: g OK Success
		C: h LIST "" "Ü*"
		S: * LIST (\HasNoChildren) "/" "Übung"
		S: h OK Success`)
}

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

func TestStoreLabels(t *testing.T) {
	s, id, c := labelled(t, "work/project x", `\foo`)
	at := func() uint64 {
		t.Helper()
		m, err := s.Message(id)
		if err != nil {
			t.Fatal(err)
		}
		return m.ModSeq
	}
	expect := func(cmd string, want ...string) {
		t.Helper()
		got := c.do(cmd)
		for i, w := range want {
			want[i] = strings.ReplaceAll(w, "@", fmt.Sprint(at()))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s:\ngot  %s\nwant %s", cmd, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	expect(`b UID FETCH 1 (FLAGS MODSEQ X-GM-LABELS)`, `* 1 FETCH (X-GM-LABELS ("\\foo" "work/project x") UID 1 MODSEQ (@) FLAGS (\Seen))`, `b OK Success`)
	expect(`c UID STORE 1 +X-GM-LABELS (&ANw-bung ProbeImplicit)`,
		`* 1 FETCH (X-GM-LABELS ("\\foo" "work/project x" &ANw-bung ProbeImplicit) MODSEQ (@) UID 1)`, `c OK Success`)
	expect(`d STORE 1 -X-GM-LABELS ("\\foo")`, `* 1 FETCH (X-GM-LABELS ("work/project x" &ANw-bung ProbeImplicit) MODSEQ (@))`, `d OK Success`)
	expect(`e UID STORE 1 +X-GM-LABELS (\Starred)`,
		`* 1 FETCH (X-GM-LABELS ("\\Starred" "work/project x" &ANw-bung ProbeImplicit) MODSEQ (@) UID 1)`,
		`* 1 FETCH (UID 1 MODSEQ (@) FLAGS (\Flagged \Seen))`, `e OK Success`)
	expect(`f UID STORE 1 (UNCHANGEDSINCE 1) +X-GM-LABELS (no)`,
		`* 1 FETCH (X-GM-LABELS ("\\Starred" "work/project x" &ANw-bung ProbeImplicit) MODSEQ (@) UID 1)`,
		`f OK [MODIFIED 1] Conditional Store Failed (Success)`)
	expect(`g UID STORE 1 -X-GM-LABELS.SILENT (\Starred)`, `* 1 FETCH (UID 1 MODSEQ (@))`, `* 1 FETCH (UID 1 MODSEQ (@) FLAGS (\Seen))`, `g OK Success`)
	expect(`h UID STORE 1 +X-GM-LABELS (SPAM)`, `h BAD Invalid Arguments: Label name is not allowed: SPAM`)
	expect(`i UID STORE 1 X-GM-LABELS (only)`, `* 1 FETCH (X-GM-LABELS (only) MODSEQ (@) UID 1)`, `i OK Success`)
	expect(`j UID STORE 1 +X-GM-LABELS (\Sent \Draft)`, `* 1 FETCH (X-GM-LABELS (only) MODSEQ (@) UID 1)`, `j OK Success`)
	if m, _ := s.Message(id); !slices.Equal(m.Labels, []string{"only"}) || m.UIDs["only"] != 1 {
		t.Fatalf("labels %q, UIDs %v", m.Labels, m.UIDs)
	}
}

func TestCondstore(t *testing.T) {
	s, first, c := labelled(t, `\Inbox`)
	second := deliver(t, s, Message{Body: rfcMail("2", "two"), Date: march, Labels: []string{`\Inbox`}})
	c.ok("b NOOP")
	var mod uint64
	for _, l := range c.ok(`c STATUS "[Gmail]/All Mail" (HIGHESTMODSEQ MESSAGES)`) {
		fmt.Sscanf(l, `* STATUS "[Gmail]/All Mail" (HIGHESTMODSEQ %d MESSAGES 2)`, &mod)
	}
	if mod == 0 {
		t.Fatal("no HIGHESTMODSEQ")
	}
	if got := c.ok(fmt.Sprintf("d UID FETCH 1:* (X-GM-MSGID FLAGS) (CHANGEDSINCE %d)", mod)); len(got) != 1 {
		t.Fatalf("nothing changed, got %q", got)
	}
	if err := s.AddLabels(second, "new"); err != nil {
		t.Fatal(err)
	}
	got := c.ok(fmt.Sprintf("e UID FETCH 1:* (X-GM-MSGID X-GM-LABELS FLAGS) (CHANGEDSINCE %d)", mod))
	if len(got) != 2 || !strings.Contains(got[0], fmt.Sprintf(`X-GM-MSGID %d X-GM-LABELS ("\\Inbox" new) UID 2 MODSEQ (`, second)) {
		t.Fatalf("got %q", got)
	}
	c.play(fmt.Sprintf(`C: f UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)
		S: f BAD Could not parse command
		C: g UID FETCH 1 (FLAGS)%s
		S: g BAD Could not parse command
		C: h SELECT INBOX (CONDSTORE)
		S: ...
		S: h OK [READ-WRITE] INBOX selected. (Success)`, mod, " "))
	if err := s.SetFlags(first); err != nil {
		t.Fatal(err)
	}
	m, err := s.Message(first)
	if err != nil {
		t.Fatal(err)
	}
	c.play(fmt.Sprintf("C: i NOOP\nS: * 1 FETCH (UID 1 MODSEQ (%d) FLAGS ())\nS: i OK Success", m.ModSeq))
}

func TestFoldersOfLabels(t *testing.T) {
	s := New(Options{})
	c := login(t, s.Start(t))
	c.play(`C: a CREATE "work/project x"
		S: a OK Success
		C: b LIST "" "work*"
		S: * LIST (\HasChildren \Noselect) "/" "work"
		S: * LIST (\HasNoChildren) "/" "work/project x"
		S: b OK Success
		C: c DELETE "work/project x"
		S: c OK Success
		C: d DELETE "work"
		S: d NO [NONEXISTENT] Unknown folder (Failure)
		C: e CREATE " blank"
		S: e NO [CANNOT] Folder contains excess whitespace (Failure)
		C: f CREATE "two  blanks"
		S: f NO [CANNOT] Folder contains excess whitespace (Failure)
		C: g CREATE "a//b"
		S: g NO [CANNOT] No folder name given. (Failure)
		C: h CREATE "a^b"
		S: h NO [CANNOT] Invalid folder name (Failure)
		C: i CREATE Foo
		S: i OK Success
		C: j CREATE foo
		S: j NO [ALREADYEXISTS] Duplicate folder name (Failure)
		C: k CREATE "\\Starred"
		S: k OK Success
		C: l RENAME Foo "Bar/R&-D"
		S: l OK Success
		C: m LIST "" "B*"
		S: * LIST (\HasChildren \Noselect) "/" "Bar"
		S: * LIST (\HasNoChildren) "/" "Bar/R&-D"
		S: m OK Success
		C: m2 DELETE Bar
		S: m2 NO [NONEXISTENT] Unknown folder (Failure)
		C: m3 CREATE "Baz/x"
		S: m3 OK Success
		C: m4 RENAME "Bar/R&-D" "Baz/x"
		S: m4 NO [ALREADYEXISTS] Duplicate folder name (Failure)
		C: m5 RENAME "Bar/R&-D" plain
		S: m5 OK Success
		C: m6 LIST "" "B*"
		S: * LIST (\HasChildren \Noselect) "/" "Baz"
		S: * LIST (\HasNoChildren) "/" "Baz/x"
		S: m6 OK Success
		C: n DELETE INBOX
		S: n NO [CANNOT] System folder cannot be changed (Failure)
		C: o CREATE "&ANw"
		S: o BAD Could not parse command`)
}

func TestTrashAndSpamExclude(t *testing.T) {
	s, id, c := labelled(t, `\Inbox`, `\Starred`, "work")
	c.ok(`b UID MOVE 1 "[Gmail]/Trash"`)
	m, err := s.Message(id)
	if err != nil || len(m.UIDs) != 1 || m.UIDs["[Gmail]/Trash"] != 1 || !slices.Equal(m.Labels, []string{`\Trash`}) {
		t.Fatalf("in Trash: %v %q %v", m.UIDs, m.Labels, err)
	}
	c.ok(`c SELECT "[Gmail]/Trash"`)
	if got := c.ok(`d UID FETCH 1 (X-GM-LABELS)`)[0]; got != `* 1 FETCH (X-GM-LABELS () UID 1)` {
		t.Fatal(got)
	}
	c.ok(`e UID COPY 1 work`)
	m, _ = s.Message(id)
	if !slices.Equal(m.Labels, []string{`\Starred`, "work"}) || m.UIDs["[Gmail]/All Mail"] != 2 {
		t.Fatalf("back from Trash: %v %q", m.UIDs, m.Labels)
	}
	if err := s.MoveToSpam(id); err != nil {
		t.Fatal(err)
	}
	c.ok(`f SELECT "[Gmail]/Spam"`)
	c.ok(`g UID STORE 1 +FLAGS (\Deleted)`)
	if _, err := s.Message(id); err == nil {
		t.Fatal("deleting in Spam must be for ever")
	}
}

func TestAutoExpunge(t *testing.T) {
	s, id, c := labelled(t, "work")
	c.ok("b SELECT work")
	c.play("C: c UID STORE 1 +FLAGS.SILENT (\\Deleted)\nS: * 1 EXPUNGE\nS: * 0 EXISTS\nS: c OK Success")
	if m, err := s.Message(id); err != nil || len(m.Labels) != 0 || len(m.UIDs) != 1 {
		t.Fatalf("only the label goes: %v %v", m, err)
	}
	off := New(Options{AutoExpungeOff: true})
	for i := range 3 {
		deliver(t, off, Message{Body: rfcMail(fmt.Sprint(i), "x"), Labels: []string{"work"}, Date: march})
	}
	d := login(t, off.Start(t))
	d.ok("a SELECT work")
	d.ok(`b STORE 1:3 +FLAGS (\Deleted)`)
	d.play("C: c UID EXPUNGE 2:9\nS: * 2 EXPUNGE\nS: * 2 EXPUNGE\nS: * 1 EXISTS\nS: c OK Success\n" +
		"C: d EXPUNGE\nS: * 1 EXPUNGE\nS: * 0 EXISTS\nS: d OK Success")
	if n := len(off.Snapshot().Messages); n != 3 {
		t.Fatalf("%d messages left", n)
	}
}

func TestAppendDeduplicates(t *testing.T) {
	s, id, c := labelled(t, `\Inbox`)
	body := string(rfcMail("1", "one"))
	validity := func(name string) uint32 {
		b, err := s.Snapshot().Mailbox(name)
		if err != nil {
			t.Fatal(err)
		}
		return b.UIDValidity
	}
	c.ok("b CREATE old")
	c.send(fmt.Sprintf("c APPEND old (\\Seen) \"01-Jan-2001 00:00:00 +0000\" {%d}\r\n", len(body)))
	c.play("S: + go ahead")
	c.send(body + "\r\n")
	c.play(fmt.Sprintf("S: c OK [APPENDUID %d 1] (Success)", validity("old")))
	if m, _ := s.Message(id); !slices.Equal(m.Labels, []string{"\\Inbox", "old"}) || !m.Date.Equal(march) {
		t.Fatalf("merged: %q %v", m.Labels, m.Date)
	}
	fresh := string(rfcMail("other", "one"))
	c.send(fmt.Sprintf("d APPEND old \"01-Jan-2001 00:00:00 +0000\" {%d+}\r\n%s\r\n", len(fresh), fresh))
	c.play(fmt.Sprintf("S: * 2 EXISTS\nS: d OK [APPENDUID %d 2] (Success)", validity("old")))
	c.send("e APPEND nowhere {2+}\r\n\r\n\r\n")
	c.play("S: e NO [TRYCREATE] No folder nowhere (Failure)")
	c.play("C: f APPEND old {35651585}\nS: f NO [TOOBIG] Message too large. (Failure)")
	c.send("g APPEND old {3+}\r\n\x00\r\n\r\n")
	c.play("S: g BAD Invalid character in literal")
}

func TestIdleTellsOtherSessions(t *testing.T) {
	s, id, c := labelled(t, `\Inbox`)
	c.ok("b SELECT INBOX")
	c.play("C: c IDLE\nS: + idling")
	deliver(t, s, Message{Body: rfcMail("2", "two"), Labels: []string{`\Inbox`}, Date: march})
	c.play("S: * 2 EXISTS")
	if err := s.SetFlags(id, `\Seen`, `\Answered`); err != nil {
		t.Fatal(err)
	}
	c.play(`S: * 1 FETCH (UID 1 FLAGS (\Answered \Seen))`)
	if err := s.RemoveLabels(id, `\Inbox`); err != nil {
		t.Fatal(err)
	}
	c.play("S: * 1 EXPUNGE\nS: * 1 EXISTS\nC: DONE\nS: c OK IDLE terminated (Success)")
}

func TestExpungeWaitsDuringFetch(t *testing.T) {
	s, id, c := labelled(t)
	if err := s.Expunge(id); err != nil {
		t.Fatal(err)
	}
	c.play("C: b FETCH 1 (UID)\nS: * 1 FETCH (UID 1)\nS: b OK Success\n" +
		"C: c UID FETCH 1 (FLAGS)\nS: * 1 EXPUNGE\nS: * 0 EXISTS\nS: c OK Success")
}

func TestFolderLimitAndUIDValidity(t *testing.T) {
	s := New(Options{})
	for i := range 10 {
		deliver(t, s, Message{Body: rfcMail(fmt.Sprint(i), "x"), Labels: []string{`\Inbox`}, Date: march})
	}
	s.FolderLimit(4)
	c := login(t, s.Start(t))
	c.play(`C: a STATUS INBOX (MESSAGES UNSEEN)
		S: * STATUS "INBOX" (MESSAGES 4 UNSEEN 4)
		S: a OK Success
		C: b SELECT INBOX
		S: ...
		S: * 4 EXISTS
		S: ...
		S: b OK [READ-WRITE] INBOX selected. (Success)
		C: c UID SEARCH RETURN (ALL) ALL
		S: * ESEARCH (TAG "c") UID ALL 7:10
		S: c OK SEARCH completed (Success)`)
	deliver(t, s, Message{Body: rfcMail("new", "x"), Labels: []string{`\Inbox`}, Date: march})
	c.play("C: d NOOP\nS: * 5 EXISTS\nS: d OK Success")
	s.FolderLimit(0)
	before, _ := s.Snapshot().Mailbox("INBOX")
	if err := s.ChangeUIDValidity("INBOX"); err != nil {
		t.Fatal(err)
	}
	after, _ := s.Snapshot().Mailbox("INBOX")
	if after.UIDValidity <= before.UIDValidity || after.Messages[0].UID != 1 || len(after.Messages) != 11 {
		t.Fatalf("before %d, after %+v", before.UIDValidity, after)
	}
	if got := c.ok("e NOOP"); !slices.Contains(got, "* 11 EXISTS") || !slices.Contains(got, "* 1 EXPUNGE") {
		t.Fatalf("got %q", got)
	}
}
