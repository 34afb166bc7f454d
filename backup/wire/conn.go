package wire

import (
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"mailkeep/deflate"
)

// Limits of what a Conn accepts from a server. Literals that are passed on have no limit: they are streamed.
const (
	maxLine       = 16 << 20  // one line of a response, without its literals, in bytes
	MaxItem       = 4 << 20   // the value of one FETCH item that has to be understood, in bytes
	maxCommand    = 4 << 20   // one line of a command, in bytes
	holdInMemory  = 4 << 20   // of a response that waits for its UID; more goes to a temporary file
	maxHold       = 512 << 20 // of a response that waits for its UID, in bytes
	readAhead     = 64 << 10  // initial size of the input buffer, in bytes
	directRead    = 4 << 10   // smallest caller buffer that a literal is read into without a copy, in bytes
	maxPendingTag = 1 << 16   // FETCH and STORE commands that have no answer yet
)

// ErrWire is wrapped by the errors that Read and Write return when the other side breaks IMAP's grammar or one of the
// limits of a Conn. The connection cannot be used any further.
var ErrWire = errors.New("unusable IMAP data")

func wireErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrWire, fmt.Sprintf(format, args...))
}

// Conn is a net.Conn that lets an IMAP client which knows only standard FETCH items ask for others and survive odd servers.
//
// Outgoing, a header-fields section of an agreed name (GmailSection, ObjectSection) in a FETCH command becomes the
// items it stands for. Incoming, those items come back as the literal of that section, once per message, however the
// server ordered them. The UID of a response to UID FETCH or UID STORE is moved to the front, because the client
// assigns a response to its command when it meets the first literal. FETCH items and response types the client does
// not know are dropped; flag lists and mailbox names it would refuse are repaired (see FlagName). Everything else
// passes unchanged.
//
// One goroutine may read while another writes, and Close may be called at any time, as with any net.Conn. Write keeps
// an incomplete command line back until its end arrives. A read deadline limits the wait for more bytes, see SetReadDeadline.
type Conn struct {
	net.Conn

	bytesRead    atomic.Int64
	received     atomic.Int64
	bytesWritten atomic.Int64
	closed       atomic.Bool

	rmu sync.Mutex // held by Read
	rd  responses

	wmu      sync.Mutex // held by Write
	wr       commands
	deflater *flate.Writer // nil while nothing is compressed

	inflater *deflate.Reader // the same for the other direction; the reader's
	request  atomic.Pointer[compression]

	pending pendingCommands
	names   mailboxNames

	dmu       sync.Mutex // guards the read deadline, here and below
	readLimit time.Duration

	notify func(Notice)
}

var _ net.Conn = (*Conn)(nil)

// NewConn wraps c, on which TLS is already done and the server's greeting was not read yet. The Conn owns c: closing
// the one closes the other.
func NewConn(c net.Conn) *Conn {
	conn := &Conn{Conn: c}
	conn.rd.c = conn
	conn.rd.fetch.r = &conn.rd
	conn.wr.c = conn
	return conn
}

// NewConnAfterStartTLS is NewConn for a connection on which the greeting was read and STARTTLS done before. The first
// Read yields a greeting made here, since a client waits for one; it holds no capabilities, so that the client asks
// for those valid under TLS (RFC 9051 section 6.2.1).
func NewConnAfterStartTLS(c net.Conn) *Conn {
	conn := NewConn(c)
	conn.rd.out = append(conn.rd.out, "* OK TLS is on\r\n"...)
	return conn
}

// BytesRead counts the bytes of the protocol received from the server, after decryption and decompression.
func (c *Conn) BytesRead() int64 { return c.bytesRead.Load() }

// Received counts the bytes received from the server, after decryption and before decompression.
func (c *Conn) Received() int64 { return c.received.Load() }

// BytesWritten counts the bytes of the protocol sent to the server, before compression and encryption.
func (c *Conn) BytesWritten() int64 { return c.bytesWritten.Load() }

// Read reads translated response data. Data of several responses may come at once. At the end of the stream inside a
// response it returns io.ErrUnexpectedEOF, between responses io.EOF: a literal that was cut short is never taken for a whole one.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.readLocked(p)
	if c.closed.Load() {
		c.releaseHold()
	}
	return n, err
}

func (c *Conn) readLocked(p []byte) (int, error) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	return c.rd.read(p)
}

// Write sends commands. It reports all of p as written although the end of p may wait for the rest of its line.
func (c *Conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	return c.wr.write(p)
}

// Close closes the connection beneath, which ends a Read or Write in progress.
func (c *Conn) Close() error {
	c.closed.Store(true)
	err := c.Conn.Close()
	if request := c.request.Load(); request != nil {
		request.end(net.ErrClosed)
	}
	c.releaseHold()
	return err
}

// releaseHold removes the temporary file. A Read in progress holds the lock and does it itself when it returns.
func (c *Conn) releaseHold() {
	if c.rmu.TryLock() {
		c.rd.fetch.hold.reset()
		c.rmu.Unlock()
	}
}

// SetDeadline sets the read and the write deadline.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(t)
}

// SetReadDeadline limits how long Read waits for the server. A time in the past ends a wait at once, the zero time
// lifts the limit. A time in the future limits each wait for more bytes to the span from now to t rather than all
// waits together: go-imap allows five minutes for a whole literal, however large, and 30 seconds for a response,
// including the time its consumer spends writing to disk. A throttled server, or a busy consumer, would otherwise
// never get a large message through; a silent server is still noticed in time.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	c.readLimit = 0
	if !t.IsZero() {
		c.readLimit = max(time.Until(t), 0)
	}
	return c.Conn.SetReadDeadline(t)
}

// renewDeadline gives the next wait its full span.
func (c *Conn) renewDeadline() {
	c.dmu.Lock()
	defer c.dmu.Unlock()
	if c.readLimit > 0 {
		// An error here means that the connection is closed, which the read that follows reports.
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.readLimit))
	}
}

// receive reads bytes of the protocol.
func (c *Conn) receive(p []byte) (int, error) {
	var n int
	var err error
	if c.inflater != nil {
		if n, err = c.inflater.Read(p); errors.Is(err, deflate.ErrBroken) {
			err = wireErrorf("%v", err)
		}
	} else {
		n, err = c.receiveRaw(p)
	}
	c.bytesRead.Add(int64(n))
	return n, err
}

// receiveRaw reads from the connection beneath.
func (c *Conn) receiveRaw(p []byte) (int, error) {
	c.renewDeadline()
	n, err := c.Conn.Read(p)
	c.received.Add(int64(n))
	return n, err
}

// send writes bytes of the protocol.
func (c *Conn) send(p []byte) error {
	c.bytesWritten.Add(int64(len(p)))
	if c.deflater == nil {
		_, err := c.Conn.Write(p)
		return err
	}
	if _, err := c.deflater.Write(p); err != nil {
		return err
	}
	return c.deflater.Flush()
}

// temporary tells whether a Read may succeed after err: only a passed deadline leaves the stream intact.
func temporary(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// cutShort is the error for the end of the stream inside a response.
func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
