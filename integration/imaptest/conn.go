package imaptest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// Server says where and as whom the scripts log in.
type Server struct {
	Addr, User, Password string // Addr is host:port, plain text
}

const (
	commandTimeout = time.Minute
	maxReply       = 64 << 20 // bytes; more is a broken server
)

// reply is one line of the server, its literals included.
type reply struct {
	tag    string // "*", "+" or the command's tag
	tokens []token
	raw    string // for messages
}

// conn is a connection that knows just enough of IMAP to tell replies apart.
type conn struct {
	net.Conn
	r    *bufio.Reader
	tags int
	caps string // upper case, a blank before and after each
}

func dial(server Server) (*conn, error) {
	nc, err := net.DialTimeout("tcp", server.Addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, r: bufio.NewReaderSize(nc, 64<<10)}
	if err := c.begin(); err != nil {
		nc.Close()
		return nil, fmt.Errorf("greeting of %s: %w", server.Addr, err)
	}
	return c, nil
}

func (c *conn) begin() error {
	c.SetDeadline(time.Now().Add(commandTimeout))
	r, err := c.read()
	if err != nil {
		return err
	}
	if len(r.tokens) == 0 || !isWord(r.tokens[0], "OK") {
		return fmt.Errorf("%s", r.raw)
	}
	return c.capability()
}

// capability asks for the capabilities, which may differ before and after login.
func (c *conn) capability() error {
	replies, err := c.must("CAPABILITY")
	for _, r := range replies {
		if rest, ok := strings.CutPrefix(strings.ToUpper(r.raw), "* CAPABILITY "); ok {
			c.caps = " " + rest + " "
		}
	}
	return err
}

func (c *conn) login(server Server) error {
	if _, err := c.must("LOGIN " + quote(server.User) + " " + quote(server.Password)); err != nil {
		return err
	}
	return c.capability()
}

func (c *conn) nextTag() string {
	c.tags++
	return fmt.Sprintf("a%d", c.tags)
}

// send writes a command; literal, when not nil, follows it as a synchronizing literal.
func (c *conn) send(tag, command string, literal []byte) error {
	c.SetDeadline(time.Now().Add(commandTimeout))
	if literal == nil {
		_, err := fmt.Fprintf(c, "%s %s\r\n", tag, command)
		return err
	}
	if _, err := fmt.Fprintf(c, "%s %s {%d}\r\n", tag, command, len(literal)); err != nil {
		return err
	}
	for {
		r, err := c.read()
		if err != nil {
			return err
		}
		if r.tag == "+" {
			break
		}
		if r.tag == tag {
			return fmt.Errorf("%s", r.raw)
		}
	}
	_, err := c.Write(append(bytes.Clone(literal), "\r\n"...))
	return err
}

// wait collects the untagged replies up to the tagged one.
func (c *conn) wait(tag string) (untagged []reply, tagged reply, err error) {
	for {
		r, err := c.read()
		if err != nil {
			return untagged, reply{}, err
		}
		switch r.tag {
		case "*":
			untagged = append(untagged, r)
		case tag:
			return untagged, r, nil
		default:
			return untagged, reply{}, fmt.Errorf("unexpected reply: %.200s", r.raw)
		}
	}
}

// must runs a command that has to succeed.
func (c *conn) must(command string) ([]reply, error) { return c.mustLiteral(command, nil) }

func (c *conn) mustLiteral(command string, literal []byte) ([]reply, error) {
	tag := c.nextTag()
	if err := c.send(tag, command, literal); err != nil {
		return nil, fmt.Errorf("%.80s: %w", command, err)
	}
	untagged, tagged, err := c.wait(tag)
	if err == nil && (len(tagged.tokens) == 0 || !isWord(tagged.tokens[0], "OK")) {
		err = errors.New(tagged.raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%.80s: %w", command, err)
	}
	return untagged, nil
}

// read gives the next reply.
func (c *conn) read() (reply, error) {
	var parts []part
	var raw strings.Builder
	for {
		line, err := c.line(maxReply - raw.Len())
		if err != nil {
			return reply{}, err
		}
		size, start, ok := literalSize(line)
		if !ok {
			raw.Write(line)
			parts = append(parts, part{line: string(line)})
			return newReply(parts, raw.String())
		}
		if size > maxReply-raw.Len() {
			return reply{}, fmt.Errorf("a literal of %d bytes", size)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(c.r, body); err != nil {
			return reply{}, err
		}
		literal := string(body)
		raw.Write(line)
		raw.WriteString(" " + literal)
		parts = append(parts, part{line: string(line[:start]), literal: &literal})
	}
}

func (c *conn) line(limit int) ([]byte, error) {
	var line []byte
	for {
		frag, err := c.r.ReadSlice('\n')
		line = append(line, frag...)
		if err == nil {
			return bytes.TrimRight(line, "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if len(line) > limit {
			return nil, errors.New("a line without end")
		}
	}
}

func newReply(parts []part, raw string) (reply, error) {
	r := reply{raw: raw}
	var rest string
	r.tag, rest, _ = strings.Cut(parts[0].line, " ")
	if r.tag == "+" {
		return r, nil
	}
	parts[0].line = rest
	var err error
	if r.tokens, err = tokens(parts); err != nil {
		return reply{}, fmt.Errorf("%.300s: %w", raw, err)
	}
	return r, nil
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
