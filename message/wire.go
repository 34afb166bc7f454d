package message

import (
	"bytes"
	"strconv"
)

// maxQuoted is the longest string sent in quotes; some clients read lines into fixed buffers.
const maxQuoted = 1024

// AppendString appends s as an IMAP string (RFC 9051 section 4.3): quoted when it is short 7-bit text, otherwise a literal of its bytes unchanged. NUL, which
// neither form may hold, is left out.
func AppendString[T ~string | ~[]byte](dst []byte, s T) []byte {
	quotable := len(s) <= maxQuoted
	special, nul := false, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == 0:
			nul = true
		case c >= 0x80 || c == '\r' || c == '\n':
			quotable = false
		case c == '"' || c == '\\':
			special = true
		}
	}
	if nul {
		return AppendString(dst, bytes.ReplaceAll([]byte(s), []byte{0}, nil))
	}
	if !quotable {
		dst = append(dst, '{')
		dst = strconv.AppendInt(dst, int64(len(s)), 10)
		dst = append(dst, "}\r\n"...)
		return append(dst, s...)
	}
	dst = append(dst, '"')
	if !special {
		dst = append(dst, s...)
		return append(dst, '"')
	}
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// appendNString appends s as an IMAP string, or NIL when it is empty.
func appendNString[T ~string | ~[]byte](dst []byte, s T) []byte {
	if len(s) == 0 {
		return append(dst, "NIL"...)
	}
	return AppendString(dst, s)
}
