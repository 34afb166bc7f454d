package imapd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// noPanics is a log handler that fails the test when the library reports a panic.
type noPanics struct{ t testing.TB }

func (h noPanics) Enabled(context.Context, slog.Level) bool { return true }
func (h noPanics) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "panic") {
		h.t.Errorf("%s", r.Message)
	}
	return nil
}
func (h noPanics) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h noPanics) WithGroup(string) slog.Handler      { return h }

// fuzzStates are what is sent before the fuzzed bytes.
var fuzzStates = []string{
	"",
	"p LOGIN u \"" + password + "\"\r\n",
	"p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\n",
	"p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\nr FETCH 1:* (",
	"p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\nr SEARCH ",
	"p LOGIN u \"" + password + "\"\r\nq ENABLE IMAP4rev2\r\nr LIST ",
	"p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\nr IDLE\r\n",
}

// FuzzServer sends bytes to a server in every state: it must answer or hang up, and never panic or get stuck.
func FuzzServer(f *testing.F) {
	s := newArchive(f)
	s.add(simple, "INBOX", `\Seen`)
	s.add(multi, "INBOX,R&D/ä")
	for _, m := range strangeMessages()[:16] {
		s.add(m, "INBOX")
	}
	o := testOptions()
	o.Logger = slog.New(noPanics{f})
	o.Limits.LoginFailures = 1000
	o.Limits.LoginDelay = 1
	ln := listen(f)
	server := serveOn(f, s.w.Reader, o, ln)
	for state := range fuzzStates {
		for _, seed := range []string{
			"", "a NOOP\r\n", "a FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (From To)])\r\n", "BODY[1.2.HEADER.FIELDS.NOT (\"x\")]<1.5> RFC822.TEXT)\r\n", "BINARY[2]<0.3> BINARY.SIZE[1])\r\n",
			"OR SMALLER 0 NOT (LARGER 5 SINCE 1-Feb-2020 TEXT \"x\")\r\n", "CHARSET UTF-8 BODY {3+}\r\nabc HEADER x {0+}\r\n\r\n", "RETURN (MIN MAX SAVE) $ UID 1:*\r\n",
			"(SUBSCRIBED RECURSIVEMATCH) \"\" (\"*\" %) RETURN (STATUS (MESSAGES DELETED))\r\n", "a MYRIGHTS {5+}\r\nINBOX\r\n", "a APPEND INBOX {5+}\r\nhello\r\nb NOOP\r\n",
			"a AUTHENTICATE PLAIN\r\nAHUAcA==\r\n", "DONE\r\na IDLE\r\nDONE\r\n", "a ID (\"x\" NIL)\r\n", "a STARTTLS\r\n", "a LOGIN {1}\r\nu {1+}\r\np\r\n", "a SELECT &AOQ-\r\n", "\x00\r\n{9999999999999999999}\r\n",
			"a UID SEARCH RETURN () 1,3:*,*:2\r\n", "a STATUS INBOX (DELETED-STORAGE APPENDLIMIT)\r\n", "a ENABLE UTF8=ACCEPT\r\nb LIST \"\" *\r\n", "a CLOSE\r\nb FETCH 1 FLAGS\r\n",
		} {
			f.Add(uint8(state), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, state uint8, data []byte) {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		go func() {
			conn.Write([]byte(fuzzStates[int(state)%len(fuzzStates)]))
			conn.Write(data)
			conn.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(conn)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("no end after %q", got)
		}
		if !bytes.HasPrefix(got, []byte("* OK [CAPABILITY ")) {
			t.Fatalf("got %q, %v", got, err)
		}
		if n := server.gate.count(); n > 100 {
			t.Fatalf("%d sessions have not ended", n)
		}
	})
}

// FuzzSearchTranslator checks that keys are only rewritten where they are keys: what is quoted stays, and a second translation finds the sizes protected.
func FuzzSearchTranslator(f *testing.F) {
	f.Add(" SMALLER 5 SUBJECT \"SMALLER 0\" (LARGER 0)\r\n")
	f.Add(" HEADER SMALLER \"LARGER 5\" OR SMALLER 1 UID 5\r\n")
	f.Fuzz(func(t *testing.T, line string) {
		got := string(new(searchTranslator).translate([]byte(line)))
		if !strings.Contains(strings.ToUpper(line), "SMALLER") && !strings.Contains(strings.ToUpper(line), "LARGER") && got != line {
			t.Errorf("%q became %q", line, got)
		}
		if strings.Count(got, `"`) != strings.Count(line, `"`) || strings.Count(got, "(") != strings.Count(line, "(") {
			t.Errorf("%q became %q", line, got)
		}
	})
}

// FuzzMatches compares with the definition of * and %.
func FuzzMatches(f *testing.F) {
	f.Add("a%b*", "a/b")
	f.Add("%/*%", "a/b/c")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)*len(name) > 200 || name == inbox || strings.HasPrefix(name, inbox+"/") {
			return
		}
		if got, want := matches(pattern, name), plainlyMatches(pattern, name); got != want {
			t.Errorf("%q, %q: got %v, want %v", pattern, name, got, want)
		}
	})
}

// plainlyMatches tries all that a wildcard can stand for.
func plainlyMatches(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if pattern[0] != '*' && pattern[0] != '%' {
		return name != "" && name[0] == pattern[0] && plainlyMatches(pattern[1:], name[1:])
	}
	for i := range len(name) + 1 {
		if plainlyMatches(pattern[1:], name[i:]) {
			return true
		}
		if i < len(name) && pattern[0] == '%' && name[i] == delimiter {
			return false
		}
	}
	return false
}
