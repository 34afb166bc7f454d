package imapd

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"mailkeep/deflate"
)

// conn is the connection that the library reads commands from and writes responses to.
//
// Read hands out commands, framed and translated (frame.go, translate.go), never more than the library can take before it has to answer: a line, or a piece
// of a literal. So when Read is called again the library wants either the rest of the command or, having answered it, the next one.
// Write takes the library's responses, one or more whole ones at a time, rewrites some (answer.go) and collects them: they are sent when the server waits
// for the client, or when there are many.
type conn struct {
	srv      *Server
	base     net.Conn // as accepted
	session  *session // set before the first command is read
	addr     string   // the client's address without its port; of IPv6 the network
	local    bool     // the client is on this machine
	accepted time.Time

	// The reading side belongs to the library's goroutine; watch lends it out.
	in      []byte // bytes received and not yet consumed
	talks   bool   // there was more to read than there was room for
	readErr error  // what ended the stream, once in is used up
	ready   []byte // the rest of what the library is being given
	cmd     command
	begun   time.Time // when the client was first found in the middle of the command that it is sending; zero: not yet
	blunder int       // malformed commands so far
	early   int       // commands before login so far
	hangUp  string    // why to close the connection at the next command; "" for not

	compressed bool // COMPRESS has been given

	mu      sync.Mutex // of what follows
	raw     net.Conn   // the client; another one after STARTTLS and COMPRESS
	secure  bool       // encrypted
	out     []byte     // responses not sent yet
	waiting bool       // the library's goroutine waits for the client, so that nobody else will send out
	failed  error      // of the first write that did not succeed
	over    bool       // BYE has been said
}

const (
	inputBuffer  = 512      // what an idle connection keeps for reading
	manyInput    = 8 << 10  // the same of one that sends much at a time
	outputBuffer = 64 << 10 // responses are sent when so much has been collected
	streamChunk  = 1 << 20  // what a client must take within Limits.WriteTimeout
)

// outputs keeps buffers for connections that have something to send.
var outputs = sync.Pool{New: func() any { b := make([]byte, 0, outputBuffer+4<<10); return &b }}

func newConn(srv *Server, raw net.Conn) *conn {
	c := &conn{srv: srv, base: raw, raw: raw, accepted: time.Now()}
	_, c.secure = raw.(*tls.Conn)
	host, _, err := net.SplitHostPort(raw.RemoteAddr().String())
	if err != nil {
		host = raw.RemoteAddr().String() // a pipe or a Unix socket
	}
	ip := net.ParseIP(host)
	c.addr, c.local = host, ip == nil || ip.IsLoopback()
	if !c.local && ip.To4() == nil {
		c.addr = ip.Mask(net.CIDRMask(64, 128)).String() // one client has as many addresses as it likes below that
	}
	raw.SetReadDeadline(c.accepted.Add(srv.options.Limits.LoginTimeout)) // for the handshake that the first write to a TLS connection makes
	return c
}

// mayAuthenticate reports whether a password would not cross a network in plain text.
func (c *conn) mayAuthenticate() bool { return c.secure || c.local }

// Read implements [net.Conn] for the library.
func (c *conn) Read(p []byte) (int, error) {
	for len(c.ready) == 0 {
		if c.ended() {
			return 0, io.EOF
		}
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.ready)
	c.ready = c.ready[n:]
	return n, nil
}

// fill waits for at least one more byte in c.in. At the end of the stream, or when the client is too slow, the error is io.EOF.
func (c *conn) fill() error {
	if c.readErr != nil {
		return c.lost(c.readErr)
	}
	raw, err := c.wait()
	if err != nil {
		return err
	}
	raw.SetReadDeadline(c.readDeadline())
	err = c.receive(raw)
	c.mu.Lock()
	c.waiting = false
	c.mu.Unlock()
	return c.lost(err)
}

// lost says why the connection ends, where the client may hear it. err is what reading has ended with, or nil.
func (c *conn) lost(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return c.bye("you took too long")
	case errors.Is(err, deflate.ErrBroken):
		return c.bye(deflate.ErrBroken.Error())
	}
	return err
}

// receive appends what the client sends to c.in.
func (c *conn) receive(raw net.Conn) error {
	if cap(c.in)-len(c.in) < inputBuffer/4 {
		size := max(inputBuffer, 2*len(c.in))
		if c.talks {
			size = max(size, manyInput)
		}
		grown := make([]byte, len(c.in), size)
		copy(grown, c.in)
		c.in = grown
	}
	room := c.in[len(c.in):cap(c.in)]
	n, err := raw.Read(room)
	c.in, c.talks = c.in[:len(c.in)+n], n == len(room)
	if n > 0 {
		return nil
	}
	return err
}

