package wire

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7Encoding is the base64 of RFC 3501 section 5.1.3.
var utf7Encoding = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// decodeUTF7 decodes modified UTF-7 (RFC 3501 section 5.1.3). It takes raw UTF-8, and refuses everything else that
// has no single meaning: a lone &, encoded printable ASCII, two adjacent encoded runs, control characters.
func decodeUTF7(s string) (string, bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	var b strings.Builder
	shifted := false // the run before ended an encoded part
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return "", false
		}
		if s[i] != '&' {
			b.WriteByte(s[i])
			shifted = false
			continue
		}
		end := strings.IndexByte(s[i:], '-')
		if end < 0 {
			return "", false
		}
		if end == 1 {
			b.WriteByte('&')
			shifted = false
		} else {
			text, ok := decodeShifted(s[i+1 : i+end])
			if !ok || shifted {
				return "", false
			}
			b.WriteString(text)
			shifted = true
		}
		i += end
	}
	return b.String(), true
}

// decodeShifted decodes what stands between & and -.
func decodeShifted(s string) (string, bool) {
	raw, err := utf7Encoding.DecodeString(s)
	if err != nil || len(raw)%2 == 1 || strings.ContainsAny(s, "\r\n") {
		return "", false
	}
	units := make([]uint16, 0, len(raw)/2)
	for i := 0; i < len(raw); i += 2 {
		units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
	}
	var b strings.Builder
	for i := 0; i < len(units); i++ {
		c := rune(units[i])
		if utf16.IsSurrogate(c) {
			if i++; i == len(units) {
				return "", false
			}
			if c = utf16.DecodeRune(c, rune(units[i])); c == utf8.RuneError {
				return "", false
			}
		} else if 0x20 <= c && c < 0x7f {
			return "", false
		}
		b.WriteRune(c)
	}
	return b.String(), true
}

// encodeUTF7 encodes UTF-8 in modified UTF-7.
func encodeUTF7(s string) string {
	var b strings.Builder
	var run []byte // UTF-16, big endian
	flush := func() {
		if len(run) > 0 {
			b.WriteByte('&')
			b.WriteString(utf7Encoding.EncodeToString(run))
			b.WriteByte('-')
			run = run[:0]
		}
	}
	for _, c := range s {
		if 0x20 <= c && c < 0x7f {
			flush()
			b.WriteRune(c)
			if c == '&' {
				b.WriteByte('-')
			}
			continue
		}
		for _, u := range utf16.AppendRune(nil, c) {
			run = append(run, byte(u>>8), byte(u))
		}
	}
	flush()
	return b.String()
}

// escapeUTF7 is the form in which the client writes names once UTF-8 is enabled on the connection.
func escapeUTF7(s string) string { return strings.ReplaceAll(s, "&", "&-") }
