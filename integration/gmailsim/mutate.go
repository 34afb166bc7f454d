package gmailsim

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Message is one mail to put into the account.
type Message struct {
	// Body is the whole message as it goes over the wire.
	Body []byte
	// Generate makes the message anew each time, for accounts too large for
	// memory; it replaces Body and must always return Size bytes. It is called
	// from many goroutines, without any lock.
	Generate func() []byte
	// Size is Generate's length in bytes; ignored with Body.
	Size int64
	// MessageID (with its angle brackets) and DateHeader let a generated message
	// take part in APPEND's de-duplication and in threads; ignored with Body,
	// which is parsed.
	MessageID, DateHeader string
	// Date is the internal date; zero means now.
	Date time.Time
	// Flags are \Seen, \Flagged, ... and keywords. \Deleted is ignored.
	Flags []string
	// Labels are UTF-8 names of labels; system ones with a backslash, for
	// example `\Inbox`, `\Trash`, `\Muted`. Missing ones are created.
	Labels []string
	// Thread is the thread to join; zero looks at References and In-Reply-To.
	Thread MsgID
}

// ErrNoMessage says that an id is not in the account.
var ErrNoMessage = errors.New("no such message")

// ErrNoMailbox says that a mailbox or label does not exist.
var ErrNoMailbox = errors.New("no such mailbox")

// Deliver puts m into a Gmail account and returns its id. Labels that Gmail
// would refuse are reported and nothing is delivered.
func (s *Server) Deliver(m Message) (MsgID, error) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if s.st.generic != nil {
		return 0, errors.New("deliver: a generic server has mailboxes, use Append")
	}
	boxes, err := s.st.resolveLabels(m.Labels)
	if err != nil {
		return 0, err
	}
	flags, err := parseFlags(m.Flags)
	if err != nil {
		return 0, fmt.Errorf("deliver with flags %q: %w", m.Flags, err)
	}
	return s.st.deliver(m, flags, boxes).id, nil
}

// Append puts m into one mailbox of a generic server.
func (s *Server) Append(mailboxName string, m Message) (MsgID, error) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	b := s.st.find(mailboxName)
	if b == nil || b.noselect {
		return 0, fmt.Errorf("append to %q: %w", mailboxName, ErrNoMailbox)
	}
	flags, err := parseFlags(m.Flags)
	if err != nil {
		return 0, fmt.Errorf("append with flags %q: %w", m.Flags, err)
	}
	return s.st.deliver(m, flags, []*mailbox{b}).id, nil
}

func (st *store) resolveLabels(names []string) ([]*mailbox, error) {
	var boxes []*mailbox
	for _, name := range names {
		b, err := st.resolveLabel(name, true)
		if err != nil {
			return nil, fmt.Errorf("label %q: %w", name, err)
		}
		boxes = append(boxes, b)
	}
	return boxes, nil
}

// deliver stores a new message; boxes are labels, or the one generic mailbox.
func (st *store) deliver(in Message, flags flagSet, boxes []*mailbox) *message {
	if in.Date.IsZero() {
		in.Date = st.now()
	}
	m := &message{date: in.Date, body: in.Body, generate: in.Generate, size: int64(len(in.Body))}
	if in.Generate != nil {
		m.body, m.size = nil, in.Size
	}
	m.id = st.mint(in.Date)
	m.email = m.id
	m.thread = in.Thread
	st.msgs[m.id] = m
	st.index(m, in)
	m.flags = flags
	m.flags.sys &^= flagDeleted
	st.learn(flags.keywords)
	st.modseq++
	m.modseq = st.modseq
	if st.generic != nil {
		p := st.attach(m, boxes[0])
		p.deleted = flags.has(flagDeleted)
		return m
	}
	st.place(m, boxes)
	return m
}

// place gives a new Gmail message its mailboxes; Spam and Trash win.
func (st *store) place(m *message, boxes []*mailbox) {
	for _, b := range boxes {
		if b.kind == kindSpam || b.kind == kindTrash {
			st.attach(m, b)
			return
		}
	}
	st.attach(m, st.system[kindAll])
	st.syncStar(m)
	for _, b := range boxes {
		switch b.kind {
		case kindStarred:
			st.setFlags(m, m.flags.combine('+', flagSet{sys: flagFlagged}), nil)
		case kindDrafts:
			m.flags.sys |= flagDraft
		}
		if b.kind != kindAll {
			st.attach(m, b)
		}
	}
}

