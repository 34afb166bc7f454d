package gmailsim

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

var errParse = errors.New("could not parse command")

// parser walks over one whole command. Literals stand in the buffer as they
// came: "{5}\r\nhello".
type parser struct {
	buf  []byte
	pos  int
	utf8 bool // quoted strings may hold UTF-8 (RFC 6855)
}

func (p *parser) eof() bool { return p.pos >= len(p.buf) }

func (p *parser) peek() byte {
	if p.eof() {
		return 0
	}
	return p.buf[p.pos]
}

// accept consumes c if it is next.
func (p *parser) accept(c byte) bool {
	if !p.eof() && p.buf[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) expect(c byte) error {
	if !p.accept(c) {
		return errParse
	}
	return nil
}

// word accepts the ASCII text w, in any case.
func (p *parser) word(w string) bool {
	if len(p.buf)-p.pos >= len(w) && strings.EqualFold(string(p.buf[p.pos:p.pos+len(w)]), w) {
		p.pos += len(w)
		return true
	}
	return false
}

func (p *parser) sp() error { return p.expect(' ') }

// end succeeds only at the end: Gmail refuses a trailing blank.
func (p *parser) end() error {
	if !p.eof() {
		return errParse
	}
	return nil
}

func atomChar(c byte) bool {
	return c > 0x20 && c < 0x7f && strings.IndexByte(`(){%*"\]`, c) < 0
}

func astringChar(c byte) bool { return atomChar(c) || c == ']' }

func (p *parser) run(ok func(byte) bool) string {
	start := p.pos
	for !p.eof() && ok(p.buf[p.pos]) {
		p.pos++
	}
	return string(p.buf[start:p.pos])
}

func (p *parser) atom() (string, error) {
	s := p.run(atomChar)
	if s == "" {
		return "", errParse
	}
	return s, nil
}

// astring reads an atom, a quoted string or a literal.
func (p *parser) astring() (string, error) {
	switch p.peek() {
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	}
	s := p.run(astringChar)
	if s == "" {
		return "", errParse
	}
	return s, nil
}

// text reads an astring that must be in the session's charset: 8-bit bytes
// need UTF8=ACCEPT, in literals as in quoted strings.
func (p *parser) text() (string, error) {
	s, err := p.astring()
	if err != nil {
		return "", err
	}
	if !p.utf8 && has8bit(s) {
		return "", errParse
	}
	return s, nil
}

func has8bit(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return true
		}
	}
	return false
}

func (p *parser) quoted() (string, error) {
	if err := p.expect('"'); err != nil {
		return "", err
	}
	var b []byte
	for !p.eof() {
		c := p.buf[p.pos]
		p.pos++
		switch {
		case c == '"':
			return string(b), nil
		case c == '\\':
			if n := p.peek(); n != '"' && n != '\\' {
				return "", errParse
			}
			c = p.buf[p.pos]
			p.pos++
		case c == '\r' || c == '\n' || c == 0, c >= 0x80 && !p.utf8:
			return "", errParse
		}
		b = append(b, c)
	}
	return "", errParse
}

func (p *parser) literal() (string, error) {
	b, err := p.literalBytes()
	return string(b), err
}

// literalBytes returns a sub-slice of the command's buffer.
func (p *parser) literalBytes() ([]byte, error) {
	if err := p.expect('{'); err != nil {
		return nil, err
	}
	n, err := p.number(31)
	if err != nil {
		return nil, err
	}
	p.accept('+')
	if !p.word("}\r\n") || uint64(len(p.buf)-p.pos) < n {
		return nil, errParse
	}
	b := p.buf[p.pos : p.pos+int(n)]
	p.pos += int(n)
	return b, nil
}

func (p *parser) number(bits int) (uint64, error) {
	n, err := strconv.ParseUint(p.run(func(c byte) bool { return c >= '0' && c <= '9' }), 10, bits)
	if err != nil {
		return 0, errParse
	}
	return n, nil
}

// flag reads a flag or a keyword.
func (p *parser) flag() (string, error) {
	back := p.accept('\\')
	s, err := p.atom()
	if back {
		s = `\` + s
	}
	return s, err
}

// list reads "(" item *(" " item) ")"; an empty list is allowed.
func (p *parser) list(item func() error) error {
	if err := p.expect('('); err != nil {
		return err
	}
	if p.accept(')') {
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if p.accept(')') {
			return nil
		}
		if err := p.sp(); err != nil {
			return err
		}
	}
}

func (p *parser) flagList() ([]string, error) {
	var flags []string
	err := p.list(func() error {
		f, err := p.flag()
		flags = append(flags, f)
		return err
	})
	return flags, err
}

// numRange is one element of a sequence set; 0 stands for "*".
type numRange struct{ lo, hi uint32 }

// numSet reads a sequence set (RFC 3501 section 9, sequence-set).
func (p *parser) numSet() ([]numRange, error) {
	var set []numRange
	for {
		lo, err := p.seqNumber()
		if err != nil {
			return nil, err
		}
		r := numRange{lo, lo}
		if p.accept(':') {
			if r.hi, err = p.seqNumber(); err != nil {
				return nil, err
			}
		}
		set = append(set, r)
		if !p.accept(',') {
			return set, nil
		}
	}
}

func (p *parser) seqNumber() (uint32, error) {
	if p.accept('*') {
		return 0, nil
	}
	n, err := p.number(32)
	if err != nil || n == 0 {
		return 0, errParse
	}
	return uint32(n), nil
}

// date reads a SEARCH date: "1-Feb-1994", bare or quoted.
func (p *parser) date() (time.Time, error) {
	s, err := p.astring()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse("_2-Jan-2006", s)
	if err != nil {
		if t, err = time.Parse("2-Jan-2006", s); err != nil {
			return time.Time{}, errParse
		}
	}
	return t, nil
}

// dateTime reads APPEND's quoted date-time.
func (p *parser) dateTime() (time.Time, error) {
	s, err := p.quoted()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse("_2-Jan-2006 15:04:05 -0700", s)
	if err != nil {
		return time.Time{}, errParse
	}
	return t, nil
}

// mailbox reads a mailbox name and decodes it to UTF-8.
func (p *parser) mailbox() (string, error) {
	s, err := p.text()
	if err != nil {
		return "", err
	}
	return p.decodeName(s)
}

func (p *parser) decodeName(s string) (string, error) {
	if p.utf8 {
		// A literal could smuggle line ends into a reply that quotes the name.
		if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return "", errParse
		}
		return s, nil
	}
	s, err := decodeMUTF7(s)
	if err != nil || strings.ContainsFunc(s, unicode.IsControl) {
		return "", errParse
	}
	return s, nil
}
