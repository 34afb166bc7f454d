package message

import "strings"

// Limits of the part tree. What lies beyond them is not lost: it stays part of the last entity that was still taken apart, as an opaque leaf.
const (
	MaxDepth = 100   // levels of multipart and message/rfc822 below the root
	MaxParts = 10000 // entities in one message
)

// Param is one parameter of a Content-Type or Content-Disposition field. Name and Value are as written, without quotes and comments;
// RFC 2231 forms (name*, name*0) stay undecoded, see [ParamValue].
type Param struct {
	Name, Value string
}

// Part is one MIME entity: the message itself, a part of a multipart, or the message inside a message/rfc822 part. Offsets are bytes from the
// beginning of the slice given to [Parse]; 0 <= Start <= BodyStart <= End <= len. The header is [Start,BodyStart) with its empty line, the body
// [BodyStart,End). The line end before a boundary belongs to the boundary, not to the body (RFC 2046 section 5.1.1).
// A Part keeps no reference to the message's bytes.
type Part struct {
	Start, BodyStart, End int64
	Lines                 int64 // LF bytes in the body

	Type, Subtype string  // as written; "text", "plain" when the field is missing or malformed; "message", "rfc822" by default in multipart/digest
	Params        []Param // of Content-Type

	ID, Description, MD5, Location string   // Content-ID etc.: unfolded values, encoded words not decoded, "" when absent
	Encoding                       string   // Content-Transfer-Encoding as written, "" when absent
	Disposition                    string   // "attachment", "inline", ...: as written, "" when absent
	DispositionParams              []Param  // of Content-Disposition
	Language                       []string // Content-Language

	Children []*Part // parts of a multipart in order; never empty when Multipart is true, nil otherwise
	Embedded *Part   // the message inside a message/rfc822 or message/global part, else nil; of an encoded one a leaf without header that is its whole body
}

// Multipart reports whether p consists of parts.
func (p *Part) Multipart() bool { return len(p.Children) > 0 }

// Is reports whether the media type of p is typ/subtype, in any case. An empty subtype matches all.
func (p *Part) Is(typ, subtype string) bool {
	return strings.EqualFold(p.Type, typ) && (subtype == "" || strings.EqualFold(p.Subtype, subtype))
}

// Header returns the header block of p within b, the bytes p was parsed from. The result shares b's memory.
func (p *Part) Header(b []byte) Header { return Header(b[p.Start:p.BodyStart]) }

// Body returns the body of p within b, still encoded. The result shares b's memory.
func (p *Part) Body(b []byte) []byte { return b[p.BodyStart:p.End] }

// Param returns the first Content-Type parameter called name (in any case), or "".
func (p *Part) Param(name string) string {
	for i := range p.Params {
		if strings.EqualFold(p.Params[i].Name, name) {
			return p.Params[i].Value
		}
	}
	return ""
}

// Walk calls visit for p and every part below it in the order of their bytes, until visit returns false.
func (p *Part) Walk(visit func(*Part) bool) bool {
	if !visit(p) {
		return false
	}
	if p.Embedded != nil {
		return p.Embedded.Walk(visit)
	}
	for _, c := range p.Children {
		if !c.Walk(visit) {
			return false
		}
	}
	return true
}
