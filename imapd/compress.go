package imapd

import (
	"io"
	"net"
	"strings"

	"mailkeep/deflate"
)

// packedInput is how much compressed data is read at a time, in bytes: commands are short.
const packedInput = 2 << 10

// mayCompress reports whether COMPRESS is offered. On the same machine it would only cost time, and Thunderbird uses it wherever it is offered; and before login nobody
// gets the memory that it takes.
func (c *conn) mayCompress() bool {
	return (!c.local || c.srv.options.CompressLocal) && c.session.authenticated() && !c.compressed
}

// compress compresses the connection in both directions (RFC 4978).
func (c *conn) compress(_, args string) error {
	switch {
	case !strings.EqualFold(args, " DEFLATE"):
		return c.answer("BAD COMPRESS wants DEFLATE")
	case c.compressed:
		return c.answer("NO [COMPRESSIONACTIVE] the connection is compressed already")
	case !c.mayCompress():
		return c.answer("NO [CANNOT] connections within one machine are not compressed")
	case !c.srv.gate.compress(c):
		return c.answer("NO [LIMIT] too many connections are compressed already")
	}
	if err := c.answer("OK what follows is compressed"); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.flush(); err != nil {
		return err
	}
	// What has arrived behind the command is compressed: its answer makes no difference to when the client begins, only to whether it may (RFC 4978 section 3).
	source := io.Reader(c.raw)
	if len(c.in) > 0 {
		source = &early{rest: c.in, then: c.raw}
	}
	c.raw = &compressed{Conn: c.raw, in: deflate.NewReader(source, packedInput), out: deflate.NewWriter(c.raw)}
	c.in, c.compressed = nil, true
	return nil
}

// compressed is a connection beneath which all is deflated.
type compressed struct {
	net.Conn
	in  *deflate.Reader
	out *deflate.Writer
}

// Read implements [net.Conn].
func (c *compressed) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write implements [net.Conn]. The client can read all of p when it has got what is sent.
func (c *compressed) Write(p []byte) (int, error) { return c.out.Write(p) }

// early is what had arrived, and then what comes.
type early struct {
	rest []byte
	then net.Conn
}

// Read implements [io.Reader].
func (e *early) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		return e.then.Read(p)
	}
	n := copy(p, e.rest)
	if e.rest = e.rest[n:]; len(e.rest) == 0 {
		e.rest = nil
	}
	return n, nil
}
