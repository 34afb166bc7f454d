package imapd

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestManyCommandsBeforeLogin(t *testing.T) {
	s := newArchive(t)
	addr := serve(t, s.w.Reader, testOptions())
	c := dial(t, addr)
	for range maxEarly {
		c.ok("NOOP")
	}
	c.talk(`
		C: a NOOP
		S: * BYE so many commands without a login
	`)
	c.closed()
	c = login(t, addr)
	for range 2 * maxEarly {
		c.ok("NOOP")
	}
}

func TestRoomForLiterals(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	addr := serve(t, s.w.Reader, testOptions())
	literal := "{4096+}\r\n" + strings.Repeat("x", 4096)
	for _, test := range []struct{ before, command, want string }{
		{"", "ID (\"x\" " + literal + " \"y\" " + literal + ")", "OK"},
		{"", "ID (\"x\" " + literal + " \"y\" " + literal + " \"z\" {1+}\r\nx)", "* BYE " + tooBig},
		{"", "ID {4097+}\r\n" + strings.Repeat("x", 4097), "NO [TOOBIG] " + tooBig},
		{"LOGIN u \"" + password + "\"", "SEARCH" + strings.Repeat(" BODY "+literal, 16), "OK"},
		{"LOGIN u \"" + password + "\"", "SEARCH" + strings.Repeat(" BODY "+literal, 17), "* BYE " + tooBig},
		{"LOGIN u \"" + password + "\"", "ID (" + strings.Repeat(" \"x\" "+literal, 17) + ")", "* BYE " + tooBig},
		{"LOGIN u \"" + password + "\"", "SEARCH" + strings.Repeat(" BODY {1+}\r\nx", maxParts+1), "* BYE " + tooBig},
	} {
		c := dial(t, addr)
		if test.before != "" {
			c.ok(test.before)
			c.ok("SELECT INBOX")
		}
		go io.WriteString(c.conn, "x "+test.command+"\r\n") // the server need not read it all
		line := c.line()
		for strings.HasPrefix(line, "* ") && !strings.HasPrefix(line, "* BYE") {
			line = c.line()
		}
		if got := strings.TrimPrefix(line, "x "); !strings.HasPrefix(got, test.want) {
			t.Errorf("%.30q...: %q, want %q", test.command, got, test.want)
		}
	}
}

// A command that trickles in is given up, whether its pieces are far apart or too many.
func TestTrickledCommands(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	for name, test := range map[string]struct {
		piece, whole time.Duration
		sent         string
		every        time.Duration
	}{
		"one piece":            {100 * time.Millisecond, time.Minute, "a NO", 0},
		"one piece of a word":  {100 * time.Millisecond, time.Minute, "a SEARCH BODY {5}\r\nab", 0},
		"a literal not begun":  {100 * time.Millisecond, time.Minute, "a SEARCH BODY {5}\r\n", 0},
		"many pieces":          {time.Minute, 300 * time.Millisecond, "a " + strings.Repeat("x", 1000), 10 * time.Millisecond},
		"a literal in pieces":  {time.Minute, 300 * time.Millisecond, "a SEARCH BODY {1000}\r\n" + strings.Repeat("x", 1000), 10 * time.Millisecond},
		"the answer to IDLE":   {100 * time.Millisecond, time.Minute, "a IDLE\r\nDO", 0},
		"after other commands": {time.Minute, 300 * time.Millisecond, "a NOOP\r\nb NOOP\r\nc " + strings.Repeat("x", 1000), 10 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions()
			o.Limits.PieceTimeout, o.Limits.CommandTimeout = test.piece, test.whole
			c := login(t, serve(t, s.w.Reader, o))
			c.ok("SELECT INBOX")
			started := time.Now()
			go func() {
				if test.every == 0 {
					io.WriteString(c.conn, test.sent)
					return
				}
				for i := range test.sent {
					if _, err := io.WriteString(c.conn, test.sent[i:i+1]); err != nil {
						return
					}
					time.Sleep(test.every)
				}
			}()
			for line := c.line(); !strings.HasPrefix(line, "* BYE"); line = c.line() {
			}
			if took := time.Since(started); took > 8*time.Second {
				t.Errorf("given up after %v", took)
			}
		})
	}
}

