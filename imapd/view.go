package imapd

import (
	"context"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// snapshot is a mailbox at one moment: sequence number = index + 1. It never changes; sessions share it.
type snapshot struct {
	entries []archive.Entry // ascending by UID; one with the zero Ref has been taken out of the archive since
}

// next is the least UID above all.
func (s *snapshot) next() archive.UID {
	if len(s.entries) == 0 {
		return 1
	}
	return s.entries[len(s.entries)-1].UID + 1
}

// index returns the place of the first entry whose UID is uid or higher.
func (s *snapshot) index(uid archive.UID) int {
	return sort.Search(len(s.entries), func(i int) bool { return s.entries[i].UID >= uid })
}

// has reports whether there is an entry with that UID.
func (s *snapshot) has(uid archive.UID) bool {
	i := s.index(uid)
	return i < len(s.entries) && s.entries[i].UID == uid
}

// views are the mailboxes that are open.
type views struct {
	reader *archive.Reader

	mu   sync.Mutex
	byID map[archive.MailboxID]*view
}

// view is a mailbox that some sessions have open.
type view struct {
	views *views
	id    archive.MailboxID // 0: an INBOX that no account has
	users int               // guarded by views.mu

	mu   sync.Mutex
	row  archive.Mailbox // as read last
	snap *snapshot       // nil until somebody needs it
	seq  archive.ModSeq  // the batch up to which snap stands for the mailbox

	labels   labelCache
	keywords keywordCache
}

// position is what one session has told its client of a mailbox.
type position struct {
	view *view
	row  archive.Mailbox // told by SELECT
	snap *snapshot       // told since; nil until needed, then row stands for it

	flagsOf   *snapshot   // whose flags have been announced; nil: only systemFlags
	flagsTold []imap.Flag // by FLAGS
}

// emptyInbox is the row of an INBOX that no account has.
var emptyInbox = archive.Mailbox{Name: inbox, UIDValidity: 1, UIDNext: 1}

func (vs *views) init(r *archive.Reader) {
	vs.reader = r
	vs.byID = make(map[archive.MailboxID]*view)
}

func (vs *views) row(ctx context.Context, id archive.MailboxID) (archive.Mailbox, error) {
	if id == 0 {
		return emptyInbox, nil
	}
	return vs.reader.Mailbox(ctx, id)
}

// open returns a position in a mailbox as it is now. The caller closes it.
func (vs *views) open(ctx context.Context, id archive.MailboxID) (*position, error) {
	vs.mu.Lock()
	v := vs.byID[id]
	if v == nil {
		v = &view{views: vs, id: id}
		vs.byID[id] = v
	}
	v.users++
	vs.mu.Unlock()
	// The view is known before its row is read, so that no change is missed by both this and changes.look.
	p := &position{view: v}
	var err error
	if p.row, err = vs.row(ctx, id); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close gives the mailbox up; with the last session its snapshot goes.
func (p *position) close() {
	vs := p.view.views
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if p.view.users--; p.view.users == 0 {
		delete(vs.byID, p.view.id)
	}
}

// all returns the open views.
func (vs *views) all() []*view {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var list []*view
	for _, v := range vs.byID {
		list = append(list, v)
	}
	return list
}

// check looks whether the mailbox has changed.
func (v *view) check(ctx context.Context) error {
	row, err := v.views.row(ctx, v.id)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if row.ModSeq > v.row.ModSeq {
		v.row = row
	}
	if v.snap == nil || v.row.ModSeq <= v.seq {
		return nil
	}
	return v.update(ctx)
}

// modSeq is the last batch known to have changed the mailbox.
func (v *view) modSeq() archive.ModSeq {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.row.ModSeq
}

// latest returns the shared snapshot, of batch least or later.
func (v *view) latest(ctx context.Context, least archive.ModSeq) (*snapshot, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.snap == nil {
		if v.id == 0 {
			v.snap = new(snapshot)
			return v.snap, nil
		}
		entries, seq, err := v.views.reader.Entries(ctx, v.id)
		if err != nil {
			return nil, err
		}
		dropBadFlags(entries)
		v.snap, v.seq = &snapshot{entries: entries}, seq
	}
	if max(least, v.row.ModSeq) > v.seq {
		if err := v.update(ctx); err != nil {
			return nil, err
		}
	}
	return v.snap, nil
}

// update brings the shared snapshot up to date. The caller holds v.mu.
func (v *view) update(ctx context.Context) error {
	c, err := v.views.reader.Changes(ctx, v.id, v.seq, v.snap.next())
	if err != nil {
		return err
	}
	dropBadFlags(c.Added)
	dropBadFlags(c.Changed)
	v.snap, v.seq = v.snap.apply(&c), c.ModSeq
	return nil
}

// dropBadFlags leaves out the flags that the grammar has no room for: those with a "]", which some servers send all the same (RFC 9051 section 9, "atom"). The archive keeps
// them, but strict clients, go-imap for one, close the connection over them, and none can search for them.
func dropBadFlags(entries []archive.Entry) {
	for i := range entries {
		if e := &entries[i]; strings.Contains(e.Flags, "]") {
			e.Flags = strings.Join(slices.DeleteFunc(strings.Fields(e.Flags), func(f string) bool { return strings.Contains(f, "]") }), " ")
		}
	}
}

// apply returns the snapshot after some changes: s itself when they change nothing.
func (s *snapshot) apply(c *archive.Changes) *snapshot {
	entries := make([]archive.Entry, 0, len(s.entries)+len(c.Added))
	vanished, changed := c.Vanished, c.Changed
	different := len(c.Added) > 0
	for i := range s.entries {
		e := &s.entries[i]
		for len(vanished) > 0 && vanished[0] < e.UID {
			vanished = vanished[1:]
		}
		if len(vanished) > 0 && vanished[0] == e.UID {
			different = true
			continue
		}
		for len(changed) > 0 && changed[0].UID < e.UID {
			changed = changed[1:]
		}
		if len(changed) > 0 && changed[0].UID == e.UID {
			different = true
			e = &changed[0]
		}
		entries = append(entries, *e)
	}
	if !different {
		return s
	}
	return &snapshot{entries: append(entries, c.Added...)}
}

// load makes p.snap the mailbox that the client knows. When nothing has happened since SELECT that is the shared snapshot; else what SELECT has counted is
// put together again: what is still there, and a placeholder for what was taken out.
func (p *position) load(ctx context.Context) error {
	if p.snap != nil {
		return nil
	}
	now, err := p.view.latest(ctx, p.row.ModSeq)
	if err != nil {
		return err
	}
	if len(now.entries) == int(p.row.Messages) && now.next() <= p.row.UIDNext {
		p.snap = now
		return nil
	}
	c, err := p.view.views.reader.Changes(ctx, p.view.id, p.row.ModSeq, p.row.UIDNext)
	if err != nil {
		return err
	}
	then := slices.Clone(now.entries[:now.index(p.row.UIDNext)])
	for _, uid := range c.Vanished {
		if uid < p.row.UIDNext && !now.has(uid) {
			then = append(then, archive.Entry{UID: uid})
		}
	}
	slices.SortFunc(then, func(a, b archive.Entry) int { return int(int64(a.UID) - int64(b.UID)) })
	p.snap = &snapshot{entries: then}
	return nil
}

// fewMessages is how many messages SELECT looks at to find the first unseen one, when they are not loaded yet.
const fewMessages = 500

// firstUnseen returns the sequence number of the first message without \Seen, 0 when there is none, or when finding it is too dear: the response is one that clients
// have to do without (RFC 9051 section 6.3.2 has it no more).
func (p *position) firstUnseen(ctx context.Context) (uint32, error) {
	switch {
	case p.row.Unseen == 0:
		return 0, nil
	case p.row.Unseen == p.row.Messages:
		return 1, nil
	case p.row.Messages > fewMessages && !p.view.loaded():
		return 0, nil
	}
	if err := p.load(ctx); err != nil {
		return 0, err
	}
	for i := range p.snap.entries {
		if e := &p.snap.entries[i]; !e.Ref.IsZero() && !hasFlag(e.Flags, `\Seen`) {
			return uint32(i + 1), nil
		}
	}
	return 0, nil
}

func (v *view) loaded() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.snap != nil
}
