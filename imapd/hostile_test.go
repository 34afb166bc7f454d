package imapd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailkeep/archive"
)

func TestFlagsOutsideTheGrammar(t *testing.T) {
	s := newArchive(t)
	uid := s.add(simple, "INBOX", `\Seen`, "[Mailbox]", "$Ok")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	if got := c.ok("FETCH 1 FLAGS"); got != "* 1 FETCH (FLAGS ($Ok \\Seen))\r\n" {
		t.Error(got)
	}
	s.change(uid, "INBOX", "a]", "$Ok")
	if got := c.ok("NOOP"); got != "* 1 FETCH (UID 1 FLAGS ($Ok))\r\n" {
		t.Error(got)
	}
	s.add(simple+"2", "INBOX", "]")
	c.ok("NOOP")
	if got := c.ok("FETCH 2 FLAGS"); got != "* 2 FETCH (FLAGS ())\r\n" {
		t.Error(got)
	}
}

// A name with a line end is a literal where UTF-8 is enabled, and its length must be that of what is sent.
func TestLiteralNamesInUTF8(t *testing.T) {
	s := newArchive(t)
	for _, name := range []string{"a\nb & c & d", "a\nb &-", "{9}\r\n&"} {
		s.mailbox(name, "")
	}
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("ENABLE UTF8=ACCEPT")
	got := c.ok(`LIST "" *`)
	for _, name := range []string{"a\nb & c & d", "a\nb &-", "{9}\r\n&"} {
		if !strings.Contains(got, fmt.Sprintf("\"/\" {%d}\r\n%s\r\n", len(name), name)) {
			t.Errorf("%q is not in %q", name, got)
		}
	}
	c.talk(`
		C: a&b LIST "" INBOX
		S: * LIST ~
		S: a&b OK ~
		C: a&-b STATUS INBOX (MESSAGES)
		S: * STATUS ~
		S: a&-b OK ~
	`)
}

func TestFailedSelectDeselects(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	for _, command := range []string{"SELECT R&D", "EXAMINE R&D", "SELECT nowhere", "EXAMINE \"\xff\""} {
		c.ok("SELECT INBOX")
		c.ok("FETCH 1 FLAGS")
		if _, tagged := c.do(command); !strings.HasPrefix(tagged, "NO [NONEXISTENT]") {
			t.Errorf("%s: %s", command, tagged)
		}
		if _, tagged := c.do("FETCH 1 FLAGS"); !strings.HasPrefix(tagged, "BAD") {
			t.Errorf("after %s: %s", command, tagged)
		}
	}
}

// What one view cannot read must not hide the changes of the others.
func TestBrokenViewHidesNoOther(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := serveOn(t, s.w.Reader, testOptions(), ln)
	c := login(t, ln.Addr().String())
	c.ok("SELECT INBOX")
	c.ok("FETCH 1 FLAGS")
	for i := range archive.MailboxID(20) {
		broken := &position{view: &view{views: &srv.views, id: 1000 + i, users: 1}}
		srv.views.byID[broken.view.id] = broken.view
		defer broken.close()
	}
	s.add(simple+"2", "INBOX")
	if got := c.ok("NOOP"); got != "* 2 EXISTS\r\n" {
		t.Errorf("got %q", got)
	}
}

// Passwords are expensive to check; many connections that guess must not take all processors.
func TestPasswordChecksAreBounded(t *testing.T) {
	s := newArchive(t)
	var now, most atomic.Int32
	o := testOptions()
	o.Logins[0].Verify = func(string) bool {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(10 * time.Millisecond)
		return false
	}
	addr := serve(t, s.w.Reader, o)
	var clients []*client
	for range 16 {
		c := dial(t, addr)
		c.send("a LOGIN u wrong\r\n")
		clients = append(clients, c)
	}
	for _, c := range clients {
		c.expect("a NO [AUTHENTICATIONFAILED] ~")
	}
	if most.Load() > maxChecks {
		t.Errorf("%d passwords were checked at a time", most.Load())
	}
}

// within fails when a command takes long. The limit is far from what it should take, and from what it took before there was a bound.
func (c *client) within(limit time.Duration, command string) string {
	c.t.Helper()
	start := time.Now()
	got := c.ok(command)
	if d := time.Since(start); d > limit {
		c.t.Errorf("%.40s... took %v", command, d)
	}
	return got
}

