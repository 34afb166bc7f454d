package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ErrUnknownEncoding says that a part has a content transfer encoding nobody knows: an IMAP server answers BINARY with NO [UNKNOWN-CTE] (RFC 3516 section 4.3).
var ErrUnknownEncoding = errors.New("unknown content transfer encoding")

// Decode returns the body of p with its content transfer encoding removed, what BINARY[] sends (RFC 3516). b is what p was parsed from; the result shares its
// memory when there is nothing to decode. Damaged base64 and quoted-printable are decoded as far as they make sense. The only error is one that wraps
// [ErrUnknownEncoding].
func Decode(p *Part, b []byte) ([]byte, error) {
	if p.Multipart() {
		return p.Body(b), nil // RFC 2045 section 6.4: parts are encoded, not the whole
	}
	switch {
	case identity(p.Encoding):
		return p.Body(b), nil
	case p.encoded():
		return decodeBody(p.Encoding, p.Body(b)), nil
	}
	return nil, fmt.Errorf("decode %q: %w", p.Encoding, ErrUnknownEncoding)
}

func identity(encoding string) bool {
	return encoding == "" || strings.EqualFold(encoding, "7bit") || strings.EqualFold(encoding, "8bit") || strings.EqualFold(encoding, "binary")
}

// encoded reports whether the body of p is base64 or quoted-printable.
func (p *Part) encoded() bool {
	return strings.EqualFold(p.Encoding, "base64") || strings.EqualFold(p.Encoding, "quoted-printable")
}

// decodeBody removes the encodings that encoded knows; other bodies are returned as they are.
func decodeBody(encoding string, body []byte) []byte {
	switch {
	case strings.EqualFold(encoding, "base64"):
		return decodeBase64(body)
	case strings.EqualFold(encoding, "quoted-printable"):
		return decodeQuotedPrintable(body)
	}
	return body
}

// decodeBase64 decodes well-formed base64 at the library's speed. Everything else is forgiven: bytes outside the alphabet are skipped, after padding a new
// stream may begin, a missing end is made up.
func decodeBase64(body []byte) []byte {
	out := make([]byte, base64.StdEncoding.DecodedLen(len(body)))
	if n, err := base64.StdEncoding.Decode(out, body); err == nil {
		return out[:n]
	}
	out = out[:0]
	var group uint32
	have := 0
	for _, c := range body {
		v := base64Values[c]
		switch {
		case v < 64:
			group = group<<6 | uint32(v)
			have++
			if have == 4 {
				out = append(out, byte(group>>16), byte(group>>8), byte(group))
				group, have = 0, 0
			}
		case c == '=':
			out = appendPartial(out, group, have)
			group, have = 0, 0
		}
	}
	return appendPartial(out, group, have)
}

// appendPartial appends the whole bytes of a group of fewer than four base64 digits.
func appendPartial(out []byte, group uint32, have int) []byte {
	switch have {
	case 2:
		return append(out, byte(group>>4))
	case 3:
		return append(out, byte(group>>10), byte(group>>2))
	}
	return out
}

// base64Values maps a byte to its six bits, 255 for bytes outside the alphabet.
var base64Values = func() (values [256]byte) {
	for i := range values {
		values[i] = 255
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		values[c] = byte(i)
	}
	return values
}()

// decodeQuotedPrintable decodes RFC 2045 section 6.7 line by line: white space at the end of a line goes, "=" at the end joins it with the next, an "=" that
// begins no escape stays.
func decodeQuotedPrintable(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for len(body) > 0 {
		line, end := body, body[len(body):]
		if i := bytes.IndexByte(body, '\n'); i >= 0 {
			line, end = body[:i], body[i:i+1]
			if i > 0 && body[i-1] == '\r' {
				line, end = body[:i-1], body[i-1:i+1]
			}
		}
		body = body[len(line)+len(end):]
		line = bytes.TrimRight(line, " \t")
		soft := bytes.HasSuffix(line, []byte("="))
		if soft {
			line = line[:len(line)-1]
		}
		out = appendUnescaped(out, line)
		if !soft {
			out = append(out, end...)
		}
	}
	return out
}

// appendUnescaped appends s with =XX decoded.
func appendUnescaped(out, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, '=')
		if i < 0 {
			return append(out, s...)
		}
		out = append(out, s[:i]...)
		s = s[i:]
		if len(s) >= 3 {
			if hi, lo := unhex(s[1]), unhex(s[2]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				s = s[3:]
				continue
			}
		}
		out = append(out, '=')
		s = s[1:]
	}
}
