package gmailsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// storeRequest is a parsed STORE.
type storeRequest struct {
	set            []numRange
	unchangedSince uint64
	conditional    bool
	mode           byte // 0, '+' or '-'
	labels         bool // X-GM-LABELS instead of FLAGS
	silent         bool
	names          []string
}

func (s *session) parseStore(p *parser) (*storeRequest, error) {
	req := &storeRequest{}
	if p.sp() != nil {
		return nil, errParse
	}
	var err error
	if req.set, err = p.numSet(); err != nil || p.sp() != nil {
		return nil, errParse
	}
	if p.peek() == '(' {
		if !s.has("CONDSTORE") || !p.word("(UNCHANGEDSINCE ") {
			return nil, errParse
		}
		if req.unchangedSince, err = p.number(63); err != nil || !p.word(") ") {
			return nil, errParse
		}
		req.conditional = true
	}
	if c := p.peek(); c == '+' || c == '-' {
		req.mode = c
		p.pos++
	}
	switch {
	case p.word("X-GM-LABELS") && s.has("X-GM-EXT-1"):
		req.labels = true
	case p.word("FLAGS"):
	default:
		return nil, errParse
	}
	req.silent = p.word(".SILENT")
	if p.sp() != nil {
		return nil, errParse
	}
	if req.labels {
		err = s.labelArgs(p, req)
	} else {
		err = flagArgs(p, req)
	}
	if err != nil {
		return nil, err
	}
	return req, p.end()
}

func flagArgs(p *parser, req *storeRequest) error {
	var err error
	if p.peek() == '(' {
		req.names, err = p.flagList()
		return err
	}
	for {
		f, err := p.flag()
		if err != nil {
			return err
		}
		req.names = append(req.names, f)
		if !p.accept(' ') {
			return nil
		}
	}
}

// labelArgs reads labels: system ones may come bare as \Starred or quoted.
func (s *session) labelArgs(p *parser, req *storeRequest) error {
	one := func() error {
		var name string
		var err error
		if p.peek() == '\\' {
			name, err = p.flag()
		} else {
			name, err = p.text()
		}
		if err != nil {
			return err
		}
		if name, err = p.decodeName(name); err != nil {
			return err
		}
		req.names = append(req.names, name)
		return nil
	}
	if p.peek() == '(' {
		return p.list(one)
	}
	return one()
}

func cmdStore(s *session, p *parser) (string, error) {
	req, err := s.parseStore(p)
	if err != nil {
		return "", err
	}
	if s.readOnly {
		return "", noError("[READ-ONLY] Mailbox is read-only (Failure)")
	}
	s.condFlag = s.condFlag || req.conditional
	lines, modified, err := s.store(req)
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		s.line("%s", l)
	}
	if len(modified) > 0 {
		return fmt.Sprintf("[MODIFIED %s] Conditional Store Failed (Success)", ranges(modified)), nil
	}
	return "Success", nil
}

// store applies req to the view and returns the FETCH replies.
func (s *session) store(req *storeRequest) (lines []string, modified []uint32, err error) {
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	var flags flagSet
	var boxes []*mailbox
	if req.labels {
		boxes, err = st.storeLabels(req)
	} else if flags, err = parseFlags(req.names); err != nil {
		err = badError("Invalid system flag")
	}
	if err != nil {
		return nil, nil, err
	}
	var expunge []*place
	for _, i := range resolve(s.view, req.set, s.isUID()) {
		p := s.view[i]
		if p.gone {
			continue
		}
		if req.conditional && p.msg.modseq > req.unchangedSince {
			modified = append(modified, s.number(i))
			lines = append(lines, s.storeReply(req, i))
			continue
		}
		was := p.msg.flags
		if req.labels {
			st.applyLabels(p.msg, boxes, req.mode, s)
		} else if s.applyFlags(p, flags, req.mode) {
			expunge = append(expunge, p)
		}
		if !req.silent {
			lines = append(lines, s.storeReply(req, i))
		} else if s.condFlag {
			// RFC 7162 section 3.1.3: .SILENT hides the data, not the MODSEQ.
			lines = append(lines, fmt.Sprintf("* %d FETCH (%sMODSEQ (%d))", i+1, s.uidItem(p), p.msg.modseq))
		}
		// Gmail says so even after .SILENT.
		if req.labels && !was.equal(p.msg.flags) && !p.gone {
			lines = append(lines, fmt.Sprintf("* %d FETCH (%s)", i+1, s.flagItems(p, s.isUID())))
		}
	}
	gone := map[*place]bool{}
	for _, p := range expunge {
		gone[p] = true
	}
	if len(gone) > 0 {
		st.expungeDeleted(s.box, func(p *place) bool { return gone[p] })
	}
	return lines, modified, nil
}

