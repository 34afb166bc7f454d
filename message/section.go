package message

// Find returns the part with an IMAP part number, or nil when there is none. RFC 9051 section 6.4.5.1: a message that is not a multipart has one part, 1, its
// body; numbers below a message/rfc822 part count the parts of the message inside it. An empty path is p itself.
func (p *Part) Find(path []int) *Part {
	if len(path) == 0 {
		return p
	}
	cur := p.numbered(path[0])
	for _, n := range path[1:] {
		switch {
		case cur == nil:
			return nil
		case cur.Multipart():
			cur = cur.numbered(n)
		case cur.Embedded != nil:
			cur = cur.Embedded.numbered(n)
		default:
			return nil
		}
	}
	return cur
}

// numbered is part n of p, where p is taken as a whole message.
func (p *Part) numbered(n int) *Part {
	switch {
	case p.Multipart() && n >= 1 && n <= len(p.Children):
		return p.Children[n-1]
	case !p.Multipart() && n == 1:
		return p
	}
	return nil
}

// Section returns the bytes that BODY[path.specifier] names, as offsets like those of [Part]; p must be the root. The specifier is one of "", "HEADER",
// "TEXT" and "MIME", upper case; HEADER.FIELDS starts from the range of HEADER, see [AppendHeaderFields]. ok is false when there is no such section:
// no such part, HEADER or TEXT of a part that is not a message, MIME of the whole message.
func (p *Part) Section(path []int, specifier string) (start, end int64, ok bool) {
	part := p.Find(path)
	if part == nil {
		return 0, 0, false
	}
	top := len(path) == 0
	msg := part.Embedded
	if top {
		msg = part
	}
	switch {
	case specifier == "" && top:
		return part.Start, part.End, true
	case specifier == "":
		return part.BodyStart, part.End, true
	case specifier == "MIME" && !top:
		return part.Start, part.BodyStart, true
	case specifier == "HEADER" && msg != nil:
		return msg.Start, msg.BodyStart, true
	case specifier == "TEXT" && msg != nil:
		return msg.BodyStart, msg.End, true
	}
	return 0, 0, false
}
