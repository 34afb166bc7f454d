package imapd

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailkeep/message"
)

const (
	copyLimit  = 32 << 10  // the size up to which a piece of a message is copied into the response; larger ones are sent from the file
	wholeLimit = 128 << 10 // the same of whole messages, which are read right into the response
)

// sectionPlan is what is the same for a BODY[...] item in the responses of all messages.
type sectionPlan struct {
	name     []byte           // with the blank behind it
	whole    bool             // BODY[] without a partial
	fields   message.FieldSet // of BODY[HEADER.FIELDS (...)] of the message, when summaries know them all
	inFields bool
}

// planSection prepares a BODY[...] item, or an RFC822 one when obsolete names it.
func planSection(b *imap.FetchItemBodySection, obsolete string) sectionPlan {
	p := sectionPlan{name: []byte(strings.TrimSuffix(obsolete, ".PEEK"))} // the answer to RFC822.PEEK, which Outlook asks for, is RFC822 (RFC 1730 section 9)
	if obsolete == "" {
		p.name = appendSectionName(nil, b)
	}
	p.name = append(p.name, ' ')
	top := len(b.Part) == 0
	p.whole = top && b.Specifier == "" && b.Partial == nil
	if top && b.HeaderFields != nil && b.HeaderFieldsNot == nil {
		p.fields, p.inFields = message.NewFieldSet(b.HeaderFields)
	}
	return p
}

// section appends a BODY[...] item (RFC 9051 section 6.4.5.1).
func (f *fetcher) section(src *source, b *imap.FetchItemBodySection, p *sectionPlan) error {
	f.out = append(f.out, p.name...)
	switch {
	case p.whole && src.row.size <= wholeLimit && !src.begun:
		return f.wholeMessage(src.row)
	case p.inFields && f.summaryFields(src, b, p):
		return nil
	}
	start, end, ok, err := src.section(b.Part, string(b.Specifier))
	if err != nil {
		return err
	}
	if !ok {
		f.out = append(f.out, "NIL "...)
		return nil
	}
	if b.HeaderFields == nil && b.HeaderFieldsNot == nil {
		return f.fileRange(src, start, end, b.Partial)
	}
	header, err := src.bytes(start, end)
	if err != nil {
		return err
	}
	fields, not := b.HeaderFields, false
	if fields == nil {
		fields, not = b.HeaderFieldsNot, true
	}
	chosen := message.AppendHeaderFields(nil, header, fields, not)
	from, to := partial(b.Partial, 0, int64(len(chosen)))
	f.literal("", chosen[from:to])
	return nil
}

// wholeMessage appends a message as a literal, read into its place.
func (f *fetcher) wholeMessage(r *row) error {
	f.out = appendLiteralSize(f.out, "", r.size)
	start := len(f.out)
	var err error
	f.out, err = f.s.srv.reader.AppendMessage(f.out, r.ref, r.size)
	if err == nil && int64(len(f.out)-start) != r.size {
		err = fmt.Errorf("message %s: %w", r.ref, errDamaged)
	}
	f.out = append(f.out, ' ')
	return err
}

// summaryFields appends header fields as a literal from the message's summary. It returns false when that does not have them.
func (f *fetcher) summaryFields(src *source, b *imap.FetchItemBodySection, p *sectionPlan) bool {
	sum := src.summary()
	if sum == nil {
		return false
	}
	n, ok := sum.FieldsLen(p.fields)
	if !ok {
		return false
	}
	if b.Partial != nil {
		chosen, _ := sum.AppendFields(nil, p.fields)
		from, to := partial(b.Partial, 0, int64(n))
		f.literal("", chosen[from:to])
		return true
	}
	f.out = appendLiteralSize(f.out, "", int64(n))
	f.out, _ = sum.AppendFields(f.out, p.fields)
	f.out = append(f.out, ' ')
	return true
}

// fileRange appends a literal with the bytes [start,end) of the message, cut to a partial.
func (f *fetcher) fileRange(src *source, start, end int64, p *imap.SectionPartial) error {
	start, end = partial(p, start, end)
	if end-start > copyLimit {
		file, err := src.stream()
		if err != nil {
			return err
		}
		f.out = appendLiteralSize(f.out, "", end-start)
		f.pieces = append(f.pieces, piece{at: len(f.out), file: file, offset: start, n: end - start})
		f.out = append(f.out, ' ')
		return nil
	}
	data, err := src.bytes(start, end)
	if err != nil {
		return err
	}
	f.literal("", data)
	return nil
}

