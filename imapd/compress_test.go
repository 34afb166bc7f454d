package imapd

import (
	"bufio"
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// packedConn is the client's side of a compressed connection, with the standard library's deflate.
type packedConn struct {
	net.Conn
	in  io.Reader
	out *flate.Writer
}

func (c *packedConn) Read(p []byte) (int, error) { return c.in.Read(p) }

func (c *packedConn) Write(p []byte) (int, error) {
	n, err := c.out.Write(p)
	if err == nil {
		err = c.out.Flush()
	}
	return n, err
}

// compress gives COMPRESS. What the client reads and sends from here on is compressed.
func (c *client) compress() {
	c.t.Helper()
	c.ok("COMPRESS DEFLATE")
	c.packed()
}

func (c *client) packed() {
	out, err := flate.NewWriter(c.conn, flate.BestCompression)
	if err != nil {
		c.t.Fatal(err)
	}
	c.conn = &packedConn{Conn: c.conn, in: flate.NewReader(c.r), out: out}
	c.r = bufio.NewReaderSize(c.conn, 64<<10)
}

// packing serves with COMPRESS on loopback.
func packing() Options {
	o := testOptions()
	o.CompressLocal = true
	return o
}

func TestCompress(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	large := "Subject: large\r\n\r\n" + strings.Repeat("0123456789 the same again and again\r\n", 100000)
	s.add(large, "INBOX")
	noise := make([]byte, 300000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	s.add("Subject: noise\r\n\r\n"+string(noise), "INBOX")
	c := login(t, serve(t, s.w.Reader, packing()))
	if got := c.ok("CAPABILITY"); !strings.Contains(got, " COMPRESS=DEFLATE") {
		t.Error(got)
	}
	for command, want := range map[string]string{"COMPRESS": "BAD ", "COMPRESS LZ4": "BAD ", "COMPRESS DEFLATE DEFLATE": "BAD ", "COMPRESS {7+}\r\nDEFLATE": "BAD "} {
		if _, tagged := c.do(command); !strings.HasPrefix(tagged, want) {
			t.Errorf("%s: %s", command, tagged)
		}
	}
	c.compress()
	if got := c.ok("CAPABILITY"); strings.Contains(got, "COMPRESS") {
		t.Error(got)
	}
	c.talk(`
		C: a COMPRESS DEFLATE
		S: a NO [COMPRESSIONACTIVE] ~
		C: b STARTTLS
		S: b ~
		C: c SELECT {5+}
		C: INBOX
	`)
	c.until("c")
	if got := c.ok("FETCH 1 BODY[]"); !strings.Contains(got, simple) {
		t.Error(got)
	}
	if got := c.ok("FETCH 2:3 BODY.PEEK[]"); !strings.Contains(got, large) || !strings.Contains(got, string(noise)) {
		t.Errorf("%d bytes", len(got))
	}
	// The next commands arrive while one is worked on.
	c.send("d SEARCH BODY nowhere\r\ne NOOP\r\n")
	time.Sleep(10 * time.Millisecond)
	c.send("f SEARCH BODY {7}\r\n")
	c.talk(`
		S: * SEARCH
		S: d OK SEARCH completed
		S: e OK NOOP completed
		S: + ~
		C: nowhere
		S: * SEARCH
		S: f OK SEARCH completed
		C: g IDLE
		S: + idling
	`)
	s.add(simple+"2", "INBOX")
	c.talk(`
		S: * 4 EXISTS
		C: DONE
		S: g OK IDLE completed
		C: h LOGOUT
		S: * BYE Logging out
		S: h OK LOGOUT completed
	`)
}

// All that a client reads is there as soon as it is sent, whatever its pieces, and few bytes are.
func TestCompressedBytes(t *testing.T) {
	s := newArchive(t)
	s.add("Subject: large\r\n\r\n"+strings.Repeat("0123456789 the same again and again\r\n", 100000), "INBOX")
	ln := &countingListener{Listener: listen(t)}
	serveOn(t, s.w.Reader, packing(), ln)
	c := login(t, ln.Addr().String())
	c.compress()
	c.ok("SELECT INBOX")
	for i, n := range []string{"0123456789", "the same", "again"} {
		c.ok(fmt.Sprintf("FETCH 1 BODY[TEXT]<%d.%d>", i*11, len(n)))
	}
	before := ln.written.Load()
	got := c.ok("FETCH 1 BODY[]")
	if sent := ln.written.Load() - before; sent > int64(len(got)/20) {
		t.Errorf("%d bytes were sent as %d", len(got), sent)
	}
}

// Plain text that comes with the command is no command; compressed data is.
func TestPipelinedCompress(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	addr := serve(t, s.w.Reader, packing())
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "b NOOP\r\nc SELECT INB")
	w.Flush()
	c := login(t, addr)
	c.send("a COMPRESS DEFLATE\r\n" + packed.String())
	c.expect("a OK ~")
	c.conn = &packedConn{Conn: c.conn, in: flate.NewReader(c.r), out: w}
	c.r = bufio.NewReader(c.conn)
	w.Reset(c.conn.(*packedConn).Conn) // another stream would begin with a window of its own, which is allowed to be empty
	c.expect("b OK NOOP completed")
	c.send("OX\r\n")
	if _, tagged := c.until("c"); !strings.HasPrefix(tagged, "OK") {
		t.Error(tagged)
	}

	c = login(t, addr)
	c.send("a COMPRESS DEFLATE\r\n\x07b LOGOUT\r\n")
	c.expect("a OK ~")
	c.packed()
	c.expect("* BYE the compressed data is broken")
}

// Broken data, a command that is cut, and the end of the stream end the session; while the server looks at a message too.
func TestBrokenCompression(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	ln := listen(t)
	srv := serveOn(t, s.w.Reader, packing(), ln)
	for name, test := range map[string]struct{ before, sent, want string }{
		"at once":        {"", "\x07", "* BYE the compressed data is broken"},
		"after commands": {"a NOOP\r\n", "\x07", "* BYE the compressed data is broken"},
		"in a command":   {"a NOO", "\x07", "* BYE the compressed data is broken"},
		"in a search":    {"a SELECT INBOX\r\nb SEARCH BODY hello\r\n", "\x07", "* BYE the compressed data is broken"},
		"in IDLE":        {"a IDLE\r\n", "\x07", "* BYE the compressed data is broken"},
		"its end":        {"a NOOP\r\n", "\x03\x00", ""},
	} {
		c := login(t, ln.Addr().String())
		c.compress()
		if test.before != "" {
			c.send(test.before)
		}
		if _, err := io.WriteString(c.conn.(*packedConn).Conn, test.sent); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(c.r)
		if !strings.HasSuffix(strings.TrimSuffix(string(all), "\r\n"), test.want) {
			t.Errorf("%s: %q, %v", name, all, err)
		}
	}
	for end := time.Now().Add(10 * time.Second); srv.gate.count() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d sessions are left", srv.gate.count())
		}
	}
}

