package message

import (
	"strings"
	"unicode"
)

// maxPreview is how many characters a preview has at most (RFC 8970 section 3.2).
const maxPreview = 200

// Preview returns the beginning of the text that a person would read in the message ([Part.PlainText]) as one line, without what cannot be seen (RFC 8970). "" when there is no text. b is
// what p was parsed from.
func (p *Part) Preview(b []byte) string { return previewOf(p.PlainText(b)) }

// previewOf returns the beginning of a text as one line.
func previewOf(text string) string {
	var b strings.Builder
	n := 0
	for word := range strings.FieldsSeq(text) {
		if n > 0 {
			b.WriteByte(' ')
			n++
		}
		for _, r := range word {
			if n >= maxPreview {
				return strings.TrimRight(b.String(), " ")
			}
			if unicode.IsPrint(r) || r == '\u200d' { // which joins characters
				b.WriteRune(r)
				n++
			}
		}
	}
	return strings.TrimRight(b.String(), " ")
}
