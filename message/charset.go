package message

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

// toUTF8 converts b from a charset as named in a message. Bytes that mean nothing in it become U+FFFD. Where the charset is missing, unknown or
// plainly wrong (us-ascii with 8-bit bytes), b is ISO-2022-JP if it has its escapes, UTF-8 if it can be, else Windows-1252, which is what such mail nearly
// always is.
func toUTF8(charset string, b []byte) string {
	name := strings.ToLower(strings.Trim(charset, " \t\"'"))
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit":
		return guessUTF8(name, b)
	case "utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7":
		return decodeUTF7(b)
	}
	e := lookupCharset(name)
	if e == nil {
		return guessUTF8("", b)
	}
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return guessUTF8("", b)
	}
	return string(out)
}

func guessUTF8(name string, b []byte) string {
	switch {
	case bytes.Contains(b, []byte("\x1b$")): // Japanese mail from before MIME, and since
		if out, err := japanese.ISO2022JP.NewDecoder().Bytes(b); err == nil {
			return string(out)
		}
		return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	case utf8.Valid(b):
		return string(b)
	case name == "utf-8" || name == "utf8":
		return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	}
	out, err := charmap.Windows1252.NewDecoder().Bytes(b)
	if err != nil {
		return string(bytes.ToValidUTF8(b, []byte("\uFFFD")))
	}
	return string(out)
}

// charsetAliases are names that occur in mail and in no index.
var charsetAliases = map[string]string{
	"cp932": "shift_jis", "cp936": "gbk", "cp949": "euc-kr", "cp950": "big5", "gb_2312": "gbk", "x-gbk": "gbk", "ks_c_5601": "euc-kr",
	"latin-1": "iso-8859-1", "iso8859-1": "iso-8859-1", "cp-850": "ibm850", "cp850": "ibm850", "cp437": "ibm437", "win-1251": "windows-1251",
}

// lookupCharset knows the labels browsers accept first (they read gb2312 as the larger gbk, as mail programs do), then IANA's; nil for others.
func lookupCharset(name string) encoding.Encoding {
	if alias, ok := charsetAliases[name]; ok {
		name = alias
	}
	switch name {
	case "utf-16": // without a byte order mark RFC 2781 section 4.3 wants big-endian
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "hz-gb-2312", "iso-2022-cn", "iso-2022-kr": // refused by browsers
		return ianaCharset(name)
	}
	if e, err := htmlindex.Get(name); err == nil {
		return e
	}
	if e := ianaCharset(name); e != nil || !strings.Contains(name, "_") {
		return e
	}
	return lookupCharset(strings.ReplaceAll(name, "_", "-"))
}

func ianaCharset(name string) encoding.Encoding {
	e, err := ianaindex.MIME.Encoding(name)
	if err != nil {
		return nil
	}
	return e
}

// decodeUTF7 decodes RFC 2152; what is not in its form stays as it is.
func decodeUTF7(b []byte) string {
	var s strings.Builder
	for len(b) > 0 {
		i := bytes.IndexByte(b, '+')
		if i < 0 {
			break
		}
		s.WriteString(guessUTF8("", b[:i]))
		b = b[i+1:]
		n := 0
		for n < len(b) && base64Values[b[n]] < 64 {
			n++
		}
		switch {
		case n == 0 && len(b) > 0 && b[0] == '-':
			s.WriteByte('+')
		case n == 0:
			s.WriteByte('+')
			continue
		default:
			s.WriteString(utf16Base64(b[:n]))
		}
		b = b[n:]
		if len(b) > 0 && b[0] == '-' {
			b = b[1:]
		}
	}
	s.WriteString(guessUTF8("", b))
	return s.String()
}

func utf16Base64(digits []byte) string {
	wide := decodeBase64(digits)
	out, err := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder().Bytes(wide[:len(wide)&^1])
	if err != nil {
		return "\uFFFD"
	}
	return string(out)
}