// index finds the thread and remembers the keys of de-duplication.
func (st *store) index(m *message, in Message) {
	var h header
	if in.Generate == nil {
		h = parseHeader(headerBlock(in.Body))
		in.MessageID, in.DateHeader = h.get("Message-Id"), h.get("Date")
	}
	if m.thread == 0 {
		m.thread = st.threadOf(h)
	}
	if m.thread == 0 {
		m.thread = m.id
	}
	if in.MessageID == "" {
		return
	}
	m.keys = [2]digest{hashKey("dup", in.MessageID, in.DateHeader), hashKey("id", in.MessageID)}
	for _, k := range m.keys {
		if st.byKey[k] == nil {
			st.byKey[k] = m
		}
	}
}

func (st *store) threadOf(h header) MsgID {
	refs := strings.Fields(h.get("References") + " " + h.get("In-Reply-To"))
	for _, ref := range slices.Backward(refs) {
		if m := st.byKey[hashKey("id", ref)]; m != nil {
			return m.thread
		}
	}
	return 0
}

// with runs f on one message under the lock.
func (s *Server) with(id MsgID, f func(*store, *message) error) error {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	m := s.st.msgs[id]
	if m == nil {
		return fmt.Errorf("message %s: %w", id.Hex(), ErrNoMessage)
	}
	return f(&s.st, m)
}

// AddLabels adds labels, creating missing ones; \Spam and \Trash move.
func (s *Server) AddLabels(id MsgID, labels ...string) error {
	return s.with(id, func(st *store, m *message) error {
		boxes, err := st.resolveLabels(labels)
		for _, b := range boxes {
			st.addLabel(m, b, nil)
		}
		return err
	})
}

// RemoveLabels takes labels off; unknown ones are ignored.
func (s *Server) RemoveLabels(id MsgID, labels ...string) error {
	return s.with(id, func(st *store, m *message) error {
		for _, name := range labels {
			if b, err := st.resolveLabel(name, false); err == nil {
				st.removeLabel(m, b, nil)
			}
		}
		return nil
	})
}

// SetLabels makes the labels exactly these.
func (s *Server) SetLabels(id MsgID, labels ...string) error {
	return s.with(id, func(st *store, m *message) error {
		boxes, err := st.resolveLabels(labels)
		if err != nil {
			return err
		}
		st.replaceLabels(m, boxes, nil)
		return nil
	})
}

// replaceLabels makes the labels exactly boxes; Spam and Trash win over others.
func (st *store) replaceLabels(m *message, boxes []*mailbox, by *session) {
	for _, b := range boxes {
		if b.kind == kindSpam || b.kind == kindTrash {
			st.exile(m, b)
			return
		}
	}
	for _, p := range slices.Clone(m.places) {
		if p.box.kind != kindAll && !slices.Contains(boxes, p.box) {
			st.removeLabel(m, p.box, by)
		}
	}
	for _, b := range boxes {
		st.addLabel(m, b, by)
	}
}

// SetFlags makes the flags exactly these.
func (s *Server) SetFlags(id MsgID, flags ...string) error {
	return s.with(id, func(st *store, m *message) error {
		f, err := parseFlags(flags)
		if err != nil {
			return fmt.Errorf("flags %q: %w", flags, err)
		}
		st.setFlags(m, f, nil)
		return nil
	})
}

// MoveToTrash moves a message to Trash and out of every label.
func (s *Server) MoveToTrash(id MsgID) error { return s.AddLabels(id, `\Trash`) }

// MoveToSpam moves a message to Spam and out of every label.
func (s *Server) MoveToSpam(id MsgID) error { return s.AddLabels(id, `\Spam`) }

// Expunge deletes a message for ever.
func (s *Server) Expunge(id MsgID) error {
	return s.with(id, func(st *store, m *message) error {
		st.drop(m)
		return nil
	})
}

// CreateLabel makes a label or, on a generic server, a mailbox.
func (s *Server) CreateLabel(name string) error {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	_, err := s.st.create(name)
	return err
}

