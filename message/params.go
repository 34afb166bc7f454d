package message

import (
	"bytes"
	"strings"
)

// parseMediaType reads the value of a Content-Type field. One that does not begin with type/subtype is text/plain (RFC 2045 section 5.2); parameters are kept
// where it says at least text or nothing, and a multipart that does not say of which kind is mixed.
func parseMediaType(v []byte) (typ, subtype string, params []Param) {
	l := lexer{b: v}
	l.space()
	if l.peek() == '"' {
		inner := lexer{b: l.quoted()} // "application/pdf"; name=x
		typ, subtype = inner.mediaType()
	} else {
		typ, subtype = l.mediaType()
	}
	switch {
	case typ != "" && subtype != "":
		return typ, subtype, l.params()
	case strings.EqualFold(typ, "multipart"):
		return typ, "mixed", l.params()
	case typ == "" || strings.EqualFold(typ, "text"):
		return "text", "plain", l.params()
	}
	return "text", "plain", nil
}

// mediaType reads type/subtype; what is missing is empty.
func (l *lexer) mediaType() (typ, subtype string) {
	l.space()
	typ = intern(l.until("/;("))
	l.space()
	if l.accept('/') {
		l.space()
		subtype = intern(l.until(";("))
	}
	return typ, subtype
}

// parseDisposition reads the value of a Content-Disposition field.
func parseDisposition(v []byte) (string, []Param) {
	l := lexer{b: v}
	l.space()
	var d []byte
	if l.peek() == '"' {
		d = l.quoted()
	} else {
		d = l.until(";(")
	}
	return intern(d), l.params()
}

// params reads "; name=value ..." up to the end. Missing semicolons, quotes and values are forgiven.
func (l *lexer) params() []Param {
	var list []Param
	continued := false
	for {
		l.space()
		for l.accept(';') {
			l.space()
		}
		if !l.more() {
			break
		}
		name := l.until("=;(")
		l.space()
		if !l.accept('=') {
			if len(name) == 0 {
				l.i++ // a stray byte
			}
			continue
		}
		l.space()
		n := intern(name)
		continued = continued || strings.Contains(n, "*")
		list = append(list, Param{Name: n, Value: l.paramValue()})
	}
	if continued {
		list = joinContinued(list)
	}
	return list
}

// paramValue reads a value: quoted, a token, or words that should have been quoted (name=annual report.pdf).
func (l *lexer) paramValue() string {
	if l.peek() == '"' {
		return intern(l.quoted())
	}
	start, end := l.i, l.i
	for l.more() && l.peek() != ';' {
		if !isSpace(l.peek()) {
			l.i++
			end = l.i
			continue
		}
		for isSpace(l.peek()) {
			l.i++
		}
		if l.commentHere() || l.paramHere() {
			break
		}
	}
	value := l.b[start:end]
	if bytes.IndexByte(value, '\n') < 0 {
		return intern(value)
	}
	return unfold(value)
}

// commentHere reports whether a comment stands here that is not part of a name like "report (2).pdf".
func (l *lexer) commentHere() bool {
	if l.peek() != '(' {
		return false
	}
	const far = 200
	i := bytes.IndexByte(l.b[l.i:min(l.i+far, len(l.b))], ')')
	if i < 0 || l.i+i+1 == len(l.b) {
		return true
	}
	c := l.b[l.i+i+1]
	return isSpace(c) || c == ';'
}

// paramHere reports whether name= stands here: the next parameter, without the semicolon before it.
func (l *lexer) paramHere() bool {
	for i := l.i; i < len(l.b) && l.b[i] != ';' && !isSpace(l.b[i]); i++ {
		if l.b[i] == '=' {
			return true
		}
	}
	return false
}
