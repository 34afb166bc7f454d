package wire

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// wireConn is a connection whose server side is a fixed stream and whose client side is recorded.
type wireConn struct {
	net.Conn
	r io.Reader
	w bytes.Buffer
}

func (c *wireConn) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c *wireConn) Write(p []byte) (int, error)      { return c.w.Write(p) }
func (c *wireConn) Close() error                     { return nil }
func (c *wireConn) SetReadDeadline(time.Time) error  { return nil }
func (c *wireConn) SetWriteDeadline(time.Time) error { return nil }

// wireAsk is a command that asks for everything by UID, so that UIDs have to come first.
const wireAsk = `T9 UID FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Gmail")] BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Object")])` + "\r\n"

// wireTranslate sends the commands, then reads the whole translation of what r yields.
func wireTranslate(t testing.TB, commands string, r io.Reader) (string, error) {
	t.Helper()
	c := NewConn(&wireConn{r: r})
	if _, err := io.WriteString(c, commands); err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(c)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return string(out), err
}

const gmHead = "BODY[HEADER.FIELDS (X-Mailkeep-Gmail)] "

func TestConnResponses(t *testing.T) {
	tests := []struct {
		name     string
		commands string
		in, out  string
	}{
		{"nothing to do", wireAsk, "* 1 FETCH (UID 7 FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\n", ""},
		{"Gmail's order", wireAsk,
			"* 2 FETCH (X-GM-THRID 18 X-GM-MSGID 19 X-GM-LABELS (\"\\\\Inbox\" a) UID 2 FLAGS ())\r\n",
			"* 2 FETCH (" + "UID 2 " + gmHead + "{57}\r\nX-GM-THRID 18\r\nX-GM-MSGID 19\r\nX-GM-LABELS (\"\\\\Inbox\" a)\r\n FLAGS ())\r\n"},
		{"items after a body", wireAsk,
			"* 2 FETCH (UID 2 BODY[] {3}\r\nabc X-GM-MSGID 19)\r\n",
			"* 2 FETCH (UID 2 BODY[] {3}\r\nabc " + gmHead + "{15}\r\nX-GM-MSGID 19\r\n)\r\n"},
		{"split around a body", wireAsk,
			"* 2 FETCH (X-GM-THRID 1 UID 2 BODY[] {3}\r\nabc X-GM-MSGID 19 FLAGS ())\r\n",
			"* 2 FETCH (UID 2 BODY[] {3}\r\nabc FLAGS () " + gmHead + "{29}\r\nX-GM-THRID 1\r\nX-GM-MSGID 19\r\n)\r\n"},
		{"UID after a body", wireAsk,
			"* 2 FETCH (FLAGS (\\Seen) BODY[] {3}\r\nabc UID 2)\r\n",
			"* 2 FETCH (UID 2 FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\n"},
		{"UID after a quoted body", wireAsk,
			"* 2 FETCH (BODY[1] \"a) UID 9\" UID 2)\r\n",
			"* 2 FETCH (UID 2 BODY[1] \"a) UID 9\")\r\n"},
		{"UID after a body, read by sequence number", "T1 FETCH 2 (UID BODY.PEEK[])\r\n",
			"* 2 FETCH (BODY[] {3}\r\nabc UID 2)\r\n", ""},
		{"no UID at all", wireAsk,
			"* 2 FETCH (FLAGS (\\Seen) BODY[] {3}\r\nabc)\r\n", ""},
		{"literal label", wireAsk,
			"* 2 FETCH (UID 2 X-GM-LABELS (a {5}\r\nb)\"\r\n c))\r\n",
			"* 2 FETCH (UID 2 " + gmHead + "{30}\r\nX-GM-LABELS (a {5}\r\nb)\"\r\n c)\r\n)\r\n"},
		{"object ids", wireAsk,
			"* 2 FETCH (EMAILID (M6) THREADID NIL UID 2)\r\n",
			"* 2 FETCH (UID 2 BODY[HEADER.FIELDS (X-Mailkeep-Object)] {28}\r\nEMAILID (M6)\r\nTHREADID NIL\r\n)\r\n"},
		{"unsolicited labels", "",
			"* 2 FETCH (UID 2 X-GM-LABELS (a) FLAGS ())\r\n* 3 FETCH (X-GM-LABELS ({1}\r\na))\r\n* 4 EXISTS\r\n",
			"* 2 FETCH (UID 2 FLAGS ())\r\n* 4 EXISTS\r\n"},
		{"labels after the command ended", wireAsk,
			"* 2 FETCH (UID 2 X-GM-LABELS (a))\r\nT9 OK done\r\n* 2 FETCH (UID 2 X-GM-LABELS (a))\r\n",
			"* 2 FETCH (UID 2 " + gmHead + "{17}\r\nX-GM-LABELS (a)\r\n)\r\nT9 OK done\r\n* 2 FETCH (UID 2)\r\n"},
		{"unknown items", wireAsk,
			"* 1 FETCH (ANNOTATION (/comment (value.priv \"x\" v NIL)) PREVIEW {3}\r\na b SAVEDATE \"x\" UID 1 X.Y[1 (a)]<5> NIL)\r\n",
			"* 1 FETCH (UID 1)\r\n"},
		{"empty response", wireAsk, "* 5 FETCH ()\r\n* 5 EXISTS\r\n", "* 5 EXISTS\r\n"},
		{"older names", wireAsk,
			"* 1 FETCH (UID 1 RFC822 {3}\r\nabc RFC822.HEADER \"x\" RFC822.TEXT NIL RFC822[] {1}\r\na BODY.PEEK[1] \"q\")\r\n",
			"* 1 FETCH (UID 1 BODY[] {3}\r\nabc BODY[HEADER] \"x\" BODY[TEXT] NIL BODY[] {1}\r\na BODY[1] \"q\")\r\n"},
		{"odd flags", wireAsk,
			"* 1 FETCH (UID 1 FLAGS (\\Seen [Mailbox] \"\\\\Answered\" \xc3\x84 a%b \"a b\" ))\r\n",
			"* 1 FETCH (UID 1 FLAGS (\\Seen [Mailbox\xff5D \\Answered \xc3\xff84 a\xff25b a\xff20b))\r\n"},
		{"flags as NIL", wireAsk, "* 1 FETCH (UID 1 FLAGS NIL)\r\n", "* 1 FETCH (UID 1 FLAGS ())\r\n"},
		{"unreadable values", wireAsk,
			"* 1 FETCH (UID 1 INTERNALDATE \"yesterday\" RFC822.SIZE NIL MODSEQ NIL FLAGS ())\r\n",
			"* 1 FETCH (UID 1 FLAGS ())\r\n"},
		{"bare MODSEQ", wireAsk, "* 1 FETCH (UID 1 MODSEQ 12)\r\n", "* 1 FETCH (UID 1 MODSEQ (12))\r\n"},
		{"dates as they come", wireAsk,
			"* 1 FETCH (UID 1 INTERNALDATE \" 1-Jan-2001 00:00:00 +0000\" RFC822.SIZE 0)\r\n", ""},
		{"wild spacing and case", wireAsk,
			"* 1 fetch ( uid 1  flags (\\Seen)x-gm-labels ()  )) \r\n",
			"* 1 FETCH (UID 1 FLAGS (\\Seen) " + gmHead + "{16}\r\nX-GM-LABELS ()\r\n)\r\n"},
		{"literal8", wireAsk,
			"* 1 FETCH (UID 1 BODY[1] ~{2}\r\nab BINARY[2] ~{2}\r\nab)\r\n",
			"* 1 FETCH (UID 1 BODY[1] {2}\r\nab BINARY[2] ~{2}\r\nab)\r\n"},
		{"section with a literal field name", wireAsk,
			"* 1 FETCH (UID 1 BODY[HEADER.FIELDS ({4}\r\nFrom \"T]o\")]<0> {2}\r\n\r\n)\r\n", ""},
		{"literals inside an envelope", wireAsk,
			"* 1 FETCH (UID 1 ENVELOPE (NIL {3}\r\na)b NIL NIL NIL NIL NIL NIL NIL \"x\\\")\") FLAGS ())\r\n", ""},
		{"parentheses around items", wireAsk, "* 1 FETCH (UID 1 (FLAGS ()) (X-GM-LABELS (a)))\r\n",
			"* 1 FETCH (UID 1 FLAGS () " + gmHead + "{17}\r\nX-GM-LABELS (a)\r\n)\r\n"},
		{"lone line feeds", wireAsk, "* 1 FETCH (UID 1 BODY[] {2}\nab)\n", "* 1 FETCH (UID 1 BODY[] {2}\r\nab)\r\n"},
		{"duplicate items", wireAsk,
			"* 1 FETCH (UID 1 UID 2 X-GM-LABELS (a) X-GM-LABELS (b))\r\n",
			"* 1 FETCH (UID 1 " + gmHead + "{17}\r\nX-GM-LABELS (a)\r\n)\r\n"},
		{"zero UID", wireAsk, "* 1 FETCH (UID 0 FLAGS ())\r\n", "* 1 FETCH (FLAGS ())\r\n"},
		{"flag lists", "", "* FLAGS (\\Seen [a])\r\n* OK [PERMANENTFLAGS (\\* [a])] Limited\r\n",
			"* FLAGS (\\Seen [a\xff5D)\r\n* OK [PERMANENTFLAGS (\\* [a\xff5D)] Limited\r\n"},
		{"status text that looks like a literal", "", "* OK hi {3}\r\nA1 NO [CANNOT] x {9}\r\n+ go {5}\r\n", ""},
		{"unknown responses", "", "* XLIST () \"/\" {3}\r\nabc\r\n* VANISHED 1:5\r\n* 7 UIDFETCH (FLAGS ())\r\n\r\n* SEARCH 1\r\n", "* SEARCH 1\r\n"},
		{"mailbox names", "",
			"* LIST (\\Noselect) \"/\" {7}\r\na\"b\\c d\r\n* LIST () nil R&D\r\n* LIST () \"\" a b (\"X\" (1))\r\n* STATUS \"R&D\" (MESSAGES 1 )\r\n",
			"* LIST (\\Noselect) \"/\" \"a\\\"b\\\\c d\"\r\n* LIST () NIL \"R&-D\"\r\n* LIST () NIL \"a b\" (\"X\" (1))\r\n* STATUS \"R&-D\" (MESSAGES 1)\r\n"},
		{"Latin-1 mailbox name", "", "* LIST () \"/\" \"\xdcbung\"\r\n", "* LIST () \"/\" \"&ANw-bung\"\r\n"},
		{"throttled", "", "A1 OK Success [THROTTLED]\r\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := test.out
			if want == "" {
				want = test.in
			}
			got, err := wireTranslate(t, test.commands, strings.NewReader(test.in))
			if err != nil || got != want {
				t.Errorf("got  %q, %v\nwant %q", got, err, want)
			}
			// However the stream is cut, the translation is the same.
			if got, err := wireTranslate(t, test.commands, iotest.OneByteReader(strings.NewReader(test.in))); err != nil || got != want {
				t.Errorf("byte by byte: %q, %v", got, err)
			}
			if got, err := wireTranslate(t, test.commands, iotest.DataErrReader(strings.NewReader(test.in))); err != nil || got != want {
				t.Errorf("with the end of the stream: %q, %v", got, err)
			}
		})
	}
}

func TestConnRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"no list", "* 1 FETCH UID 1\r\n", "without a list"},
		{"list without end", "* 1 FETCH (UID 1\r\n", "ends inside"},
		{"value missing at the line end", "* 1 FETCH (UID\r\n", "no item"},
		{"string without end", "* 1 FETCH (BODY[] \"abc)\r\n", "without end"},
		{"text after the list", "* 1 FETCH (UID 1) X\r\n", "after its list"},
		{"literal after the list", "* 1 FETCH (UID 1) {3}\r\n", "after its list"},
		{"item without a name", "* 1 FETCH (\"x\")\r\n", "no item"},
		{"literal size", "* 1 FETCH (BODY[] {99999999999999999999}\r\n", "literal of"},
		{"label list", "* 1 FETCH (X-GM-LABELS ({99999999}\r\n", "item of more than"},
		{"many labels", "* 1 FETCH (X-GM-LABELS (" + strings.Repeat("{1000000}\r\n"+strings.Repeat("x", 1000000)+" ", 5) + "))\r\n", "more than"},
		{"endless line", "* LIST " + strings.Repeat("x", maxLine+1000), "a line of more than"},
		{"mailbox name", "* LIST () \"/\" {99999999}\r\n", "mailbox response of more"},
		{"cut in a literal", "* 1 FETCH (UID 1 BODY[] {9}\r\nab", "unexpected EOF"},
		{"cut in a line", "* 1 FET", "unexpected EOF"},
		{"cut in a dropped literal", "* 1 FETCH (UID 1 FOO {9}\r\nab", "unexpected EOF"},
		{"cut before the list ends", "* 1 FETCH (UID 1 BODY[] {2}\r\nab", "unexpected EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := NewConn(&wireConn{r: strings.NewReader(test.in)})
			io.WriteString(c, wireAsk)
			_, err := io.ReadAll(c)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if _, again := c.Read(make([]byte, 1)); again == nil || again.Error() != err.Error() {
				t.Errorf("the next read gave %v, want the same error", again)
			}
		})
	}
}