// CreateMailbox is CreateLabel under the name a generic server deserves.
func (s *Server) CreateMailbox(name string) error { return s.CreateLabel(name) }

// create makes a mailbox by the personality's rules.
func (st *store) create(name string) (*mailbox, error) {
	if st.generic == nil {
		return st.createLabel(name)
	}
	if name == "" || st.find(name) != nil && !st.find(name).noselect {
		return nil, errDuplicate
	}
	if b := st.find(name); b != nil {
		b.noselect = false
		return b, nil
	}
	st.createParents(name)
	return st.newMailbox(name), nil
}

// DeleteLabel removes a label; its messages keep their other labels.
func (s *Server) DeleteLabel(name string) error {
	return s.withBox(name, func(st *store, b *mailbox) error {
		if b.kind != kindUser {
			return fmt.Errorf("delete %q: a system folder", name)
		}
		st.deleteLabel(b)
		return nil
	})
}

// DeleteMailbox removes a generic server's mailbox with its messages.
func (s *Server) DeleteMailbox(name string) error { return s.DeleteLabel(name) }

// RenameLabel gives a label and its children a new name; UIDs stay.
func (s *Server) RenameLabel(from, to string) error {
	return s.withBox(from, func(st *store, b *mailbox) error {
		if b.kind != kindUser {
			return fmt.Errorf("rename %q: a system folder", from)
		}
		return st.rename(b, to)
	})
}

// RenameMailbox is RenameLabel for a generic server.
func (s *Server) RenameMailbox(from, to string) error { return s.RenameLabel(from, to) }

func (s *Server) withBox(name string, f func(*store, *mailbox) error) error {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	b := s.st.find(name)
	if b == nil {
		return fmt.Errorf("mailbox %q: %w", name, ErrNoMailbox)
	}
	return f(&s.st, b)
}

// HideFolder turns "Show in IMAP" off for a special use such as `\All`, or
// for a label by its name. ShowFolder turns it on again.
func (s *Server) HideFolder(use string) error { return s.setHidden(use, true) }

// ShowFolder undoes HideFolder.
func (s *Server) ShowFolder(use string) error { return s.setHidden(use, false) }

func (s *Server) setHidden(use string, hidden bool) error {
	name := use
	if kind, ok := specialUse[use]; ok {
		if name = s.FolderName(use); kind != kindUser && name == "" {
			return fmt.Errorf("mailbox %q: %w", use, ErrNoMailbox)
		}
	}
	return s.withBox(name, func(_ *store, b *mailbox) error {
		b.hidden = hidden
		return nil
	})
}

// FolderName is the localized name of a special-use folder, "" if there is none.
func (s *Server) FolderName(use string) string {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	for _, b := range s.st.boxes {
		if b.attr != "" && strings.EqualFold(b.attr, use) {
			return b.name
		}
	}
	return ""
}

// SetSpecialUse gives a generic server's mailbox a special-use attribute.
func (s *Server) SetSpecialUse(name, attr string) error {
	return s.withBox(name, func(_ *store, b *mailbox) error {
		b.attr = attr
		return nil
	})
}

// FolderLimit shows only the newest n messages of every folder, as Gmail's
// "limit folder size" does; 0 means no limit. It holds from the next SELECT.
func (s *Server) FolderLimit(n int) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.st.folderLimit = n
}

// ChangeUIDValidity gives a mailbox a new UIDVALIDITY and its messages new
// UIDs. Sessions that have it open see every message expunged.
func (s *Server) ChangeUIDValidity(name string) error {
	return s.withBox(name, func(st *store, b *mailbox) error {
		old := b.places
		st.detach(b, old)
		st.nextUIDV += 1000
		b.uidValidity = st.nextUIDV
		b.uidNext = 1
		for sess := range b.watchers {
			sess.firstUID = 0
		}
		for _, p := range old {
			st.attach(p.msg, b).deleted = p.deleted
		}
		return nil
	})
}

// ReplaceBody swaps a message's bytes under its id and UIDs, which no honest
// server does: tests of clients that must notice use it.
func (s *Server) ReplaceBody(id MsgID, body []byte) error {
	return s.with(id, func(_ *store, m *message) error {
		m.body, m.generate, m.size = bytes.Clone(body), nil, int64(len(body))
		return nil
	})
}
