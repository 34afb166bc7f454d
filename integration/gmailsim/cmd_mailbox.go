package gmailsim

import (
	"errors"
	"slices"
	"strings"
)

// oneName parses a command whose only argument is a mailbox.
func oneName(p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	name, err := p.mailbox()
	if err != nil {
		return "", err
	}
	return name, p.end()
}

func cmdCreate(s *session, p *parser) (string, error) {
	name, err := oneName(p)
	if err != nil {
		return "", err
	}
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.generic != nil && st.delim != "" {
		name = strings.TrimSuffix(name, st.delim)
	}
	b, err := st.create(name)
	if err != nil {
		return "", noError(err.Error())
	}
	if s.has("OBJECTID") {
		return "[MAILBOXID (" + b.objectID() + ")] Success", nil
	}
	return "Success", nil
}

func cmdDelete(s *session, p *parser) (string, error) {
	name, err := oneName(p)
	if err != nil {
		return "", err
	}
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	b, err := st.userMailbox(name)
	if err != nil {
		return "", err
	}
	st.deleteLabel(b)
	return "Success", nil
}

// userMailbox finds one that may be deleted or renamed.
func (st *store) userMailbox(name string) (*mailbox, error) {
	b := st.find(name)
	switch {
	case b == nil, b.noselect && st.generic == nil && name != st.gmailRoot():
		return nil, noError(errUnknown.Error())
	case b.kind != kindUser || name == st.gmailRoot():
		return nil, noError("[CANNOT] System folder cannot be changed (Failure)")
	}
	return b, nil
}

func cmdRename(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	from, err := p.mailbox()
	if err != nil || p.sp() != nil {
		return "", errParse
	}
	to, err := p.mailbox()
	if err != nil || p.end() != nil {
		return "", errParse
	}
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	b, err := st.userMailbox(from)
	if err != nil {
		return "", err
	}
	if st.generic == nil {
		if err := st.checkLabel(to); err != nil {
			return "", noError(err.Error())
		}
	}
	if err := st.rename(b, to); err != nil {
		return "", noError(err.Error())
	}
	return "Success", nil
}

func cmdSubscribe(s *session, p *parser) (string, error)   { return s.subscribe(p, true) }
func cmdUnsubscribe(s *session, p *parser) (string, error) { return s.subscribe(p, false) }

func (s *session) subscribe(p *parser, on bool) (string, error) {
	name, err := oneName(p)
	if err != nil {
		return "", err
	}
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	b := st.find(name)
	if b == nil {
		return "", noError(errUnknown.Error())
	}
	b.unsubscribed = !on
	return "Success", nil
}

func cmdExpunge(s *session, p *parser) (string, error) {
	if err := p.end(); err != nil {
		return "", err
	}
	return s.expunge(func(p *place) bool { return p.deleted })
}

func cmdUIDExpunge(s *session, p *parser) (string, error) {
	if p.sp() != nil {
		return "", errParse
	}
	set, err := p.numSet()
	if err != nil || p.end() != nil {
		return "", errParse
	}
	s.srv.st.mu.Lock()
	chosen := map[*place]bool{}
	for _, i := range resolve(s.view, set, true) {
		chosen[s.view[i]] = true
	}
	s.srv.st.mu.Unlock()
	return s.expunge(func(p *place) bool { return p.deleted && chosen[p] })
}

func (s *session) expunge(which func(*place) bool) (string, error) {
	if s.readOnly {
		return "", noError("[READ-ONLY] Mailbox is read-only (Failure)")
	}
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	st.expungeDeleted(s.box, which)
	return "Success", nil
}

// expungeDeleted removes places from a mailbox with the meaning that has
// there: forever in Spam, Trash and on a generic server, a label less
// elsewhere.
func (st *store) expungeDeleted(b *mailbox, which func(*place) bool) {
	var out []*place
	for _, p := range b.places {
		if which(p) {
			out = append(out, p)
		}
	}
	if len(out) == 0 {
		return
	}
	if st.generic != nil || b.kind == kindSpam || b.kind == kindTrash {
		st.detach(b, out)
		for _, p := range out {
			st.drop(p.msg)
		}
		return
	}
	if b.kind == kindAll {
		for _, p := range out {
			st.leaveAll(p)
		}
		return
	}
	st.detach(b, out)
	for _, p := range out {
		st.afterLabel(p.msg, b)
	}
}

// leaveAll is what deleting in All Mail does under the three settings.
func (st *store) leaveAll(p *place) {
	switch st.expunge {
	case ExpungeTrash:
		st.exile(p.msg, st.system[kindTrash])
	case ExpungeForever:
		st.drop(p.msg)
	default:
		p.deleted = false
		st.touch(p.msg)
		st.notifyFlags(p.msg, nil)
	}
}

// afterLabel follows the removal of one label through an expunge.
func (st *store) afterLabel(m *message, b *mailbox) {
	st.touch(m)
	if b.kind == kindStarred {
		st.setFlags(m, m.flags.combine('-', flagSet{sys: flagFlagged}), nil)
	}
	if slices.ContainsFunc(m.places, func(p *place) bool { return !p.box.hidden }) {
		return
	}
	switch st.expunge {
	case ExpungeTrash:
		st.exile(m, st.system[kindTrash])
	case ExpungeForever:
		st.drop(m)
	}
}

// asReply turns a store error into a tagged reply: a badError stays one,
// anything else is worded for NO.
func asReply(err error) error {
	var bad badError
	if errors.As(err, &bad) {
		return bad
	}
	return noError(err.Error())
}
