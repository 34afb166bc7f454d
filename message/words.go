package message

import "strings"

// DecodeWords decodes the encoded words of an unfolded header value (RFC 2047) and returns valid UTF-8. It is forgiving: words may touch other text, stand in
// quotes, hold spaces or be longer than allowed; a character may be split over adjacent words of one charset. Raw 8-bit text
// is UTF-8, or Windows-1252 when it is not valid. What is not an encoded word stays as it is.
func DecodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return toUTF8("", []byte(s))
	}
	d := wordDecoder{}
	for len(s) > 0 {
		i := strings.Index(s, "=?")
		if i < 0 {
			break
		}
		if !strings.Contains(s[i+2:], "?=") {
			break
		}
		w, ok := parseWord(s[i:])
		if !ok {
			d.literal(s[:i+2])
			s = s[i+2:]
			continue
		}
		if !d.pending() || strings.Trim(s[:i], " \t\r\n") != "" {
			d.literal(s[:i])
		}
		d.word(w)
		s = s[i+w.length:]
	}
	d.literal(s)
	return d.out.String()
}

// encodedWord is =?charset*language?encoding?text?=.
type encodedWord struct {
	charset string
	base64  bool
	text    string
	length  int // of the whole word
}

// parseWord reads the encoded word at the beginning of s.
func parseWord(s string) (w encodedWord, ok bool) {
	charset, rest, ok := strings.Cut(s[2:], "?")
	if !ok || charset == "" || len(charset) > 60 || strings.ContainsAny(charset, " \t=") || len(rest) < 2 || rest[1] != '?' {
		return w, false
	}
	switch rest[0] {
	case 'b', 'B':
		w.base64 = true
	case 'q', 'Q':
	default:
		return w, false
	}
	text := rest[2:]
	end := strings.Index(text, "?=")
	if end < 0 {
		return w, false
	}
	// =?utf-8?q?=41?= : the "?=" that opens the text ends nothing when an escape follows it.
	if end == 0 && !w.base64 && len(text) > 3 && unhex(text[2]) >= 0 && unhex(text[3]) >= 0 && strings.Contains(text[2:], "?=") {
		end = 2 + strings.Index(text[2:], "?=")
	}
	w.text = text[:end]
	w.length = 2 + len(charset) + 1 + 2 + end + 2
	w.charset, _, _ = strings.Cut(charset, "*")
	return w, true
}

// wordDecoder joins the bytes of adjacent words of one charset before it decodes them.
type wordDecoder struct {
	out     strings.Builder
	charset string
	bytes   []byte
	open    bool
}

func (d *wordDecoder) pending() bool { return d.open }

func (d *wordDecoder) word(w encodedWord) {
	if d.open && !strings.EqualFold(d.charset, w.charset) {
		d.flush()
	}
	d.open, d.charset = true, w.charset
	if w.base64 {
		d.bytes = append(d.bytes, decodeBase64([]byte(w.text))...)
		return
	}
	d.bytes = appendUnescaped(d.bytes, []byte(strings.ReplaceAll(w.text, "_", " ")))
}

func (d *wordDecoder) literal(s string) {
	d.flush()
	if s != "" {
		d.out.WriteString(toUTF8("", []byte(s)))
	}
}

func (d *wordDecoder) flush() {
	if d.open {
		d.out.WriteString(toUTF8(d.charset, d.bytes))
		d.open, d.bytes = false, d.bytes[:0]
	}
}
