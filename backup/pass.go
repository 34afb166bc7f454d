package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"mailkeep/archive"
)

// folder is a mailbox whose pass is under way.
type folder struct {
	plan     *planned
	ID       archive.FolderID
	state    archive.FolderState // as the pass found it, before anything was read
	gone     uidSet              // what the server has no more
	earlier  uint32              // messages recorded under an older UIDVALIDITY; 0 when that did not change
	matched  atomic.Int64        // of these, the ones found again
	limited  bool                // Gmail seems to show only a part
	unsure   bool                // the server's list contradicts itself
	failed   atomic.Bool         // the mailbox changed or vanished under the pass; its state must not be closed
	untold   uidSet              // known copies whose changes the server told in part only
	recorded bool                // the known copies are loaded
	known    uidSet              // UIDs that the archive has under this UIDVALIDITY
	flags    flagTable
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
	if errors.Is(err, errAbandoned) {
		f.failed.Store(true)
		r.warn(WarnUnreadable, f, 0, fmt.Sprintf("mailbox %q changed while it was read (%v); run the backup again", p.name, err))
		return nil
	}
	return err
}

// open examines a mailbox and notes its UIDVALIDITY. It returns nil when the server does not let it be read.
func (r *run) open(ctx context.Context, p *planned) (*folder, error) {
	f := &folder{plan: p, ID: p.known.ID}
	err := r.pool.do(ctx, p.name, "open a mailbox", func(s *Session) error {
		data, err := s.examine(p.name, true)
		if err == nil {
			f.state = archive.FolderState{UIDValidity: data.UIDValidity, UIDNext: uint32(data.UIDNext), ModSeq: data.HighestModSeq, Messages: data.NumMessages}
		}
		return err
	})
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
	f.limited = r.account.Kind == archive.Gmail && folderLimit(f.state.Messages)
	if f.limited {
		r.warn(WarnFolderLimit, f, 0, fmt.Sprintf("%q has exactly %d messages, which is one of Gmail's folder limits: if Gmail settings, Forwarding and POP/IMAP, "+
			"say \"Limit IMAP folders\", set \"Do not limit\" and run the backup again", p.name, f.state.Messages))
	}
	return f, r.renumber(ctx, f)
}

func (r *run) warn(kind WarningKind, f *folder, uid uint32, text string) {
	r.report.warn(Warning{Kind: kind, Mailbox: f.plan.name, UID: uid, Text: text})
}

func (r *run) unreadable(p *planned, text string) {
	r.report.warn(Warning{Kind: WarnUnreadable, Mailbox: p.name, Text: text})
	r.report.summary(func(s *Summary) { s.Unfinished = true })
	if p.known.FolderState != (archive.FolderState{}) {
		// What left the other mailboxes may be in here.
		r.keepGone = true
	}
}

// renumber tells the archive which UIDVALIDITY the copies to come have.
func (r *run) renumber(ctx context.Context, f *folder) error {
	before := f.plan.known
	if before.UIDValidity != 0 && before.UIDValidity != f.state.UIDValidity {
		f.earlier = before.Messages
	}
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
	if no := refused(err); no != nil {
		return fmt.Errorf("%w: %s", errAbandoned, no.Text)
	}
	if err != nil {
		return err
	}
	if data.UIDValidity != f.state.UIDValidity {
		return fmt.Errorf("%w: it has a new UIDVALIDITY", errAbandoned)
	}
	return nil
}

// since returns the mod-sequence from which the server can tell all changes, or 0 when it cannot.
func (r *run) since(f *folder) uint64 {
	then := f.plan.known.FolderState
	if then.UIDValidity != f.state.UIDValidity || f.state.ModSeq == 0 || r.rereadAll(f.plan) {
		return 0
	}
	return then.ModSeq
}

func (r *run) passOpen(ctx context.Context, f *folder) error {
	since := r.since(f)
	then := f.plan.known.FolderState
	estimate := f.plan.expected()
	if since != 0 && f.state.UIDNext != 0 && f.state.UIDNext == then.UIDNext && f.state.Messages == then.Messages {
		// Nothing came and nothing went: only flags and labels may have changed.
		fresh := slices.Clone(r.holes[f.ID])
		r.report.expect(fresh.count() - estimate)
		if f.state.ModSeq != then.ModSeq {
			var all uidSet
			all.addSpan(span{1, f.state.UIDNext - 1})
			if err := r.changes(ctx, f, all, since); err != nil {
				return err
			}
		}
		return r.fetchNew(ctx, f, fresh)
	}
	listed, err := r.listed(ctx, f)
	if err != nil {
		return err
	}
	if err := r.load(ctx, f); err != nil {
		return err
	}
	fresh := listed.minus(f.known)
	f.gone = union(f.known, r.holes[f.ID]).minus(listed)
	r.report.expect(fresh.count() - estimate)
	if err := r.changes(ctx, f, listed.and(f.known), since); err != nil {
		return err
	}
	return r.fetchNew(ctx, f, fresh)
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
	err = r.pool.do(ctx, f.plan.name, "list the messages of a mailbox", func(s *Session) error {
		if err := f.at(s, false); err != nil {
			return err
		}
		listed, err = s.listUIDs(1)
		if err != nil && refused(err) == nil {
			return err
		}
		if listed.count() >= int64(f.state.Messages) {
			return nil
		}
		again, err := s.listUIDsByFetch()
		listed = union(listed, again)
		if refused(err) != nil {
			return nil
		}
		return err
	})
	if err == nil && listed.count() < int64(f.state.Messages) {
		f.unsure = true
		r.warn(WarnIncomplete, f, 0, fmt.Sprintf("the server counts %d messages in %q and lists %d; what is listed is backed up, and nothing is taken for gone; "+
			"run the backup again", f.state.Messages, f.plan.name, listed.count()))
	}
	return listed, err
}

// load reads which copies the archive has of the folder.
func (r *run) load(ctx context.Context, f *folder) error {
	if f.recorded {
		return nil
	}
	err := r.w.Copies(ctx, f.ID, func(k archive.Known) error {
		f.known.add(k.UID)
		f.flags.add(k.UID, k.Flags)
		return nil
	})
	if err != nil {
		return archiveFailure(err)
	}
	f.recorded = true
	if f.earlier > 0 {
		f.matched.Store(f.known.count())
	}
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
