package message

import (
	"fmt"
	"strconv"
	"strings"
)

// parseList reads one IMAP value in wire form: a list as []any, a string as string, NIL as nil, an atom as atom. It returns what follows.
func parseList(s string) (any, string, error) {
	switch {
	case s == "":
		return nil, "", fmt.Errorf("value missing")
	case s[0] == '(':
		list := []any{}
		s = s[1:]
		for {
			s = strings.TrimLeft(s, " ")
			if strings.HasPrefix(s, ")") {
				return list, s[1:], nil
			}
			v, rest, err := parseList(s)
			if err != nil {
				return nil, "", err
			}
			list, s = append(list, v), rest
		}
	case s[0] == '"':
		return parseQuoted(s[1:])
	case s[0] == '{' || strings.HasPrefix(s, "~{"):
		head, rest, ok := strings.Cut(s[strings.IndexByte(s, '{')+1:], "}\r\n")
		n, err := strconv.Atoi(head)
		if !ok || err != nil || n > len(rest) {
			return nil, "", fmt.Errorf("bad literal %.20q", s)
		}
		return rest[:n], rest[n:], nil
	}
	end := strings.IndexAny(s, " ()")
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return nil, "", fmt.Errorf("no value at %.20q", s)
	}
	if strings.EqualFold(s[:end], "NIL") {
		return nil, s[end:], nil
	}
	return atom(s[:end]), s[end:], nil
}

type atom string

func parseQuoted(s string) (any, string, error) {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return out.String(), s[i+1:], nil
		case '\\':
			i++
			if i == len(s) || s[i] != '"' && s[i] != '\\' {
				return nil, "", fmt.Errorf("bad escape in %.20q", s)
			}
			out.WriteByte(s[i])
		case '\r', '\n', 0:
			return nil, "", fmt.Errorf("control in quoted string %.20q", s)
		default:
			if c >= 0x80 {
				return nil, "", fmt.Errorf("8-bit in quoted string %.20q", s)
			}
			out.WriteByte(c)
		}
	}
	return nil, "", fmt.Errorf("quote not closed")
}

// mustList reads s as one value with nothing behind it.
func mustList(s string) (any, error) {
	v, rest, err := parseList(s)
	if err == nil && strings.TrimSpace(rest) != "" {
		err = fmt.Errorf("trailing %.40q", rest)
	}
	return v, err
}

// differences lists where two values differ, with the path to each place. Case does not count, as in imaptest.
func differences(path string, got, want any) []string {
	g, gl := got.([]any)
	w, wl := want.([]any)
	if gl && wl && len(g) == len(w) {
		var all []string
		for i := range g {
			all = append(all, differences(fmt.Sprintf("%s/%d", path, i), g[i], w[i])...)
		}
		return all
	}
	gs, gIs := got.(string)
	ws, wIs := want.(string)
	if gIs && wIs && strings.EqualFold(gs, ws) {
		return nil
	}
	if fmt.Sprintf("%q", got) == fmt.Sprintf("%q", want) {
		return nil
	}
	return []string{fmt.Sprintf("%s: got %.300q, want %.300q", path, got, want)}
}