// Time that is spent idle, or with commands one after the other, is not time for one command.
func TestSlowButHonest(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	o := testOptions()
	o.Limits.PieceTimeout, o.Limits.CommandTimeout = 400*time.Millisecond, 800*time.Millisecond
	c := login(t, serve(t, s.w.Reader, o))
	c.ok("SELECT INBOX")
	c.send("i ID")
	time.Sleep(50 * time.Millisecond)
	c.send("LE\r\n")
	c.expect("+ ~")
	time.Sleep(time.Second)
	c.send("DO")
	time.Sleep(50 * time.Millisecond)
	c.send("NE\r\n")
	c.expect("i OK ~")
	for i := range 12 { // each command's end comes with the next one's beginning
		c.send("OOP\r\na N"[max(0, 5-5*i):])
		if i > 0 {
			c.expect("a OK ~")
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.send("OOP\r\n")
	c.expect("a OK ~")
	c.send("b APPEND INBOX {1000000+}\r\n") // skipped, however long it takes
	for range 15 {
		c.send(strings.Repeat("x", 50000))
		time.Sleep(100 * time.Millisecond)
	}
	c.send(strings.Repeat("x", 250000) + "\r\n")
	c.expect("b NO [NOPERM] ~")
	c.ok("NOOP")
}

func TestFailedLoginsOfOneAddress(t *testing.T) {
	s := newArchive(t)
	serverTLS, clientTLS := certificate(t)
	o := testOptions()
	o.Limits.AddrFailures = 4
	far, near := listen(t), listen(t)
	server := serveOn(t, s.w.Reader, o, tls.NewListener(notLocalListener{far}, serverTLS))
	go server.Serve(near)
	connect := func() *client {
		conn, err := tls.Dial("tcp", far.Addr().String(), clientTLS)
		if err != nil {
			t.Fatal(err)
		}
		return newClient(t, conn)
	}
	for range 2 {
		c := connect()
		for range 2 {
			if _, tagged := c.do("LOGIN u wrong"); !strings.HasPrefix(tagged, "NO [AUTHENTICATIONFAILED]") {
				t.Error(tagged)
			}
		}
	}
	c := connect()
	if _, tagged := c.do(`LOGIN u "` + password + `"`); !strings.HasPrefix(tagged, "NO [UNAVAILABLE] too many logins") {
		t.Errorf("the right password after too many wrong ones: %s", tagged)
	}
	c.expect("* BYE too many failed logins from your address")
	c.closed()
	for range 10 {
		c := dial(t, near.Addr().String())
		c.do("LOGIN u wrong")
	}
	login(t, near.Addr().String())
}

func TestFailedLoginsTakeLittleMemory(t *testing.T) {
	var g gate
	g.init(&Limits{AddrFailures: 20, LoginDelay: time.Second})
	for i := range 3 * maxFailures {
		g.failed(fmt.Sprint(i))
	}
	if n := len(g.failures); n > maxFailures+1 {
		t.Errorf("%d addresses are remembered", n)
	}
	if d := g.failed("new"); d != time.Second {
		t.Errorf("a first failure waits %v", d)
	}
	for range 19 {
		if g.refuses("new") {
			t.Fatal("refused too early")
		}
		g.failed("new")
	}
	if !g.refuses("new") || g.refuses("other") {
		t.Error("the wrong address is refused")
	}
	g.failures["new"] = failure{count: 20, last: time.Now().Add(-forgive - time.Second)}
	if g.refuses("new") {
		t.Error("not forgiven")
	}
}