// literal appends data as a literal and a blank. Large data is not copied and must not change until it is sent.
func (f *fetcher) literal(prefix string, data []byte) {
	f.out = appendLiteralSize(f.out, prefix, int64(len(data)))
	if len(data) > copyLimit {
		f.pieces = append(f.pieces, piece{at: len(f.out), data: data})
		f.data += len(data)
	} else {
		f.out = append(f.out, data...)
	}
	f.out = append(f.out, ' ')
}

func appendLiteralSize(dst []byte, prefix string, n int64) []byte {
	dst = strconv.AppendInt(append(append(dst, prefix...), '{'), n, 10)
	return append(dst, "}\r\n"...)
}

// partial cuts [start,end) to <offset.size>.
func partial(p *imap.SectionPartial, start, end int64) (int64, int64) {
	if p == nil {
		return start, end
	}
	start += min(p.Offset, end-start)
	return start, start + min(p.Size, end-start)
}

// appendSectionName appends the name that the response gives a section: what was asked for, without PEEK and the partial's size.
func appendSectionName(dst []byte, b *imap.FetchItemBodySection) []byte {
	dst = appendPath(append(dst, "BODY["...), b.Part)
	if b.Specifier != "" {
		if len(b.Part) > 0 {
			dst = append(dst, '.')
		}
		dst = append(dst, b.Specifier...)
	}
	switch {
	case b.HeaderFields != nil:
		dst = appendFieldNames(append(dst, ".FIELDS "...), b.HeaderFields)
	case b.HeaderFieldsNot != nil:
		dst = appendFieldNames(append(dst, ".FIELDS.NOT "...), b.HeaderFieldsNot)
	}
	return appendOrigin(append(dst, ']'), b.Partial)
}

func appendPath(dst []byte, path []int) []byte {
	for i, n := range path {
		if i > 0 {
			dst = append(dst, '.')
		}
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return dst
}

func appendOrigin(dst []byte, p *imap.SectionPartial) []byte {
	if p == nil {
		return dst
	}
	return append(strconv.AppendInt(append(dst, '<'), p.Offset, 10), '>')
}

// appendFieldNames appends a header list with the names as the client wrote them, quoted only where they must be: some clients look for their own words.
func appendFieldNames(dst []byte, names []string) []byte {
	for i, name := range names {
		if i == 0 {
			dst = append(dst, '(')
		} else {
			dst = append(dst, ' ')
		}
		if name != "" && strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r) }) < 0 {
			dst = append(dst, name...)
		} else {
			dst = message.AppendString(dst, name)
		}
	}
	return append(dst, ')')
}

// binary appends a BINARY[...] item (RFC 3516): a part with its content transfer encoding removed. BINARY[] is the message as it is.
func (f *fetcher) binary(src *source, b *imap.FetchItemBinarySection) error {
	f.out = appendPath(append(f.out, "BINARY["...), b.Part)
	f.out = append(appendOrigin(append(f.out, ']'), b.Partial), ' ')
	if len(b.Part) == 0 && src.row.size > copyLimit {
		start, end := partial(b.Partial, 0, src.row.size)
		f.out = append(f.out, '~') // there may be a NUL
		return f.fileRange(src, start, end, nil)
	}
	data, ok, err := src.decoded(b.Part)
	if err != nil {
		return err
	}
	if !ok {
		f.out = append(f.out, "NIL "...)
		return nil
	}
	from, to := partial(b.Partial, 0, int64(len(data)))
	data = data[from:to]
	prefix := ""
	if bytes.IndexByte(data, 0) >= 0 {
		prefix = "~"
	}
	f.literal(prefix, data)
	return nil
}

// appendBinarySize appends a BINARY.SIZE[...] item: the size of what BINARY sends, 0 where there is no such part.
func (f *fetcher) appendBinarySize(dst []byte, src *source, b *imap.FetchItemBinarySectionSize) ([]byte, error) {
	size := src.row.size
	if len(b.Part) > 0 {
		data, _, err := src.decoded(b.Part)
		if err != nil {
			return dst, err
		}
		size = int64(len(data))
	}
	dst = append(appendPath(append(dst, "BINARY.SIZE["...), b.Part), "] "...)
	return append(strconv.AppendInt(dst, size, 10), ' '), nil
}
