package dovecot

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
)

// EncodeName gives the modified UTF-7 form of a mailbox name (RFC 3501 section 5.1.3): its form in IMAP and, as a folder, in a Maildir.
func EncodeName(name string) string {
	var out strings.Builder
	var run []rune
	flush := func() {
		if len(run) == 0 {
			return
		}
		var be []byte
		for _, u := range utf16.Encode(run) {
			be = append(be, byte(u>>8), byte(u))
		}
		out.WriteString("&" + strings.ReplaceAll(base64.RawStdEncoding.EncodeToString(be), "/", ",") + "-")
		run = nil
	}
	for _, r := range name {
		switch {
		case r == '&':
			flush()
			out.WriteString("&-")
		case r >= 0x20 && r <= 0x7e:
			flush()
			out.WriteRune(r)
		default:
			run = append(run, r)
		}
	}
	flush()
	return out.String()
}
