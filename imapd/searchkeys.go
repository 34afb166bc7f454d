package imapd

import (
	"bytes"
	"strconv"
	"strings"
)

// searchTranslator rewrites the keys of a SEARCH command that the library does not know, see extraKeys, and those that it loses: a size of 0 means "no such key" to it, and SMALLER is forgotten when a date
// or LARGER follows. NOT protects a key from being put together with others.
type searchTranslator struct {
	skip int // arguments of the last key that are still to come
}

// searchArguments is how many arguments a search key has; those without are not listed.
var searchArguments = map[string]int{
	"BCC": 1, "BEFORE": 1, "BODY": 1, "CC": 1, "CHARSET": 1, "FROM": 1, "HEADER": 2, "KEYWORD": 1, "ON": 1, "SENTBEFORE": 1, "SENTON": 1,
	"SENTSINCE": 1, "SINCE": 1, "SUBJECT": 1, "TEXT": 1, "TO": 1, "UID": 1, "UNKEYWORD": 1,
}

func (t *searchTranslator) translate(line []byte) []byte {
	out := make([]byte, 0, len(line)+32)
	for i := 0; i < len(line); {
		n := 1
		switch ch := line[i]; {
		case ch == '"':
			if n = quotedEnd(line[i:]); n < 0 {
				n = len(line) - i
			}
			t.argument()
			out = append(out, line[i:i+n]...)
		case ch == '{':
			n = len(line) - i // a literal, the rest of the line is its size
			t.argument()
			out = append(out, line[i:]...)
		case isKeyChar(ch):
			for i+n < len(line) && isKeyChar(line[i+n]) {
				n++
			}
			out, n = t.word(out, line[i:], n)
		default:
			out = append(out, ch)
		}
		i += n
	}
	return out
}

func isKeyChar(ch byte) bool { return ch > ' ' && strings.IndexByte(`(){"`, ch) < 0 }

func (t *searchTranslator) argument() {
	if t.skip > 0 {
		t.skip--
	}
}

// word appends the key of n bytes that rest begins with, and returns how many bytes of rest that used up.
func (t *searchTranslator) word(out, rest []byte, n int) ([]byte, int) {
	if t.skip > 0 {
		t.skip--
		return append(out, rest[:n]...), n
	}
	key := strings.ToUpper(string(rest[:n]))
	if _, ok := extraKeys[key]; ok {
		t.skip = 1
		if key == "MODSEQ" {
			n += entryLen(rest[n:])
		}
		return append(out, "HEADER "+extraKeyPrefix+key...), n
	}
	if key != "SMALLER" && key != "LARGER" {
		t.skip = searchArguments[key]
		return append(out, rest[:n]...), n
	}
	size, used := sizeAfter(rest[n:])
	switch {
	case used == 0:
		return append(out, rest[:n]...), n
	case size == 0 && key == "SMALLER":
		out = append(out, "NOT ALL"...)
	case size == 0:
		out = append(out, "NOT SMALLER 1"...)
	case key == "SMALLER":
		out = append(out, "NOT NOT "...)
		out = append(out, rest[:n+used]...)
	default:
		out = append(out, rest[:n+used]...)
	}
	return out, n + used
}

// entryLen is the length of the name and the type of a metadata item, which may stand before the number of MODSEQ (RFC 7162 section 3.1.5) and change nothing: mod-sequences are not kept for
// each flag.
func entryLen(b []byte) int {
	if !bytes.HasPrefix(b, []byte(` "/flags/`)) {
		return 0
	}
	name := 1 + quotedEnd(b[1:])
	for _, kind := range []string{" all", " priv", " shared"} {
		if end := name + len(kind); name > 0 && end <= len(b) && strings.EqualFold(string(b[name:end]), kind) {
			return end
		}
	}
	return 0
}

// sizeAfter parses a blank and a number, and returns their length; 0 when there is something else.
func sizeAfter(b []byte) (size int64, used int) {
	digits, ok := bytes.CutPrefix(b, []byte(" "))
	if !ok {
		return 0, 0
	}
	n := 0
	for n < len(digits) && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	size, err := strconv.ParseInt(string(digits[:n]), 10, 64)
	if err != nil {
		return 0, 0
	}
	return size, n + 1
}