// Little data that inflates to much meets the same limits.
func TestCompressionBombs(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	addr := serve(t, s.w.Reader, packing())
	for name, test := range map[string]struct{ before, repeated, want string }{
		"a line":         {"a SEARCH BODY ", "x", "* BYE command line too long"},
		"a quoted line":  {"a SEARCH BODY \"", "\\\\", "* BYE command line too long"},
		"a literal":      {"a SEARCH BODY {67108864}\r\n", "x", "a NO [TOOBIG] ~"},
		"literals":       {"a SEARCH", " BODY {1+}\r\nx", "* BYE ~"},
		"an end of IDLE": {"a IDLE\r\n", "D", "* BYE command line too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := login(t, addr)
			c.ok("SELECT INBOX")
			c.compress()
			if _, err := io.WriteString(c.conn.(*packedConn).out, test.before); err != nil {
				t.Fatal(err)
			}
			go func() {
				io.WriteString(c.conn, strings.Repeat(test.repeated, 8<<20/len(test.repeated))) // the server need not take it all
			}()
			for {
				line := c.line()
				if fits(test.want, line) {
					return
				}
				if !strings.HasPrefix(line, "+ ") {
					t.Fatal(line)
				}
			}
		})
	}
}

// Not every connection can be compressed at a time; each takes little, whatever is sent.
func TestCompressedConnectionsTakeLittleMemory(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	ln := listen(t)
	o := packing()
	const most = 50
	o.Limits.Compressed = most
	srv := serveOn(t, s.w.Reader, o, ln)
	// A block with the longest codes, whose end does not come, in the middle of a command.
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	io.WriteString(w, strings.Repeat("b ID (\"x\" \""+strings.Repeat("y", 10000)+"\")\r\n", 20)+"c SEARCH BODY \"")
	text := make([]byte, 40000)
	for i := range text {
		text[i] = byte('a' + int(rng.ExpFloat64()*3)%26)
	}
	w.Write(text)
	w.Flush()
	sent := packed.Bytes()[:packed.Len()-2000]
	login(t, ln.Addr().String()).ok("LOGOUT")
	before := heap()
	var all sync.WaitGroup
	clients := make([]*client, most)
	for i := range clients {
		c := login(t, ln.Addr().String())
		clients[i] = c
		c.ok("COMPRESS DEFLATE")
		all.Go(func() {
			c.conn.Write(sent)
			answers := bufio.NewScanner(flate.NewReader(c.r))
			for n := 0; n < 2*20 && answers.Scan(); n++ {
			}
		})
	}
	all.Wait()
	time.Sleep(100 * time.Millisecond)
	took := (heap() - before) / most
	t.Logf("%d KB for each", took>>10)
	if took > 600<<10 { // with the client's own 64 KB and a share of the pools
		t.Errorf("%d KB for each compressed connection", took>>10)
	}
	c := login(t, ln.Addr().String())
	if _, tagged := c.do("COMPRESS DEFLATE"); !strings.HasPrefix(tagged, "NO [LIMIT]") {
		t.Error(tagged)
	}
	c.ok("NOOP")
	for _, other := range clients {
		other.conn.Close()
	}
	for end := time.Now().Add(10 * time.Second); srv.gate.count() > 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d sessions are left", srv.gate.count())
		}
	}
	c.compress()
	c.ok("NOOP")
}

