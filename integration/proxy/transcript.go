package proxy

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// Line is one line of an IMAP conversation.
type Line struct {
	Conn    int    // number of the connection, from 1
	Client  bool   // said by the client
	Text    string // without its line end; a literal's announcement stands at the end
	Literal int    // size in bytes of the literal that follows
	Data    string // its beginning
}

// String is the line as in a transcript: number of the connection, who speaks, text.
func (l Line) String() string {
	who := "S"
	if l.Client {
		who = "C"
	}
	return fmt.Sprintf("#%d %s: %s", l.Conn, who, l.Text)
}

// maxSample is how many bytes of a literal a transcript keeps.
const maxSample = 200

// Transcript keeps the lines of all connections of a proxy, without the bulk of their literals. Passwords are in it.
type Transcript struct {
	mu    sync.Mutex
	lines []Line
}

// Lines is what has been said so far.
func (t *Transcript) Lines() []Line {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Line(nil), t.lines...)
}

// String is the whole conversation in the order in which it passed, a line each.
func (t *Transcript) String() string {
	var b strings.Builder
	for _, l := range t.Lines() {
		b.WriteString(l.String() + "\n")
		if l.Literal > 0 {
			fmt.Fprintf(&b, "#%d    %q\n", l.Conn, l.Data)
		}
	}
	return b.String()
}

func (t *Transcript) add(l Line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, l)
}

// splitter cuts one direction of a connection into lines. It keeps up with a server that sends hundreds of megabytes, as it does not look into literals.
type splitter struct {
	to   *Transcript
	line Line   // what is known of the present one
	part []byte // of a line whose end has not come yet
	left int    // bytes of a literal still to come
}

// Write takes the next bytes; it never fails.
func (s *splitter) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if s.left > 0 {
			b = s.literal(b)
			continue
		}
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			s.part = append(s.part, b...)
			break
		}
		s.text(string(bytes.TrimSuffix(append(s.part, b[:i]...), []byte("\r"))))
		s.part, b = s.part[:0], b[i+1:]
	}
	return n, nil
}

func (s *splitter) literal(b []byte) []byte {
	n := min(s.left, len(b))
	s.line.Data += string(b[:min(n, maxSample-len(s.line.Data))])
	s.left -= n
	if s.left == 0 {
		s.to.add(s.line)
	}
	return b[n:]
}

func (s *splitter) text(text string) {
	s.line = Line{Conn: s.line.Conn, Client: s.line.Client, Text: text}
	if i := strings.LastIndexByte(text, '{'); i >= 0 && strings.HasSuffix(text, "}") {
		size, err := strconv.Atoi(strings.TrimRight(text[i+1:len(text)-1], "+-"))
		if err == nil && size > 0 {
			s.line.Literal, s.left = size, size
			return // said when the literal has passed
		}
	}
	s.to.add(s.line)
}
