package gmailsim

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Generated messages cost no memory for their bodies and are made only when
// somebody reads them.
func TestLargeGeneratedAccount(t *testing.T) {
	const n = 60_000
	s := New(Options{})
	var made atomic.Int64
	for i := range n {
		body := func() []byte {
			made.Add(1)
			return []byte(fmt.Sprintf("Message-ID: <%08d@example.org>\r\nSubject: number %08d\r\n\r\n%s\r\n", i, i, strings.Repeat("text ", 100)))
		}
		labels := []string{fmt.Sprintf("label%02d", i%40)}
		if i%100 == 0 {
			labels = append(labels, `\Inbox`)
		}
		deliver(t, s, Message{Generate: body, Size: 566, Date: march.Add(time.Duration(i) * time.Second), Labels: labels,
			MessageID: fmt.Sprintf("<%08d@example.org>", i)})
	}
	c := login(t, s.Start(t))
	c.ok(`a SELECT "[Gmail]/All Mail" (CONDSTORE)`)
	start := time.Now()
	for range 20 {
		if got := c.ok("b UID SEARCH RETURN (ALL) ALL")[0]; got != fmt.Sprintf(`* ESEARCH (TAG "b") UID ALL 1:%d`, n) {
			t.Fatal(got)
		}
		c.ok(`c STATUS INBOX (MESSAGES UNSEEN UIDNEXT HIGHESTMODSEQ)`)
		c.ok("d UID FETCH 30000 (X-GM-LABELS FLAGS)")
		c.ok("e UID STORE 30000 +X-GM-LABELS (more)")
		c.ok("f UID STORE 30000 -X-GM-LABELS (more)")
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("100 small commands took %v", took)
	}
	got := c.ok("g UID FETCH 1:* (UID X-GM-MSGID X-GM-THRID X-GM-LABELS FLAGS INTERNALDATE RFC822.SIZE)")
	if len(got) != n+1 || made.Load() != 0 {
		t.Fatalf("%d lines, %d bodies made", len(got), made.Load())
	}
	if got := c.ok("h UID FETCH 777 (RFC822.SIZE BODY.PEEK[])")[0]; !strings.Contains(got, "RFC822.SIZE 566 BODY[] {566}") || made.Load() != 1 {
		t.Fatalf("%s, %d bodies made", got, made.Load())
	}
	c.ok("i SELECT INBOX")
	before := made.Load()
	c.ok("j UID SEARCH SUBJECT 00000777")
	if made.Load() != before+n/100 {
		t.Fatalf("a text search of INBOX made %d bodies", made.Load()-before)
	}
}

// A command may be as long as Gmail allows, and no longer.
func TestLineLimit(t *testing.T) {
	c := login(t, New(Options{}).Start(t))
	long := func(n int) string { return "a ID (\"x\" \"" + strings.Repeat("y", n) + "\")" }
	c.ok(long(maxLine - 20))
	c.play("C: " + long(maxLine) + "\nS: a BAD Could not parse command\nC: b NOOP\nS: b OK Success")
	c.play("C: " + long(40*maxLine) + "\nS: a BAD Could not parse command\nC: b NOOP\nS: b OK Success")
	c.send("c CREATE {5000+}\r\n")
	if got := c.rest(); got != "c BAD Literal too large\r\n" {
		t.Fatalf("LITERAL-: got %q", got)
	}
}

func TestStrictParser(t *testing.T) {
	_, _, c := labelled(t)
	for _, bad := range []string{
		"b FETCH 1 (FLAGS) ", "b FETCH 1 ( FLAGS)", "b FETCH 1 (FLAGS )", "b FETCH 1 ()", "b FETCH 0 FLAGS", "b FETCH 1: FLAGS", "b FETCH  1 FLAGS",
		"b FETCH 1 (ALL)", "b FETCH 1 BODY[0]", "b FETCH 1 BODY[1.]", "b FETCH 1 BODY[MIME]", "b FETCH 1 BODY[HEADER.FIELDS ()]", "b FETCH 1 BODY[]<0>",
		"b FETCH 1 BODY[]<0.0>", "b FETCH 1 BINARY[1]", "b FETCH 1 EMAILID", "b STORE 1 FLAGS", "b STORE 1 +LABELS (x)", "b SEARCH", "b SEARCH ALL ",
		"b SEARCH (ALL", "b SEARCH SUBJECT", "b SEARCH SINCE 2020-01-01", "b NOOP ", "b  NOOP", "b SELECT", `b SELECT "a\b"`, "b LIST \"\"",
		"b STATUS INBOX ()", "b STATUS INBOX (SIZE)", "b UID", "b UID NOOP", "b XYZZY1", "+ NOOP", "b", "", "b UID FETCH 1 (FLAGS) (CHANGEDSINCE -1)",
	} {
		c.send(bad + "\r\n")
		if got := c.read(); !strings.Contains(got, " BAD ") {
			t.Errorf("%q: %s", bad, got)
		}
	}
	c.ok("z NOOP")
}
