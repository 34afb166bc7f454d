package imapd

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/corpus"
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
	"p LOGIN u \"" + password + "\"\r\nq ENABLE QRESYNC UTF8=ACCEPT\r\nr SELECT INBOX (QRESYNC (",
	"p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\nr UID FETCH 1:* (FLAGS) (CHANGEDSINCE ",
	"p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\nr SORT (",
	"p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\nr THREAD ",
	"p LOGIN u \"" + password + "\"\r\nq ENABLE UTF8=ACCEPT\r\nr SELECT {10+}\r\n",
	"p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\nr SEARCH SUBJECT {7}\r\n",
	"p LOGIN {1}\r\n",
	startTLS,
	startTLS + "p LOGIN u \"" + password + "\"\r\nq SELECT INBOX\r\n",
	"p AUTHENTICATE PLAIN\r\n",
	"p AUTHENTICATE PLAIN ",
	"p LOGIN u \"" + password + "\"\r\n" + compressing,
	"p LOGIN u \"" + password + "\"\r\n" + compressing + "q SELECT INBOX\r\n",
	"p LOGIN u \"" + password + "\"\r\nz COMPRESS deflate\r\n", // what follows should be compressed, and is sent as it is
}

// startTLS at the beginning of a state means that what follows is sent encrypted.
const startTLS = "s STARTTLS\r\n"

// compressing in a state means that what follows is sent compressed.
const compressing = "z COMPRESS DEFLATE\r\n"

// inState is what is sent to have a server read data in a state.
func inState(t *testing.T, state string, data []byte) []byte {
	before, after, packed := strings.Cut(state, compressing)
	if !packed {
		return append([]byte(state), data...)
	}
	sent := bytes.NewBufferString(before + compressing)
	w, err := flate.NewWriter(sent, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, after)
	w.Write(data)
	w.Flush()
	return sent.Bytes()
}

// FuzzServer sends bytes to a server in every state: it must answer or hang up, and never panic or get stuck.
func FuzzServer(f *testing.F) {
	fuzzServer(f, []string{
		"", "a NOOP\r\n", "a FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (From To)])\r\n", "BODY[1.2.HEADER.FIELDS.NOT (\"x\")]<1.5> RFC822.TEXT)\r\n", "BINARY[2]<0.3> BINARY.SIZE[1])\r\n",
		"OR SMALLER 0 NOT (LARGER 5 SINCE 1-Feb-2020 TEXT \"x\")\r\n", "CHARSET UTF-8 BODY {3+}\r\nabc HEADER x {0+}\r\n\r\n", "RETURN (MIN MAX SAVE) $ UID 1:*\r\n",
		"(SUBSCRIBED RECURSIVEMATCH) \"\" (\"*\" %) RETURN (STATUS (MESSAGES DELETED))\r\n", "a MYRIGHTS {5+}\r\nINBOX\r\n", "a APPEND INBOX {5+}\r\nhello\r\nb NOOP\r\n",
		"a AUTHENTICATE PLAIN\r\nAHUAcA==\r\n", "DONE\r\na IDLE\r\nDONE\r\n", "a ID (\"x\" NIL)\r\n", "a STARTTLS\r\n", "a LOGIN {1}\r\nu {1+}\r\np\r\n", "a SELECT &AOQ-\r\n", "\x00\r\n{9999999999999999999}\r\n",
		"a UID SEARCH RETURN () 1,3:*,*:2\r\n", "a STATUS INBOX (DELETED-STORAGE APPENDLIMIT)\r\n", "a ENABLE UTF8=ACCEPT\r\nb LIST \"\" *\r\n", "a CLOSE\r\nb FETCH 1 FLAGS\r\n",
		"X-GM-MSGID X-GM-THRID X-GM-LABELS EMAILID THREADID MODSEQ PREVIEW (LAZY)) (CHANGEDSINCE 1 VANISHED)\r\n", "X-GM-LABELS \"\\\\Inbox\" MODSEQ \"/flags/\\\\seen\" all 5 YOUNGER 7\r\n",
		"a STATUS INBOX (HIGHESTMODSEQ MAILBOXID)\r\n", "a LIST \"\" * RETURN (STATUS (MAILBOXID))\r\n", "REVERSE DATE SUBJECT) UTF-8 ALL\r\n", "REFERENCES UTF-8 ALL\r\n", "1 2 3:4 (1,2 3,4)))\r\n",
		"a UID SORT RETURN (MIN ALL) (FROM) {5+}\r\nUTF-8 ALL\r\n", "a STORE 1 (UNCHANGEDSINCE 1) +X-GM-LABELS (x)\r\n",
	})
}

