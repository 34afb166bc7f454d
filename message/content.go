package message

// header reads the header at start, fills in part, and returns where the body begins. ended says that a delimiter or the end of the message (then
// in p.found) came before the empty line, so that there is no body.
func (p *parser) header(part *Part, start int) (body int, ended bool) {
	pos := start
	seen := 0
	for {
		rest := p.b[pos:]
		if len(rest) == 0 {
			p.found = p.nextDelimiter(pos)
			return pos, true
		}
		if n := emptyLine(rest); n > 0 {
			return pos + n, false
		}
		if rest[0] == '-' && len(p.boundaries) > 0 {
			if d, ok := p.delimiterAt(pos); ok {
				p.found = d
				return pos, true
			}
		}
		n := fieldLen(rest)
		if n > len(contentPrefix) && rest[7] == '-' && equalFoldASCII(rest[:8], contentPrefix) {
			seen = part.contentField(splitField(rest[:n]), seen)
		}
		pos += n
	}
}

const contentPrefix = "content-"

// Bits of the Content-* fields seen so far: of fields that occur twice the first counts, as in Dovecot, whatever its value.
const (
	seenType = 1 << iota
	seenEncoding
	seenID
	seenDescription
	seenDisposition
	seenMD5
	seenLanguage
	seenLocation
)

// contentField takes over a Content-* field unless one like it is among seen, and returns seen with it.
func (p *Part) contentField(f Field, seen int) int {
	if f.Value == nil || len(f.Name) < len(contentPrefix) {
		return seen
	}
	bit := contentBit(f.Name[len(contentPrefix):])
	if bit&^seen == 0 {
		return seen
	}
	switch bit {
	case seenType:
		p.Type, p.Subtype, p.Params = parseMediaType(f.Value)
	case seenEncoding:
		l := lexer{b: f.Value}
		l.space()
		p.Encoding = intern(l.until(";("))
	case seenID:
		p.ID = f.Unfolded()
	case seenDescription:
		p.Description = unfoldText(f.Value)
	case seenDisposition:
		p.Disposition, p.DispositionParams = parseDisposition(f.Value)
	case seenMD5:
		p.MD5 = f.Unfolded()
	case seenLanguage:
		p.Language = parseLanguages(f.Value)
	case seenLocation:
		p.Location = f.Unfolded()
	}
	return seen | bit
}

// contentBit tells which field Content-NAME is; 0 for one that a Part does not hold.
func contentBit(name []byte) int {
	switch {
	case equalFoldASCII(name, "type"):
		return seenType
	case equalFoldASCII(name, "transfer-encoding"):
		return seenEncoding
	case equalFoldASCII(name, "id"):
		return seenID
	case equalFoldASCII(name, "description"):
		return seenDescription
	case equalFoldASCII(name, "disposition"):
		return seenDisposition
	case equalFoldASCII(name, "md5"):
		return seenMD5
	case equalFoldASCII(name, "language"):
		return seenLanguage
	case equalFoldASCII(name, "location"):
		return seenLocation
	}
	return 0
}

// parseLanguages reads the comma-separated tags of Content-Language (RFC 3282).
func parseLanguages(v []byte) []string {
	var tags []string
	for l := (lexer{b: v}); ; {
		l.space()
		if !l.more() {
			return tags
		}
		if tag := l.until(",("); len(tag) > 0 {
			tags = append(tags, string(tag))
		}
		l.accept(',')
	}
}

// intern returns b as a string, without allocating for what nearly every message says.
func intern(b []byte) string {
	switch string(b) {
	case "text":
		return "text"
	case "plain":
		return "plain"
	case "html":
		return "html"
	case "multipart":
		return "multipart"
	case "alternative":
		return "alternative"
	case "mixed":
		return "mixed"
	case "related":
		return "related"
	case "application":
		return "application"
	case "image":
		return "image"
	case "attachment":
		return "attachment"
	case "inline":
		return "inline"
	case "charset":
		return "charset"
	case "boundary":
		return "boundary"
	case "filename":
		return "filename"
	case "name":
		return "name"
	case "format":
		return "format"
	case "flowed":
		return "flowed"
	case "utf-8":
		return "utf-8"
	case "UTF-8":
		return "UTF-8"
	case "us-ascii":
		return "us-ascii"
	case "iso-8859-1":
		return "iso-8859-1"
	case "7bit":
		return "7bit"
	case "8bit":
		return "8bit"
	case "base64":
		return "base64"
	case "quoted-printable":
		return "quoted-printable"
	}
	return string(b)
}
