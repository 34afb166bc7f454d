package gmailsim

import "strings"

// fetchRequest is a parsed FETCH.
type fetchRequest struct {
	set          []numRange
	items        map[string]bool
	sections     []section
	changedSince uint64
	since        bool
}

// section is BODY[...]<partial> or an RFC822 alias.
type section struct {
	path    []int
	kind    string // "", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"
	fields  []string
	partial bool
	offset  uint64
	count   uint64
	peek    bool
	label   string // how the reply names it
}

var fetchMacros = map[string][]string{
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

// simpleItems need no argument; the value is the capability they need.
var simpleItems = map[string]string{
	"FLAGS": "", "INTERNALDATE": "", "RFC822.SIZE": "", "ENVELOPE": "", "BODYSTRUCTURE": "", "BODY": "", "UID": "",
	"X-GM-MSGID": "X-GM-EXT-1", "X-GM-THRID": "X-GM-EXT-1", "X-GM-LABELS": "X-GM-EXT-1", "MODSEQ": "CONDSTORE",
	"EMAILID": "OBJECTID", "THREADID": "OBJECTID",
}

func (s *session) parseFetch(p *parser) (*fetchRequest, error) {
	req := &fetchRequest{items: map[string]bool{}}
	if p.sp() != nil {
		return nil, errParse
	}
	var err error
	if req.set, err = p.numSet(); err != nil || p.sp() != nil {
		return nil, errParse
	}
	if p.peek() == '(' {
		n := 0
		err = p.list(func() error { n++; return s.fetchItem(p, req) })
		if n == 0 {
			err = errParse
		}
	} else {
		err = s.fetchMacro(p, req)
	}
	if err != nil {
		return nil, err
	}
	if !p.eof() {
		if p.sp() != nil || p.list(func() error { return s.fetchModifier(p, req) }) != nil {
			return nil, errParse
		}
	}
	return req, p.end()
}

func (s *session) fetchMacro(p *parser, req *fetchRequest) error {
	start := p.pos
	if name, err := p.atom(); err == nil {
		if items, ok := fetchMacros[strings.ToUpper(name)]; ok {
			for _, i := range items {
				req.items[i] = true
			}
			return nil
		}
	}
	p.pos = start
	return s.fetchItem(p, req)
}

// fetchModifier reads CHANGEDSINCE; VANISHED is QRESYNC's and not known here.
func (s *session) fetchModifier(p *parser, req *fetchRequest) error {
	if !s.has("CONDSTORE") || !p.word("CHANGEDSINCE ") {
		return errParse
	}
	var err error
	req.changedSince, err = p.number(63)
	req.since = true
	return err
}

func (s *session) fetchItem(p *parser, req *fetchRequest) error {
	name := strings.ToUpper(p.run(func(c byte) bool { return atomChar(c) && c != '[' && c != ']' && c != '<' }))
	if p.peek() == '[' {
		if name != "BODY" && name != "BODY.PEEK" {
			return errParse
		}
		sec, err := parseSection(p)
		sec.peek = name == "BODY.PEEK"
		req.sections = append(req.sections, sec)
		return err
	}
	switch name {
	case "RFC822":
		req.sections = append(req.sections, section{label: name})
		return nil
	case "RFC822.HEADER":
		req.sections = append(req.sections, section{label: name, kind: "HEADER", peek: true})
		return nil
	case "RFC822.TEXT":
		req.sections = append(req.sections, section{label: name, kind: "TEXT"})
		return nil
	}
	needs, ok := simpleItems[name]
	if !ok || needs != "" && !s.has(needs) {
		return errParse
	}
	req.items[name] = true
	return nil
}

// parseSection reads "[...]<a.b>" behind BODY.
func parseSection(p *parser) (section, error) {
	var sec section
	start := p.pos
	if p.expect('[') != nil {
		return sec, errParse
	}
	for c := p.peek(); c >= '1' && c <= '9'; c = p.peek() {
		n, err := p.number(16)
		if err != nil {
			return sec, err
		}
		sec.path = append(sec.path, int(n))
		if !p.accept('.') {
			break
		}
		if c := p.peek(); c == ']' {
			return sec, errParse
		}
	}
	if err := sec.parseKind(p, p.buf[p.pos-1] == '.' || len(sec.path) == 0); err != nil {
		return sec, err
	}
	if p.expect(']') != nil {
		return sec, errParse
	}
	sec.label = "BODY" + sec.name(string(p.buf[start:p.pos]))
	return sec, sec.parsePartial(p)
}

func (sec *section) parseKind(p *parser, allowed bool) error {
	kind := strings.ToUpper(p.run(func(c byte) bool { return atomChar(c) && c != ']' }))
	switch kind {
	case "":
		return nil
	case "HEADER", "TEXT":
	case "MIME":
		allowed = allowed && len(sec.path) > 0
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		if p.sp() != nil {
			return errParse
		}
		if err := p.list(func() error {
			f, err := p.astring()
			sec.fields = append(sec.fields, f)
			return err
		}); err != nil || len(sec.fields) == 0 {
			return errParse
		}
	default:
		return errParse
	}
	if !allowed {
		return errParse
	}
	sec.kind = kind
	return nil
}

func (sec *section) parsePartial(p *parser) error {
	if !p.accept('<') {
		return nil
	}
	var err error
	if sec.offset, err = p.number(32); err != nil || !p.accept('.') {
		return errParse
	}
	if sec.count, err = p.number(32); err != nil || sec.count == 0 || !p.accept('>') {
		return errParse
	}
	sec.partial = true
	return nil
}

// name is the section as the reply spells it: upper-case, field names too.
// Names that need a literal keep their bytes.
func (sec *section) name(raw string) string {
	if strings.Contains(raw, "\r\n") {
		return raw
	}
	return strings.ToUpper(raw)
}