// repeatReader yields n times the byte b.
type repeatReader struct {
	b byte
	n int64
}

func (r *repeatReader) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), r.n))
	for i := range p[:n] {
		p[i] = r.b
	}
	r.n -= int64(n)
	return n, nil
}

func TestConnNotices(t *testing.T) {
	c := NewConn(&wireConn{r: strings.NewReader("* OK [ALERT] hello\r\nA1 OK Success [Throttled]\r\n" +
		"* BYE [OVERQUOTA] Account exceeded\r\n* 1 FETCH (BODY[] {11}\r\n[THROTTLED])\r\n")})
	var got []Notice
	c.OnNotice(func(n Notice) { got = append(got, n) })
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	want := []Notice{
		{NoticeAlert, false, "OK [ALERT] hello"},
		{NoticeThrottled, true, "OK Success [Throttled]"},
		{NoticeOverQuota, false, "BYE [OVERQUOTA] Account exceeded"},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

func TestConnCounts(t *testing.T) {
	in := "* 1 FETCH (X-GM-LABELS (a))\r\n"
	c := NewConn(&wireConn{r: strings.NewReader(in)})
	io.WriteString(c, "T1 NOOP\r\nT2 ")
	if out, err := io.ReadAll(c); err != nil || len(out) != 0 {
		t.Fatalf("got %q, %v", out, err)
	}
	if c.BytesRead() != int64(len(in)) || c.BytesWritten() != int64(len("T1 NOOP\r\n")) {
		t.Errorf("counted %d and %d", c.BytesRead(), c.BytesWritten())
	}
}

func TestConnSearchResultIsStreamed(t *testing.T) {
	const size = 64 << 20
	in := io.MultiReader(strings.NewReader("* SEARCH "), &repeatReader{'1', size}, strings.NewReader("\r\nT1 OK done\r\n"))
	c := NewConn(&wireConn{r: in})
	n, err := io.Copy(io.Discard, c)
	if want := int64(len("* SEARCH ") + size + len("\r\nT1 OK done\r\n")); n != want || err != nil {
		t.Errorf("got %d bytes, %v; want %d", n, err, want)
	}
	if cap(c.rd.in) > maxLine {
		t.Errorf("the buffer grew to %d bytes", cap(c.rd.in))
	}
}

// TestConnLargeBodyBeforeUID reads a message of 50 MiB that comes before its UID, without holding it in memory.
func TestConnLargeBodyBeforeUID(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	const size = 50 << 20
	in := io.MultiReader(strings.NewReader("* 1 FETCH (BODY[] {52428800}\r\n"), &repeatReader{'a', size},
		strings.NewReader(" X-GM-MSGID 5 UID 7 FLAGS ())\r\nT9 OK done\r\n"))
	c := NewConn(&wireConn{r: in})
	if _, err := io.WriteString(c, wireAsk); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, len("* 1 FETCH (UID 7 BODY[] {52428800}\r\n"))
	if _, err := io.ReadFull(c, head); err != nil || string(head) != "* 1 FETCH (UID 7 BODY[] {52428800}\r\n" {
		t.Fatalf("got %q, %v", head, err)
	}
	var body bytes.Buffer
	body.Grow(size)
	if n, err := io.CopyN(&body, c, size); err != nil || n != size || bytes.Count(body.Bytes(), []byte("a")) != size {
		t.Fatalf("body of %d bytes, %v", n, err)
	}
	rest, err := io.ReadAll(c)
	if want := " FLAGS () " + gmHead + "{14}\r\nX-GM-MSGID 5\r\n)\r\nT9 OK done\r\n"; err != nil || string(rest) != want {
		t.Errorf("got %q, %v, want %q", rest, err, want)
	}
	if held := cap(c.rd.in) + cap(c.rd.out) + cap(c.rd.after) + cap(c.rd.fetch.hold.mem); held > 2*holdInMemory {
		t.Errorf("%d bytes of buffers", held)
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 {
		t.Errorf("%v is left behind", left)
	}
}

func TestConnCloseWhileHolding(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	server, client := net.Pipe()
	c := NewConn(client)
	go io.Copy(io.Discard, server)
	if _, err := io.WriteString(c, wireAsk); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		_, err := io.ReadAll(c)
		done <- err
	}()
	io.Copy(server, io.MultiReader(strings.NewReader("* 1 FETCH (BODY[] {52428800}\r\n"), &repeatReader{'a', 2 * holdInMemory}))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("a read went on after Close")
	}
	if c.rd.fetch.hold.file != nil {
		t.Error("the temporary file is still open")
	}
}

