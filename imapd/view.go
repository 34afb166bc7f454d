package imapd

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"
	"weak"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

const (
	keptBytes = 128 << 20        // of snapshots kept for mailboxes that nobody has open
	keptFor   = 10 * time.Minute // after the last session has closed a mailbox
)

// views are the mailboxes that are open, and those that were lately: a client that comes back, or opens one folder after another, does not wait for them to be
// loaded again.
type views struct {
	reader *archive.Reader
	trees  *trees
	pause  time.Duration // before what could not be read is tried again

	mu   sync.Mutex
	byID map[archive.MailboxID]*view
	kept list.List // of *view without users, the one closed last first
	size int64     // bytes of their snapshots
}

// view is a mailbox that some sessions have open, or had.
type view struct {
	views *views
	id    archive.MailboxID // 0: an INBOX that no account has

	// Guarded by views.mu.
	users  int
	kept   *list.Element // in views.kept; nil while there are users
	size   int64         // what views.size counts for it
	expiry *time.Timer   // of what is kept

	work   sync.Mutex // held while snap is read or brought up to date, which may take long
	tables *tables    // of snap; only with work

	mu    sync.Mutex      // of what follows; never held for long
	row   archive.Mailbox // as read last
	snap  *snapshot       // nil until somebody needs it
	seq   archive.ModSeq  // the batch up to which snap stands for the mailbox
	bytes int64           // of snap and tables
	past  past            // the snapshot that load has put together last
	err   error           // why snap cannot be read now; only until retry
	retry time.Time

	labels   labelCache
	keywords keywordCache
}

// position is what one session has told its client of a mailbox.
type position struct {
	view *view
	row  archive.Mailbox // told by SELECT
	snap *snapshot       // told since; nil until needed, then row stands for it

	limit archive.ModSeq // see modSeq
	fresh bool           // snap was loaded after SELECT, and tell has not looked since at what may have changed in between

	flagsOf   *snapshot   // whose flags have been announced; nil: only systemFlags
	flagsTold []imap.Flag // by FLAGS
}

// emptyInbox is the row of an INBOX that no account has.
var emptyInbox = archive.Mailbox{Name: inbox, UIDValidity: 1, UIDNext: 1}

func (vs *views) init(r *archive.Reader, t *trees, pause time.Duration) {
	vs.reader, vs.trees, vs.pause = r, t, pause
	vs.byID = make(map[archive.MailboxID]*view)
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
	vs.reuse(v)
	vs.mu.Unlock()
	// The view is known before its row is read, so that no change is missed by both this and changes.look.
	p := &position{view: v, limit: allModSeqs}
	var err error
	if p.row, err = vs.trees.row(ctx, id); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close gives the mailbox up.
func (p *position) close() {
	v, vs := p.view, p.view.views
	cost := v.cost()
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v.users--; v.users > 0 {
		return
	}
	if cost == 0 || cost > keptBytes {
		delete(vs.byID, v.id)
		return
	}
	v.kept, v.size = vs.kept.PushFront(v), cost
	vs.size += cost
	v.expiry = time.AfterFunc(keptFor, func() { vs.expire(v) })
	for vs.size > keptBytes {
		vs.drop(vs.kept.Back().Value.(*view))
	}
}

// cost is about how many bytes the view's snapshot takes.
func (v *view) cost() int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.bytes
}

// reuse takes a view out of those that are kept without users. The caller holds vs.mu, also of the next two.
func (vs *views) reuse(v *view) {
	if v.kept == nil {
		return
	}
	v.expiry.Stop()
	vs.kept.Remove(v.kept)
	vs.size -= v.size
	v.kept, v.size, v.expiry = nil, 0, nil
}

// drop forgets a view without users.
func (vs *views) drop(v *view) {
	vs.reuse(v)
	delete(vs.byID, v.id)
}

// expire drops a view unless it has been opened since.
func (vs *views) expire(v *view) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if v.kept != nil && v.users == 0 {
		vs.drop(v)
	}
}

// close forgets what is kept.
func (vs *views) close() {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	for vs.kept.Len() > 0 {
		vs.drop(vs.kept.Back().Value.(*view))
	}
}

// inUse returns the views that somebody has open.
func (vs *views) inUse() []*view {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	var used []*view
	for _, v := range vs.byID {
		if v.users > 0 {
			used = append(used, v)
		}
	}
	return used
}

// check looks whether the mailbox has changed. It does not wait while the view is being loaded.
func (v *view) check(ctx context.Context) error {
	row, err := v.views.trees.row(ctx, v.id)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if row.ModSeq > v.row.ModSeq {
		v.row = row
	}
	return nil
}

// modSeq is the last batch known to have changed the mailbox.
func (v *view) modSeq() archive.ModSeq {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.row.ModSeq
}

