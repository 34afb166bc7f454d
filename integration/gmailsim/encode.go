package gmailsim

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	errMUTF7   = errors.New("invalid modified UTF-7")
	mutf7Coder = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)
)

// encodeMUTF7 writes s in modified UTF-7 (RFC 3501 section 5.1.3).
func encodeMUTF7(s string) string {
	var b strings.Builder
	var run []rune
	flush := func() {
		if len(run) == 0 {
			return
		}
		units := utf16.Encode(run)
		raw := make([]byte, 0, 2*len(units))
		for _, u := range units {
			raw = append(raw, byte(u>>8), byte(u))
		}
		b.WriteByte('&')
		b.WriteString(mutf7Coder.EncodeToString(raw))
		b.WriteByte('-')
		run = run[:0]
	}
	for _, r := range s {
		if r < 0x20 || r > 0x7e {
			run = append(run, r)
			continue
		}
		flush()
		if r == '&' {
			b.WriteString("&-")
		} else {
			b.WriteRune(r)
		}
	}
	flush()
	return b.String()
}

// decodeMUTF7 is strict: 8-bit bytes, an unfinished shift, unpaired
// surrogates and shifted printable ASCII are errors.
func decodeMUTF7(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c > 0x7e {
			return "", errMUTF7
		}
		if c != '&' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(s[i:], '-')
		if end < 0 {
			return "", errMUTF7
		}
		if end == 1 {
			b.WriteByte('&')
		} else if err := decodeShift(&b, s[i+1:i+end]); err != nil {
			return "", err
		}
		i += end
	}
	return b.String(), nil
}

func decodeShift(b *strings.Builder, coded string) error {
	raw, err := mutf7Coder.DecodeString(coded)
	if err != nil || len(raw)%2 != 0 || len(raw) == 0 {
		return errMUTF7
	}
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	for _, r := range utf16.Decode(units) {
		if r == utf8.RuneError || r >= 0x20 && r <= 0x7e {
			return errMUTF7
		}
		b.WriteRune(r)
	}
	return nil
}

// isAtom tells whether Gmail sends a label bare. Brackets are quoted by
// today's Gmail although the grammar would allow them.
func isAtom(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= 0x20 || c >= 0x7f || strings.IndexByte(`(){}%*"\[]`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// nstring writes s as NIL, a quoted string or, when bytes demand it, a literal.
func nstring(s string) string {
	if s == "" {
		return "NIL"
	}
	return imapString(s)
}

func imapString(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 || s[i] < 0x20 || s[i] == 0x7f {
			return "{" + strconv.Itoa(len(s)) + "}\r\n" + s
		}
	}
	return quote(s)
}

// mailboxWire writes a mailbox name: always quoted, modified UTF-7 unless the
// session enabled UTF8=ACCEPT.
func mailboxWire(name string, utf8Mode bool) string {
	if utf8Mode {
		return quote(name)
	}
	return quote(encodeMUTF7(name))
}

// labelWire writes a label as X-GM-LABELS shows it.
func labelWire(name string, utf8Mode bool) string {
	if !utf8Mode {
		name = encodeMUTF7(name)
	}
	if isAtom(name) {
		return name
	}
	return quote(name)
}
