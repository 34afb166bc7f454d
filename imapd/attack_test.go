package imapd

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"
)

// attackers is how many connections attack at once: as many as the server takes.
const attackers = 1000

// attackServer serves an archive with a large message and many small ones to any number of connections from one address.
func attackServer(t *testing.T) (*Server, string) {
	t.Helper()
	s := newArchive(t)
	s.add("Content-Transfer-Encoding: base64\r\n\r\n"+strings.Repeat("bGFyZ2UgcGFydCwgbGFyZ2UgcGFydCwgbGFyZ2UgcGFy\r\n", 100000), "INBOX")
	s.add(nested(10000), "INBOX")
	s.add("Content-Type: multipart/mixed; boundary=b\r\n\r\n"+strings.Repeat("--b\r\n\r\npart\r\n", 100000), "INBOX")
	for i := range 20 {
		s.add(fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("body\r\n", 5000)), "INBOX")
	}
	o := testOptions()
	o.Limits.PerAddress = attackers
	ln := listen(t)
	return serveOn(t, s.w.Reader, o, ln), ln.Addr().String()
}

// nested is a message in a message, and so on.
func nested(levels int) string {
	var b strings.Builder
	for i := range levels {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	return b.String() + "\r\ntext\r\n"
}

// flood opens connections and sends the same on each, without ever reading. They stay open until the test ends.
func flood(t *testing.T, addr string, n int, sent string) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	var all sync.WaitGroup
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conns[i] = conn
		all.Go(func() {
			conn.SetWriteDeadline(time.Now().Add(2 * time.Second)) // the server need not take it all
			io.WriteString(conn, sent)
		})
	}
	all.Wait()
	return conns
}

// heap is what is in use, in bytes, of this process: the server's and the little that the attackers need themselves.
func heap() int64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// However a thousand clients behave, the server's memory has a bound, and somebody else is served meanwhile.
func TestAttacksTakeLittleMemory(t *testing.T) {
	srv, addr := attackServer(t)
	login(t, addr).ok("LOGOUT")
	before := heap() // once: what one attack leaves must not hide what the next one takes
	in := "l LOGIN u \"" + password + "\"\r\n"
	selected := in + "s SELECT INBOX\r\n"
	literal := func(n int) string { return fmt.Sprintf("{%d+}\r\n%s", n, strings.Repeat("y", n)) }
	for _, attack := range []struct {
		name, sent string
		most       int64 // bytes for each connection
		fewer      int   // times fewer connections
	}{
		{"nothing", "", 40 << 10, 1},
		{"half a command before login", "a " + strings.Repeat("x", maxLine-10), 110 << 10, 1},
		{"literals before login", "a ID (\"x\" " + literal(4096) + " \"y\" {4096+}\r\n" + strings.Repeat("y", 4095), 70 << 10, 1},
		{"half a LOGIN", "a LOGIN " + literal(4096) + " {4096+}\r\n" + strings.Repeat("y", 4095), 80 << 10, 1},
		{"half an answer to AUTHENTICATE", "a AUTHENTICATE PLAIN\r\n" + strings.Repeat("y", maxReply-10), 60 << 10, 1},
		{"wrong passwords", strings.Repeat("a LOGIN u wrong\r\n", 3), 60 << 10, 1},
		{"nothing after login", in, 60 << 10, 1},
		{"half a command", selected + "a SEARCH BODY " + strings.Repeat("x", maxLine-20), 150 << 10, 1},
		{"a literal that does not come", selected + "a SEARCH BODY {4096}\r\n", 110 << 10, 1},
		{"literals", selected + "a SEARCH" + strings.Repeat(" BODY "+literal(4000), 15) + " BODY {4000+}\r\n", 250 << 10, 1},
		{"bodies not read", selected + "a FETCH 1:* BODY[]\r\n", 150 << 10, 1},
		{"a decoded part not read", selected + "a FETCH 1 BINARY[1]\r\n", 10 * 400 << 10, 10},
		{"structures not read", selected + strings.Repeat("a FETCH 4:* (ENVELOPE BODYSTRUCTURE)\r\n", 20), 200 << 10, 1},
		{"hostile structures not read", selected + "a FETCH 2:3 (ENVELOPE BODYSTRUCTURE)\r\n", 200 << 10, 1},
	} {
		t.Run(attack.name, func(t *testing.T) {
			conns := flood(t, addr, attackers/attack.fewer-1, attack.sent)
			time.Sleep(500 * time.Millisecond)
			took := (heap() - before) / int64(len(conns))
			t.Logf("%d KB for each of %d connections", took>>10, srv.gate.count())
			if took > attack.most {
				t.Errorf("%d KB for each connection, at most %d are right", took>>10, attack.most>>10)
			}
			c := login(t, addr)
			c.ok("SELECT INBOX")
			if got := c.ok("FETCH 4 (UID BODY[])"); !strings.Contains(got, "Subject: 0") {
				t.Errorf("somebody else gets %.100q", got)
			}
			c.ok("LOGOUT")
			for _, conn := range conns {
				conn.Close()
			}
			for end := time.Now().Add(30 * time.Second); srv.gate.count() > 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d sessions are left", srv.gate.count())
				}
			}
		})
	}
}
