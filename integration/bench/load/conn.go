// Package load measures an IMAP server from outside, on plain sockets and without an IMAP library, so that the
// client's share of the time stays small. Every answer is checked against what the corpus says: numbers of
// messages, sizes, bytes of header fields, CRC-32C of bodies. A server that answers wrongly has no time at all.
package load

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"net"
	"strings"
	"time"

	"mailkeep/integration/dovecot"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	bufferSize = 256 << 10
	timeout    = 10 * time.Minute
)

// response is one server response; it is valid until the next is read.
type response struct {
	line     []byte // the text, literals left out
	literals int64  // their bytes
	crcSum   uint64 // the sum of their CRC-32C
}

// conn is one IMAP connection. It knows just enough to tell responses apart.
type conn struct {
	net.Conn
	r    *bufio.Reader
	tags int
	in   int64 // bytes received
	buf  []byte
}

func (t *Target) dial() (*conn, error) {
	nc, err := net.DialTimeout("tcp", t.Addr, 30*time.Second)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, r: bufio.NewReaderSize(nc, bufferSize)}
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

func (t *Target) login() (*conn, error) {
	c, err := t.dial()
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
func (t *Target) open(mailbox string) (*conn, error) {
	c, err := t.login()
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
func (c *conn) examine(mailbox string) (int, error) {
	exists := -1
	err := c.do(func(r *response) {
		if bytes.HasSuffix(r.line, []byte(" EXISTS")) {
			exists = number(r.line, "* ")
		}
	}, "EXAMINE %s", wireName(mailbox))
	if err == nil && exists < 0 {
		err = fmt.Errorf("EXAMINE %s: no EXISTS", mailbox)
	}
	return exists, err
}

func (c *conn) send(format string, args ...any) (tag string, err error) {
	c.tags++
	tag = fmt.Sprintf("a%d", c.tags)
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
		if r.line[0] == '*' {
			if f != nil {
				f(r)
			}
			continue
		}
		rest, ok := bytes.CutPrefix(r.line, []byte(tag+" "))
		if !ok {
			return fmt.Errorf("unexpected response: %.200s", r.line)
		}
		if !bytes.HasPrefix(rest, []byte("OK")) {
			return fmt.Errorf("%.200s", rest)
		}
		return nil
	}
}

// do sends a command and waits for its OK.
func (c *conn) do(f func(*response), format string, args ...any) error {
	tag, err := c.send(format, args...)
	if err == nil {
		err = c.wait(tag, f)
	}
	if err != nil {
		command := fmt.Sprintf(format, args...)
		return fmt.Errorf("%.60s: %w", command, err)
	}
	return nil
}

// next reads one response with its literals.
func (c *conn) next() (*response, error) {
	r := &response{}
	c.buf = c.buf[:0]
	for {
		fragment, err := c.r.ReadSlice('\n')
		c.in += int64(len(fragment))
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
			r.line = line
			return r, nil
		}
		c.buf = c.buf[:start]
		if err := c.literal(r, size); err != nil {
			return nil, err
		}
	}
}

func (c *conn) literal(r *response, size int) error {
	r.literals += int64(size)
	c.in += int64(size)
	crc := uint32(0)
	for size > 0 {
		if _, err := c.r.Peek(1); err != nil {
			return err
		}
		chunk, _ := c.r.Peek(min(size, c.r.Buffered()))
		crc = crc32.Update(crc, castagnoli, chunk)
		size -= len(chunk)
		c.r.Discard(len(chunk))
	}
	r.crcSum += uint64(crc)
	return nil
}

// literalSize reads {123} at the end of a line; -1 without.
func literalSize(line []byte) (size, start int) {
	if !bytes.HasSuffix(line, []byte("}")) {
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
