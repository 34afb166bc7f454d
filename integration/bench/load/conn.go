// Package load measures an IMAP server from outside, on plain sockets and without an IMAP library, so that the
// client's share of the time stays small.
//
// Every answer is checked. A scenario's first run on a server takes each response apart and compares what it holds with the
// corpus: numbers of messages and flags, sizes, dates, Message-IDs, CRC-32C of header fields and bodies. It also keeps the
// length and the CRC-32C of the answer as it came. The runs that count then only read, and fail unless they get those same
// bytes; a server that answers wrongly has no time at all. What even that costs is measured with a server that replays a
// recorded answer from a file (replay.go).
package load

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"mailkeep/integration/dovecot"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	bufferSize = 1 << 20  // of a connection that has the machine for itself
	crowdSize  = 64 << 10 // of one among hundreds
	idleSize   = 4 << 10  // of one that waits
	tailSize   = 512      // the end of an answer, in which its last line begins
	timeout    = 10 * time.Minute
)

// digest is what an answer looked like: its untagged responses, as they came.
type digest struct {
	bytes int64
	crc   uint32
}

func (d *digest) add(p []byte) {
	d.bytes += int64(len(p))
	d.crc = crc32.Update(d.crc, castagnoli, p)
}

// response is one server response; it is valid until the next is read.
type response struct {
	line     []byte // the text, literals left out
	literals int64  // their bytes
	crcSum   uint64 // the sum of their CRC-32C
}

// conn is one IMAP connection. It knows just enough to tell responses apart.
type conn struct {
	net.Conn
	r      *bufio.Reader
	prefix string // of the tags: random, so that no message can hold a line that looks like the end of an answer
	tags   int
	buf    []byte
	resp   response
	raw    *digest // when set, next adds the untagged responses
	tape   *Tape   // when set, next writes the untagged responses to it
}

