package gmailsim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors of label names, worded as Gmail words them.
var (
	errWhitespace = errors.New("[CANNOT] Folder contains excess whitespace (Failure)")
	errNoName     = errors.New("[CANNOT] No folder name given. (Failure)")
	errBadName    = errors.New("[CANNOT] Invalid folder name (Failure)")
	errDuplicate  = errors.New("[ALREADYEXISTS] Duplicate folder name (Failure)")
	errUnknown    = errors.New("[NONEXISTENT] Unknown folder (Failure)")
)

// reservedLabels are names Gmail keeps for itself.
var reservedLabels = []string{"archive", "arxiv", "draft", "drafts", "important", "migrated", "mute", "muted",
	"sent", "spam", "starred", "todo", "trash", "voicemail"}

// systemLabel finds one of the closed set of names that are not a user's even
// when written with a backslash: \Inbox \Sent \Starred \Important \Draft \Spam
// \Trash \Muted.
func (st *store) systemLabel(name string) *mailbox {
	for _, b := range st.system {
		if b.label != "" && strings.EqualFold(b.label, name) {
			return b
		}
	}
	return nil
}

// checkLabel applies Gmail's rules for a new label's name.
func (st *store) checkLabel(name string) error {
	if name == "" {
		return errNoName
	}
	for _, part := range strings.Split(name, st.delim) {
		switch {
		case part == "":
			return errNoName
		case strings.Trim(part, " ") != part || strings.Contains(part, "  "):
			return errWhitespace
		case strings.ContainsFunc(part, func(r rune) bool { return r == '^' || r < 0x20 || r == 0x7f || r == '\ufffd' }):
			return errBadName
		}
	}
	if slices.Contains(reservedLabels, strings.ToLower(name)) {
		return fmt.Errorf("[CANNOT] Label name is not allowed: %s (Failure)", name)
	}
	return nil
}

// createLabel makes a label and, as \Noselect, the parents it lacks.
func (st *store) createLabel(name string) (*mailbox, error) {
	if err := st.checkLabel(name); err != nil {
		return nil, err
	}
	if b := st.find(name); b != nil {
		if !b.noselect || b.kind != kindUser || name == st.gmailRoot() {
			return nil, errDuplicate
		}
		b.noselect = false
		return b, nil
	}
	st.createParents(name)
	return st.newMailbox(name), nil
}

func (st *store) createParents(name string) {
	if st.delim == "" {
		return
	}
	parts := strings.Split(name, st.delim)
	for i := 1; i < len(parts); i++ {
		parent := strings.Join(parts[:i], st.delim)
		if st.find(parent) == nil {
			st.newMailbox(parent).noselect = true
		}
	}
}

// gmailRoot is "[Gmail]" or "[Google Mail]".
func (st *store) gmailRoot() string {
	all := st.system[kindAll]
	if all == nil {
		return ""
	}
	root, _, _ := strings.Cut(all.name, st.delim)
	return root
}

// resolveLabel finds the mailbox of a label, creating user labels when asked.
func (st *store) resolveLabel(name string, create bool) (*mailbox, error) {
	if b := st.systemLabel(name); b != nil {
		return b, nil
	}
	if slices.Contains(reservedLabels, strings.ToLower(name)) {
		return nil, badError("Invalid Arguments: Label name is not allowed: " + name)
	}
	b := st.find(name)
	if b != nil && b.kind == kindUser && !b.noselect {
		return b, nil
	}
	if b != nil && b.kind != kindUser {
		return nil, badError("Invalid Arguments: Label name is not allowed: " + name)
	}
	if !create {
		return nil, errUnknown
	}
	return st.createLabel(name)
}

// addLabel applies Gmail's rules: Spam and Trash exclude everything, any other
// label brings the message back from there.
func (st *store) addLabel(m *message, b *mailbox, by *session) {
	switch b.kind {
	case kindSpam, kindTrash:
		st.exile(m, b)
		return
	case kindStarred:
		st.restore(m)
		st.setFlags(m, m.flags.combine('+', flagSet{sys: flagFlagged}), by)
		return
	case kindDrafts:
		st.setFlags(m, m.flags.combine('+', flagSet{sys: flagDraft}), by)
	}
	st.restore(m)
	if b.kind != kindAll && m.in(b) == nil {
		st.attach(m, b)
		st.touch(m)
	}
}

