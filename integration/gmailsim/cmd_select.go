package gmailsim

import (
	"fmt"
	"strconv"
	"strings"
)

func cmdSelect(s *session, p *parser) (string, error)  { return s.selectBox(p, false) }
func cmdExamine(s *session, p *parser) (string, error) { return s.selectBox(p, true) }

func (s *session) selectBox(p *parser, readOnly bool) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	name, err := p.mailbox()
	if err != nil {
		return "", err
	}
	if !p.eof() {
		if p.sp() != nil || p.list(func() error { return s.selectParam(p) }) != nil {
			return "", errParse
		}
	}
	if err := p.end(); err != nil {
		return "", err
	}
	s.deselect()
	lines, err := s.open(name, readOnly)
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		s.line("%s", l)
	}
	mode := "READ-WRITE"
	if readOnly {
		mode = "READ-ONLY"
	}
	return fmt.Sprintf("[%s] %s selected. (Success)", mode, s.box.name), nil
}

func (s *session) selectParam(p *parser) error {
	w, err := p.atom()
	if err != nil || !strings.EqualFold(w, "CONDSTORE") || !s.has("CONDSTORE") {
		return errParse
	}
	s.condFlag = true
	return nil
}

// open makes the mailbox the selected one and returns SELECT's data.
func (s *session) open(name string, readOnly bool) ([]string, error) {
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	b := st.find(name)
	if b == nil || b.noselect || b.hidden {
		return nil, noError(fmt.Sprintf("[NONEXISTENT] Unknown Mailbox: %s (Failure)", name))
	}
	s.box, s.readOnly, s.view = b, readOnly, st.visible(b)
	s.firstUID = 0
	if len(s.view) < len(b.places) {
		s.firstUID = s.view[0].uid
	}
	b.watchers[s] = struct{}{}
	permanent := ""
	flags := `\Answered \Flagged \Draft \Deleted \Seen`
	if st.generic == nil {
		flags += " $NotPhishing $Phishing"
	}
	if len(st.keywords) > 0 {
		flags += " " + strings.Join(st.keywords, " ")
	}
	if !readOnly {
		permanent = flags + ` \*`
	}
	lines := []string{
		"* FLAGS (" + flags + ")",
		"* OK [PERMANENTFLAGS (" + permanent + ")] Flags permitted.",
		fmt.Sprintf("* OK [UIDVALIDITY %d] UIDs valid.", b.uidValidity),
		fmt.Sprintf("* %d EXISTS", len(s.view)),
		"* 0 RECENT",
		fmt.Sprintf("* OK [UIDNEXT %d] Predicted next UID.", b.uidNext),
	}
	if s.has("CONDSTORE") {
		lines = append(lines, fmt.Sprintf("* OK [HIGHESTMODSEQ %d]", st.highestFor(b)))
	}
	if s.has("OBJECTID") {
		lines = append(lines, fmt.Sprintf("* OK [MAILBOXID (%s)] Ok", b.objectID()))
	}
	return lines, nil
}

// objectID outlives a rename (RFC 8474 section 4).
func (b *mailbox) objectID() string { return "F" + strconv.FormatUint(b.serial, 16) }

func cmdUnselect(s *session, p *parser) (string, error) {
	if err := p.end(); err != nil {
		return "", err
	}
	s.deselect()
	return "Returned to authenticated state. (Success)", nil
}

// cmdClose expunges silently, unless the mailbox was opened read-only.
func cmdClose(s *session, p *parser) (string, error) {
	if err := p.end(); err != nil {
		return "", err
	}
	if !s.readOnly {
		s.srv.st.mu.Lock()
		s.srv.st.expungeDeleted(s.box, func(p *place) bool { return p.deleted })
		s.srv.st.mu.Unlock()
	}
	s.deselect()
	return "Returned to authenticated state. (Success)", nil
}

var statusNames = []string{"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ", "APPENDLIMIT", "MAILBOXID"}

func (s *session) statusItems(p *parser) ([]string, error) {
	var items []string
	err := p.list(func() error {
		w, err := p.atom()
		if err != nil {
			return err
		}
		w = strings.ToUpper(w)
		for _, n := range statusNames {
			if n == w && (w != "HIGHESTMODSEQ" || s.has("CONDSTORE")) && (w != "MAILBOXID" || s.has("OBJECTID")) {
				items = append(items, w)
				return nil
			}
		}
		return errParse
	})
	if len(items) == 0 && err == nil {
		err = errParse
	}
	return items, err
}

func cmdStatus(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	name, err := p.mailbox()
	if err != nil || p.sp() != nil {
		return "", errParse
	}
	items, err := s.statusItems(p)
	if err != nil || p.end() != nil {
		return "", errParse
	}
	st := &s.srv.st
	st.mu.Lock()
	b := st.find(name)
	line := ""
	if b != nil && !b.noselect && !b.hidden {
		line = st.statusLine(b, items, s.utf8)
	}
	st.mu.Unlock()
	if line == "" {
		return "", noError(fmt.Sprintf("[NONEXISTENT] Unknown Mailbox: %s (Failure)", name))
	}
	for _, i := range items {
		s.condFlag = s.condFlag || i == "HIGHESTMODSEQ"
	}
	s.line("%s", line)
	return "Success", nil
}

func (st *store) statusLine(b *mailbox, items []string, utf8Mode bool) string {
	parts := make([]string, len(items))
	for i, item := range items {
		var v any
		switch item {
		case "MESSAGES":
			v = len(st.visible(b))
		case "RECENT":
			v = 0
		case "UIDNEXT":
			v = b.uidNext
		case "UIDVALIDITY":
			v = b.uidValidity
		case "UNSEEN":
			v = st.unseenOf(b)
		case "HIGHESTMODSEQ":
			v = st.highestFor(b)
		case "APPENDLIMIT":
			v = appendLimit
		case "MAILBOXID":
			v = "(" + b.objectID() + ")"
		}
		parts[i] = fmt.Sprint(item, " ", v)
	}
	return fmt.Sprintf("* STATUS %s (%s)", mailboxWire(b.name, utf8Mode), strings.Join(parts, " "))
}
