package message

import (
	"iter"
	"strings"
)

// maxEncoded is how many encoded messages may stand inside each other; each level holds another copy of what is left.
const maxEncoded = 4

// SearchTexts yields all text below p as SEARCH BODY should see it, decoded to UTF-8: every text part and delivery report; of HTML both the source and the
// visible text, so that a phrase is found across tags; of embedded messages also the header fields. The pieces are in no fixed number per part.
// SEARCH TEXT looks at [Part.SearchHeaders] as well. b is what p was parsed from.
func (p *Part) SearchTexts(b []byte) iter.Seq[string] {
	return func(yield func(string) bool) { p.eachText(b, maxEncoded, yield) }
}

func (p *Part) eachText(b []byte, depth int, yield func(string) bool) bool {
	switch {
	case p.Multipart():
		for _, c := range p.Children {
			if !c.eachText(b, depth, yield) {
				return false
			}
		}
		return true
	case p.Embedded != nil && p.encoded():
		if depth == 0 {
			return true
		}
		inner := decodeBody(p.Encoding, p.Body(b))
		return Parse(inner).eachWithHeader(inner, depth-1, yield)
	case p.Embedded != nil:
		return p.Embedded.eachWithHeader(b, depth, yield)
	case !p.readable():
		return true
	}
	text := p.DecodeText(b)
	if !yield(text) {
		return false
	}
	return !p.Is("text", "html") || yield(stripHTML(text))
}

// readable reports whether the leaf p holds text. What is left of message/* are reports such as message/delivery-status.
func (p *Part) readable() bool { return p.Is("text", "") || p.Is("message", "") }

func (p *Part) eachWithHeader(b []byte, depth int, yield func(string) bool) bool {
	return yield(p.Header(b).searchText()) && p.eachText(b, depth, yield)
}

// SearchHeaders yields the header of p and of every part below it that has one, decoded to UTF-8, one field a line. b is what p was parsed from.
func (p *Part) SearchHeaders(b []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		p.Walk(func(part *Part) bool {
			text := part.Header(b).searchText()
			return text == "" || yield(text)
		})
	}
}

// searchText is the decoded text of all fields, one a line.
func (h Header) searchText() string {
	var s strings.Builder
	for f := range h.Fields() {
		s.WriteString(toUTF8("", f.Name))
		if f.Value != nil {
			s.WriteString(": ")
			s.WriteString(f.Text())
		}
		s.WriteByte('\n')
	}
	return s.String()
}

// DecodeText returns the body of a text part as UTF-8, its transfer encoding and charset removed. A part with an unknown transfer encoding is read as it is. b is
// what p was parsed from.
func (p *Part) DecodeText(b []byte) string {
	return toUTF8(ParamValue(p.Params, "charset"), decodeBody(p.Encoding, p.Body(b)))
}

// PlainText returns the text of p for people and for a word index: its text parts in order, HTML as visible text, where it is one of several alternatives
// only when there is no plain text beside it. Attached files are left out, messages that were forwarded as attachments are not. b is what p was parsed from.
func (p *Part) PlainText(b []byte) string {
	var s strings.Builder
	p.plainText(&s, b, maxEncoded)
	return s.String()
}

func (p *Part) plainText(s *strings.Builder, b []byte, depth int) {
	switch {
	case p.Is("multipart", "alternative"):
		p.alternative().plainText(s, b, depth)
	case p.Multipart():
		for _, c := range p.Children {
			c.plainText(s, b, depth)
		}
	case p.Embedded != nil && p.encoded():
		if depth > 0 {
			inner := decodeBody(p.Encoding, p.Body(b))
			Parse(inner).plainText(s, inner, depth-1)
		}
	case p.Embedded != nil:
		p.Embedded.plainText(s, b, depth)
	case p.readable() && !strings.EqualFold(p.Disposition, "attachment"):
		text := p.DecodeText(b)
		if p.Is("text", "html") {
			text = stripHTML(text)
		}
		s.WriteString(text)
		if !strings.HasSuffix(text, "\n") {
			s.WriteByte('\n')
		}
	}
}

// alternative is the part of a multipart/alternative to read as text: the first that says it is plain, else the last that holds any text, else the last.
func (p *Part) alternative() *Part {
	best := p.Children[len(p.Children)-1]
	for _, c := range p.Children {
		switch {
		case c.Is("text", "plain"):
			return c
		case c.Is("text", "") || c.Multipart():
			best = c
		}
	}
	return best
}

// Filename returns the decoded name under which p was attached, from Content-Disposition or else Content-Type, or "". It is what the sender wrote and may hold
// anything: path separators, control characters, nothing but dots.
func (p *Part) Filename() string {
	if name := ParamValue(p.DispositionParams, "filename"); name != "" {
		return name
	}
	return ParamValue(p.Params, "name")
}