func TestHostileSearches(t *testing.T) {
	s := newArchive(t)
	b := archive.Batch{}
	for i := range 200 {
		b.Copies = append(b.Copies, s.copyOf(fmt.Sprintf("Subject: =?utf-8?q?n=C3=BC?= %d\r\nX: %s\r\n\r\nbody", i, strings.Repeat("x ", 2000)), "INBOX"))
	}
	s.record(b)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for _, search := range []string{
		strings.Repeat("NOT ", 11000) + "ALL",
		strings.Repeat("OR ", 6000) + strings.Repeat("1:3 ", 6000) + "SEEN",
		strings.Repeat("OR TEXT q ", 2000) + "ALL",
		strings.Repeat("OR SUBJECT q ", 2000) + "ALL",
		strings.Repeat("(", 900) + "ALL" + strings.Repeat(")", 900),
		strings.Repeat("1:4294967295,", 3000) + "1",
	} {
		c.within(5*time.Second, "SEARCH "+search)
	}
}

func TestHostileListPatterns(t *testing.T) {
	s := newArchive(t)
	var b archive.Batch
	for i := range 1000 {
		b.Mailboxes = append(b.Mailboxes, archive.MailboxSpec{Name: fmt.Sprintf("%s/%d", strings.Repeat("a", 80), i)})
	}
	s.record(b)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	if got := c.within(2*time.Second, `LIST "" `+strings.Repeat("%*", 20000)+"7"); strings.Count(got, "\r\n") != 100 {
		t.Error(strings.Count(got, "\r\n"))
	}
	if got := c.within(2*time.Second, `LIST "" `+strings.Repeat("%a", 20000)+"*"); got != "" {
		t.Error(got)
	}
}

