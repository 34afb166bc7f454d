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
