package backup

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// folder is a mailbox whose pass is under way.
type folder struct {
	plan     *planned
	ID       archive.FolderID
	state    archive.FolderState // as the pass found it, before anything was read
	told     *asked              // what the server told of its messages when it was gathered
	upTo     uint32              // the UIDNEXT up to which it was read
	fresh    uidSet              // UIDs that were to be fetched
	gone     uidSet              // what the server has no more
	stale    int64               // copies from before a renumbering that the end of the pass gives up; known at the end of the run
	limited  bool                // Gmail may show only a part
	unsure   bool                // the server's list contradicts itself
	partial  bool                // messages were left out on purpose; a wider selection must find them
	leftOut  uidSet              // of these, the ones that the selection by age and size left out and that were not compared with the archive
	withhold bool                // Gmail: what is met again keeps its labels; they are compared once all is read
	seeking  bool                // of what is fetched now, only messages that the archive has count
	failed   atomic.Bool         // the mailbox changed or vanished under the pass; its state must not be closed
	untold   uidSet              // known copies whose changes the server told in part only
	recorded bool                // the known copies are loaded
	known    uidSet              // UIDs that the archive has under this UIDVALIDITY
	flags    flagTable
	refs     digests // of the known copies' messages, and
	prints   digests // fingerprints met in this run: for servers without ids of their own
}

// digests is a set of digests by their first eight bytes, which do for telling that something needs a closer look.
type digests map[uint64]struct{}

// add adds a digest and tells whether it was there.
func (d *digests) add(digest []byte) (twice bool) {
	if *d == nil {
		*d = make(digests)
	}
	key := binary.BigEndian.Uint64(digest)
	_, twice = (*d)[key]
	(*d)[key] = struct{}{}
	return twice
}

func (d digests) has(digest []byte) bool {
	_, ok := d[binary.BigEndian.Uint64(digest)]
	return ok
}

// drafts tells whether the mailbox is for drafts: programs save one again and again with the same header, and a correction need not change its size.
func (f *folder) drafts() bool { return f.plan.use == `\Drafts` }

// met notes a fingerprint of a new message and tells whether the mailbox holds another one with it, or another copy of the message that it stands for.
func (f *folder) met(print archive.Fingerprint, stands archive.Ref) bool {
	return f.prints.add(print[:]) || !stands.IsZero() && f.refs.has(stands[:])
}

// errAbandoned ends the pass over one mailbox, not the run.
var errAbandoned = fmt.Errorf("the mailbox is not what it was: %w", errStop)

// chunk sizes: how many messages one command asks about.
const (
	chunkMeta    = 1500 // below windowSize, see recorder.expect
	chunkHeaders = 500
	chunkFlags   = 20000
	chunkRecord  = 500
)

// pass reads what changed in one mailbox and hands over what is missing. Problems of this mailbox alone are warnings.
func (r *run) pass(ctx context.Context, p *planned) error {
	f, err := r.open(ctx, p)
	if err != nil || f == nil {
		return err
	}
	r.passed = append(r.passed, f)
	err = r.passOpen(ctx, f)
	f.flags, f.refs, f.told = flagTable{}, nil, nil
	return r.survive(f, err)
}

// open examines a mailbox and notes its UIDVALIDITY. It returns nil when the server does not let it be read.
func (r *run) open(ctx context.Context, p *planned) (*folder, error) {
	f := &folder{plan: p, ID: p.known.ID}
	loaded := r.loadAhead(ctx, f)
	err := r.begin(ctx, f)
	if of := loaded(); err == nil && of != nil {
		return nil, of
	}
	switch {
	case refused(err) != nil:
		r.unreadable(p, fmt.Sprintf("the server does not open mailbox %q: %v", p.name, err))
		return nil, nil
	case err != nil:
		return nil, err
	case f.state.UIDValidity == 0:
		r.unreadable(p, fmt.Sprintf("the server gives the messages of mailbox %q no lasting numbers (UIDVALIDITY), so it cannot be backed up", p.name))
		return nil, nil
	}
	f.upTo = f.state.UIDNext
	f.limited = r.account.Kind == archive.Gmail && folderLimit(f.state.Messages)
	if f.limited {
		r.warn(WarnFolderLimit, f, 0, fmt.Sprintf("%q has exactly %d messages. That may be chance, or a limit that hides all others: look in Gmail settings, Forwarding and POP/IMAP, "+
			"and if \"Limit IMAP folders\" is set there, choose \"Do not limit\" and run the backup again. While the number stays, nothing in it is marked as gone", p.name, f.state.Messages))
	}
	return f, r.renumber(ctx, f)
}

func (r *run) warn(kind WarningKind, f *folder, uid uint32, text string) {
	r.report.warn(Warning{Kind: kind, Mailbox: f.plan.name, UID: uid, Text: text})
}

func (r *run) unreadable(p *planned, text string) {
	r.report.warn(Warning{Kind: WarnUnreadable, Mailbox: p.name, Text: text})
	r.report.summary(func(s *Summary) { s.Unfinished = true })
	if p.known.Current != 0 {
		// What left the other mailboxes may be in here.
		r.keepGone = true
	}
}

