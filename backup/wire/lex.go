package wire

import (
	"bytes"
	"strconv"
)

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenBroken           // a string without end
	tokenOpen
	tokenClose
	tokenAtom
	tokenString // quoted or literal
)

type token struct {
	kind tokenKind
	text []byte // of an atom or string, decoded
}

// lexer cuts IMAP data, with its literals inside, into tokens. It is liberal: an atom is whatever stands between
// spaces, parentheses and quotes, since Gmail sends labels like [Mailbox] and +news as atoms.
type lexer struct {
	b []byte
	i int
}

func (l *lexer) rest() []byte { return l.b[l.i:] }

func (l *lexer) next() token {
	for l.i < len(l.b) && isBlank(l.b[l.i]) {
		l.i++
	}
	if l.i == len(l.b) {
		return token{kind: tokenEnd}
	}
	switch l.b[l.i] {
	case '(':
		l.i++
		return token{kind: tokenOpen}
	case ')':
		l.i++
		return token{kind: tokenClose}
	case '"':
		return l.quoted()
	case '{':
		if tok, ok := l.literal(); ok {
			return tok
		}
	}
	start := l.i
	for l.i < len(l.b) && !isBlank(l.b[l.i]) && bytes.IndexByte([]byte(`()"`), l.b[l.i]) < 0 {
		l.i++
	}
	return token{tokenAtom, l.b[start:l.i]}
}

func isBlank(c byte) bool { return c == ' ' || c == '\r' || c == '\n' }

func (l *lexer) quoted() token {
	var text []byte
	for i := l.i + 1; i < len(l.b); i++ {
		c := l.b[i]
		switch {
		case c == '"':
			l.i = i + 1
			return token{tokenString, text}
		case c == '\\' && i+1 < len(l.b):
			i++
			c = l.b[i]
		}
		text = append(text, c)
	}
	l.i = len(l.b)
	return token{kind: tokenBroken}
}

// literal reads {n} with its line end and n bytes. What does not look like one is no literal.
func (l *lexer) literal() (token, bool) {
	end := bytes.IndexByte(l.rest(), '}')
	if end < 0 {
		return token{}, false
	}
	digits := bytes.TrimSuffix(l.b[l.i+1:l.i+end], []byte("+"))
	after := l.i + end + 1
	after += leadingLineEnd(l.b[after:])
	size, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || !isNumber(digits) || after == l.i+end+1 {
		return token{}, false
	}
	if size > int64(len(l.b)-after) {
		l.i = len(l.b)
		return token{kind: tokenBroken}, true
	}
	l.i = after + int(size)
	return token{tokenString, l.b[after:l.i]}, true
}

func leadingLineEnd(b []byte) int {
	switch {
	case bytes.HasPrefix(b, []byte("\r\n")):
		return 2
	case bytes.HasPrefix(b, []byte("\n")):
		return 1
	}
	return 0
}