// latest returns the shared snapshot, of batch least or later. One goroutine reads it while the others that want it wait. What cannot be read is not tried again at once.
func (v *view) latest(ctx context.Context, least archive.ModSeq) (*snapshot, error) {
	if snap, err := v.known(least); snap != nil || err != nil {
		return snap, err
	}
	v.work.Lock()
	defer v.work.Unlock()
	if snap, err := v.known(least); snap != nil || err != nil { // somebody else has done it
		return snap, err
	}
	err := v.renew(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil { // else it is the client that has gone away
			v.err, v.retry = err, time.Now().Add(v.views.pause)
		}
		return nil, err
	}
	v.err = nil
	return v.snap, nil
}

// known returns the shared snapshot if it is of batch least or later, and nothing later is known; or the error that somebody has just had with it.
func (v *view) known(least archive.ModSeq) (*snapshot, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.snap != nil && max(least, v.row.ModSeq) <= v.seq:
		return v.snap, nil
	case v.err != nil && time.Now().Before(v.retry):
		return nil, v.err
	}
	return nil, nil
}

// renew reads the shared snapshot, or brings it up to date. The caller holds v.work.
func (v *view) renew(ctx context.Context) error {
	v.mu.Lock()
	snap, seq := v.snap, v.seq
	v.mu.Unlock()
	var err error
	if snap == nil {
		snap, seq, err = v.read(ctx)
	} else {
		snap, seq, err = v.update(ctx, snap, seq)
	}
	if err != nil {
		return err
	}
	bytes := 1 + snap.cost() + v.tables.cost()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.snap, v.seq, v.bytes = snap, seq, bytes
	return nil
}

// read makes the first snapshot. The caller holds v.work, also of update.
func (v *view) read(ctx context.Context) (*snapshot, archive.ModSeq, error) {
	t, seq := newTables(), archive.ModSeq(0)
	var b snapshotBuilder
	if v.id != 0 {
		var err error
		seq, err = v.views.reader.ScanEntries(ctx, v.id, func(e *archive.Entry) {
			r := t.row(e)
			b.add(&r)
		})
		if err != nil {
			return nil, 0, err
		}
	}
	v.tables = t
	return b.snapshot(t), seq, nil
}

// update returns the shared snapshot as it is now.
func (v *view) update(ctx context.Context, snap *snapshot, seq archive.ModSeq) (*snapshot, archive.ModSeq, error) {
	c, err := v.views.reader.Changes(ctx, v.id, seq, snap.next())
	if err != nil {
		return nil, 0, err
	}
	return snap.apply(&c, v.tables), c.ModSeq, nil
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
	p.fresh = true
	if now.len() == int(p.row.Messages) && now.next() <= p.row.UIDNext {
		p.snap = now
		return nil
	}
	snap, err := p.view.before(ctx, now, &p.row)
	if err != nil {
		return err
	}
	p.limit, p.snap = p.row.ModSeq, snap
	return nil
}

// past is a mailbox as it was, put together from how it is. Many sessions that have selected it at the same time want the same; it is kept for as long as one of them has it.
type past struct {
	modSeq archive.ModSeq
	next   archive.UID
	now    weak.Pointer[snapshot]
	snap   weak.Pointer[snapshot]
}

// before returns the mailbox as a client was told of it with row: what is still there in now, and a placeholder for what was taken out since.
func (v *view) before(ctx context.Context, now *snapshot, row *archive.Mailbox) (*snapshot, error) {
	v.work.Lock()
	defer v.work.Unlock()
	v.mu.Lock()
	made := v.past
	v.mu.Unlock()
	if made.modSeq == row.ModSeq && made.next == row.UIDNext && made.now == weak.Make(now) {
		if snap := made.snap.Value(); snap != nil {
			return snap, nil
		}
	}
	var vanished []archive.UID
	err := v.views.reader.Vanished(ctx, v.id, row.ModSeq, func(uids []archive.UID) error {
		vanished = append(vanished, uids...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(vanished)
	snap := now.withPlaceholders(row.UIDNext, vanished, v.tables)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.past = past{row.ModSeq, row.UIDNext, weak.Make(now), weak.Make(snap)}
	return snap, nil
}

// withPlaceholders returns the part of s below next, with a row that stands for nothing for each of the vanished UIDs, which are ascending. Blocks into which none falls are shared.
func (s *snapshot) withPlaceholders(next archive.UID, vanished []archive.UID, t *tables) *snapshot {
	none := t.flagsNumber("")
	var b snapshotBuilder
	placeholders := func(below archive.UID) {
		for len(vanished) > 0 && vanished[0] < below {
			b.add(&row{uid: vanished[0], flags: none})
			vanished = vanished[1:]
		}
	}
	for _, block := range s.blocks {
		placeholders(min(block[0].uid, next))
		last := block[len(block)-1].uid
		if last < next && (len(vanished) == 0 || vanished[0] > last) {
			b.share(block)
			continue
		}
		for i := range block {
			r := &block[i]
			if r.uid >= next {
				break
			}
			placeholders(r.uid)
			if len(vanished) > 0 && vanished[0] == r.uid {
				vanished = vanished[1:] // taken out and entered again, which does not happen
			}
			b.add(r)
		}
	}
	placeholders(next)
	return b.snapshot(t)
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
	for i, r := range p.snap.all() {
		if !p.snap.flagsOf(r).seen && !r.ref.IsZero() {
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