func TestConnReadDeadline(t *testing.T) {
	server, client := net.Pipe()
	defer server.Close()
	c := NewConn(client)
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	// The connection lives on, also in the middle of a line.
	go io.WriteString(server, "* 1 EXI")
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	go io.WriteString(server, "STS\r\n")
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(buf); err != nil || string(buf[:n]) != "* 1 EXISTS\r\n" {
		t.Fatalf("got %q, %v", buf[:n], err)
	}
	// A deadline in the past ends a read that waits.
	time.AfterFunc(20*time.Millisecond, func() { c.SetReadDeadline(time.Now()) })
	if _, err := c.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

// TestConnReadDeadlineIsRenewed sends a body that takes longer than the deadline, but never pauses that long.
func TestConnReadDeadlineIsRenewed(t *testing.T) {
	server, client := net.Pipe()
	defer server.Close()
	c := NewConn(client)
	defer c.Close()
	go func() {
		io.WriteString(server, "* 1 FETCH (UID 1 BODY[] {10}\r\n")
		for range 10 {
			time.Sleep(20 * time.Millisecond)
			io.WriteString(server, "x")
		}
		io.WriteString(server, ")\r\n")
	}()
	if err := c.SetDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	want := "* 1 FETCH (UID 1 BODY[] {10}\r\nxxxxxxxxxx)\r\n"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
}