// One FETCH may ask for the same large part again and again. It is sent piece by piece.
func TestRepeatedPartsTakeNoMemory(t *testing.T) {
	s := newArchive(t)
	part := strings.Repeat("bGFyZ2UgcGFydCwgbGFyZ2UgcGFydCwgbGFyZ2UgcGFy\r\n", 60000)
	s.add("Content-Transfer-Encoding: base64\r\n\r\n"+part, "INBOX")
	s.add("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n"+part+"--b\r\nContent-Transfer-Encoding: nonsense\r\n\r\nx\r\n--b--\r\n", "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	c.send("a FETCH 1 (" + strings.Repeat("BINARY[1] ", 120) + "UID)\r\n")
	time.Sleep(2 * time.Second) // nothing is read
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapInuse > 100<<20 {
		t.Errorf("%d MB of heap in use", m.HeapInuse>>20)
	}
	got, tagged := c.until("a")
	if !strings.HasPrefix(tagged, "OK") || strings.Count(got, "BINARY[1] {") != 120 || !strings.HasSuffix(got, ")\r\n") {
		t.Errorf("%d parts, %s", strings.Count(got, "BINARY[1] {"), tagged)
	}
	got, tagged = c.do("FETCH 2 (UID BINARY[1] BINARY[2] BODY[2.MIME])")
	if !strings.HasPrefix(tagged, "NO [UNKNOWN-CTE]") || !strings.HasPrefix(got, "* 2 FETCH (UID 2 BINARY[1] {") ||
		!strings.HasSuffix(got, " BODY[2.MIME] {39}\r\nContent-Transfer-Encoding: nonsense\r\n\r\n)\r\n") || strings.Contains(got, "BINARY[2]") {
		t.Errorf("%.100s ... %s %s", got, got[max(0, len(got)-100):], tagged)
	}
}

func TestFailedOpenLeavesNoView(t *testing.T) {
	s := newArchive(t)
	var vs views
	var ts trees
	ts.init(s.w.Reader)
	vs.init(s.w.Reader, &ts, time.Second)
	if _, err := vs.open(context.Background(), 999); err == nil {
		t.Fatal("a mailbox that does not exist was opened")
	}
	if left := vs.inUse(); len(left) != 0 {
		t.Errorf("%d views are left", len(left))
	}
}

// However a client goes away, nothing of it stays: no session, no goroutine, no view, no open file.
func TestDisconnectsLeaveNothing(t *testing.T) {
	s := newArchive(t)
	for i := range 20 {
		s.add(fmt.Sprintf("Subject: %d\r\n\r\n%s", i, strings.Repeat("body\r\n", 500000)), "INBOX")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := serveOn(t, s.w.Reader, testOptions(), ln)
	login(t, ln.Addr().String()).ok("LOGOUT")
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	before, selected := "", "l LOGIN u \""+password+"\"\r\ns SELECT INBOX\r\n"
	for _, sent := range []string{
		before, "a NO", "a LOGIN {5}\r\n", "a LOGIN {5+}\r\nab", "a AUTHENTICATE PLAIN\r\n", "a AUTHENTICATE PLAIN\r\nAA", "a LOGIN x y\r\n",
		selected, selected + "a IDLE\r\n", selected + "a IDLE\r\nDON", selected + "a FETCH 1:* BODY[]\r\n", selected + "a FETCH 1:* BINARY[1]\r\n",
		selected + "a SEARCH NOT TEXT nowhere\r\n", selected + "a APPEND x {999999999+}\r\nabc", selected + "a ID {3}\r\n", selected + "a SEARCH BODY {3}\r\n",
		selected + "a STATUS INBOX (DELETED)\r\n",
	} {
		for _, reset := range []bool{false, true} {
			c := dial(t, ln.Addr().String())
			c.send(sent)
			time.Sleep(5 * time.Millisecond)
			if reset {
				c.conn.(*net.TCPConn).SetLinger(0)
			}
			c.conn.Close()
		}
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		g, f := runtime.NumGoroutine(), openFiles(t)
		if srv.gate.count() == 0 && len(srv.views.inUse()) == 0 && g <= goroutines && f <= files {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: %d sessions, %d views, %d goroutines (%d before), %d files (%d before)", srv.gate.count(), len(srv.views.inUse()), g, goroutines, f, files)
		}
	}
}

// openFiles counts the descriptors of this process; 0 where the system does not list them. Those of the database are not in the number: the pool opens connections when
// many ask at once, and keeps them. It has a bound, which is checked here.
func openFiles(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	database, others := 0, 0
	for _, e := range list {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		switch {
		case err != nil: // the descriptor that listed them
		case strings.HasPrefix(filepath.Base(target), "gmail.db"):
			database++
		default:
			others++
		}
	}
	pool := max(4, 2*runtime.NumCPU())
	if most := 2*(pool+1) + 1; database > most { // the file and its log, for each of the pool and for the writer; one shared memory
		t.Errorf("%d descriptors of the database, at most %d are needed", database, most)
	}
	return others
}

// pipes is a listener whose connections have no buffer: what the client does not read the server cannot write.
type pipes struct {
	net.Listener
	accepted chan net.Conn
	once     sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	conn, ok := <-p.accepted
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.accepted) })
	return p.Listener.Close()
}

func TestIdleClientThatDoesNotRead(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions()
	o.Limits.WriteTimeout = 100 * time.Millisecond
	p := &pipes{Listener: ln, accepted: make(chan net.Conn, 1)}
	srv := serveOn(t, s.w.Reader, o, p)
	near, far := net.Pipe()
	p.accepted <- far
	c := newClient(t, near)
	c.ok(`LOGIN u "` + password + `"`)
	c.ok("SELECT INBOX")
	c.talk(`
		C: i IDLE
		S: + ~
	`)
	s.add(simple+"2", "INBOX")
	for deadline := time.Now().Add(5 * time.Second); srv.gate.count() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the session of a client that takes nothing has not ended")
		}
	}
}

// The parts of a message whose tree is too large to be kept are still cut from one parse.
func TestTreeTooLargeToKeep(t *testing.T) {
	s := newArchive(t)
	var head strings.Builder
	for i := range 250000 {
		fmt.Fprintf(&head, ";\r\n p%d=%s", i, strings.Repeat("v", 60))
	}
	s.add(simple, "INBOX")
	s.add("Content-Type: text/plain"+head.String()+"\r\n\r\nbody", "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	if got := c.within(5*time.Second, "FETCH 2 ("+strings.Repeat("BODY[1] ", 300)+"UID)"); strings.Count(got, "BODY[1] {4}\r\nbody") != 300 {
		t.Errorf("%.200s", got)
	}
}
