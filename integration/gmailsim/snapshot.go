package gmailsim

import (
	"fmt"
	"slices"
	"time"
)

// MessageState is what the account knows of one message.
type MessageState struct {
	ID, Thread MsgID
	Email      MsgID // EMAILID of a generic server
	Date       time.Time
	Size       int64
	ModSeq     uint64
	Flags      []string
	// Labels are UTF-8 names, sorted, system ones with a backslash. Empty on a
	// generic server.
	Labels []string
	// UIDs by mailbox name, All Mail included.
	UIDs map[string]uint32
	// Body returns the bytes; not a copy.
	Body func() []byte
}

// UIDState is one row of a mailbox.
type UIDState struct {
	UID   uint32
	ID    MsgID
	Flags []string
}

// MailboxState is one mailbox as a fresh client would see it, size limit and
// "Show in IMAP" aside.
type MailboxState struct {
	Name                 string // UTF-8
	Attr                 string // special use
	NoSelect, Hidden     bool
	UIDValidity, UIDNext uint32
	HighestModSeq        uint64
	Messages             []UIDState // by UID
}

// Snapshot is the whole account at one moment.
type Snapshot struct {
	Messages  []MessageState // by id
	Mailboxes []MailboxState // INBOX, then by name
}

// Snapshot copies the state, bodies excepted.
func (s *Server) Snapshot() Snapshot {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	var snap Snapshot
	for _, m := range s.st.msgs {
		snap.Messages = append(snap.Messages, s.st.state(m))
	}
	slices.SortFunc(snap.Messages, func(a, b MessageState) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	for _, b := range s.st.sortedBoxes() {
		box := MailboxState{Name: b.name, Attr: b.attr, NoSelect: b.noselect, Hidden: b.hidden,
			UIDValidity: b.uidValidity, UIDNext: b.uidNext, HighestModSeq: s.st.highestFor(b)}
		for _, p := range b.places {
			box.Messages = append(box.Messages, UIDState{p.uid, p.msg.id, p.shown().names()})
		}
		snap.Mailboxes = append(snap.Mailboxes, box)
	}
	return snap
}

// Message returns the state of one message.
func (s *Server) Message(id MsgID) (MessageState, error) {
	var state MessageState
	err := s.with(id, func(st *store, m *message) error {
		state = st.state(m)
		return nil
	})
	return state, err
}

func (st *store) state(m *message) MessageState {
	state := MessageState{ID: m.id, Thread: m.thread, Email: m.email, Date: m.date, Size: m.size, ModSeq: m.modseq,
		Flags: m.flags.names(), UIDs: map[string]uint32{}, Body: bodyFunc(m.body, m.generate)}
	if st.generic == nil {
		state.Labels = st.labelsOf(m, nil)
		slices.Sort(state.Labels)
	}
	for _, p := range m.places {
		if p.box.kind != kindMuted {
			state.UIDs[p.box.name] = p.uid
		}
	}
	return state
}

func bodyFunc(body []byte, generate func() []byte) func() []byte {
	if generate != nil {
		return generate
	}
	return func() []byte { return body }
}

// Mailbox returns the state of one mailbox.
func (s Snapshot) Mailbox(name string) (MailboxState, error) {
	for _, b := range s.Mailboxes {
		if b.Name == name {
			return b, nil
		}
	}
	return MailboxState{}, fmt.Errorf("mailbox %q: %w", name, ErrNoMailbox)
}
