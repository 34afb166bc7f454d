package main

import (
	"strings"
	"unicode"
)

// isBlankOrControl tells whether a character has no place in an address.
func isBlankOrControl(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// checkAddress tells what is wrong with a typed address; it need not be deliverable, only a login name with a domain.
func checkAddress(s string) error {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || domain == "" || strings.ContainsFunc(s, isBlankOrControl) || strings.Contains(domain, "@") {
		return usagef("%q is not an e-mail address; it looks like me@example.org", s)
	}
	return nil
}
