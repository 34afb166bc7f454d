package message

import (
	"bytes"
)

// Parse takes a message apart. It never returns nil; b is not kept. Any bytes are a message: without an empty line all of them are header.
func Parse(b []byte) *Part {
	p := parser{b: b}
	root := new(Part)
	p.entity(root, 0, 0, false)
	root.countLines(b)
	return root
}

// parser holds the one pass over a message. Recursion is at most MaxDepth deep.
type parser struct {
	b          []byte
	boundaries [][]byte  // "--" + boundary of the open multiparts, outermost first
	found      delimiter // what ended the entity read last; level -1 at the end of the message
	parts      int
}

// delimiter is a line that separates or ends the parts of an open multipart.
type delimiter struct {
	level      int // index in parser.boundaries, -1: the end of the message
	end        int // where the body before it ends: the line end before the line is not part of that body
	line, next int // offsets of the line and of what follows it
	final      bool
}

// entity reads the entity that begins at start and leaves in p.found what ended it.
func (p *parser) entity(part *Part, start, depth int, digest bool) {
	p.parts++
	if p.parts >= MaxParts {
		p.boundaries = nil // the last entity takes all that is left
	}
	part.Start = int64(start)
	part.Type, part.Subtype = "text", "plain"
	if digest {
		part.Type, part.Subtype = "message", "rfc822"
	}
	body, ended := p.header(part, start)
	part.BodyStart = int64(body)
	part.End = int64(body)
	opaque := depth >= MaxDepth || p.parts >= MaxParts
	switch {
	case ended:
	case opaque && (part.Is("multipart", "") || part.isMessage()):
		part.Type, part.Subtype, part.Params = "application", "octet-stream", nil
		p.leaf(part, body)
	case part.Is("multipart", ""):
		p.multipart(part, body, depth)
		part.End = int64(max(body, p.found.end))
		if n := len(part.Children); n > 0 {
			// The empty line of a part without a body is the line end before the boundary too; the part has it.
			part.End = max(part.End, part.Children[n-1].End)
		}
	case part.isMessage() && !part.encoded():
		part.Embedded = new(Part)
		p.entity(part.Embedded, body, depth+1, false)
		part.End = part.Embedded.End
	default:
		p.leaf(part, body)
	}
	p.complete(part)
}

// leaf reads a body that holds no entities.
func (p *parser) leaf(part *Part, body int) {
	p.found = p.nextDelimiter(body)
	part.End = int64(max(body, p.found.end))
}

// isMessage reports whether the body of p is a message.
func (p *Part) isMessage() bool { return p.Is("message", "rfc822") || p.Is("message", "global") }

// complete gives a multipart without any boundary line its only part, and a message/rfc822 that was not taken apart its message: the whole body as text. So it
// can be read and searched, and BODYSTRUCTURE has what its grammar wants. A message is not taken apart when it is encoded: RFC 2046 section 5.2.1
// forbids that, but it is sent, and offsets into bytes that have to be decoded first would mean nothing.
func (p *parser) complete(part *Part) {
	whole := &Part{Start: part.BodyStart, BodyStart: part.BodyStart, End: part.End, Type: "text", Subtype: "plain"}
	switch {
	case part.Is("multipart", "") && len(part.Children) == 0:
		part.Children = []*Part{whole}
	case part.isMessage() && part.Embedded == nil:
		whole.Encoding = part.Encoding
		part.Embedded = whole
	}
}

// multipart reads the parts of a multipart and its epilogue.
func (p *parser) multipart(part *Part, body, depth int) {
	boundary := bytes.TrimRight([]byte(part.Param("boundary")), " \t")
	if len(boundary) == 0 {
		p.found = p.nextDelimiter(body)
		return
	}
	level := len(p.boundaries)
	p.boundaries = append(p.boundaries, append([]byte("--"), boundary...))
	digest := part.Is("multipart", "digest")
	p.found = p.nextDelimiter(body)
	for p.found.level == level && !p.found.final && p.found.next < len(p.b) {
		child := new(Part)
		part.Children = append(part.Children, child)
		p.entity(child, p.found.next, depth+1, digest)
	}
	if p.boundaries == nil {
		return // MaxParts was reached below
	}
	p.boundaries = p.boundaries[:level]
	if p.found.level == level {
		p.found = p.nextDelimiter(p.found.next)
	}
}

// nextDelimiter finds the first delimiter line that begins at or after pos, the beginning of a line.
func (p *parser) nextDelimiter(pos int) delimiter {
	if len(p.boundaries) > 0 {
		if d, ok := p.delimiterAt(pos); ok {
			return d
		}
		for {
			i := bytes.Index(p.b[pos:], []byte("\n--"))
			if i < 0 {
				break
			}
			pos += i + 1
			if d, ok := p.delimiterAt(pos); ok {
				return d
			}
		}
	}
	n := len(p.b)
	return delimiter{level: -1, end: n, line: n, next: n}
}

// delimiterAt checks if the line at pos is a delimiter of an open multipart. When boundaries begin alike the longest that fits wins, among equal ones the
// innermost.
func (p *parser) delimiterAt(pos int) (delimiter, bool) {
	rest := p.b[pos:]
	if len(rest) < 2 || rest[0] != '-' || rest[1] != '-' {
		return delimiter{}, false
	}
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i+1]
	}
	best, longest, final := -1, 0, false
	for i := len(p.boundaries) - 1; i >= 0; i-- {
		boundary := p.boundaries[i]
		if len(boundary) <= longest || !bytes.HasPrefix(rest, boundary) {
			continue
		}
		if tail := rest[len(boundary):]; bytes.HasPrefix(tail, []byte("--")) {
			best, longest, final = i, len(boundary), true
		} else if len(bytes.TrimRight(tail, " \t\r\n")) == 0 {
			best, longest, final = i, len(boundary), false
		}
	}
	if best < 0 {
		return delimiter{}, false
	}
	return delimiter{level: best, end: p.beforeLineEnd(pos), line: pos, next: pos + len(rest), final: final}, true
}

// beforeLineEnd is pos without the line end before it.
func (p *parser) beforeLineEnd(pos int) int {
	if pos > 0 && p.b[pos-1] == '\n' {
		pos--
		if pos > 0 && p.b[pos-1] == '\r' {
			pos--
		}
	}
	return pos
}

// countLines sets Lines of p and all parts below from the bottom up, so that each byte is looked at once.
func (p *Part) countLines(b []byte) {
	pos, lines := p.BodyStart, 0
	count := func(c *Part) {
		c.countLines(b)
		lines += bytes.Count(b[pos:c.BodyStart], newline) + int(c.Lines)
		pos = c.End
	}
	if p.Embedded != nil {
		count(p.Embedded)
	}
	for _, c := range p.Children {
		count(c)
	}
	p.Lines = int64(lines + bytes.Count(b[pos:p.End], newline))
}

var newline = []byte("\n")
