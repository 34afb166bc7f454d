package message

import (
	"bytes"
	"iter"
)

// Header is a header block: the raw bytes of its fields, with or without the empty line that ends it.
type Header []byte

// Field is one header field. The slices share the memory of the Header it comes from.
type Field struct {
	Raw   []byte // all its bytes: name, folded lines, last line end
	Name  []byte // before the colon, without trailing white space; the whole line when there is no colon
	Value []byte // after the colon, folding and line end included; nil when there is no colon
}

// Is reports whether f is called name, in any case.
func (f Field) Is(name string) bool { return equalFoldASCII(f.Name, name) }

// Unfolded returns the value of f as one line: line ends removed, white space at both ends trimmed, bytes otherwise unchanged.
func (f Field) Unfolded() string { return unfold(f.Value) }

// Text returns the value of f as UTF-8 for people and for searching: unfolded, where a fold counts as one space, encoded words decoded (RFC 2047), bytes that
// are not UTF-8 read as Windows-1252.
func (f Field) Text() string { return DecodeWords(unfoldText(f.Value)) }

// Fields yields the fields in order. Lines without a colon are yielded too, with a nil Value; the empty line ends the sequence.
func (h Header) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for rest := []byte(h); len(rest) > 0; {
			n := fieldLen(rest)
			if n == 0 {
				return
			}
			if !yield(splitField(rest[:n])) {
				return
			}
			rest = rest[n:]
		}
	}
}

// First returns the first field called name, in any case.
func (h Header) First(name string) (Field, bool) {
	for f := range h.Fields() {
		if f.Is(name) {
			return f, true
		}
	}
	return Field{}, false
}

// Get returns the unfolded value of the first field called name, in any case, or "".
func (h Header) Get(name string) string {
	f, _ := h.First(name)
	return f.Unfolded()
}

// Text returns the decoded value ([Field.Text]) of the first field called name, in any case, or "".
func (h Header) Text(name string) string {
	f, ok := h.First(name)
	if !ok {
		return ""
	}
	return f.Text()
}

// Addresses returns the addresses of all fields called name, in any case, as if they were one list.
func (h Header) Addresses(name string) []Address {
	var list []Address
	for f := range h.Fields() {
		if f.Is(name) {
			list = appendAddresses(list, f.Value)
		}
	}
	return list
}

// fieldLen is the length of the field at the beginning of b with its folded lines and line end; 0 at the empty line.
func fieldLen(b []byte) int {
	if emptyLine(b) > 0 {
		return 0
	}
	for n := 0; ; {
		i := bytes.IndexByte(b[n:], '\n')
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || b[n] != ' ' && b[n] != '\t' {
			return n
		}
	}
}

// emptyLine is the length of the empty line at the beginning of b: 1, 2, or 0 when there is none.
func emptyLine(b []byte) int {
	switch {
	case len(b) > 0 && b[0] == '\n':
		return 1
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	}
	return 0
}

func splitField(raw []byte) Field {
	i := bytes.IndexByte(raw, ':')
	if i < 0 {
		return Field{Raw: raw, Name: bytes.TrimRight(raw, " \t\r\n")}
	}
	return Field{Raw: raw, Name: bytes.TrimRight(raw[:i], " \t"), Value: raw[i+1:]}
}

// unfold removes line ends (RFC 5322 section 2.2.3) and the white space around the value.
func unfold(v []byte) string {
	v = trimValue(v)
	if bytes.IndexByte(v, '\n') < 0 {
		return string(v)
	}
	return string(appendUnfolding(make([]byte, 0, len(v)), v, false))
}

// unfoldText is unfold for text: a line end and the white space after it become one space, because programs fold text at spaces and put anything there.
func unfoldText(v []byte) string {
	v = trimValue(v)
	if bytes.IndexByte(v, '\n') < 0 {
		return string(v)
	}
	return string(appendUnfolding(make([]byte, 0, len(v)), v, true))
}

func appendUnfolding(dst, v []byte, text bool) []byte {
	for i := bytes.IndexByte(v, '\n'); i >= 0; i = bytes.IndexByte(v, '\n') {
		dst = append(dst, bytes.TrimSuffix(v[:i], []byte("\r"))...)
		v = v[i+1:]
		if text {
			dst = append(dst, ' ')
			v = bytes.TrimLeft(v, " \t\r\n")
		}
	}
	return append(dst, v...)
}

// trimValue cuts white space off both ends.
func trimValue(v []byte) []byte {
	for len(v) > 0 && isSpace(v[0]) {
		v = v[1:]
	}
	for len(v) > 0 && isSpace(v[len(v)-1]) {
		v = v[:len(v)-1]
	}
	return v
}

func equalFoldASCII(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
