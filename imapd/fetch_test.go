package imapd

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"mailkeep/archive"
)

const multi = "From: Ann <ann@example.org>\r\nSubject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nh=C3=A9llo\r\n" +
	"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBi\r\n" +
	"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: x@example.org\r\n\r\ninner body\r\n" +
	"--b\r\nContent-Transfer-Encoding: x-strange\r\n\r\nwhat\r\n--b--\r\n"

// itemTest is what is asked for of a message, and what stands between the brackets of the answer.
type itemTest struct{ items, want string }

func (c *client) checkItems(message int, tests []itemTest) {
	c.t.Helper()
	for _, test := range tests {
		want := fmt.Sprintf("* %d FETCH (%s)\r\n", message, test.want)
		if got := c.ok(fmt.Sprintf("FETCH %d %s", message, test.items)); got != want {
			c.t.Errorf("%s:\ngot  %q\nwant %q", test.items, got, want)
		}
	}
}

// lit is a literal.
func lit(s string) string { return fmt.Sprintf("{%d}\r\n%s", len(s), s) }

func TestFetchItems(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX", `\Seen`, "$Forwarded")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	header, body, _ := strings.Cut(simple, "\r\n\r\n")
	header += "\r\n\r\n"
	env := `("Wed, 3 Mar 2021 10:00:00 +0100" "hello" (("Ann" NIL "ann" "example.org")) (("Ann" NIL "ann" "example.org")) (("Ann" NIL "ann" "example.org")) ((NIL NIL "bob" "example.org")) NIL NIL NIL "<1@example.org>")`
	date := `" 4-Mar-2021 05:06:07 +0200"`
	size := fmt.Sprint(len(simple))
	plain := fmt.Sprintf(`("text" "plain" NIL NIL NIL "7bit" %d 1)`, len(body))
	extended := fmt.Sprintf(`("text" "plain" NIL NIL NIL "7bit" %d 1 NIL NIL NIL NIL)`, len(body))
	flags := `FLAGS ($Forwarded \Seen)`
	c.checkItems(1, []itemTest{
		{"FLAGS", flags},
		{"(UID)", "UID 1"},
		{"FAST", flags + " INTERNALDATE " + date + " RFC822.SIZE " + size},
		{"ALL", flags + " INTERNALDATE " + date + " RFC822.SIZE " + size + " ENVELOPE " + env},
		{"FULL", flags + " INTERNALDATE " + date + " RFC822.SIZE " + size + " ENVELOPE " + env + " BODY " + plain},
		{"BODY", "BODY " + plain},
		{"BODYSTRUCTURE", "BODYSTRUCTURE " + extended},
		{"(BODY BODYSTRUCTURE)", "BODY " + plain + " BODYSTRUCTURE " + extended},
		{"(BODYSTRUCTURE BODY)", "BODY " + plain + " BODYSTRUCTURE " + extended},
		{"BODY[]", "BODY[] " + lit(simple)},
		{"BODY.PEEK[]", "BODY[] " + lit(simple)},
		{"RFC822", "RFC822 " + lit(simple)},
		{"RFC822.HEADER", "RFC822.HEADER " + lit(header)},
		{"RFC822.TEXT", "RFC822.TEXT " + lit(body)},
		{"RFC822.PEEK", "RFC822 " + lit(simple)},
		{"(BODY[TEXT] RFC822.TEXT BODY[HEADER] RFC822.HEADER)", "BODY[TEXT] " + lit(body) + " RFC822.TEXT " + lit(body) + " BODY[HEADER] " + lit(header) + " RFC822.HEADER " + lit(header)},
		{"(BODY[HEADER.FIELDS (RFC822 \"a]b\")] RFC822.TEXT)", "BODY[HEADER.FIELDS (RFC822 \"a]b\")] " + lit("\r\n") + " RFC822.TEXT " + lit(body)},
		{"BODY[1]", "BODY[1] " + lit(body)},
		{"BODY[1.MIME]", "BODY[1.MIME] " + lit(header)},
		{"BODY[2]", "BODY[2] NIL"},
		{"BODY[1.1]", "BODY[1.1] NIL"},
		{"BODY[1.HEADER]", "BODY[1.HEADER] NIL"},
		{"BODY[HEADER.FIELDS (SUBJECT date)]", "BODY[HEADER.FIELDS (SUBJECT date)] " + lit("Subject: hello\r\nDate: Wed, 3 Mar 2021 10:00:00 +0100\r\n\r\n")},
		{"BODY.PEEK[HEADER.FIELDS.NOT (From To Date Message-ID)]", "BODY[HEADER.FIELDS.NOT (From To Date Message-ID)] " + lit("Subject: hello\r\n\r\n")},
		{"BODY[]<0.4>", "BODY[]<0> " + lit("From")},
		{"BODY[TEXT]<6.100>", "BODY[TEXT]<6> " + lit("world\r\n")},
		{"BODY[]<100000.5>", "BODY[]<100000> " + lit("")},
		{"BODY[]<0.9223372036854775807>", "BODY[]<0> " + lit(simple)},
		{"BODY[]<9223372036854775807.9223372036854775807>", "BODY[]<9223372036854775807> " + lit("")},
		{"BODY[HEADER.FIELDS (Subject)]<9.5>", "BODY[HEADER.FIELDS (Subject)]<9> " + lit("hello")},
		{"BINARY[]", "BINARY[] " + lit(simple)},
		{"BINARY.PEEK[1]<6.5>", "BINARY[1]<6> " + lit("world")},
		{"(BINARY.SIZE[] BINARY.SIZE[1] BINARY.SIZE[7])", "BINARY.SIZE[] " + size + " BINARY.SIZE[1] " + fmt.Sprint(len(body)) + " BINARY.SIZE[7] 0"},
		{"BINARY[7]", "BINARY[7] NIL"},
	})
}

