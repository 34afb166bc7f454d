package gmailsim

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

// client is a raw connection that plays transcripts.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t, conn, bufio.NewReader(conn)}
}

// login dials, reads the greeting and logs in.
func login(t *testing.T, addr string) *client {
	t.Helper()
	c := dial(t, addr)
	c.read()
	c.ok(`a0 LOGIN user@example.com password`)
	return c
}

func (c *client) read() string {
	c.t.Helper()
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := c.conn.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// do sends one command and returns all lines up to the tagged one.
func (c *client) do(command string) []string {
	c.t.Helper()
	c.send(command + "\r\n")
	tag, _, _ := strings.Cut(command, " ")
	return c.until(tag)
}

func (c *client) until(tag string) []string {
	c.t.Helper()
	var lines []string
	for {
		line := c.read()
		lines = append(lines, line)
		if strings.HasPrefix(line, tag+" ") {
			return lines
		}
	}
}

func (c *client) ok(command string) []string {
	c.t.Helper()
	lines := c.do(command)
	tag, _, _ := strings.Cut(command, " ")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, tag+" OK") {
		c.t.Fatalf("%s: %s", command, last)
	}
	return lines
}

// play runs a transcript: "C: " lines are sent, each "S: " line must be the
// next one received. "S: ..." skips up to the following expected line.
func (c *client) play(script string) {
	c.t.Helper()
	skip := false
	for _, line := range strings.Split(script, "\n") {
		line = strings.TrimLeft(line, "\t ")
		switch {
		case strings.HasPrefix(line, "C: "):
			c.send(line[3:] + "\r\n")
		case line == "S: ...":
			skip = true
		case strings.HasPrefix(line, "S: "):
			want, got := line[3:], c.read()
			for skip && got != want {
				got = c.read()
			}
			skip = false
			if got != want {
				c.t.Fatalf("got  %s\nwant %s", got, want)
			}
		}
	}
}

// mail makes a small message.
func rfcMail(id, subject string) []byte {
	return []byte("Message-ID: <" + id + "@example.org>\r\nDate: Tue, 01 Sep 2026 10:00:00 +0000\r\n" +
		"From: Ann <ann@example.org>\r\nTo: Bob <bob@example.net>\r\nSubject: " + subject + "\r\n\r\nHello.\r\n")
}

func deliver(t *testing.T, s *Server, m Message) MsgID {
	t.Helper()
	id, err := s.Deliver(m)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
