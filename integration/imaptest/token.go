package imaptest

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

type kind byte

const (
	word    kind = iota // an atom or number
	text                // a quoted string or literal
	nilWord             // NIL
	list                // (...) or, for response codes, [...]
)

// token is one element of a reply, or of the pattern for one.
type token struct {
	kind    kind
	s       string
	literal bool // a text that was written as a literal
	bracket bool // a list in brackets
	list    []token
}

func (t token) String() string {
	switch t.kind {
	case list:
		var parts []string
		for _, e := range t.list {
			parts = append(parts, e.String())
		}
		if t.bracket {
			return "[" + strings.Join(parts, " ") + "]"
		}
		return "(" + strings.Join(parts, " ") + ")"
	case text:
		return strconv.Quote(t.s)
	}
	return t.s
}

func isWord(t token, s string) bool { return t.kind == word && strings.EqualFold(t.s, s) }

// part is a piece of a reply as read: text, then the literal that ended it, if one did.
type part struct {
	line    string
	literal *string
}

// scanner turns the parts of one reply into tokens.
type scanner struct {
	parts []part
	at    int // in parts[0].line
	depth int
}

const maxDepth = 200

var errEnd = errors.New("end of reply")

// tokens parses a whole reply. Of a status reply (OK, NO, BAD, BYE, PREAUTH) only the response code is parsed.
func tokens(parts []part) ([]token, error) {
	s := &scanner{parts: parts}
	var out []token
	for {
		t, err := s.next(0)
		if errors.Is(err, errEnd) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		if len(out) == 1 && isStatus(t) {
			return s.status(out)
		}
	}
}

func isStatus(t token) bool {
	for _, s := range []string{"OK", "NO", "BAD", "BYE", "PREAUTH"} {
		if isWord(t, s) {
			return true
		}
	}
	return false
}

func (s *scanner) status(out []token) ([]token, error) {
	s.blanks()
	if s.peek() == '[' {
		t, err := s.next(0)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	s.blanks()
	if rest := s.rest(); rest != "" {
		out = append(out, token{kind: text, s: rest})
	}
	return out, nil
}

func (s *scanner) rest() string {
	if len(s.parts) == 0 {
		return ""
	}
	return s.parts[0].line[s.at:]
}

// peek gives the next byte, 0 at the end of the text before a literal.
func (s *scanner) peek() byte {
	if rest := s.rest(); rest != "" {
		return rest[0]
	}
	return 0
}

func (s *scanner) blanks() {
	for s.peek() == ' ' {
		s.at++
	}
}

// next gives the token at the scanner; closing is the bracket that ends the list around it, 0 outside of lists.
func (s *scanner) next(closing byte) (token, error) {
	s.blanks()
	switch c := s.peek(); {
	case c == 0:
		return s.atLiteral()
	case c == closing:
		return token{}, errEnd
	case c == '(':
		return s.inner(')')
	case c == '[':
		return s.inner(']')
	case c == '"':
		return s.quoted()
	case c == ')':
		return token{}, fmt.Errorf("unexpected %q at %q", c, s.rest())
	}
	return s.atom(closing)
}

func (s *scanner) atLiteral() (token, error) {
	if len(s.parts) == 0 || s.parts[0].literal == nil {
		return token{}, errEnd
	}
	t := token{kind: text, s: *s.parts[0].literal, literal: true}
	s.parts, s.at = s.parts[1:], 0
	return t, nil
}

func (s *scanner) inner(closing byte) (token, error) {
	if s.depth++; s.depth > maxDepth {
		return token{}, errors.New("lists nested too deep")
	}
	defer func() { s.depth-- }()
	s.at++
	t := token{kind: list, bracket: closing == ']'}
	for {
		e, err := s.next(closing)
		if errors.Is(err, errEnd) {
			if s.peek() != closing {
				return token{}, fmt.Errorf("a list is not closed by %q", closing)
			}
			s.at++
			return t, nil
		}
		if err != nil {
			return token{}, err
		}
		t.list = append(t.list, e)
	}
}

func (s *scanner) quoted() (token, error) {
	rest := s.rest()
	var b strings.Builder
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case '\\':
			if i++; i < len(rest) {
				b.WriteByte(rest[i])
			}
		case '"':
			s.at += i + 1
			return token{kind: text, s: b.String()}, nil
		default:
			b.WriteByte(rest[i])
		}
	}
	return token{}, fmt.Errorf("a quoted string is not closed at %q", rest)
}

// atom takes everything up to a blank or bracket; a section in brackets belongs to it, blanks and lists within included.
func (s *scanner) atom(closing byte) (token, error) {
	rest := s.rest()
	i := 0
	for i < len(rest) && !strings.ContainsRune(" ()\"", rune(rest[i])) && rest[i] != closing {
		if strings.HasPrefix(rest[i:], "${") {
			if end := strings.IndexByte(rest[i:], '}'); end > 0 {
				i += end
			}
		}
		if rest[i] == '[' && i > 0 {
			end := strings.IndexByte(rest[i:], ']')
			if end < 0 {
				return token{}, fmt.Errorf("a section is not closed at %q", rest)
			}
			i += end
		}
		i++
	}
	if i == 0 {
		return token{}, fmt.Errorf("unexpected %q", rest)
	}
	s.at += i
	a := rest[:i]
	if strings.EqualFold(a, "NIL") {
		return token{kind: nilWord, s: a}, nil
	}
	return token{kind: word, s: a}, nil
}

// literalSize reads {123} or {123+} at the end of a line; ok is false when the line does not end so.
func literalSize(line []byte) (size int, start int, ok bool) {
	if !bytes.HasSuffix(line, []byte("}")) {
		return 0, 0, false
	}
	start = bytes.LastIndexByte(line, '{')
	if start < 0 {
		return 0, 0, false
	}
	n, err := strconv.Atoi(strings.TrimSuffix(string(line[start+1:len(line)-1]), "+"))
	if err != nil || n < 0 {
		return 0, 0, false
	}
	if start > 0 && line[start-1] == '~' { // literal8, RFC 3516
		start--
	}
	return n, start, true
}
