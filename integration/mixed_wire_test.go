package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// readResponse reads one response with the literals in it, without its last line end.
func readResponse(r *bufio.Reader) ([]byte, error) {
	var all []byte
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		all = append(all, line...)
		n, ok := literalSize(line)
		if !ok {
			return bytes.TrimSuffix(all, []byte("\r\n")), nil
		}
		start := len(all)
		all = append(all, make([]byte, n)...)
		if _, err := io.ReadFull(r, all[start:]); err != nil {
			return nil, err
		}
	}
}

// literalSize parses a literal's announcement at the end of a line.
func literalSize(line []byte) (int, bool) {
	line, ok := bytes.CutSuffix(line, []byte("}\r\n"))
	i := bytes.LastIndexByte(line, '{')
	if !ok || i < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(line[i+1:]), 10, 31)
	return int(n), err == nil
}

// fetchData are the items of a FETCH response by their names in upper case; strings without what quotes them, lists as they came.
type fetchData map[string][]byte

// parseFetch takes "(UID 5 FLAGS (\Seen) BODY[] {3}..." apart.
func parseFetch(b []byte) (fetchData, error) {
	p := &scanner{rest: b}
	if err := p.expect('('); err != nil {
		return nil, err
	}
	items := fetchData{}
	for {
		name, err := p.itemName()
		if err != nil {
			return nil, err
		}
		if err := p.expect(' '); err != nil {
			return nil, fmt.Errorf("after %s: %w", name, err)
		}
		value, err := p.value()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		items[name] = value
		if len(p.rest) > 0 && p.rest[0] == ')' {
			if len(p.rest) > 1 {
				return nil, fmt.Errorf("%q after the end", p.rest[1:])
			}
			return items, nil
		}
		if err := p.expect(' '); err != nil {
			return nil, fmt.Errorf("behind %s: %w", name, err)
		}
	}
}

// scanner takes tokens from the beginning of rest.
type scanner struct{ rest []byte }

func (p *scanner) expect(c byte) error {
	if len(p.rest) == 0 || p.rest[0] != c {
		return fmt.Errorf("%q is expected before %.60q", c, p.rest)
	}
	p.rest = p.rest[1:]
	return nil
}

// itemName takes a name such as BODY[HEADER.FIELDS (SUBJECT)]<0>.
func (p *scanner) itemName() (string, error) {
	depth := 0
	for i, c := range p.rest {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case depth == 0 && (c == ' ' || c == '(' || c == ')'):
			name := strings.ToUpper(string(p.rest[:i]))
			p.rest = p.rest[i:]
			if i == 0 {
				return "", fmt.Errorf("no name before %.60q", p.rest)
			}
			return name, nil
		}
	}
	return "", fmt.Errorf("%.60q does not end", p.rest)
}

// value takes an atom, a string or a list.
func (p *scanner) value() ([]byte, error) {
	if len(p.rest) == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	switch p.rest[0] {
	case '"':
		return p.quoted()
	case '{':
		return p.literal()
	case '(':
		return p.list()
	}
	i := bytes.IndexAny(p.rest, " ()")
	if i <= 0 {
		return nil, fmt.Errorf("no value in %.60q", p.rest)
	}
	atom := p.rest[:i]
	p.rest = p.rest[i:]
	return atom, nil
}

func (p *scanner) quoted() ([]byte, error) {
	var out []byte
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '\\':
			i++
			if i < len(p.rest) {
				out = append(out, p.rest[i])
			}
		case '"':
			p.rest = p.rest[i+1:]
			return out, nil
		case '\r', '\n':
			return nil, fmt.Errorf("a line end in the quoted string %.60q", p.rest)
		default:
			out = append(out, c)
		}
	}
	return nil, io.ErrUnexpectedEOF
}

func (p *scanner) literal() ([]byte, error) {
	end := bytes.Index(p.rest, []byte("\r\n"))
	if end < 0 {
		return nil, io.ErrUnexpectedEOF
	}
	n, ok := literalSize(p.rest[:end+2])
	if !ok || end+2+n > len(p.rest) {
		return nil, fmt.Errorf("bad literal %.60q", p.rest)
	}
	data := p.rest[end+2 : end+2+n]
	p.rest = p.rest[end+2+n:]
	return data, nil
}

func (p *scanner) list() ([]byte, error) {
	whole := p.rest
	p.rest = p.rest[1:]
	for {
		switch {
		case len(p.rest) == 0:
			return nil, io.ErrUnexpectedEOF
		case p.rest[0] == ')':
			p.rest = p.rest[1:]
			return whole[:len(whole)-len(p.rest)], nil
		case p.rest[0] == ' ':
			p.rest = p.rest[1:]
			continue
		}
		if _, err := p.value(); err != nil {
			return nil, err
		}
	}
}

// numberSet writes numbers, ascending, as a set.
func numberSet(numbers []uint32) string {
	var b strings.Builder
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", numbers[i])
		if j > i {
			fmt.Fprintf(&b, ":%d", numbers[j])
		}
		i = j + 1
	}
	return b.String()
}
