package message

import "bytes"

// GroupMark tells the beginning and the end of a group from an address.
type GroupMark uint8

// The values of [Address.Group].
const (
	NoGroup    GroupMark = iota // an address
	GroupStart                  // Mailbox is the name of the group
	GroupEnd                    // all fields are empty
)

// Address is one element of an address list in the shape of an IMAP ENVELOPE. Its strings are as written, unquoted; encoded words are not decoded. A part that is
// missing is empty: an address without a domain has no Host.
type Address struct {
	Name    string // display name; else the comment behind the address
	Route   string // "@a,@b" of an obsolete route address
	Mailbox string // local part, or the name of a group
	Host    string
	Group   GroupMark
}

// ParseAddresses reads an address list (RFC 5322 section 3.4 with the obsolete forms), raw or unfolded. It never fails: what is not an address becomes one with
// the text as Mailbox and no Host, so that nothing a person could search for is lost.
func ParseAddresses(s string) []Address { return appendAddresses(nil, []byte(s)) }

func appendAddresses(list []Address, v []byte) []Address {
	p := addressParser{lexer: lexer{b: v}}
	for p.next() {
		list = append(list, Address{
			Name: string(p.name), Route: string(p.route), Mailbox: string(p.mailbox), Host: string(p.host), Group: p.group,
		})
	}
	return list
}

// addressParser yields the elements of one list. Its slices are valid until the following call of next.
type addressParser struct {
	lexer
	name, route, mailbox, host []byte
	group                      GroupMark
	inGroup                    bool
	before                     int // length of name before its last word, or words joined by dots
}

// next reads the next element and reports whether there is one.
func (p *addressParser) next() bool {
	p.name, p.route, p.mailbox, p.host = p.name[:0], p.route[:0], p.mailbox[:0], p.host[:0]
	p.group, p.comment = NoGroup, p.comment[:0]
	for {
		p.space()
		switch {
		case !p.more():
			if !p.inGroup {
				return false
			}
			p.inGroup, p.group = false, GroupEnd // the semicolon was forgotten
			return true
		case p.accept(','):
		case p.accept(';'):
			if p.inGroup {
				p.inGroup, p.group = false, GroupEnd
				return true
			}
		default:
			if p.element() {
				return true
			}
		}
	}
}

// element reads an address or the beginning of a group, and reports whether there was one and not a stray byte. Until the first special byte it cannot know
// whether it reads a display name or a local part.
func (p *addressParser) element() bool {
	p.words()
	if p.accept('@') {
		p.bare()
	} else if p.mailbox = p.mailbox[:0]; !p.other() {
		return false
	}
	if p.group == GroupStart {
		return true
	}
	p.space()
	p.nameFromComment()
	p.name = bytes.TrimSpace(p.name)
	if i := bytes.LastIndexByte(p.host, '@'); i >= 0 { // a@b@c: the last one counts
		p.mailbox = append(append(p.mailbox, '@'), p.host[:i]...)
		p.host = p.host[i+1:]
	}
	return true
}

// other reads what follows words that no '@' follows, and reports whether it makes an element.
func (p *addressParser) other() bool {
	switch {
	case p.accept('<'):
		p.nameFromComment()
		p.angle()
		p.comment = p.comment[:0] // one inside the brackets is no name
	case p.peek() == ':' && !p.inGroup && len(p.name) > 0:
		p.i++
		p.mailbox, p.name = append(p.mailbox, p.name...), p.name[:0]
		p.inGroup, p.group = true, GroupStart
	default:
		if p.peek() == ':' || p.peek() == '>' {
			p.i++
		}
		if len(p.name) == 0 {
			return false
		}
		if p.before == 0 { // one word is an address without a domain, several are a name without an address
			p.mailbox, p.name = append(p.mailbox, p.name...), p.name[:0]
		}
	}
	return true
}

// nameFromComment takes the last comment as display name if there is no other: user@example.com (A. User).
func (p *addressParser) nameFromComment() {
	if len(p.name) == 0 {
		p.name = append(p.name, bytes.TrimSpace(p.comment)...)
	}
}

