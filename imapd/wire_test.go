package imapd

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestLiterals(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	s.add(simple, "INBOX")
	addr := serve(t, s.w.Reader, testOptions())
	c := dial(t, addr)
	c.talk(`
		C: a LOGIN {1}
		S: + ~
		C: u {9+}
		C: pass word
		S: a OK ~
		C: b SELECT {5+}
		C: inbox
		S: * 1 EXISTS
	`)
	c.until("b")
	c.talk(`
		C: c SEARCH SUBJECT {5}
		S: + ~
		C: hello SMALLER 10000 LARGER 5
		S: * SEARCH 1
		S: c OK SEARCH completed
		C: d SEARCH CHARSET nonsense BODY {5+}
		C: x NOOP
		C: e NOOP
		S: d NO [BADCHARSET] ~
		S: e OK NOOP completed
		C: f SEARCH CHARSET nonsense BODY {5}
		S: f NO [BADCHARSET] ~
		C: g SEARCH BODY {5000}
		S: g NO [TOOBIG] ~
		C: h MYRIGHTS {5}
		S: + ~
		C: INBOX
		S: * MYRIGHTS "INBOX" lr
		S: h OK MYRIGHTS completed
		C: i FETCH 1 (BODY[HEADER.FIELDS ({7+}
		C: SUBJECT RFC822)] RFC822.HEADER)
	`)
	got, tagged := c.until("i")
	if !strings.Contains(got, "RFC822.HEADER {") || !strings.HasPrefix(tagged, "OK") {
		t.Errorf("%s%s", got, tagged)
	}
	c.send("j SEARCH BODY {5000+}\r\n" + strings.Repeat("k NOOP\r\n", 5000/8) + "\r\n")
	c.talk(`
		S: j NO [TOOBIG] ~
		C: l NOOP
		S: l OK NOOP completed
		C: m NOSUCHCOMMAND {10+}
		C: n NOOP
		C: o.....
		C: p NOOP
		S: m BAD ~
		S: p OK NOOP completed
		C: q SEARCH TEXT {0}
		S: + ~
		C: 
		S: * SEARCH 1
		S: q OK SEARCH completed
		C: r SEARCH SUBJECT {5}
		S: + ~
		C: hello TEXT {9999}
		S: * BYE ~
	`)
	c.closed()
}

func TestAppendIsRefused(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.send("a APPEND INBOX (\\Seen) {100000+}\r\n" + strings.Repeat("x LOGOUT\r\n", 10000) + "\r\n")
	c.talk(`
		S: a NO [NOPERM] this is an archive: ~
		C: b APPEND INBOX "nonsense" {100000}
		S: b NO [NOPERM] ~
		C: c APPEND INBOX {3+}
		C: abc {5+}
		C: defgh
		S: c NO [NOPERM] ~
		C: d NOOP
		S: d OK NOOP completed
	`)
}

func TestWritesAreRefused(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	s.add(simple, "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for _, command := range []string{
		`CREATE "Trash"`, "DELETE INBOX", "RENAME INBOX x", "STORE 1 +FLAGS (\\Deleted)", "UID STORE 1 FLAGS.SILENT (\\Seen)", "COPY 1 INBOX",
		"UID COPY 1 INBOX", "MOVE 1 INBOX", "UID MOVE 1 INBOX", "EXPUNGE", "UID EXPUNGE 1", "UNSUBSCRIBE INBOX", "SETACL INBOX u lrs",
		"DELETEACL INBOX u",
	} {
		if untagged, tagged := c.do(command); untagged != "" || !fits("NO [NOPERM] this is an archive: ~", tagged) {
			t.Errorf("%s: %s%s", command, untagged, tagged)
		}
	}
	c.ok("SUBSCRIBE INBOX")
	if _, tagged := c.do("SUBSCRIBE nowhere"); !strings.HasPrefix(tagged, "NO [NONEXISTENT]") {
		t.Error(tagged)
	}
	if got := c.ok("FETCH 1 (FLAGS BODY[])"); !strings.Contains(got, "FLAGS ()") {
		t.Error(got)
	}
	if got := c.ok("FETCH 1 FLAGS"); got != "* 1 FETCH (FLAGS ())\r\n" {
		t.Error(got)
	}
	c.ok("CLOSE")
	if _, tagged := c.do("FETCH 1 FLAGS"); !strings.HasPrefix(tagged, "BAD") {
		t.Error(tagged)
	}
	c.ok("EXAMINE INBOX")
	c.ok("UNSELECT")
}

