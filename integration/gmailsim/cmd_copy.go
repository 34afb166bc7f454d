package gmailsim

import "fmt"

func cmdCopy(s *session, p *parser) (string, error) { return s.copyTo(p, false) }
func cmdMove(s *session, p *parser) (string, error) { return s.copyTo(p, true) }

func (s *session) copyTo(p *parser, move bool) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	set, err := p.numSet()
	if err != nil || p.sp() != nil {
		return "", errParse
	}
	name, err := p.mailbox()
	if err != nil || p.end() != nil {
		return "", errParse
	}
	if move && s.readOnly {
		return "", noError("[READ-ONLY] Mailbox is read-only (Failure)")
	}
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	to := st.find(name)
	if to == nil || to.noselect || to.hidden {
		return "", noError("[TRYCREATE] No folder " + name + " (Failure)")
	}
	var from, into []uint32
	var leave []*place
	for _, i := range resolve(s.view, set, s.isUID()) {
		src := s.view[i]
		if src.gone {
			continue
		}
		dst := st.copyPlace(src, to, s)
		from, into = append(from, src.uid), append(into, dst.uid)
		if move && src != dst && !src.gone && src.box.kind != kindAll {
			leave = append(leave, src)
		}
	}
	if len(leave) > 0 {
		st.detach(s.box, leave)
		for _, src := range leave {
			st.left(src, s)
		}
	}
	if len(from) == 0 || s.srv.opt.Generic != nil && !s.has("UIDPLUS") {
		return "Success", nil
	}
	return fmt.Sprintf("[COPYUID %d %s %s] (Success)", to.uidValidity, ranges(from), ranges(into)), nil
}

// copyPlace is one message's COPY: a label more, or a new message.
func (st *store) copyPlace(src *place, to *mailbox, by *session) *place {
	if st.generic == nil {
		st.addLabel(src.msg, to, by)
		return src.msg.in(to)
	}
	m := src.msg
	in := Message{Body: m.body, Generate: m.generate, Size: m.size, Date: m.date, Thread: m.thread}
	c := st.deliver(in, src.shown(), []*mailbox{to})
	c.email = m.email
	return c.places[0]
}

// left finishes a MOVE's source after its place is gone.
func (st *store) left(src *place, by *session) {
	switch {
	case st.generic != nil:
		st.drop(src.msg)
	case src.box.kind == kindStarred:
		st.setFlags(src.msg, src.msg.flags.combine('-', flagSet{sys: flagFlagged}), by)
	default:
		st.touch(src.msg)
	}
}