// renumber tells the archive which UIDVALIDITY the copies to come have.
func (r *run) renumber(ctx context.Context, f *folder) error {
	before := f.plan.known
	if before.Current == f.state.UIDValidity {
		return nil
	}
	delete(r.holes, f.ID)
	if before.Current != 0 {
		r.warn(WarnRenumbered, f, 0, fmt.Sprintf("the server renumbered the messages of %q; they are matched with what is here already", f.plan.name))
	}
	return r.record(ctx, archive.Batch{Account: r.account.ID, Renumber: []archive.Renumbering{{Folder: f.ID, UIDValidity: f.state.UIDValidity}}})
}

// at opens the folder's mailbox on a session and makes sure that its UIDs still mean the same.
func (f *folder) at(s *Session, fresh bool) error {
	data, err := s.examine(f.plan.name, fresh)
	if err != nil {
		return abandoned(err)
	}
	return f.same(data)
}

// since returns the mod-sequence from which the server can tell all changes, or 0 when it cannot.
func (r *run) since(f *folder) uint64 {
	then := f.plan.known.FolderState
	if then.UIDValidity != f.state.UIDValidity || f.state.ModSeq < then.ModSeq || r.rereadAll(f.plan) {
		return 0 // a mod-sequence that went backwards says that the server forgot, and so counts anew
	}
	return then.ModSeq
}

// doubtful tells whether the UIDs of a mailbox may mean other messages than the archive has under them, although UIDVALIDITY is the same: UIDNEXT went backwards, as after
// the server was restored from a backup, or a mailbox with the same UIDVALIDITY was removed and this one may be it under the other's name.
func (r *run) doubtful(f *folder) bool {
	then := f.plan.known.FolderState
	if then.UIDValidity != f.state.UIDValidity {
		return false
	}
	if then.UIDNext == doubt || f.state.UIDNext != 0 && f.state.UIDNext < then.UIDNext {
		return true
	}
	return r.account.Kind == archive.IMAP && slices.ContainsFunc(r.plan.missing, func(k archive.Folder) bool { return k.UIDValidity == f.state.UIDValidity })
}

// doubt is the UIDNEXT of a folder's recorded state while its UIDs are in doubt. No mailbox gets there, so a run that is stopped leaves the doubt to the next one, however many
// messages arrive in between.
const doubt = math.MaxUint32

// noteDoubt records that the UIDs of a mailbox may mean other messages; the state that ends its pass takes that back.
func (r *run) noteDoubt(ctx context.Context, f *folder) error {
	r.warn(WarnRenumbered, f, 0, fmt.Sprintf("the server seems to count the messages of %q anew; they are compared with what is here already", f.plan.name))
	state := archive.FolderState{UIDValidity: f.state.UIDValidity, UIDNext: doubt}
	return r.record(ctx, archive.Batch{Account: r.account.ID, States: []archive.FolderResult{{Folder: f.ID, State: state}}})
}

// withholds tells whether messages that the archive has will be met again under other UIDs: the loss of many labels is not believed there either.
func (r *run) withholds(ctx context.Context, f *folder, doubtful bool) (bool, error) {
	if r.account.Kind != archive.Gmail || r.o.AcceptChanges {
		return false, nil
	}
	stale, err := r.stale(ctx, f)
	return doubtful || stale > 0, err
}

func (r *run) passOpen(ctx context.Context, f *folder) error {
	since := r.since(f)
	then := f.plan.known.FolderState
	estimate := f.plan.expected()
	doubtful := r.doubtful(f)
	if !doubtful && since != 0 && f.state.UIDNext != 0 && f.state.UIDNext == then.UIDNext && f.state.Messages == then.Messages {
		// Nothing came and nothing went: only flags and labels may have changed.
		f.fresh = slices.Clone(r.holes[f.ID])
		r.report.expect(f.fresh.count() - estimate)
		if f.state.ModSeq != then.ModSeq {
			var all uidSet
			all.addSpan(span{1, f.state.UIDNext - 1})
			if err := r.changes(ctx, f, all, since); err != nil {
				return err
			}
		}
		return r.fetchNew(ctx, f, f.fresh)
	}
	listed, err := r.listed(ctx, f)
	if err != nil {
		return err
	}
	if err := r.load(ctx, f); err != nil {
		return err
	}
	buried, err := r.w.Buried(ctx, f.ID)
	if err != nil {
		return archiveFailure(err)
	}
	var pruned uidSet
	for _, uid := range buried {
		pruned.add(uid)
	}
	stay := listed.and(f.known)
	f.fresh = listed.minus(f.known).minus(pruned)
	if doubtful {
		if err := r.noteDoubt(ctx, f); err != nil {
			return err
		}
		stay, f.fresh, f.refs = nil, listed, nil
	}
	if f.withhold, err = r.withholds(ctx, f, doubtful); err != nil {
		return err
	}
	f.gone = union(union(f.known, pruned), r.holes[f.ID]).minus(listed)
	if f.fresh, err = r.selected(ctx, f, f.fresh); err != nil {
		return err
	}
	r.report.expect(f.fresh.count() - estimate)
	if err := r.changes(ctx, f, stay, since); err != nil {
		return err
	}
	if err := r.fetchNew(ctx, f, f.fresh); err != nil || !f.withhold {
		return err
	}
	return r.changes(ctx, f, f.fresh, 0)
}

