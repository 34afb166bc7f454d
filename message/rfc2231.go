package message

import (
	"slices"
	"strconv"
	"strings"
)

// piece is one parameter of the form name*N or name*N* (RFC 2231 section 3).
type piece struct {
	number  int
	encoded bool
	param   Param
}

// joinContinued joins name*0, name*1, ... into one parameter, as RFC 2231 section 7 asks of IMAP servers: called name* when a piece is
// percent-encoded, else name. Pieces without a beginning stay as they are.
func joinContinued(list []Param) []Param {
	pieces := map[string][]piece{}
	for _, p := range list {
		if base, number, encoded := splitContinued(p.Name); number >= 0 {
			pieces[base] = append(pieces[base], piece{number, encoded, p})
		}
	}
	joined := list[:0]
	for _, p := range list {
		base, number, _ := splitContinued(p.Name)
		if number < 0 {
			joined = append(joined, p)
			continue
		}
		if of, ok := pieces[base]; ok {
			joined = appendJoined(joined, of)
			delete(pieces, base)
		}
	}
	return joined
}

// splitContinued takes "name*12*" apart; base is lower case, number -1 when name is none of this kind.
func splitContinued(name string) (base string, number int, encoded bool) {
	rest, encoded := strings.CutSuffix(name, "*")
	base, digits, found := strings.Cut(rest, "*")
	if !found || digits == "" || len(digits) > 9 {
		return "", -1, false
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return "", -1, false
	}
	return strings.ToLower(base), int(n), encoded
}

func appendJoined(list []Param, of []piece) []Param {
	slices.SortStableFunc(of, func(a, b piece) int { return a.number - b.number })
	if of[0].number != 0 {
		for _, p := range of {
			list = append(list, p.param)
		}
		return list
	}
	name, _, _ := strings.Cut(of[0].param.Name, "*")
	anyEncoded := slices.ContainsFunc(of, func(p piece) bool { return p.encoded })
	var value strings.Builder
	if anyEncoded {
		name += "*"
		if !of[0].encoded {
			value.WriteString("''")
		}
	}
	next := 0
	for _, p := range of {
		if p.number != next {
			continue // a repeated number, or one behind a gap
		}
		next++
		if anyEncoded && !p.encoded {
			escapePercent(&value, p.param.Value)
		} else {
			value.WriteString(p.param.Value)
		}
	}
	return append(list, Param{Name: name, Value: value.String()})
}

// escapePercent writes s with everything but the attribute-char of RFC 2231 percent-encoded.
func escapePercent(w *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c > ' ' && c < 0x7f && !contains("()<>@,;:\\\"/[]?=*'%", c) {
			w.WriteByte(c)
		} else {
			w.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
}

// ParamValue returns the parameter called name (in any case) for people: name* decoded by RFC 2231, else name with encoded words decoded, which RFC 2047
// forbids here and many programs write; "" when there is none.
func ParamValue(params []Param, name string) string {
	plain := ""
	for _, p := range params {
		base, star := strings.CutSuffix(p.Name, "*")
		if !strings.EqualFold(base, name) {
			continue
		}
		if star {
			return decodeExtended(p.Value)
		}
		if plain == "" {
			plain = DecodeWords(p.Value)
		}
	}
	return plain
}

// decodeExtended decodes charset'language'percent-encoded text.
func decodeExtended(v string) string {
	charset, rest, ok := strings.Cut(v, "'")
	if !ok {
		return toUTF8("", unescapePercent(v))
	}
	_, text, ok := strings.Cut(rest, "'")
	if !ok {
		charset, text = "", v
	}
	return toUTF8(charset, unescapePercent(text))
}

func unescapePercent(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

// unhex is the value of a hexadecimal digit, -1 for other bytes.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}
