package message

import (
	"bytes"
	"strconv"
)

// AppendBody appends the BODY of p, the structure without extension data, in wire form (RFC 9051 section 7.5.2). b is what p was parsed from.
func (p *Part) AppendBody(dst []byte, b []byte) []byte { return p.appendStructure(dst, b, false) }

// AppendBodyStructure appends the BODYSTRUCTURE of p in wire form (RFC 9051 section 7.5.2). b is what p was parsed from. Parameters are as written, except that
// RFC 2231 continuations are joined.
func (p *Part) AppendBodyStructure(dst []byte, b []byte) []byte {
	return p.appendStructure(dst, b, true)
}

func (p *Part) appendStructure(dst, b []byte, extended bool) []byte {
	dst = append(dst, '(')
	if p.Multipart() {
		for _, c := range p.Children {
			dst = c.appendStructure(dst, b, extended)
		}
		dst = AppendString(append(dst, ' '), p.Subtype)
		if extended {
			dst = appendParams(append(dst, ' '), p.Params)
		}
	} else {
		dst = p.appendLeaf(dst, b, extended)
	}
	if extended {
		dst = p.appendExtension(dst)
	}
	return append(dst, ')')
}

// appendLeaf appends the fields of a part that is no multipart, up to its extension data.
func (p *Part) appendLeaf(dst, b []byte, extended bool) []byte {
	dst = AppendString(dst, p.Type)
	dst = AppendString(append(dst, ' '), p.Subtype)
	dst = appendParams(append(dst, ' '), p.Params)
	dst = appendNString(append(dst, ' '), p.ID)
	dst = appendNString(append(dst, ' '), p.Description)
	encoding := p.Encoding
	if encoding == "" {
		encoding = "7bit"
	}
	dst = AppendString(append(dst, ' '), encoding)
	dst = strconv.AppendInt(append(dst, ' '), p.End-p.BodyStart, 10)
	switch {
	case p.Embedded != nil:
		dst = AppendEnvelope(append(dst, ' '), p.embeddedHeader(b))
		dst = p.Embedded.appendStructure(append(dst, ' '), b, extended)
		dst = strconv.AppendInt(append(dst, ' '), p.Lines, 10)
	case p.Is("text", ""):
		dst = strconv.AppendInt(append(dst, ' '), p.Lines, 10)
	}
	if extended {
		dst = appendNString(append(dst, ' '), p.MD5)
	}
	return dst
}

// embeddedHeader is the header of the message inside p, decoded where p is encoded.
func (p *Part) embeddedHeader(b []byte) []byte {
	if !p.encoded() {
		return p.Embedded.Header(b)
	}
	// The beginning is enough for all that an envelope shows, and bounds the work of asking for it.
	body := p.Body(b)
	decoded := decodeBody(p.Encoding, body[:min(len(body), 64<<10)])
	if i := bytes.Index(decoded, []byte("\n\r\n")); i >= 0 {
		return decoded[:i+1]
	}
	if i := bytes.Index(decoded, []byte("\n\n")); i >= 0 {
		return decoded[:i+1]
	}
	return decoded
}

// appendExtension appends the extension data that all parts have in common: disposition, language, location.
func (p *Part) appendExtension(dst []byte) []byte {
	if p.Disposition == "" {
		dst = append(dst, " NIL"...)
	} else {
		dst = AppendString(append(dst, " ("...), p.Disposition)
		dst = append(appendParams(append(dst, ' '), p.DispositionParams), ')')
	}
	if len(p.Language) == 0 {
		dst = append(dst, " NIL"...)
	} else {
		dst = append(dst, " ("...)
		for i, tag := range p.Language {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = AppendString(dst, tag)
		}
		dst = append(dst, ')')
	}
	return appendNString(append(dst, ' '), p.Location)
}

// appendParams appends ("name" "value" ...), NIL when there are none.
func appendParams(dst []byte, params []Param) []byte {
	if len(params) == 0 {
		return append(dst, "NIL"...)
	}
	for i, p := range params {
		if i == 0 {
			dst = append(dst, '(')
		} else {
			dst = append(dst, ' ')
		}
		dst = AppendString(dst, p.Name)
		dst = AppendString(append(dst, ' '), p.Value)
	}
	return append(dst, ')')
}