// FuzzConversations is FuzzServer with what real clients have sent.
func FuzzConversations(f *testing.F) {
	table, err := os.ReadFile(filepath.Join(corpus.GmailWire(f), "mailkit-commands.tsv"))
	if err != nil {
		f.Fatal(err)
	}
	var seeds []string
	seen := make(map[string]bool)
	for line := range strings.Lines(string(table)) {
		columns := strings.Split(line, "\t")
		if len(columns) < 3 || !strings.HasSuffix(columns[2], `\r\n`) {
			continue
		}
		_, command, _ := strings.Cut(columns[2], " ") // the tags differ
		if !seen[command] {
			seen[command] = true
			seeds = append(seeds, "a "+strings.ReplaceAll(command, `\r\n`, "\r\n"))
		}
	}
	if len(seeds) < 100 {
		f.Fatalf("%d commands", len(seeds))
	}
	fuzzServer(f, seeds)
}

// FuzzFetchScanner checks that only items are replaced: what is quoted or in a section stays, and nothing is lost.
func FuzzFetchScanner(f *testing.F) {
	f.Add(" 1:* (X-GM-LABELS BODY[HEADER.FIELDS (\"X-GM-LABELS\" MODSEQ)]<0.5>) (CHANGEDSINCE 5)\r\n")
	f.Add(" 1 PREVIEW (LAZY)\r\n")
	f.Fuzz(func(t *testing.T, line string) {
		items := new(fetchItems)
		got := string((&fetchScanner{items: items}).translate([]byte(line)))
		if len(items.extra) == 0 && !items.modifiers.changed && !items.lazy && got != line {
			t.Errorf("%q became %q", line, got)
		}
		if strings.Count(got, `"`) != strings.Count(line, `"`) || strings.Count(got, "[") != strings.Count(line, "[") {
			t.Errorf("%q became %q", line, got)
		}
	})
}

func fuzzServer(f *testing.F, seeds []string) {
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
	o.CompressLocal = true
	serverTLS, clientTLS := certificate(f)
	o.TLSConfig = serverTLS
	ln := listen(f)
	server := serveOn(f, s.w.Reader, o, ln)
	for state := range fuzzStates {
		for _, seed := range seeds {
			f.Add(uint8(state), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, state uint8, data []byte) {
		raw, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		raw.SetDeadline(time.Now().Add(10 * time.Second))
		before, encrypted := strings.CutPrefix(fuzzStates[int(state)%len(fuzzStates)], startTLS)
		conn, greeting := raw, ""
		if encrypted {
			conn, greeting = encrypt(t, raw, clientTLS)
		}
		sent := inState(t, before, data)
		go func() {
			conn.Write(sent)
			conn.(interface{ CloseWrite() error }).CloseWrite()
		}()
		got, err := io.ReadAll(conn)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatalf("no end after %q", got)
		}
		if greeting += string(got); !strings.HasPrefix(greeting, "* OK [CAPABILITY ") {
			t.Fatalf("got %q, %v", greeting, err)
		}
		if n := server.gate.count(); n > 100 {
			t.Fatalf("%d sessions have not ended", n)
		}
	})
}

// encrypt does STARTTLS and returns the encrypted connection and the greeting.
func encrypt(t *testing.T, raw net.Conn, config *tls.Config) (net.Conn, string) {
	t.Helper()
	io.WriteString(raw, startTLS)
	var got []byte
	for !bytes.Contains(got, []byte("s OK ")) || !bytes.HasSuffix(got, []byte("\r\n")) {
		b := make([]byte, 1)
		if _, err := raw.Read(b); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		got = append(got, b...)
	}
	conn := tls.Client(raw, config)
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	return conn, string(got)
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
	f.Add("%a*%", "a")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern)*len(name) > 200 || name == inbox || strings.HasPrefix(name, inbox+"/") {
			return
		}
		if got, want := matches(simplify(pattern), name), plainlyMatches(pattern, name); got != want {
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
