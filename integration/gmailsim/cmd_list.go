package gmailsim

import (
	"fmt"
	"slices"
	"strings"
)

// listRequest is LIST with RFC 5258's options.
type listRequest struct {
	ref        string
	patterns   []string
	subscribed bool
	special    bool
	status     []string // items of RETURN (STATUS (...)), nil without
	showSub    bool
}

func cmdList(s *session, p *parser) (string, error) {
	req, err := s.parseList(p, true)
	if err != nil {
		return "", err
	}
	s.list("LIST", req)
	return "Success", nil
}

func cmdXlist(s *session, p *parser) (string, error) {
	req, err := s.parseList(p, false)
	if err != nil {
		return "", err
	}
	s.list("XLIST", req)
	return "Success", nil
}

func cmdLsub(s *session, p *parser) (string, error) {
	req, err := s.parseList(p, false)
	if err != nil {
		return "", err
	}
	req.subscribed = true
	s.list("LSUB", req)
	return "Success", nil
}

func (s *session) parseList(p *parser, extended bool) (listRequest, error) {
	var req listRequest
	if p.sp() != nil {
		return req, errParse
	}
	extended = extended && (s.has("LIST-EXTENDED") || s.has("LIST-STATUS") || s.has("SPECIAL-USE"))
	if extended && p.peek() == '(' {
		if err := s.selectOptions(p, &req); err != nil || p.sp() != nil {
			return req, errParse
		}
	}
	var err error
	if req.ref, err = p.mailbox(); err != nil || p.sp() != nil {
		return req, errParse
	}
	if extended && p.peek() == '(' {
		err = p.list(func() error { return s.pattern(p, &req) })
	} else {
		err = s.pattern(p, &req)
	}
	if err != nil {
		return req, err
	}
	if extended && p.word(" RETURN ") {
		if err := s.returnOptions(p, &req); err != nil {
			return req, err
		}
	}
	return req, p.end()
}

func (s *session) pattern(p *parser, req *listRequest) error {
	var text string
	var err error
	if c := p.peek(); c == '"' || c == '{' {
		text, err = p.text()
	} else {
		text = p.run(func(c byte) bool { return astringChar(c) || c == '*' || c == '%' })
	}
	if err != nil || text == "" && p.buf[p.pos-1] != '"' {
		return errParse
	}
	if text, err = p.decodeName(text); err != nil {
		return err
	}
	req.patterns = append(req.patterns, text)
	return nil
}

func (s *session) selectOptions(p *parser, req *listRequest) error {
	return p.list(func() error {
		o, err := p.atom()
		switch strings.ToUpper(o) {
		case "SUBSCRIBED":
			req.subscribed, req.showSub = true, true
		case "SPECIAL-USE":
			req.special = true
		case "REMOTE", "RECURSIVEMATCH":
		default:
			return errParse
		}
		return err
	})
}

func (s *session) returnOptions(p *parser, req *listRequest) error {
	return p.list(func() error {
		o, err := p.atom()
		if err != nil {
			return err
		}
		switch strings.ToUpper(o) {
		case "SUBSCRIBED":
			req.showSub = true
		case "CHILDREN", "SPECIAL-USE":
		case "STATUS":
			if !s.has("LIST-STATUS") || p.sp() != nil {
				return errParse
			}
			req.status, err = s.statusItems(p)
		default:
			return errParse
		}
		return err
	})
}

// list answers LIST, LSUB and XLIST.
func (s *session) list(verb string, req listRequest) {
	st := &s.srv.st
	if len(req.patterns) == 1 && req.patterns[0] == "" {
		s.line(`* %s (\Noselect) %s ""`, verb, s.delimWire())
		return
	}
	var lines []string
	st.mu.Lock()
	boxes := st.sortedBoxes()
	parents := st.parents()
	for _, b := range boxes {
		if !s.listed(b, req) {
			continue
		}
		lines = append(lines, fmt.Sprintf("* %s (%s) %s %s", verb, strings.Join(s.attributes(verb, b, req, parents), " "),
			s.delimWire(), s.listName(verb, b)))
		if req.status != nil && !b.noselect {
			lines = append(lines, st.statusLine(b, req.status, s.utf8))
		}
	}
	st.mu.Unlock()
	if slices.Contains(req.status, "HIGHESTMODSEQ") {
		s.condFlag = true
	}
	for _, l := range lines {
		s.line("%s", l)
	}
}

// listName is the wire name; XLIST localizes INBOX.
func (s *session) listName(verb string, b *mailbox) string {
	if verb == "XLIST" && b.kind == kindInbox {
		if names, ok := locales[s.srv.opt.Locale]; ok {
			return mailboxWire(names.inbox, s.utf8)
		}
		return mailboxWire("Inbox", s.utf8)
	}
	return mailboxWire(b.name, s.utf8)
}

func (s *session) listed(b *mailbox, req listRequest) bool {
	if b.hidden || req.subscribed && b.unsubscribed || req.special && b.attr == "" {
		return false
	}
	return slices.ContainsFunc(req.patterns, func(pat string) bool {
		pat = req.ref + pat
		if b.kind == kindInbox {
			return wildcard(strings.ToUpper(pat), b.name, s.srv.st.delim)
		}
		return wildcard(pat, b.name, s.srv.st.delim)
	})
}

// parents are the folded names of mailboxes with visible children.
func (st *store) parents() map[string]bool {
	set := map[string]bool{}
	for _, b := range st.boxes {
		if st.delim == "" || b.hidden {
			continue
		}
		name := st.fold(b.name)
		for i := strings.LastIndex(name, st.delim); i > 0; i = strings.LastIndex(name, st.delim) {
			name = name[:i]
			set[name] = true
		}
	}
	return set
}

func (s *session) attributes(verb string, b *mailbox, req listRequest, parents map[string]bool) []string {
	var attrs []string
	switch {
	case verb == "XLIST" && b.xlist != "":
		attrs = append(attrs, b.xlist)
	case verb == "LIST" && b.attr != "" && (s.srv.opt.Generic == nil || s.has("SPECIAL-USE")):
		attrs = append(attrs, b.attr)
	}
	if s.srv.opt.Generic == nil || s.has("CHILDREN") {
		if parents[s.srv.st.fold(b.name)] {
			attrs = append(attrs, `\HasChildren`)
		} else {
			attrs = append(attrs, `\HasNoChildren`)
		}
	}
	if b.noselect {
		attrs = append(attrs, `\Noselect`)
	}
	if req.showSub && !b.unsubscribed {
		attrs = append(attrs, `\Subscribed`)
	}
	return attrs
}

// wildcard matches LIST patterns: "*" anything, "%" anything but delim. It
// backtracks to the last wildcard of each kind only, so it cannot blow up.
func wildcard(pattern, name, delim string) bool {
	// reach[i]: the pattern so far can end before name[i].
	reach := make([]bool, len(name)+1)
	reach[0] = true
	for i := 0; i < len(pattern); i++ {
		next := make([]bool, len(name)+1)
		switch c := pattern[i]; c {
		case '*', '%':
			on := false
			for j := range next {
				on = on || reach[j]
				next[j] = on
				if c == '%' && j < len(name) && delim != "" && name[j] == delim[0] {
					on = false
				}
			}
		default:
			for j := 0; j < len(name); j++ {
				next[j+1] = reach[j] && name[j] == c
			}
		}
		reach = next
	}
	return reach[len(name)]
}
