package message

import (
	"encoding/binary"
	"slices"
)

// summaryEncodings are the content transfer encodings that the tree of a summary names by their place; others are spelled out.
var summaryEncodings = []string{"", "7bit", "8bit", "quoted-printable", "base64", "binary", "7BIT", "8BIT", "BASE64", "Quoted-Printable"}

// The first byte of a part in a tree: the place in summaryEncodings, or otherEncoding, and what is below.
const (
	otherEncoding = 0x0f
	treeEmbedded  = 0x10
	treeChildren  = 0x20
)

// appendTree appends the tree below p: for each part, before those below it, the first byte; otherEncoding with its length; the distances from the end of what
// stands before it (from) to its Start, to its BodyStart, to its End; and the number of its children.
func appendTree(dst []byte, p *Part, from int64) []byte {
	encoding := slices.Index(summaryEncodings, p.Encoding)
	first := byte(otherEncoding)
	if encoding >= 0 {
		first = byte(encoding)
	}
	if p.Embedded != nil {
		first |= treeEmbedded
	}
	if p.Multipart() {
		first |= treeChildren
	}
	dst = append(dst, first)
	if encoding < 0 {
		dst = binary.AppendUvarint(dst, uint64(len(p.Encoding)))
		dst = append(dst, p.Encoding...)
	}
	dst = binary.AppendUvarint(dst, uint64(p.Start-from))
	dst = binary.AppendUvarint(dst, uint64(p.BodyStart-p.Start))
	dst = binary.AppendUvarint(dst, uint64(p.End-p.BodyStart))
	from = p.BodyStart
	if p.Embedded != nil {
		return appendTree(dst, p.Embedded, from)
	}
	if !p.Multipart() {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.Children)))
	for _, c := range p.Children {
		dst = appendTree(dst, c, from)
		from = c.End
	}
	return dst
}

// Root returns the message's part tree, or nil when the message has to be parsed for it. [Part.Section], [Part.Find], [Part.Header], [Part.Body] and [Decode] work as after
// [Parse]; of the rest of a Part only Encoding is there.
func (s *Summary) Root() *Part {
	if s.flags&summaryNoTree != 0 {
		return nil
	}
	r := treeReader{summaryReader{rest: s.tree}, s.size, len(s.tree) / treeLeast}
	root := new(Part)
	r.part(root, 0, 0)
	if r.failed || len(r.rest) > 0 {
		return nil
	}
	return root
}

// treeReader reads what appendTree wrote.
type treeReader struct {
	summaryReader
	limit int64 // size of the message
	parts int   // how many there can be below the root
}

const treeLeast = 4 // bytes of a part

func (r *treeReader) part(p *Part, from int64, depth int) {
	first := r.byte()
	switch code := int(first & 0x0f); {
	case code < len(summaryEncodings):
		p.Encoding = summaryEncodings[code]
	case code == otherEncoding:
		p.Encoding = string(r.take(r.uvarint()))
	default:
		r.failed = true
	}
	p.Start = r.offset(from)
	p.BodyStart = r.offset(p.Start)
	p.End = r.offset(p.BodyStart)
	if r.failed {
		return
	}
	switch first &^ 0x0f {
	case 0:
	case treeEmbedded:
		r.below(1, depth)
		p.Embedded = new(Part)
		r.part(p.Embedded, p.BodyStart, depth+1)
	case treeChildren:
		n := r.below(r.uvarint(), depth)
		p.Children = make([]*Part, 0, n)
		children := make([]Part, n)
		from = p.BodyStart
		for i := range children {
			r.part(&children[i], from, depth+1)
			from = children[i].End
			p.Children = append(p.Children, &children[i])
		}
	default:
		r.failed = true
	}
}

// offset reads the distance from an offset to the next.
func (r *treeReader) offset(from int64) int64 {
	distance := r.length()
	if distance > r.limit-from {
		r.failed = true
		return from
	}
	return from + distance
}

// below checks that n parts can stand below one at depth, and returns n, or 0.
func (r *treeReader) below(n uint64, depth int) int {
	if n == 0 || n > uint64(r.parts) || depth > MaxDepth+1 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.parts -= int(n)
	return int(n)
}