// dial connects. Server limits on connections from one address are for one user's clients; number tells the clients of a crowd
// apart, who come from different loopback addresses where the system has them.
func (t *Target) dial(size, number int) (*conn, error) {
	d := net.Dialer{Timeout: 30 * time.Second, LocalAddr: sourceAddr(number)}
	nc, err := d.Dial("tcp", t.Addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, r: bufio.NewReaderSize(nc, size), prefix: fmt.Sprintf("t%08x", rand.Uint32())}
	c.SetDeadline(time.Now().Add(timeout))
	r, err := c.next()
	if err == nil && !bytes.HasPrefix(r.line, []byte("* OK")) {
		err = fmt.Errorf("greeting: %s", r.line)
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// perAddress is how many clients of a crowd share a loopback address.
const perAddress = 50

func (t *Target) login() (*conn, error) { return t.loginAs(bufferSize, 0) }

func (t *Target) loginAs(size, number int) (*conn, error) {
	c, err := t.dial(size, number)
	if err != nil {
		return nil, err
	}
	if err := c.do(nil, "LOGIN %s %s", quote(t.User), quote(t.Password)); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// open dials, logs in and examines a mailbox (UTF-8 name).
func (t *Target) open(mailbox string) (*conn, error) { return t.openAs(mailbox, bufferSize, 0) }

func (t *Target) openAs(mailbox string, size, number int) (*conn, error) {
	c, err := t.loginAs(size, number)
	if err != nil {
		return nil, err
	}
	if _, err := c.examine(mailbox); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// examine opens a mailbox and gives the number of messages.
func (c *conn) examine(mailbox string) (int, error) { return c.enter("EXAMINE", mailbox) }

func (c *conn) enter(verb, mailbox string) (int, error) {
	exists := -1
	err := c.do(func(r *response) {
		if bytes.HasSuffix(r.line, []byte(" EXISTS")) {
			exists = number(r.line, "* ")
		}
	}, "%s %s", verb, wireName(mailbox))
	if err == nil && exists < 0 {
		err = fmt.Errorf("%s %s: no EXISTS", verb, mailbox)
	}
	return exists, err
}

func (c *conn) tag() string {
	c.tags++
	return fmt.Sprintf("%s-%d", c.prefix, c.tags)
}

func (c *conn) send(format string, args ...any) (tag string, err error) {
	tag = c.tag()
	_, err = fmt.Fprintf(c.Conn, tag+" "+format+"\r\n", args...)
	return tag, err
}

// wait reads up to the tagged response and hands each untagged one to f.
func (c *conn) wait(tag string, f func(*response)) error {
	for {
		r, err := c.next()
		if err != nil {
			return err
		}
		if r.line[0] != '*' {
			return completed(r.line, tag)
		}
		if f != nil {
			f(r)
		}
	}
}

// completed is an error unless line says that the command with that tag succeeded.
func completed(line []byte, tag string) error {
	rest, ok := bytes.CutPrefix(line, []byte(tag))
	if !ok {
		return fmt.Errorf("unexpected response: %.200s", line)
	}
	if !bytes.HasPrefix(rest, []byte(" OK")) {
		return fmt.Errorf("%.200s", bytes.TrimSpace(rest))
	}
	return nil
}

// do sends a command and waits for its OK.
func (c *conn) do(f func(*response), format string, args ...any) error {
	tag, err := c.send(format, args...)
	if err == nil {
		err = c.wait(tag, f)
	}
	if err != nil {
		return fmt.Errorf("%.60s: %w", fmt.Sprintf(format, args...), err)
	}
	return nil
}

// drain sends a command and only reads its answer, which must be the last thing that the connection is asked for. It gives
// the digest of the untagged responses.
func (c *conn) drain(format string, args ...any) (digest, error) {
	var d digest
	tag, err := c.send(format, args...)
	if err != nil {
		return d, err
	}
	for {
		data, _ := c.r.Peek(c.r.Buffered())
		if last := lastLine(data); bytes.HasPrefix(last, []byte(tag+" ")) {
			d.add(data[:len(data)-len(last)])
			c.r.Discard(len(data))
			return d, completed(bytes.TrimSpace(last), tag)
		}
		keep := min(len(data), tailSize)
		d.add(data[:len(data)-keep])
		c.r.Discard(len(data) - keep)
		if _, err := c.r.Peek(keep + 1); err != nil {
			return d, err
		}
	}
}

// lastLine is the line that ends data; empty when data ends within a line. A line longer than tailSize is not found.
func lastLine(data []byte) []byte {
	if len(data) == 0 || data[len(data)-1] != '\n' {
		return nil
	}
	tail := data[max(len(data)-tailSize, 0) : len(data)-1]
	return data[len(data)-1-len(tail)+bytes.LastIndexByte(tail, '\n')+1:]
}

// next reads one response with its literals.
func (c *conn) next() (*response, error) {
	c.resp = response{}
	c.buf = c.buf[:0]
	untagged, begun := false, false
	for {
		fragment, err := c.r.ReadSlice('\n')
		if !begun && len(fragment) > 0 {
			untagged, begun = fragment[0] == '*', true
			c.tape.begin(untagged)
		}
		c.note(untagged, fragment)
		c.buf = append(c.buf, fragment...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		line := bytes.TrimRight(c.buf, "\r\n")
		size, start := literalSize(line)
		if size < 0 {
			if len(line) == 0 {
				return nil, fmt.Errorf("empty line from the server")
			}
			c.resp.line = line
			return &c.resp, nil
		}
		c.buf = c.buf[:start]
		if err := c.literal(untagged, size); err != nil {
			return nil, err
		}
	}
}

// note keeps what an untagged response looks like.
func (c *conn) note(untagged bool, p []byte) {
	if !untagged {
		return
	}
	if c.raw != nil {
		c.raw.add(p)
	}
	c.tape.write(p)
}

func (c *conn) literal(untagged bool, size int) error {
	c.resp.literals += int64(size)
	crc := uint32(0)
	for size > 0 {
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
		chunk, _ := c.r.Peek(min(size, c.r.Buffered()))
		crc = crc32.Update(crc, castagnoli, chunk)
		c.note(untagged, chunk)
		size -= len(chunk)
		c.r.Discard(len(chunk))
	}
	c.resp.crcSum += uint64(crc)
	return nil
}

// literalSize reads {123} at the end of a line; -1 without.
func literalSize(line []byte) (size, start int) {
	if len(line) == 0 || line[len(line)-1] != '}' {
		return -1, 0
	}
	start = bytes.LastIndexByte(line, '{')
	if start < 0 {
		return -1, 0
	}
	digits := line[start+1 : len(line)-1]
	if n := number(digits, ""); n >= 0 && len(bytes.TrimLeft(digits, "0123456789")) == 0 {
		return n, start
	}
	return -1, 0
}

// number reads the digits that follow the first occurrence of before; -1 without.
func number(line []byte, before string) int {
	i := bytes.Index(line, []byte(before))
	if i < 0 {
		return -1
	}
	n, digits := 0, 0
	for _, b := range line[i+len(before):] {
		if b < '0' || b > '9' || digits > 15 {
			break
		}
		n = n*10 + int(b-'0')
		digits++
	}
	if digits == 0 {
		return -1
	}
	return n
}

// wireName gives a mailbox name as it is sent.
func wireName(name string) string { return quote(dovecot.EncodeName(name)) }

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