func (st *store) removeLabel(m *message, b *mailbox, by *session) {
	p := m.in(b)
	if p == nil {
		return
	}
	switch b.kind {
	case kindAll:
	case kindSpam, kindTrash:
		st.restore(m)
	case kindStarred:
		st.setFlags(m, m.flags.combine('-', flagSet{sys: flagFlagged}), by)
	default:
		st.detachOne(p)
		st.touch(m)
	}
}

// exile moves m to Spam or Trash and out of everything else.
func (st *store) exile(m *message, to *mailbox) {
	if m.in(to) != nil {
		return
	}
	for _, p := range slices.Clone(m.places) {
		st.detachOne(p)
	}
	st.touch(m)
	st.attach(m, to)
}

// restore brings m back into All Mail if it is in Spam or Trash.
func (st *store) restore(m *message) {
	moved := false
	for _, kind := range []mailKind{kindSpam, kindTrash} {
		if p := m.in(st.system[kind]); p != nil {
			st.detachOne(p)
			moved = true
		}
	}
	if all := st.system[kindAll]; m.in(all) == nil {
		st.attach(m, all)
		moved = true
	}
	if moved {
		st.touch(m)
		st.syncStar(m)
	}
}

// labelsOf lists m's labels except the one of the mailbox that is looked at.
func (st *store) labelsOf(m *message, except *mailbox) []string {
	var names []string
	for _, p := range m.places {
		if p.box != except && p.box.labelName() != "" {
			names = append(names, p.box.labelName())
		}
	}
	return names
}

// labelList writes X-GM-LABELS' value. Gmail sorts by the written form.
func labelList(names []string, utf8Mode bool) string {
	wire := make([]string, len(names))
	for i, n := range names {
		wire[i] = labelWire(n, utf8Mode)
	}
	slices.Sort(wire)
	return "(" + strings.Join(wire, " ") + ")"
}

// deleteLabel removes a user label and the \Noselect parents left empty.
func (st *store) deleteLabel(b *mailbox) {
	if st.hasChildren(b) {
		st.empty(b)
		b.noselect = true
		return
	}
	st.empty(b)
	delete(st.boxes, st.fold(b.name))
	st.pruneParents(b.name)
}

// pruneParents removes the \Noselect parents of a name that have no children.
func (st *store) pruneParents(name string) {
	for st.delim != "" {
		i := strings.LastIndex(name, st.delim)
		if i < 0 {
			return
		}
		name = name[:i]
		parent := st.find(name)
		if parent == nil || !parent.noselect || parent.kind != kindUser || st.hasChildren(parent) {
			return
		}
		delete(st.boxes, st.fold(name))
	}
}

// empty takes every message out of b.
func (st *store) empty(b *mailbox) {
	places := b.places
	st.detach(b, places)
	for _, p := range places {
		st.touch(p.msg)
		if st.generic != nil {
			st.drop(p.msg)
		}
	}
}

func (st *store) hasChildren(b *mailbox) bool {
	if st.delim == "" {
		return false
	}
	prefix := st.fold(b.name + st.delim)
	for name, other := range st.boxes {
		if strings.HasPrefix(name, prefix) && !other.hidden {
			return true
		}
	}
	return false
}

// rename moves a mailbox and its children to a new name.
func (st *store) rename(b *mailbox, to string) error {
	if st.find(to) != nil {
		return errDuplicate
	}
	old := b.name
	var moved []*mailbox
	for _, other := range st.boxes {
		if other == b || st.delim != "" && strings.HasPrefix(other.name, old+st.delim) {
			moved = append(moved, other)
		}
	}
	for _, m := range moved {
		if other := st.find(to + m.name[len(old):]); other != nil && !slices.Contains(moved, other) {
			return errDuplicate
		}
	}
	for _, m := range moved {
		delete(st.boxes, st.fold(m.name))
	}
	st.createParents(to)
	for _, m := range moved {
		m.name = to + m.name[len(old):]
		st.boxes[st.fold(m.name)] = m
		for _, p := range m.places {
			st.touch(p.msg)
		}
	}
	st.pruneParents(old)
	return nil
}