// wait sends what was collected and notes that nobody else will from here on.
func (c *conn) wait() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.flush(); err != nil {
		return nil, err
	}
	if c.over {
		return nil, io.EOF
	}
	c.waiting = true
	return c.raw, nil
}

// readDeadline is when the client must have sent something.
func (c *conn) readDeadline() time.Time {
	now, limits := time.Now(), &c.srv.options.Limits
	switch {
	case !c.session.authenticated():
		return c.accepted.Add(limits.LoginTimeout)
	case len(c.in) == 0 && !c.cmd.more:
		return now.Add(limits.IdleTimeout)
	}
	// In the middle of a command.
	if c.begun.IsZero() {
		c.begun = now
	}
	piece, whole := now.Add(limits.PieceTimeout), c.begun.Add(limits.CommandTimeout)
	if piece.Before(whole) {
		return piece
	}
	return whole
}

// Write implements [net.Conn] for the library.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.send(c.rewrite(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// send queues p, whole responses, behind what was queued before.
func (c *conn) send(p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	if len(p) == 0 || c.over {
		return nil
	}
	if len(p) >= outputBuffer { // not worth a copy
		if err := c.flush(); err != nil {
			return err
		}
		return c.write(p)
	}
	if c.out == nil {
		c.out = *outputs.Get().(*[]byte)
	}
	c.out = append(c.out, p...)
	if c.waiting || len(c.out) >= outputBuffer {
		return c.flush()
	}
	return nil
}

// failure is the error of the first write that did not succeed.
func (c *conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// flush sends what was collected. The caller holds c.mu.
func (c *conn) flush() error {
	if c.failed != nil || c.out == nil {
		return c.failed
	}
	b := c.out
	c.out = nil
	c.write(b)
	if cap(b) <= 2*outputBuffer {
		b = b[:0]
		outputs.Put(&b)
	}
	return c.failed
}

// write sends p past what was collected. When the client does not take it the connection is closed, so that nobody waits for the client to say something more. The
// caller holds c.mu.
func (c *conn) write(p []byte) error {
	for len(p) > 0 && c.failed == nil {
		n := min(len(p), streamChunk)
		c.raw.SetWriteDeadline(time.Now().Add(c.srv.options.Limits.WriteTimeout))
		_, c.failed = c.raw.Write(p[:n])
		p = p[n:]
	}
	if c.failed != nil {
		c.base.Close()
	}
	return c.failed
}

// stream sends n bytes of file from offset on, behind what was queued, without holding them in memory: the kernel copies them where it can. When the file ends early
// the connection is lost, because its length was announced.
func (c *conn) stream(file *os.File, offset, n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.flush(); err != nil {
		return err
	}
	if _, c.failed = file.Seek(offset, io.SeekStart); c.failed != nil {
		return c.failed
	}
	for n > 0 && c.failed == nil {
		chunk := min(n, streamChunk)
		c.raw.SetWriteDeadline(time.Now().Add(c.srv.options.Limits.WriteTimeout))
		_, c.failed = io.CopyN(c.raw, file, chunk)
		n -= chunk
	}
	if c.failed != nil {
		c.base.Close()
	}
	return c.failed
}

// bye tells the client why the connection ends. Nothing is read or sent after it; the error is io.EOF.
func (c *conn) bye(why string) error {
	c.send([]byte("* BYE " + why + "\r\n"))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush()
	c.over = true
	return io.EOF
}

func (c *conn) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// Close implements [net.Conn] for the library. It sends what was collected, unless the server is stopping: then nobody waits for a slow client.
func (c *conn) Close() error {
	if c.srv.ctx.Err() == nil && c.mu.TryLock() { // else a write is stuck, which closing ends
		c.flush()
		c.mu.Unlock()
	}
	return c.base.Close()
}

// shutDown ends the connection from outside, with a word when the client is not in the middle of an answer.
func (c *conn) shutDown() {
	if c.mu.TryLock() {
		if c.waiting && len(c.out) == 0 && c.failed == nil {
			c.raw.SetWriteDeadline(time.Now().Add(time.Second))
			c.raw.Write([]byte("* BYE the server is stopping\r\n"))
		}
		c.mu.Unlock()
	}
	c.base.Close()
}

// LocalAddr implements [net.Conn].
func (c *conn) LocalAddr() net.Addr { return c.base.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (c *conn) RemoteAddr() net.Addr { return c.base.RemoteAddr() }

// SetDeadline implements [net.Conn]. The deadlines of the library are not used: conn sets its own when it reads and writes.
func (c *conn) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements [net.Conn], see SetDeadline.
func (c *conn) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements [net.Conn], see SetDeadline.
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
