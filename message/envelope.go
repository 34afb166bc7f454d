package message

import "bytes"

// The fields of an ENVELOPE in its order (RFC 9051 section 7.5.2).
const (
	envDate = iota
	envSubject
	envFrom
	envSender
	envReplyTo
	envTo
	envCc
	envBcc
	envInReplyTo
	envMessageID
	envFields
)

// envelopeIndex is the place of a field in the ENVELOPE, -1 for other fields.
func envelopeIndex(name []byte) int {
	if len(name) < 2 || len(name) > 11 {
		return -1
	}
	switch lower(name[0]) {
	case 'd':
		return indexIf(equalFoldASCII(name, "date"), envDate)
	case 's':
		if equalFoldASCII(name, "sender") {
			return envSender
		}
		return indexIf(equalFoldASCII(name, "subject"), envSubject)
	case 'f':
		return indexIf(equalFoldASCII(name, "from"), envFrom)
	case 'r':
		return indexIf(equalFoldASCII(name, "reply-to"), envReplyTo)
	case 't':
		return indexIf(equalFoldASCII(name, "to"), envTo)
	case 'c':
		return indexIf(equalFoldASCII(name, "cc"), envCc)
	case 'b':
		return indexIf(equalFoldASCII(name, "bcc"), envBcc)
	case 'i':
		return indexIf(equalFoldASCII(name, "in-reply-to"), envInReplyTo)
	case 'm':
		return indexIf(equalFoldASCII(name, "message-id"), envMessageID)
	}
	return -1
}

func indexIf(match bool, index int) int {
	if match {
		return index
	}
	return -1
}

// AppendEnvelope appends the ENVELOPE of a header block: a parenthesized list in wire form (RFC 9051 section 7.5.2). Values are as written, unfolded (in Subject
// a fold is one space), encoded words not decoded. Sender and Reply-To without an address are those of From.
//
// Several fields of one name: of Date, Subject, In-Reply-To and Message-ID the first counts; addresses of all are put together, so that no program that shows
// only one of them can hide another. An address without a domain has the host "", because NIL would make it the beginning of a group.
func AppendEnvelope(dst, header []byte) []byte {
	var values [envFields][]byte
	var more [envFields]bool
	for f := range Header(header).Fields() {
		if i := envelopeIndex(f.Name); i >= 0 && f.Value != nil {
			if values[i] == nil {
				values[i] = f.Value
			} else {
				more[i] = true
			}
		}
	}
	var p addressParser
	var from [2]int // where the list of From stands in dst
	dst = append(dst, '(')
	for i := range envFields {
		if i > 0 {
			dst = append(dst, ' ')
		}
		if i < envFrom || i > envBcc {
			dst = appendUnfolded(dst, values[i], i == envSubject)
			continue
		}
		start := len(dst)
		dst = p.appendList(dst, values[i])
		if more[i] {
			dst = p.appendRest(dst[:start], header, i)
		}
		if i == envFrom {
			from = [2]int{start, len(dst)}
		} else if i <= envReplyTo && string(dst[start:]) == "NIL" {
			dst = append(dst[:start], dst[from[0]:from[1]]...)
		}
	}
	return append(dst, ')')
}

// appendUnfolded appends a field value as one string, NIL when there is none.
func appendUnfolded(dst, value []byte, text bool) []byte {
	if value == nil {
		return append(dst, "NIL"...)
	}
	value = trimValue(value)
	if bytes.IndexByte(value, '\n') >= 0 {
		value = appendUnfolding(nil, value, text)
	}
	return AppendString(dst, value)
}

// appendList appends an address list in wire form, NIL when it is empty.
func (p *addressParser) appendList(dst, value []byte) []byte {
	return closeList(p.appendElements(append(dst, '('), value))
}

// appendRest appends the list of all fields with one place in the ENVELOPE.
func (p *addressParser) appendRest(dst, header []byte, index int) []byte {
	dst = append(dst, '(')
	for f := range Header(header).Fields() {
		if envelopeIndex(f.Name) == index {
			dst = p.appendElements(dst, f.Value)
		}
	}
	return closeList(dst)
}

// closeList ends the list begun with the last '(', or replaces it with NIL when nothing followed.
func closeList(dst []byte) []byte {
	if dst[len(dst)-1] == '(' {
		return append(dst[:len(dst)-1], "NIL"...)
	}
	return append(dst, ')')
}

func (p *addressParser) appendElements(dst, value []byte) []byte {
	p.b, p.i, p.inGroup = value, 0, false
	for p.next() {
		dst = p.appendElement(dst)
	}
	return dst
}

func (p *addressParser) appendElement(dst []byte) []byte {
	dst = append(dst, '(')
	dst = appendNString(dst, p.name)
	dst = append(dst, ' ')
	dst = appendNString(dst, p.route)
	dst = append(dst, ' ')
	if p.group == GroupEnd {
		return append(dst, "NIL NIL)"...)
	}
	dst = AppendString(dst, p.mailbox)
	dst = append(dst, ' ')
	if p.group == GroupStart {
		return append(dst, "NIL)"...)
	}
	return append(AppendString(dst, p.host), ')')
}