func TestRights(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	o := testOptions()
	o.Version = "1.2"
	addr := serve(t, s.w.Reader, o)
	c := dial(t, addr)
	c.talk(`
		C: a MYRIGHTS INBOX
		S: a BAD ~
		C: b ID ("name" "x" "version" NIL)
		S: * ID ("name" "mailkeep" "version" "1.2")
		S: b OK ID completed
		C: c ID nil
		S: * ID ~
		S: c OK ID completed
		C: d ID
		S: d BAD ~
		C: e LOGIN u "pass word"
		S: e OK ~
		C: f GETACL inbox
		S: * ACL "INBOX" "u" lr
		S: f OK GETACL completed
		C: g LISTRIGHTS "INBOX" u
		S: * LISTRIGHTS "INBOX" "u" lr
		S: g OK LISTRIGHTS completed
		C: h LISTRIGHTS "INBOX"
		S: h BAD ~
		C: i MYRIGHTS nowhere
		S: i NO [NONEXISTENT] ~
		C: j MYRIGHTS
		S: j BAD ~
		C: k MYRIGHTS INBOX INBOX
		S: k BAD ~
		C: l MYRIGHTS "INBOX
		S: l BAD ~
		C: m GETQUOTAROOT INBOX
		S: m BAD ~
	`)
}

func TestAuthenticate(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	addr := serve(t, s.w.Reader, testOptions())
	plain := base64.StdEncoding.EncodeToString([]byte("\x00u\x00" + password))
	wrong := base64.StdEncoding.EncodeToString([]byte("\x00u\x00wrong"))
	c := dial(t, addr)
	c.talk(fmt.Sprintf(`
		C: a AUTHENTICATE PLAIN
		S: + ~
		C: *
		S: a BAD ~
		C: b AUTHENTICATE PLAIN
		S: + ~
		C: %s
		S: b NO [AUTHENTICATIONFAILED] ~
		C: c AUTHENTICATE CRAM-MD5
		S: c NO ~
		C: d authenticate plain
		S: + ~
		C: %s
		S: d OK [CAPABILITY ~ ACL ~] ~
		C: e LOGIN u "pass word"
		S: e BAD ~
	`, wrong, plain))
	dial(t, addr).talk(fmt.Sprintf(`
		C: a AUTHENTICATE PLAIN %s
		S: a OK [CAPABILITY ~ ACL ~] ~
		C: b NOOP
		S: b OK ~
	`, plain))
}

func TestFailedLogins(t *testing.T) {
	s := newArchive(t)
	c := dial(t, serve(t, s.w.Reader, testOptions()))
	c.talk(`
		C: a LOGIN u wrong
		S: a NO [AUTHENTICATIONFAILED] ~
		C: b LOGIN nobody "pass word"
		S: b NO [AUTHENTICATIONFAILED] ~
		C: c LOGIN "" ""
		S: c NO [AUTHENTICATIONFAILED] ~
		S: * BYE too many failed logins
	`)
	c.closed()
}