func TestCompressIsOfferedFromAfar(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	near := login(t, serve(t, s.w.Reader, testOptions()))
	if got := near.ok("CAPABILITY"); strings.Contains(got, "COMPRESS") {
		t.Error(got)
	}
	if _, tagged := near.do("COMPRESS DEFLATE"); !strings.HasPrefix(tagged, "NO [CANNOT]") {
		t.Error(tagged)
	}
	serverTLS, clientTLS := certificate(t)
	o := testOptions()
	o.TLSConfig = serverTLS
	ln := listen(t)
	serveOn(t, s.w.Reader, o, notLocalListener{ln})
	c := dial(t, ln.Addr().String())
	if _, tagged := c.do("COMPRESS DEFLATE"); !strings.HasPrefix(tagged, "BAD") {
		t.Errorf("before login: %s", tagged)
	}
	c.ok("STARTTLS")
	c.encrypt(clientTLS)
	if _, tagged := c.do(`LOGIN u "` + password + `"`); !strings.Contains(tagged, " COMPRESS=DEFLATE") {
		t.Error(tagged)
	}
	c.compress()
	c.ok("SELECT INBOX")
	if got := c.ok("FETCH 1 BODY[]"); !strings.Contains(got, simple) {
		t.Error(got)
	}
}

// countingListener counts what is written to its connections.
type countingListener struct {
	net.Listener
	written atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, &l.written}, err
}

type countingConn struct {
	net.Conn
	written *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	c.written.Add(int64(len(p)))
	return c.Conn.Write(p)
}