func TestFetchItemsOfParts(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	s.add(multi, "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	c.checkItems(2, []itemTest{
		{"BODY[1]", "BODY[1] " + lit("h=C3=A9llo")},
		{"BODY[1.MIME]", "BODY[1.MIME] " + lit("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")},
		{"BINARY[1]", "BINARY[1] " + lit("héllo")},
		{"BINARY[2]", "BINARY[2] ~" + lit("a\x00b")},
		{"BINARY.SIZE[2]", "BINARY.SIZE[2] 3"},
		{"BODY[3.HEADER]", "BODY[3.HEADER] " + lit("Subject: inner\r\nFrom: x@example.org\r\n\r\n")},
		{"BODY[3.TEXT]", "BODY[3.TEXT] " + lit("inner body")},
		{"BODY[3.1]", "BODY[3.1] " + lit("inner body")},
		{"BODY[3.HEADER.FIELDS (From)]", "BODY[3.HEADER.FIELDS (From)] " + lit("From: x@example.org\r\n\r\n")},
		{"BODY[5]", "BODY[5] NIL"},
		{"BODY[4]", "BODY[4] " + lit("what")},
		{"BODY[MIME]", "BODY[MIME] NIL"},
	})
	for _, item := range []string{"BINARY[4]", "BINARY.SIZE[4]"} {
		got, tagged := c.do("FETCH 1:2 (UID " + item + ")")
		if !strings.HasPrefix(got, "* 1 FETCH (UID 1 ") || strings.Contains(got, "* 2") || !strings.HasPrefix(tagged, "NO [UNKNOWN-CTE]") {
			t.Errorf("%s: %s%s", item, got, tagged)
		}
	}
}

func TestFetchNumbers(t *testing.T) {
	s := newArchive(t)
	var uids []uint32
	for i := range 6 {
		uids = append(uids, s.add(fmt.Sprintf("%d%s", i, simple), "INBOX"))
	}
	s.change(uids[2], "Other") // INBOX has UIDs 1 2 4 5 6
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	tests := []struct{ command, want string }{
		{"FETCH 1", "1"}, {"FETCH *", "6"}, {"FETCH 1:*", "1 2 4 5 6"}, {"FETCH *:1", "1 2 4 5 6"}, {"FETCH 3:2", "2 4"}, {"FETCH 2,2,1:2", "1 2"},
		{"FETCH 5,1", "1 6"}, {"FETCH 4:*,*,5", "5 6"}, {"FETCH 6", "BAD"}, {"FETCH 1:6", "BAD"}, {"FETCH 9:*", "6"}, {"FETCH 0", "BAD"},
		{"UID FETCH 1", "1"}, {"UID FETCH 3", ""}, {"UID FETCH 3:3", ""}, {"UID FETCH 2:4", "2 4"}, {"UID FETCH 4:2", "2 4"}, {"UID FETCH *", "6"},
		{"UID FETCH 100:*", "6"}, {"UID FETCH *:100", "6"}, {"UID FETCH 100:200", ""}, {"UID FETCH 1:4294967295", "1 2 4 5 6"}, {"UID FETCH 3:*", "4 5 6"},
		{"UID FETCH 1,6,4,4", "1 4 6"}, {"UID FETCH 4294967296", "BAD"},
	}
	for _, test := range tests {
		untagged, tagged := c.do(test.command + " (UID)")
		var got []string
		for line := range strings.SplitSeq(strings.TrimSpace(untagged), "\r\n") {
			if _, uid, ok := strings.Cut(line, "(UID "); ok {
				got = append(got, strings.TrimSuffix(uid, ")"))
			}
		}
		result := strings.Join(got, " ")
		if strings.HasPrefix(tagged, "BAD") {
			result += "BAD"
		}
		if result != test.want {
			t.Errorf("%s: got %q (%s), want %q", test.command, result, tagged, test.want)
		}
	}
}

