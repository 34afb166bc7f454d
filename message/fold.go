package message

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Fold maps s so that two texts that differ only in case compare equal byte by byte, and a substring stays a substring: the i;unicode-casemap
// of RFC 5051, which IMAP SEARCH uses (RFC 5255), and beyond it the case of what characters decompose to. So "e" is found in "é", but "é" is not
// found in "e".
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return strings.ToUpper(norm.NFKD.String(strings.Map(unicode.ToTitle, s)))
		}
	}
	return strings.ToUpper(s)
}
