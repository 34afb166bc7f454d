package gmailsim

import (
	"bytes"
	"fmt"
	"strings"
)

// envelope writes ENVELOPE (RFC 3501 section 7.4.2). It is a plain reading of
// the header, not Gmail's own; comments in addresses are dropped.
func envelope(h header) string {
	from := addressList(h.get("From"))
	or := func(name string) string {
		if list := addressList(h.get(name)); list != "NIL" {
			return list
		}
		return from
	}
	return "(" + strings.Join([]string{
		nstring(h.get("Date")), nstring(h.get("Subject")), from, or("Sender"), or("Reply-To"),
		addressList(h.get("To")), addressList(h.get("Cc")), addressList(h.get("Bcc")),
		nstring(h.get("In-Reply-To")), nstring(h.get("Message-Id")),
	}, " ") + ")"
}

// addressList splits a header's mailboxes and groups.
func addressList(value string) string {
	var out strings.Builder
	group := false
	for _, token := range splitAddresses(value) {
		switch {
		case token.sep == ':':
			fmt.Fprintf(&out, "(NIL NIL %s NIL)", imapString(strings.TrimSpace(token.text)))
			group = true
			continue
		case strings.TrimSpace(token.text) != "":
			out.WriteString(address(token.text))
		}
		if token.sep == ';' && group {
			out.WriteString("(NIL NIL NIL NIL)")
			group = false
		}
	}
	if out.Len() == 0 {
		return "NIL"
	}
	return "(" + out.String() + ")"
}

type addressToken struct {
	text string
	sep  byte
}

// splitAddresses cuts at "," ":" and ";" outside of quotes, comments and
// angle brackets.
func splitAddresses(value string) []addressToken {
	var tokens []addressToken
	var b strings.Builder
	quoted, angle, comment := false, false, 0
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && i+1 < len(value) && (quoted || comment > 0):
			i++
			if comment == 0 {
				b.WriteByte('\\')
				b.WriteByte(value[i])
			}
			continue
		case c == '"' && comment == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			comment++
			continue
		case c == ')' && comment > 0:
			comment--
			continue
		case comment > 0:
			continue
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case !angle && (c == ',' || c == ':' || c == ';'):
			tokens = append(tokens, addressToken{b.String(), c})
			b.Reset()
			continue
		}
		if comment == 0 {
			b.WriteByte(c)
		}
	}
	return append(tokens, addressToken{b.String(), 0})
}

func address(text string) string {
	text = strings.TrimSpace(text)
	name, spec := "", text
	if open := strings.LastIndexByte(text, '<'); open >= 0 {
		name = strings.TrimSpace(text[:open])
		spec = strings.TrimSuffix(strings.TrimSpace(text[open+1:]), ">")
		if strings.HasPrefix(name, `"`) {
			name, _ = unquote(name[1:])
		}
	}
	if strings.HasPrefix(spec, "@") {
		// A source route, obsolete.
		_, spec, _ = strings.Cut(spec, ":")
	}
	local, host := spec, ""
	if at := strings.LastIndexByte(spec, '@'); at >= 0 {
		local, host = spec[:at], spec[at+1:]
	}
	return fmt.Sprintf("(%s NIL %s %s)", nstring(name), nstring(local), nstring(host))
}

// structure writes BODY or, extended, BODYSTRUCTURE.
func structure(p *mimePart, body []byte, extended bool) string {
	var b strings.Builder
	b.WriteByte('(')
	if p.isMultipart() {
		for _, c := range p.children {
			b.WriteString(structure(c, body, extended))
		}
		b.WriteString(" " + imapString(strings.ToUpper(p.minor)))
		if extended {
			b.WriteString(" " + paramList(p.params) + " " + disposition(p.head) + " " + nstring(p.head.get("Content-Language")))
		}
	} else {
		p.leaf(&b, body, extended)
	}
	b.WriteByte(')')
	return b.String()
}

func (p *mimePart) leaf(b *strings.Builder, body []byte, extended bool) {
	major, minor := p.major, p.minor
	if strings.EqualFold(major, "multipart") {
		// A multipart without parts cannot be written as one.
		major, minor = "TEXT", "PLAIN"
	}
	encoding := p.head.get("Content-Transfer-Encoding")
	if encoding == "" {
		encoding = "7BIT"
	}
	text := body[p.text:p.end]
	fmt.Fprintf(b, "%s %s %s %s %s %s %d", imapString(strings.ToUpper(major)), imapString(strings.ToUpper(minor)),
		paramList(p.params), nstring(p.head.get("Content-Id")), nstring(p.head.get("Content-Description")),
		imapString(strings.ToUpper(encoding)), len(text))
	lines := bytes.Count(text, []byte("\n"))
	switch {
	case len(p.children) == 1:
		inner := p.children[0]
		fmt.Fprintf(b, " %s %s %d", envelope(inner.head), structure(inner, body, extended), lines)
	case p.is("message", "rfc822"):
		fmt.Fprintf(b, ` %s ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0) %d`, envelope(nil), lines)
	case strings.EqualFold(major, "text"):
		fmt.Fprintf(b, " %d", lines)
	}
	if extended {
		fmt.Fprintf(b, " %s %s %s", nstring(p.head.get("Content-MD5")), disposition(p.head), nstring(p.head.get("Content-Language")))
	}
}

func paramList(params []param) string {
	if len(params) == 0 {
		return "NIL"
	}
	parts := make([]string, len(params))
	for i, q := range params {
		parts[i] = imapString(strings.ToUpper(q.name)) + " " + imapString(q.value)
	}
	return "(" + strings.Join(parts, " ") + ")"
}

func disposition(h header) string {
	value, params := splitParams(h.get("Content-Disposition"))
	if value == "" {
		return "NIL"
	}
	return "(" + imapString(strings.ToUpper(value)) + " " + paramList(params) + ")"
}