// path is where the archive keeps a message.
func (s *mailSource) path(ref archive.Ref) string {
	name := ref.String()
	return filepath.Join(s.w.Dir(), name[:2], name+".eml")
}

func TestUnreadableMessages(t *testing.T) {
	s := newArchive(t)
	bodies := []string{"Subject: 1\r\n\r\none", "Subject: 2\r\n\r\ntwo", "Subject: 3\r\n\r\nthree", "Subject: 4\r\n\r\nfour"}
	for _, b := range bodies {
		s.add(b, "INBOX")
	}
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	kept := s.path(archive.RefOf([]byte(bodies[1])))
	if err := os.Rename(kept, kept+".away"); err != nil {
		t.Fatal(err)
	}
	damaged := s.path(archive.RefOf([]byte(bodies[2])))
	for _, err := range []error{os.Chmod(damaged, 0o600), os.Truncate(damaged, 5)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer func() { // for the check of the archive
		for _, err := range []error{os.Rename(kept+".away", kept), os.WriteFile(damaged, []byte(bodies[2]), 0o400)} {
			if err != nil {
				t.Error(err)
			}
		}
	}()
	for _, item := range []string{"BODY[]", "BODY[TEXT]", "ENVELOPE", "BODYSTRUCTURE", "BODY[HEADER.FIELDS (Subject)]", "BINARY[1]", "BODY[1]<0.2>"} {
		got, tagged := c.do("UID FETCH 1:* (UID " + item + ")")
		if !strings.Contains(got, "(UID 1 ") || !strings.Contains(got, "(UID 4 ") || strings.Contains(got, "(UID 2 ") || strings.Contains(got, "(UID 3 ") || !fits("NO [CORRUPTION] message UID ~", tagged) {
			t.Errorf("%s: %s%s", item, got, tagged)
		}
	}
	if got := c.ok("UID FETCH 1:* (UID FLAGS RFC822.SIZE)"); strings.Count(got, "FETCH") != 4 {
		t.Error(got)
	}
	if got, tagged := c.do("SEARCH TEXT o"); got != "* NO messages that are damaged in the archive were not searched: 1\r\n* SEARCH 1 4\r\n" || !strings.HasPrefix(tagged, "OK") {
		t.Error(got, tagged)
	}
	if got := c.ok("SEARCH 1,2,4 TEXT o"); got != "* SEARCH 1 4\r\n" {
		t.Error(got)
	}
}

func TestLargeMessageIsStreamed(t *testing.T) {
	s := newArchive(t)
	attachment := strings.Repeat("0123456789abcdef\x00", 1<<18)
	large := "Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/x-big\r\n\r\n" + attachment + "\r\n--b--\r\n"
	s.add(large, "INBOX")
	s.add(simple, "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for item, want := range map[string]string{
		"BODY[]":                large,
		"BODY[2]":               attachment,
		"BINARY[]":              large,
		"BINARY[2]":             attachment,
		"BODY[2]<1000.2000000>": attachment[1000:2001000],
		"BODY[TEXT]":            large[strings.Index(large, "\r\n\r\n")+4:],
	} {
		got := c.ok("FETCH 1:2 (UID " + item + " BODY[HEADER.FIELDS (Subject)])")
		if !strings.Contains(got, fmt.Sprintf("{%d}\r\n%s BODY[HEADER.FIELDS (Subject)] {18}\r\nSubject: large\r\n\r\n)\r\n* 2 FETCH (UID 2 ", len(want), want)) {
			t.Errorf("%s: wrong answer of %d bytes", item, len(got))
		}
	}
}

// Large messages do not pass through memory.
func TestStreamingTakesNoMemory(t *testing.T) {
	s := newArchive(t)
	const size = 64 << 20
	s.add("Subject: x\r\n\r\n"+strings.Repeat("0123456789abcdef", size/16), "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	buffer := make([]byte, 64<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c.send("a FETCH 1 BODY[]\r\n")
	for read := 0; read < size; {
		n, err := c.r.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		read += n
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes were allocated to send %d", got, size)
	}
}