func union(a, b uidSet) uidSet {
	if len(b) == 0 {
		return a
	}
	out := slices.Clone(a)
	for _, one := range b {
		out.addSpan(one)
	}
	return out
}

// listed returns the UIDs that the server has. One answer is not believed when it falls short of what the server counted itself.
func (r *run) listed(ctx context.Context, f *folder) (listed uidSet, err error) {
	if f.state.Messages == 0 {
		return nil, nil
	}
	if f.told != nil {
		return f.told.uids(), nil
	}
	short := false
	count := f.state.Messages
	err = r.pool.do(ctx, f.plan.name, "list the messages of a mailbox", func(s *Session) error {
		if err := f.at(s, false); err != nil {
			return err
		}
		listed, err = s.listUIDs(1)
		if err != nil && refused(err) == nil {
			return err
		}
		if short = falls(listed, f.state); !short {
			return nil
		}
		// Expunged meanwhile, or left out: counted and listed once more, by another way.
		if err := f.at(s, true); err != nil {
			return err
		}
		again, err := s.listUIDsByFetch()
		if refused(err) == nil && err != nil {
			return err
		}
		count = s.box.NumMessages
		short = falls(listed, counted(s.box)) && falls(again, counted(s.box))
		listed = union(listed, again)
		return nil
	})
	if err == nil && short {
		f.unsure = true
		r.warn(WarnIncomplete, f, 0, fmt.Sprintf("the server counts %d messages in %q and lists %d; what is listed is backed up, and nothing is taken for gone; "+
			"run the backup again", count, f.plan.name, listed.count()))
	}
	return listed, err
}

func counted(box *imap.SelectData) archive.FolderState {
	return archive.FolderState{UIDNext: uint32(box.UIDNext), Messages: box.NumMessages}
}

// falls tells whether a list falls short of a state. What came after the state makes up for nothing.
func falls(listed uidSet, of archive.FolderState) bool {
	if of.UIDNext > 0 {
		listed = listed.minus(uidSet{{of.UIDNext, math.MaxUint32}})
	}
	return listed.count() < int64(of.Messages)
}

// loadAhead begins to load what the archive has of a mailbox that messages came to or went from: in a large one that takes as long as the server needs to open it. The caller
// calls loaded when that is done, and touches nothing that load fills before.
func (r *run) loadAhead(ctx context.Context, f *folder) (loaded func() error) {
	then, now := f.plan.known, f.plan.status
	if !f.plan.hasStatus || then.Current == 0 || now.UIDValidity != then.Current || now.UIDNext == then.UIDNext && now.Messages == then.Messages {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- r.load(ctx, f) }()
	return func() error {
		err := <-done
		if f.state.UIDValidity != then.Current { // renumbered since it was listed
			f.known, f.flags, f.refs, f.recorded = nil, flagTable{}, nil, false
		}
		return err
	}
}

// load reads which copies the archive has of the folder.
func (r *run) load(ctx context.Context, f *folder) error {
	if f.recorded {
		return nil
	}
	err := r.w.Copies(ctx, f.ID, func(k archive.Known) error {
		f.known.add(k.UID)
		f.flags.add(k.UID, k.Flags)
		if r.account.Kind == archive.IMAP {
			f.refs.add(k.Ref[:])
		}
		return nil
	})
	if err != nil {
		return archiveFailure(err)
	}
	f.recorded = true
	return nil
}

// flagTable knows the flags of a folder's copies in eight bytes each: a mailbox has few different lists of flags.
type flagTable struct {
	uids  []uint32
	lists []uint32
	names []string
	index map[string]uint32
}

// add notes the flags of a UID; UIDs come in ascending order.
func (t *flagTable) add(uid uint32, flags string) {
	if t.index == nil {
		t.index = make(map[string]uint32)
	}
	list, ok := t.index[flags]
	if !ok {
		list = uint32(len(t.names))
		t.names = append(t.names, flags)
		t.index[flags] = list
	}
	t.uids = append(t.uids, uid)
	t.lists = append(t.lists, list)
}

// same tells whether the archive has these flags; the order and \Recent do not count.
func (t *flagTable) same(uid uint32, flags []string) bool {
	i, ok := slices.BinarySearch(t.uids, uid)
	if !ok {
		return false
	}
	have := strings.Fields(t.names[t.lists[i]])
	n := 0
	for _, flag := range flags {
		if strings.EqualFold(flag, `\Recent`) {
			continue
		}
		if !slices.Contains(have, flag) {
			return false
		}
		n++
	}
	return n == len(have)
}
