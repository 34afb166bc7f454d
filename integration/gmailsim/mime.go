package gmailsim

import (
	"bytes"
	"strings"
)

// header is a parsed header block; fields keep their order and raw bytes.
type header []field

type field struct {
	name  string
	value string // unfolded, trimmed
	raw   []byte // with line ends
}

func (h header) get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// headerLen is the length of a header block with its empty line. A message
// whose lines never include an empty one is all header.
func headerLen(body []byte) int {
	for i := 0; i < len(body); {
		nl := bytes.IndexByte(body[i:], '\n')
		if nl < 0 {
			return len(body)
		}
		line := body[i : i+nl]
		i += nl + 1
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return i
		}
	}
	return len(body)
}

func headerBlock(body []byte) []byte { return body[:headerLen(body)] }

func parseHeader(block []byte) header {
	var h header
	for len(block) > 0 {
		end := fieldEnd(block)
		raw := block[:end]
		block = block[end:]
		name, value, ok := bytes.Cut(raw, []byte(":"))
		if !ok {
			continue
		}
		h = append(h, field{string(bytes.TrimRight(name, " \t")), unfold(value), raw})
	}
	return h
}

// fieldEnd is the end of the first line and its continuations.
func fieldEnd(block []byte) int {
	for i := 0; ; {
		nl := bytes.IndexByte(block[i:], '\n')
		if nl < 0 {
			return len(block)
		}
		i += nl + 1
		if i >= len(block) || block[i] != ' ' && block[i] != '\t' {
			return i
		}
	}
}

func unfold(value []byte) string {
	s := strings.NewReplacer("\r\n", "", "\n", "").Replace(string(value))
	return strings.TrimSpace(s)
}

// mimePart is a node of the MIME tree; offsets are into the whole message.
type mimePart struct {
	head         header
	start        int // first byte of the header
	text         int // first byte of the body
	end          int // behind the body
	major, minor string
	params       []param
	children     []*mimePart // parts of a multipart, or the one inside message/rfc822
}

type param struct{ name, value string }

func (p *mimePart) param(name string) string {
	for _, q := range p.params {
		if strings.EqualFold(q.name, name) {
			return q.value
		}
	}
	return ""
}

// find numbers parts as RFC 3501 section 6.4.5 does: a message that is not a
// multipart is its own part 1, and an embedded message lends its parts to the
// part that holds it.
func (p *mimePart) find(path []int) *mimePart {
	container, part := p, p
	for _, n := range path {
		switch {
		case container == nil:
			return nil
		case container.isMultipart():
			if n > len(container.children) {
				return nil
			}
			part = container.children[n-1]
		case n != 1:
			return nil
		default:
			part = container
		}
		switch {
		case part.isMultipart():
			container = part
		case len(part.children) == 1:
			container = part.children[0]
		default:
			container = nil
		}
	}
	return part
}

func (p *mimePart) isMultipart() bool {
	return strings.EqualFold(p.major, "multipart") && len(p.children) > 0
}

const maxDepth = 50

// parseMIME builds the tree of body[start:end].
func parseMIME(body []byte, start, end, depth int, fallback string) *mimePart {
	text := start + headerLen(body[start:end])
	p := &mimePart{head: parseHeader(body[start:text]), start: start, text: text, end: end}
	value, params := splitParams(p.head.get("Content-Type"))
	major, minor, ok := strings.Cut(value, "/")
	if !ok || major == "" || minor == "" {
		major, minor, _ = strings.Cut(fallback, "/")
		params = nil
	}
	p.major, p.minor, p.params = strings.TrimSpace(major), strings.TrimSpace(minor), params
	if depth >= maxDepth {
		return p
	}
	switch {
	case strings.EqualFold(p.major, "multipart") && p.param("boundary") != "":
		p.split(body, depth)
	case p.is("message", "rfc822") && plainEncoding(p.head):
		p.children = []*mimePart{parseMIME(body, text, end, depth+1, "text/plain")}
	}
	return p
}

func (p *mimePart) is(major, minor string) bool {
	return strings.EqualFold(p.major, major) && strings.EqualFold(p.minor, minor)
}

// plainEncoding tells whether an embedded message can be looked into.
func plainEncoding(h header) bool {
	switch strings.ToLower(h.get("Content-Transfer-Encoding")) {
	case "base64", "quoted-printable":
		return false
	}
	return true
}

// split cuts a multipart at its boundary lines (RFC 2046 section 5.1.1).
func (p *mimePart) split(body []byte, depth int) {
	fallback := "text/plain"
	if strings.EqualFold(p.minor, "digest") {
		fallback = "message/rfc822"
	}
	mark := []byte("--" + p.param("boundary"))
	partStart := -1
	add := func(end int) {
		if partStart < 0 {
			return
		}
		if end > partStart && body[end-1] == '\n' {
			end--
		}
		if end > partStart && body[end-1] == '\r' {
			end--
		}
		p.children = append(p.children, parseMIME(body, partStart, end, depth+1, fallback))
	}
	for i := p.text; i < p.end; {
		next := p.end
		if nl := bytes.IndexByte(body[i:p.end], '\n'); nl >= 0 {
			next = i + nl + 1
		}
		if line := body[i:next]; bytes.HasPrefix(line, mark) {
			rest := bytes.TrimRight(line[len(mark):], " \t\r\n")
			if len(rest) == 0 || bytes.Equal(rest, []byte("--")) {
				add(i)
				if len(rest) > 0 {
					return
				}
				partStart = next
			}
		}
		i = next
	}
	add(p.end)
}

// splitParams parses "type/sub; name=value; name="quoted value"".
func splitParams(s string) (string, []param) {
	value, rest, _ := strings.Cut(s, ";")
	var params []param
	for rest != "" {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		after = strings.TrimLeft(after, " \t")
		var v string
		if strings.HasPrefix(after, `"`) {
			v, after = unquote(after[1:])
			_, rest, _ = strings.Cut(after, ";")
		} else {
			v, rest, _ = strings.Cut(after, ";")
			v = strings.TrimSpace(v)
		}
		if name = strings.TrimSpace(name); name != "" {
			params = append(params, param{name, v})
		}
	}
	return strings.TrimSpace(value), params
}

func unquote(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}
