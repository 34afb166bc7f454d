package gmailsim

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

func cmdAppend(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	name, err := p.mailbox()
	if err != nil || p.sp() != nil {
		return "", errParse
	}
	var names []string
	if p.peek() == '(' {
		if names, err = p.flagList(); err != nil || p.sp() != nil {
			return "", errParse
		}
	}
	var date time.Time
	if p.peek() == '"' {
		if date, err = p.dateTime(); err != nil || p.sp() != nil {
			return "", errParse
		}
	}
	body, err := s.appendLiteral(p)
	if err != nil {
		return "", err
	}
	flags, err := parseFlags(names)
	if err != nil {
		return "", badError("Invalid system flag")
	}
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	b := st.find(name)
	if b == nil || b.noselect || b.hidden {
		return "", noError("[TRYCREATE] No folder " + name + " (Failure)")
	}
	if st.generic == nil && dirty(body) {
		return "", badError("Invalid character in literal")
	}
	pl := st.append(b, body, flags, date)
	if s.srv.opt.Generic != nil && !s.has("UIDPLUS") {
		return "Success", nil
	}
	return fmt.Sprintf("[APPENDUID %d %d] (Success)", b.uidValidity, pl.uid), nil
}

// appendLiteral reads the message: a literal, or UTF8 (~{n} ...) of RFC 6855.
func (s *session) appendLiteral(p *parser) ([]byte, error) {
	if s.utf8 && p.word("UTF8 (~") {
		body, err := p.literalBytes()
		if err != nil || p.expect(')') != nil {
			return nil, errParse
		}
		return bytes.Clone(body), p.end()
	}
	body, err := p.literalBytes()
	if err != nil {
		return nil, err
	}
	return bytes.Clone(body), p.end()
}

// dirty is what Gmail refuses: NUL anywhere, 8-bit bytes in the header.
func dirty(body []byte) bool {
	return bytes.IndexByte(body, 0) >= 0 || slices.ContainsFunc(headerBlock(body), func(c byte) bool { return c >= 0x80 })
}

// append adds a message to a mailbox. Gmail drops a copy of what it has: same
// Message-ID and Date; the old one gets the label, its own date stays.
func (st *store) append(b *mailbox, body []byte, flags flagSet, date time.Time) *place {
	now := st.now()
	if date.IsZero() || st.generic == nil && (date.Unix() < 0 || date.After(now)) {
		date = now
	}
	if st.generic != nil {
		m := st.deliver(Message{Body: body, Date: date}, flags, []*mailbox{b})
		return m.places[0]
	}
	h := parseHeader(headerBlock(body))
	if id := h.get("Message-Id"); id != "" {
		if m := st.byKey[hashKey("dup", id, h.get("Date"))]; m != nil {
			st.addLabel(m, b, nil)
			return m.in(b)
		}
	}
	return st.deliver(Message{Body: body, Date: date}, flags, []*mailbox{b}).in(b)
}