// words reads atoms, dots and quoted strings up to a special byte: into name with single spaces between them, and into mailbox the last of them, or
// several joined by dots, without spaces.
func (p *addressParser) words() {
	p.before = 0
	for {
		spaced := p.space()
		if !p.more() || contains("<>,;:@", p.peek()) {
			return
		}
		var word []byte
		if p.peek() == '"' {
			word = p.quoted()
		} else {
			word = p.until("<>,;:@\"(")
		}
		if n := len(p.name); spaced && n > 0 {
			if p.name[n-1] != '.' && !bytes.HasPrefix(word, []byte(".")) {
				p.before = n
				p.mailbox = p.mailbox[:0]
			}
			p.name = append(p.name, ' ')
		}
		p.mailbox = append(p.mailbox, word...)
		start := len(p.name)
		p.name = append(p.name, word...)
		for i, c := range p.name[start:] {
			if c == '\t' {
				p.name[start+i] = ' ' // folded inside quotes
			}
		}
	}
}

// bare reads what follows "local@". A display name may stand before it, or be a copy of the address: both are written by programs that know no brackets
// or no quotes (Mary Smith mary@example.com; mary@example.com <mary@example.com>).
func (p *addressParser) bare() {
	p.domain(",;<>")
	if !p.accept('<') {
		p.name = p.name[:p.before]
		return
	}
	p.name = append(append(p.name, '@'), p.host...)
	p.mailbox, p.host = p.mailbox[:0], p.host[:0]
	p.angle()
}

// angle reads the inside of <...>, the closing bracket included.
func (p *addressParser) angle() {
	p.space()
	if c := p.peek(); c == '@' || c == ',' {
		p.routes()
	}
	for {
		spaced := p.space()
		c := p.peek()
		if !p.more() || c == '>' || c == '@' {
			break
		}
		if n := len(p.mailbox); spaced && n > 0 && p.mailbox[n-1] != '.' && c != '.' {
			p.mailbox = append(p.mailbox, ' ')
		}
		if c == '"' {
			p.mailbox = append(p.mailbox, p.quoted()...)
		} else {
			p.mailbox = append(p.mailbox, p.until("@>\"(")...)
		}
	}
	if p.accept('@') {
		p.domain(">,;")
	}
	p.skipTo(">,;")
	p.accept('>')
}

// routes reads "@a,@b:".
func (p *addressParser) routes() {
	start := p.i
	for p.more() && !contains(":><", p.peek()) {
		if isSpace(p.peek()) || p.peek() == '(' {
			p.space()
			continue
		}
		p.route = append(p.route, p.peek())
		p.i++
	}
	if !p.accept(':') { // no route, then: <@domain>
		p.route, p.i = p.route[:0], start
	}
}

// domain reads a domain up to a byte of stop. White space and comments may stand around its dots; where they stand elsewhere the domain ends, and
// what follows it up to the end of the address is dropped. A domain literal keeps its brackets.
func (p *addressParser) domain(stop string) {
	for {
		spaced := p.space()
		if !p.more() || contains(stop, p.peek()) {
			return
		}
		start := p.i
		if p.accept('[') {
			for p.more() && !p.accept(']') {
				p.i++
			}
		} else {
			for p.more() && !isSpace(p.peek()) && p.peek() != '(' && !contains(stop, p.peek()) {
				p.i++
			}
		}
		if n := len(p.host); !spaced || n == 0 || p.host[n-1] == '.' || p.b[start] == '.' {
			p.host = append(p.host, p.b[start:p.i]...)
		} else {
			p.skipTo(stop)
			return
		}
	}
}

// skipTo skips to a byte of stop that is outside of quotes and comments.
func (p *addressParser) skipTo(stop string) {
	for p.space(); p.more() && !contains(stop, p.peek()); p.space() {
		if p.peek() == '"' {
			p.quoted()
		} else {
			p.i++
		}
	}
}
