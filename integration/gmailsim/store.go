package gmailsim

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"
)

// MsgID identifies a message in the whole account: X-GM-MSGID. Its top 44
// bits are the internal date in milliseconds since 1970.
type MsgID uint64

// Hex is the form Gmail's web page and API use.
func (id MsgID) Hex() string { return fmt.Sprintf("%x", uint64(id)) }

// mailKind says which rules a mailbox follows.
type mailKind int

const (
	kindUser mailKind = iota
	kindInbox
	kindAll
	kindSpam
	kindTrash
	kindStarred
	kindDrafts
	kindSent
	kindImportant
	kindMuted
)

type digest [16]byte

// message is one mail. In the generic personality it has exactly one place.
type message struct {
	id, thread MsgID
	email      MsgID // EMAILID: survives COPY and MOVE in the generic personality
	date       time.Time
	size       int64
	body       []byte
	generate   func() []byte
	flags      flagSet
	modseq     uint64
	served     int // how often its whole body was sent
	places     []*place
	keys       [2]digest // (Message-ID, Date) and Message-ID; zero when unknown
}

// place is a message's position in one mailbox; uid, msg and box never change.
type place struct {
	uid     uint32
	deleted bool // \Deleted belongs to the mailbox, not to the message
	gone    bool
	msg     *message
	box     *mailbox
}

// mailbox is a folder or, in Gmail's personality, a label.
type mailbox struct {
	name         string // UTF-8, whole path
	kind         mailKind
	attr         string // special-use attribute
	xlist        string
	label        string // X-GM-LABELS spelling of a system label
	noselect     bool
	hidden       bool // "Show in IMAP" is off
	unsubscribed bool
	serial       uint64 // MAILBOXID
	uidValidity  uint32
	uidNext      uint32
	highest      uint64 // highest modseq, generic personality
	unseen       int
	places       []*place
	watchers     map[*session]struct{}
}

// labelName is the label's name in X-GM-LABELS, "" for All Mail.
func (b *mailbox) labelName() string {
	if b.kind == kindUser {
		return b.name
	}
	return b.label
}

// store is the account. Every method needs mu held.
type store struct {
	mu          sync.Mutex
	generic     *Generic
	now         func() time.Time
	delim       string
	boxes       map[string]*mailbox // by fold(name)
	system      map[mailKind]*mailbox
	msgs        map[MsgID]*message
	byKey       map[digest]*message
	modseq      uint64
	minted      uint64
	nextUIDV    uint32
	folderLimit int
	expunge     ExpungeBehavior
	keywords    []string // in order of appearance
}

// fold makes names comparable: Gmail's labels differ by more than case, and
// INBOX is case-insensitive everywhere.
func (st *store) fold(name string) string {
	if st.generic == nil {
		return strings.ToLower(name)
	}
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return name
}

func (st *store) find(name string) *mailbox { return st.boxes[st.fold(name)] }

func (st *store) newMailbox(name string) *mailbox {
	st.nextUIDV += 7
	b := &mailbox{
		name: name, serial: uint64(st.nextUIDV), uidNext: 1, uidValidity: st.nextUIDV, highest: 1,
		watchers: map[*session]struct{}{},
	}
	st.boxes[st.fold(name)] = b
	return b
}

// sortedBoxes lists INBOX first, then by name.
func (st *store) sortedBoxes() []*mailbox {
	boxes := make([]*mailbox, 0, len(st.boxes))
	for _, b := range st.boxes {
		if b.kind != kindMuted {
			boxes = append(boxes, b)
		}
	}
	sort.Slice(boxes, func(i, j int) bool {
		if inbox := boxes[i].kind == kindInbox; inbox != (boxes[j].kind == kindInbox) {
			return inbox
		}
		return boxes[i].name < boxes[j].name
	})
	return boxes
}