func (s *session) uidItem(p *place) string {
	if s.isUID() {
		return fmt.Sprintf("UID %d ", p.uid)
	}
	return ""
}

// number is how the client counts the message at index i.
func (s *session) number(i int) uint32 {
	if s.isUID() {
		return s.view[i].uid
	}
	return uint32(i + 1)
}

// storeLabels finds or creates the labels; removing an unknown one is no error.
func (st *store) storeLabels(req *storeRequest) ([]*mailbox, error) {
	var boxes []*mailbox
	for _, name := range req.names {
		b, err := st.resolveLabel(name, req.mode != '-')
		if err == errUnknown {
			continue
		}
		if err != nil {
			return nil, asReply(err)
		}
		boxes = append(boxes, b)
	}
	return boxes, nil
}

// applyLabels leaves \Sent and \Draft alone: they follow from the message.
func (st *store) applyLabels(m *message, boxes []*mailbox, mode byte, by *session) {
	fixed := func(b *mailbox) bool { return b.kind == kindSent || b.kind == kindDrafts }
	switch mode {
	case '+':
		for _, b := range boxes {
			if !fixed(b) {
				st.addLabel(m, b, by)
			}
		}
	case '-':
		for _, b := range boxes {
			if !fixed(b) {
				st.removeLabel(m, b, by)
			}
		}
	default:
		want := slices.DeleteFunc(slices.Clone(boxes), fixed)
		for _, p := range m.places {
			if fixed(p.box) {
				want = append(want, p.box)
			}
		}
		st.replaceLabels(m, want, by)
	}
}

// applyFlags changes one message and reports whether auto-expunge takes it.
func (s *session) applyFlags(p *place, flags flagSet, mode byte) bool {
	st := &s.srv.st
	next := p.shown().combine(mode, flags)
	deleted := next.has(flagDeleted)
	changed := deleted != p.deleted
	p.deleted = deleted
	if !st.setFlags(p.msg, next, s) && changed {
		st.touch(p.msg)
		st.notifyFlags(p.msg, s)
	}
	return deleted && st.generic == nil && !s.srv.opt.AutoExpungeOff
}

// storeReply is the FETCH that answers STORE for index i.
func (s *session) storeReply(req *storeRequest, i int) string {
	p := s.view[i]
	if !req.labels {
		return fmt.Sprintf("* %d FETCH (%s)", i+1, s.flagItems(p, s.isUID()))
	}
	items := []string{"X-GM-LABELS " + labelList(s.srv.st.labelsOf(p.msg, s.box), s.utf8)}
	if s.condFlag {
		items = append(items, "MODSEQ ("+strconv.FormatUint(p.msg.modseq, 10)+")")
	}
	if s.isUID() {
		items = append(items, "UID "+strconv.FormatUint(uint64(p.uid), 10))
	}
	return fmt.Sprintf("* %d FETCH (%s)", i+1, strings.Join(items, " "))
}

// ranges writes ascending numbers as a set: 1:3,5.
func ranges(nums []uint32) string {
	var b []byte
	for i := 0; i < len(nums); {
		j := i
		for j+1 < len(nums) && nums[j+1] == nums[j]+1 {
			j++
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(nums[i]), 10)
		if j > i {
			b = append(b, ':')
			b = strconv.AppendUint(b, uint64(nums[j]), 10)
		}
		i = j + 1
	}
	return string(b)
}
