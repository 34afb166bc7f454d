package message

import "bytes"

// lexer reads the tokens that structured header fields consist of (RFC 5322 section 3.2) from a raw field value. Folding counts as white space. It
// never fails: a quote or parenthesis that is not closed ends with the value.
type lexer struct {
	b       []byte
	i       int
	comment []byte // content of the last comment skipped, unescaped; reused
	scratch []byte // reused by quoted
}

func (l *lexer) more() bool { return l.i < len(l.b) }

// peek is the next byte, 0 at the end.
func (l *lexer) peek() byte {
	if l.i < len(l.b) {
		return l.b[l.i]
	}
	return 0
}

// accept skips c if it comes next.
func (l *lexer) accept(c byte) bool {
	if l.i < len(l.b) && l.b[l.i] == c {
		l.i++
		return true
	}
	return false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// space skips white space and comments, and reports whether there were any.
func (l *lexer) space() bool {
	start := l.i
	for l.i < len(l.b) {
		switch c := l.b[l.i]; {
		case isSpace(c):
			l.i++
		case c == '(':
			l.skipComment()
		default:
			return l.i > start
		}
	}
	return l.i > start
}

// skipComment reads a comment, nested ones included, into l.comment.
func (l *lexer) skipComment() {
	l.comment = l.comment[:0]
	depth := 0
	for ; l.i < len(l.b); l.i++ {
		c := l.b[l.i]
		switch c {
		case '\r', '\n':
			continue
		case '(':
			depth++
			if depth == 1 {
				continue
			}
		case ')':
			depth--
			if depth == 0 {
				l.i++
				return
			}
		case '\\':
			if l.i+1 < len(l.b) {
				l.i++
				c = l.b[l.i]
			}
		}
		l.comment = append(l.comment, c)
	}
}

// quoted reads the quoted string that begins here; the result is valid until the next call.
func (l *lexer) quoted() []byte {
	l.i++
	end := bytes.IndexAny(l.b[l.i:], "\"\\\r\n")
	if end >= 0 && l.b[l.i+end] == '"' {
		s := l.b[l.i : l.i+end]
		l.i += end + 1
		return s
	}
	l.scratch = l.scratch[:0]
	for ; l.i < len(l.b); l.i++ {
		c := l.b[l.i]
		switch c {
		case '\r', '\n':
			continue
		case '"':
			l.i++
			return l.scratch
		case '\\':
			if l.i+1 < len(l.b) && l.b[l.i+1] != '\r' && l.b[l.i+1] != '\n' {
				l.i++
				c = l.b[l.i]
			}
		}
		l.scratch = append(l.scratch, c)
	}
	return l.scratch
}

// until reads up to a byte of stop, white space or the end.
func (l *lexer) until(stop string) []byte {
	start := l.i
	for l.i < len(l.b) && !isSpace(l.b[l.i]) && !contains(stop, l.b[l.i]) {
		l.i++
	}
	return l.b[start:l.i]
}

func contains(set string, c byte) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}
