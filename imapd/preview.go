package imapd

import (
	"strings"

	"mailkeep/message"
)

// This file is PREVIEW (RFC 8970).

// previewModifier notes the modifier LAZY in b, behind PREVIEW, and returns its length with the parentheses; 0 when there is none.
func (f *fetchScanner) previewModifier(b []byte) int {
	const lazy = " (LAZY)"
	if len(b) < len(lazy) || !strings.EqualFold(string(b[:len(lazy)]), lazy) {
		return 0
	}
	f.items.lazy = true
	return len(lazy)
}

// preview appends the beginning of the message's text. A client that wants no more than what is quick to have gets none of a large message: it will ask again for
// those that it shows.
func (f *fetcher) preview(dst []byte, src *source) ([]byte, error) {
	if f.items.lazy && src.row.size > headSize {
		return append(dst, "NIL"...), nil
	}
	data, err := src.load()
	if err != nil {
		return dst, err
	}
	text := message.Parse(data).Preview(data)
	if f.s.utf8() {
		return appendUTF8(dst, text), nil
	}
	return message.AppendString(dst, text), nil
}