// mint makes a fresh id for a date: milliseconds on top, a scrambled counter
// below. Messages of one second get spread-out milliseconds, as Gmail's have.
func (st *store) mint(date time.Time) MsgID {
	for {
		st.minted++
		noise := scramble(st.minted)
		ms := uint64(0)
		if date.Unix() >= 0 {
			ms = uint64(date.UnixMilli())
		}
		if date.Nanosecond() == 0 {
			ms += noise >> 20 % 1000
		}
		id := MsgID(ms<<20 | noise&0xfffff)
		if _, taken := st.msgs[id]; !taken && id != 0 {
			return id
		}
	}
}

// scramble is the finalizer of SplitMix64.
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hashKey(parts ...string) digest {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return digest(sum[:16])
}

// attach puts m into b, at the end, unless it is there.
func (st *store) attach(m *message, b *mailbox) *place {
	if p := m.in(b); p != nil {
		return p
	}
	p := &place{uid: b.uidNext, msg: m, box: b}
	b.uidNext++
	b.places = append(b.places, p)
	m.places = append(m.places, p)
	if !m.flags.has(flagSeen) {
		b.unseen++
	}
	if m.modseq > b.highest {
		b.highest = m.modseq
	}
	for s := range b.watchers {
		s.poke()
	}
	return p
}

func (m *message) in(b *mailbox) *place {
	for _, p := range m.places {
		if p.box == b {
			return p
		}
	}
	return nil
}

// detach removes places that all belong to b, in one pass.
func (st *store) detach(b *mailbox, places []*place) {
	gone := 0
	for _, p := range places {
		if p.gone {
			continue
		}
		p.gone = true
		gone++
		p.msg.places = slices.DeleteFunc(slices.Clone(p.msg.places), func(q *place) bool { return q == p })
		if !p.msg.flags.has(flagSeen) {
			b.unseen--
		}
		for s := range b.watchers {
			s.gone = append(s.gone, p.uid)
			s.poke()
		}
	}
	if gone == 0 {
		return
	}
	// A new slice: sessions still look at the old one.
	kept := make([]*place, 0, len(b.places)-gone)
	for _, p := range b.places {
		if !p.gone {
			kept = append(kept, p)
		}
	}
	b.places = kept
	st.modseq++
	b.highest = st.modseq
}

func (st *store) detachOne(p *place) { st.detach(p.box, []*place{p}) }

// touch gives m a new modseq.
func (st *store) touch(m *message) {
	st.modseq++
	m.modseq = st.modseq
	for _, p := range m.places {
		p.box.highest = st.modseq
	}
}

// notifyFlags tells every other session that looks at m.
func (st *store) notifyFlags(m *message, by *session) {
	for _, p := range m.places {
		for s := range p.box.watchers {
			if s != by {
				s.changed = append(s.changed, p)
				s.poke()
			}
		}
	}
}

// highestFor is the HIGHESTMODSEQ of b: one counter for the whole account on
// Gmail.
func (st *store) highestFor(b *mailbox) uint64 {
	if st.generic == nil {
		return max(st.modseq, 1)
	}
	return b.highest
}

// visible is what clients may see of b under the folder size limit.
func (st *store) visible(b *mailbox) []*place {
	if st.folderLimit > 0 && len(b.places) > st.folderLimit {
		return b.places[len(b.places)-st.folderLimit:]
	}
	return b.places
}

func (st *store) unseenOf(b *mailbox) int {
	seen := st.visible(b)
	if len(seen) == len(b.places) {
		return b.unseen
	}
	n := 0
	for _, p := range seen {
		if !p.msg.flags.has(flagSeen) {
			n++
		}
	}
	return n
}

// uidIndex is the index of the first place whose UID is at least uid.
func uidIndex(places []*place, uid uint32) int {
	return sort.Search(len(places), func(i int) bool { return places[i].uid >= uid })
}

func (st *store) drop(m *message) {
	for _, p := range slices.Clone(m.places) {
		st.detachOne(p)
	}
	delete(st.msgs, m.id)
	for _, k := range m.keys {
		if st.byKey[k] == m {
			delete(st.byKey, k)
		}
	}
}
