package wire

import (
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"mailkeep/deflate"
)

// compressTag is no tag that go-imap uses.
const compressTag = "ZIP1"

// inflateInput is how much compressed data is read at a time, in bytes: as much as a TLS record holds.
const inflateInput = 16 << 10

// compression is a COMPRESS command that waits for its answer.
type compression struct {
	done chan error // buffered; gets the outcome once, or more
}

func (c *compression) end(err error) {
	select {
	case c.done <- err:
	default:
	}
}

// errRefusedCompression says that the connection goes on as it was.
var errRefusedCompression = errors.New("the server does not compress after all")

// Compress switches to COMPRESS=DEFLATE (RFC 4978) in both directions. No command may be under way, and somebody must be reading. Refused tells whether the server said no; then
// the connection goes on uncompressed. After any other error the connection is unusable.
func (c *Conn) Compress() (refused bool, err error) {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	request := &compression{done: make(chan error, 1)}
	c.request.Store(request)
	defer c.request.Store(nil)
	if c.closed.Load() {
		return false, net.ErrClosed
	}
	if err := c.send([]byte(compressTag + " COMPRESS DEFLATE\r\n")); err != nil {
		return false, err
	}
	if err := <-request.done; err != nil {
		return errors.Is(err, errRefusedCompression), err
	}
	// The least level: commands are short, and most of them are numbers.
	c.deflater, err = flate.NewWriter(c.Conn, flate.BestSpeed)
	return false, err
}

// answered handles the tagged answer to COMPRESS: what follows an OK is compressed. The reader calls it.
func (r *responses) answered(request *compression, status []byte) {
	word, _ := cutWord(status)
	if upper(word) != "OK" {
		request.end(fmt.Errorf("%w: %.100s", errRefusedCompression, status))
		return
	}
	early := &pieces{rest: slices.Clone(r.in[r.pos:]), then: r.c}
	r.in, r.pos, r.scanned = r.in[:0], 0, 0
	r.c.inflater = deflate.NewReader(early, inflateInput)
	request.end(nil)
}

// pieces reads what came with the answer to COMPRESS, and then from the connection.
type pieces struct {
	rest []byte
	then *Conn
}

// Read implements io.Reader.
func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) > 0 {
		n := copy(b, p.rest)
		p.rest = p.rest[n:]
		return n, nil
	}
	return p.then.receiveRaw(b)
}

var _ io.Reader = (*pieces)(nil)