func TestMalformedCommands(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	s.add(simple, "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	c.talk(`
		C: 
		S: * BAD ~
		C: a
		S: a BAD ~
		C: (a) NOOP
		S: * BAD ~
		C: b FETCH
		S: b BAD ~
		C: c FETCH 0 FLAGS
		S: c BAD ~
		C: d FETCH 1 (FLAGS
		S: d BAD ~
		C: e FETCH 1 NONSENSE
		S: e BAD ~
		C: f SEARCH NONSENSE
		S: f BAD ~
		C: g SEARCH SINCE yesterday
		S: g BAD ~
		C: h SELECT "&"
		S: h NO [NONEXISTENT] ~
		C: h LIST "" "&"
		S: h OK ~
		C: i LIST "" "unended
		S: i BAD ~
		C: j UID
		S: j BAD ~
		C: k UID NONSENSE
		S: k BAD ~
		C: l FETCH 1 (ALL)
		S: l BAD ~
		C: m NOOP extra
		S: m BAD ~
		C: n IDLE
		S: + idling
		C: nonsense
		S: n BAD ~
		C: n SELECT INBOX
		S: * OK [CLOSED] ~
		S: * 1 EXISTS
		S: * 0 RECENT
		S: * OK [UNSEEN 1] ~
		S: * OK ~
		S: * OK ~
		S: * FLAGS ~
		S: * OK ~
		S: * OK [HIGHESTMODSEQ ~
		S: * OK [MAILBOXID ~
		S: n OK ~
		C: o ENABLE X-NONSENSE CONDSTORE
		S: * ENABLED CONDSTORE
		S: * OK [HIGHESTMODSEQ ~
		S: o OK ENABLE completed
		C: p STARTTLS
		S: p NO ~
		C: q SELECT INBOX (NONSENSE)
		S: q BAD ~
		C: r FETCH 1 BODY[1.NONSENSE]
		S: r BAD ~
	`)
}

// Whoever goes on sending what is no command is no IMAP client.
func TestTooManyMalformedCommands(t *testing.T) {
	s := newArchive(t)
	addr := serve(t, s.w.Reader, testOptions())
	c := login(t, addr)
	// One at a time, as what is sent after the end could make the system drop the farewell.
	for n := 0; ; n++ {
		c.send("(\r\n")
		c.expect("* BAD ~")
		c.send("x NOOP\r\n")
		if line := c.line(); line == "* BYE this is an IMAP server" {
			break
		} else if n > maxBlunder {
			t.Fatalf("after %d malformed commands: %q", n, line)
		}
	}
	c = dial(t, addr)
	c.talk(`
		C: GET / HTTP/1.1
		S: GET BAD ~
		S: * BYE ~
	`)
	c.closed()
	c = login(t, addr)
	c.send("a LIST \"\" " + strings.Repeat("x", 60<<10) + "\r\n")
	c.expect("* BYE command line too long")
}

func TestPipelining(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	for i := range 50 {
		s.add(fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("x", i)), "INBOX")
	}
	c := login(t, serve(t, s.w.Reader, testOptions()))
	var all strings.Builder
	all.WriteString("s SELECT INBOX\r\n")
	for i := range 50 {
		fmt.Fprintf(&all, "f%d UID FETCH %d (BODY.PEEK[TEXT])\r\ns%d SEARCH BODY xyz\r\n", i, i+1, i)
	}
	go c.send(all.String())
	c.until("s")
	for i := range 50 {
		got, _ := c.until(fmt.Sprintf("f%d", i))
		if want := fmt.Sprintf("* %d FETCH (UID %d BODY[TEXT] {%d}\r\n%s)\r\n", i+1, i+1, i, strings.Repeat("x", i)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		c.until(fmt.Sprintf("s%d", i))
	}
}

func TestConnectionLimits(t *testing.T) {
	s := newArchive(t)
	o := testOptions()
	o.Limits.Connections = 3
	o.Limits.PerAddress = 2
	addr := serve(t, s.w.Reader, o)
	a := dial(t, addr)
	dial(t, addr)
	refused, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer refused.Close()
	if got, _ := io.ReadAll(refused); string(got) != "* BYE too many connections from your address\r\n" {
		t.Errorf("%q", got)
	}
	a.ok("LOGOUT")
	a.closed()
	deadline := time.Now().Add(5 * time.Second)
	for { // the server notices the end of a session a moment later
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4)
		io.ReadFull(conn, b)
		conn.Close()
		if string(b) == "* OK" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a place is not given back")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestTimeouts(t *testing.T) {
	s := newArchive(t)
	o := testOptions()
	o.Limits.LoginTimeout = 100 * time.Millisecond
	c := dial(t, serve(t, s.w.Reader, o))
	c.expect("* BYE you took too long")
	c.closed()
	o = testOptions()
	o.Limits.IdleTimeout = time.Second
	c = login(t, serve(t, s.w.Reader, o))
	c.talk(`
		C: a IDLE
		S: + idling
		S: * BYE you took too long
	`)
	c.closed()
}

// stuckServer has a client that asks for 64 MB and reads nothing of it.
func stuckServer(t *testing.T, o Options) *Server {
	s := newArchive(t)
	s.add("Subject: x\r\n\r\n"+strings.Repeat("0123456789abcdef", 4<<20), "INBOX")
	ln := listen(t)
	server := serveOn(t, s.w.Reader, o, ln)
	c := login(t, ln.Addr().String())
	c.ok("SELECT INBOX")
	c.send("a FETCH 1 BODY[]\r\n")
	c.expect("* 1 FETCH (BODY[] {~")
	return server
}

func TestClientThatDoesNotRead(t *testing.T) {
	o := testOptions()
	o.Limits.WriteTimeout = 100 * time.Millisecond
	server := stuckServer(t, o)
	for deadline := time.Now().Add(10 * time.Second); server.gate.count() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the connection stays")
		}
	}
}

func TestCloseWithStuckClient(t *testing.T) {
	server := stuckServer(t, testOptions())
	start := time.Now()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
}

func TestCloseSaysBye(t *testing.T) {
	s := newArchive(t)
	ln := listen(t)
	server := serveOn(t, s.w.Reader, testOptions(), ln)
	c := login(t, ln.Addr().String())
	c.talk(`
		C: a IDLE
		S: + idling
	`)
	time.Sleep(20 * time.Millisecond) // until the server waits
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	c.expect("* BYE the server is stopping")
	if err := server.Serve(ln); err != nil {
		t.Error(err)
	}
}

// notLocal makes a connection look as if it came from far away.
type notLocal struct{ net.Conn }

func (notLocal) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 4} }

type notLocalListener struct{ net.Listener }

func (l notLocalListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return notLocal{c}, nil
}
