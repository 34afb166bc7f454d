package gmailsim

import (
	"fmt"
	"strings"
	"testing"
)

func appendTo(t *testing.T, s *Server, box string, m Message) MsgID {
	t.Helper()
	id, err := s.Append(box, m)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestGenericOddBytes(t *testing.T) {
	s := New(Options{Generic: &Generic{Delimiter: "."}})
	bodies := []string{"", "Subject: only a header", "Subject: x\r\n\r\n", "a\x00b\r\n\r\nc\x00d", "Subject: lf\n\nbare\nlines\n", "\r\n",
		"Subject: \xff\xfe\r\n\r\n\x80\x81", "no header at all", "X: 1\rX: 2\r\r"}
	for _, b := range bodies {
		appendTo(t, s, "INBOX", Message{Body: []byte(b), Date: march})
	}
	c := login(t, s.Start(t))
	c.ok("a EXAMINE INBOX")
	for i, want := range bodies {
		c.send(fmt.Sprintf("b UID FETCH %d (RFC822.SIZE BODY.PEEK[])\r\n", i+1))
		head := c.read()
		prefix := fmt.Sprintf("* %d FETCH (UID %d RFC822.SIZE %d BODY[] ", i+1, i+1, len(want))
		if want == "" {
			if head != prefix+`"")` {
				t.Fatal(head)
			}
		} else {
			if head != fmt.Sprintf("%s{%d}", prefix, len(want)) {
				t.Fatal(head)
			}
			got := make([]byte, len(want))
			for k := range got {
				b, err := c.in.ReadByte()
				if err != nil {
					t.Fatal(err)
				}
				got[k] = b
			}
			if string(got) != want || c.read() != ")" {
				t.Fatalf("message %d: got %q, want %q", i, got, want)
			}
		}
		c.until("b")
		c.ok(fmt.Sprintf("d FETCH %d (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1])", i+1))
	}
}

func TestGenericPersonality(t *testing.T) {
	s := New(Options{Generic: &Generic{Delimiter: ".", Prefix: "INBOX.", ObjectID: true, Condstore: true, UIDLast: true, SpecialUse: true, ListStatus: true}})
	for _, name := range []string{"INBOX.Sent", "INBOX.Arch.2024", "Foo", "foo"} {
		if err := s.CreateMailbox(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetSpecialUse("INBOX.Sent", `\Sent`); err != nil {
		t.Fatal(err)
	}
	id := appendTo(t, s, "INBOX", Message{Body: []byte("A: b\r\n\r\nc"), Date: march, Flags: []string{`\Seen`, "Keyword"}})
	c := login(t, s.Start(t))
	c.play(fmt.Sprintf(`C: a NAMESPACE
		S: * NAMESPACE (("INBOX." ".")) NIL NIL
		S: a OK Success
		C: b LIST "" "INBOX*"
		S: * LIST (\HasChildren) "." "INBOX"
		S: * LIST (\HasChildren \Noselect) "." "INBOX.Arch"
		S: * LIST (\HasNoChildren) "." "INBOX.Arch.2024"
		S: * LIST (\Sent \HasNoChildren) "." "INBOX.Sent"
		S: b OK Success
		C: c SELECT INBOX
		S: ...
		S: c OK [READ-WRITE] INBOX selected. (Success)
		C: d UID FETCH 1 (UID FLAGS EMAILID THREADID BODY.PEEK[])
		S: * 1 FETCH (FLAGS (\Seen Keyword) EMAILID (M%s) THREADID (T%s) BODY[] {9}
		S: A: b
		S: 
		S: c UID 1)
		S: d OK Success
		C: e UID FETCH 1 (X-GM-MSGID)
		S: e BAD Could not parse command`, id.Hex(), id.Hex()))
	c.ok("f UID COPY 1 foo")
	c.ok("g SELECT foo")
	if got := c.ok("h FETCH 1 (EMAILID FLAGS)")[0]; got != `* 1 FETCH (FLAGS (\Seen Keyword) EMAILID (M`+id.Hex()+`))` {
		t.Fatal(got)
	}
	// Flags are per copy here.
	c.ok(`i STORE 1 FLAGS (\Flagged)`)
	if m, err := s.Message(id); err != nil || len(m.Flags) != 2 {
		t.Fatalf("flags of the original: %q %v", m.Flags, err)
	}
	c.ok("j UID MOVE 1 Foo")
	if b, _ := s.Snapshot().Mailbox("foo"); len(b.Messages) != 0 {
		t.Fatal("moved message is still there")
	}
	if b, _ := s.Snapshot().Mailbox("Foo"); len(b.Messages) != 1 {
		t.Fatal("moved message did not arrive")
	}
}

func TestGenericFlatAndBare(t *testing.T) {
	s := New(Options{Generic: &Generic{Bare: true}})
	if err := s.CreateMailbox("a.b/c"); err != nil {
		t.Fatal(err)
	}
	c := login(t, s.Start(t))
	c.play(`C: a LIST "" "*"
		S: * LIST () NIL "INBOX"
		S: * LIST () NIL "a.b/c"
		S: a OK Success
		C: b NAMESPACE
		S: b BAD Unknown command b
		C: c SELECT "a.b/c" (CONDSTORE)
		S: c BAD Could not parse command
		C: d UID MOVE 1 INBOX
		S: d BAD Unknown command d`)
	if got := c.ok("e CAPABILITY")[0]; got != "* CAPABILITY IMAP4rev1 IDLE" {
		t.Fatal(got)
	}
}

func TestWildcard(t *testing.T) {
	for _, tc := range []struct {
		pattern, name, delim string
		want                 bool
	}{
		{"*", "a/b", "/", true}, {"%", "a/b", "/", false}, {"a/%", "a/b", "/", true}, {"%/b", "a/b", "/", true},
		{"%b", "a.b", "/", true}, {"", "", "/", true}, {"a*c", "abc", "", true}, {"%", `a\b`, `\`, false}, {"*%*", "x/y/z", "/", true},
		{"a", "ab", "/", false}, {strings.Repeat("*a", 200), strings.Repeat("a", 300) + "b", "/", false},
	} {
		if got := wildcard(tc.pattern, tc.name, tc.delim); got != tc.want {
			t.Errorf("%q against %q: %v", tc.pattern, tc.name, got)
		}
	}
}
