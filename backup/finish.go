package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailkeep/archive"
)

// close records, in one batch at the very end, what vanished at the source and the state of each mailbox that is completely recorded. All copies of all
// mailboxes are recorded by then, so that what moved from one to another is not taken for lost.
func (r *run) close(ctx context.Context) error {
	r.report.phase(PhaseFinish, "")
	defer r.report.warnSizes()
	if r.plan.visible {
		r.report.summary(func(s *Summary) { s.Unfinished = true })
		return nil
	}
	dropped := r.dropped()
	for _, f := range r.passed {
		var err error
		if f.stale, err = r.stale(ctx, f); err != nil {
			return err
		}
	}
	hold, err := r.holdsBack(ctx, dropped)
	if err != nil {
		return err
	}
	b := archive.Batch{Account: r.account.ID}
	for _, f := range r.passed {
		r.closeFolder(&b, f, hold)
	}
	if !hold {
		b.Dropped = dropped
	}
	if r.account.Kind == archive.Gmail && !hold && !r.report.unfinished() {
		if err := r.closeLabels(ctx, &b); err != nil {
			return err
		}
	} else if r.account.Kind == archive.Gmail {
		r.coverLabels(&b)
	}
	return r.record(ctx, b)
}

// coverLabels notes that all messages are recorded with the labels that this run saw for the first time. The others have their states, or get them from closeLabels.
func (r *run) coverLabels(b *archive.Batch) {
	open := func(f *folder) bool { return f.plan.use == `\All` && (f.failed.Load() || f.unsure) }
	if slices.ContainsFunc(r.passed, open) {
		return
	}
	for i := range r.plan.folders {
		f := &r.plan.folders[i]
		validity := f.status.UIDValidity
		if f.source || !f.hasStatus || f.known.UIDValidity != 0 || f.known.Current != 0 && f.known.Current != validity {
			continue
		}
		if f.known.Current == 0 {
			b.Renumber = append(b.Renumber, archive.Renumbering{Folder: f.known.ID, UIDValidity: validity})
		}
		b.States = append(b.States, archive.FolderResult{Folder: f.known.ID, State: archive.FolderState{UIDValidity: validity}})
	}
}

// closeFolder adds the end of one pass to the final batch. A mailbox of which something is doubtful, or held back, stays open: its next pass looks at it again.
func (r *run) closeFolder(b *archive.Batch, f *folder, hold bool) {
	touchesGone := len(f.gone) > 0 || f.stale > 0
	if f.failed.Load() || f.unsure || touchesGone && hold || f.stale > 0 && f.limited {
		r.report.summary(func(s *Summary) { s.Unfinished = true })
		return
	}
	gone := f.gone
	if f.limited {
		gone = nil // what the limit may hide stays; the next list of another length tells
	}
	// A collector that never fails.
	_ = gone.all(func(uid uint32) error {
		b.Gone = append(b.Gone, archive.Location{Folder: f.ID, UID: uid})
		return nil
	})
	if !f.partial { // A6: the state says that everything is here
		b.States = append(b.States, archive.FolderResult{Folder: f.ID, State: f.state})
	}
}

// stale counts the copies from before a renumbering, by this run or an earlier one, that were not found again and that the folder's state would give up. While the pass is
// under way, some of them may still be found.
func (r *run) stale(ctx context.Context, f *folder) (int64, error) {
	if f.partial {
		return 0, nil // its state is not recorded
	}
	var n int64
	err := r.w.Unconfirmed(ctx, f.ID, func(archive.Known) error { n++; return nil })
	return n, archiveFailure(err)
}

// lost tells whether something seems to have vanished from a mailbox.
func (r *run) lost(ctx context.Context, f *folder) (bool, error) {
	if len(f.gone) > 0 {
		return true, nil
	}
	stale, err := r.stale(ctx, f)
	return stale > 0, err
}

// dropped lists the folders that the server has no more. A label that messages still carry is only hidden.
func (r *run) dropped() []archive.FolderID {
	var ids []archive.FolderID
	for _, k := range r.plan.missing {
		if r.account.Kind == archive.Gmail && r.labelled[mailboxName(k.Name, k.Delimiter)] {
			continue
		}
		ids = append(ids, k.ID)
	}
	return ids
}

// closeLabels notes the UIDVALIDITY of label folders, by which a renamed one is known next time, and gives up the places that were recorded there while All Mail was
// hidden: All Mail shows the same messages now.
func (r *run) closeLabels(ctx context.Context, b *archive.Batch) error {
	for i := range r.plan.folders {
		f := &r.plan.folders[i]
		if f.source || !f.hasStatus {
			continue
		}
		if f.known.Current != 0 {
			err := r.w.Copies(ctx, f.known.ID, func(k archive.Known) error {
				b.Gone = append(b.Gone, archive.Location{Folder: f.known.ID, UID: k.UID})
				return nil
			})
			if err != nil {
				return archiveFailure(err)
			}
		}
		state := archive.FolderState{UIDValidity: f.status.UIDValidity}
		if f.known.Current != state.UIDValidity {
			b.Renumber = append(b.Renumber, archive.Renumbering{Folder: f.known.ID, UIDValidity: state.UIDValidity})
		}
		b.States = append(b.States, archive.FolderResult{Folder: f.known.ID, State: state})
	}
	return r.closeTransient(ctx, b)
}

// closeTransient notes that empty mailboxes which no folder of the server shows are none of its labels any more: a label that messages had for a moment, between two lists of
// the folders, has left nothing else.
func (r *run) closeTransient(ctx context.Context, b *archive.Batch) error {
	boxes, err := r.w.Mailboxes(ctx, r.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	listed := map[string]bool{archive.GoneMailbox: true}
	for i := range r.plan.folders {
		listed[r.plan.folders[i].mailbox] = true
	}
	for _, m := range boxes {
		if m.Messages == 0 && m.GoneAt == 0 && !listed[m.Name] {
			b.Mailboxes = append(b.Mailboxes, archive.MailboxSpec{Name: m.Name, SpecialUse: m.SpecialUse, Gone: true})
		}
	}
	return nil
}

// holdsBack tells whether nothing may be marked as gone: a mailbox cannot be read that may hold what left the others, or too much of the account vanished at once.
func (r *run) holdsBack(ctx context.Context, dropped []archive.FolderID) (bool, error) {
	// What left a mailbox may be in one that could not be read to its end.
	if r.keepGone || slices.ContainsFunc(r.passed, func(f *folder) bool { return f.failed.Load() || f.unsure }) {
		return true, nil
	}
	if r.o.AcceptChanges {
		return false, nil
	}
	v := vanished{run: r, dropped: make(map[archive.FolderID]bool)}
	for _, id := range dropped {
		v.dropped[id] = true
	}
	lost, err := v.estimate(ctx)
	if err != nil || !manyGone(lost, 0) {
		return false, err
	}
	totals, err := r.w.Totals(ctx, r.account.ID)
	if err != nil {
		return false, archiveFailure(err)
	}
	present := totals.Items - totals.Gone
	if manyGone(lost, present) {
		lost, err = v.count(ctx)
	}
	if err != nil || !manyGone(lost, present) {
		return false, err
	}
	r.report.warn(Warning{Kind: WarnManyGone, Text: fmt.Sprintf("%d of %d messages vanished from the server at once; nothing was marked as gone: "+
		"look at the account in a mail program, and if this is what you want, run the backup again and accept the changes", lost, present)})
	return true, nil
}

// vanished counts what the final batch would mark as gone.
type vanished struct {
	*run
	dropped map[archive.FolderID]bool
}

// estimate is an upper bound: it takes what moved for lost.
func (v *vanished) estimate(ctx context.Context) (int64, error) {
	var n int64
	for _, f := range v.passed {
		if !f.failed.Load() {
			n += f.gone.count() + f.stale
		}
	}
	add := func(archive.Known) error { n++; return nil }
	for id := range v.dropped {
		if err := errors.Join(v.w.Copies(ctx, id, add), v.w.Unconfirmed(ctx, id, add)); err != nil {
			return 0, archiveFailure(err)
		}
	}
	return n, nil
}

// count leaves out messages that the source shows at another place. It reads through all copies twice, which only a suspicious run does.
func (v *vanished) count(ctx context.Context) (int64, error) {
	folders, err := v.w.Folders(ctx, v.account.ID)
	if err != nil {
		return 0, archiveFailure(err)
	}
	lost := make(map[any]struct{})
	for _, f := range folders {
		if !v.givesUpStale(f.ID) {
			continue
		}
		err := v.w.Unconfirmed(ctx, f.ID, func(k archive.Known) error { lost[v.key(k)] = struct{}{}; return nil })
		if err != nil {
			return 0, archiveFailure(err)
		}
	}
	for _, stays := range []bool{false, true} {
		for _, f := range folders {
			gone, all := v.goneFrom(f.ID)
			err := v.w.Copies(ctx, f.ID, func(k archive.Known) error {
				switch out := all || gone.has(k.UID); {
				case out && !stays:
					lost[v.key(k)] = struct{}{}
				case !out && stays:
					delete(lost, v.key(k))
				}
				return nil
			})
			if err != nil {
				return 0, archiveFailure(err)
			}
		}
	}
	return int64(len(lost)), nil
}

// givesUpStale tells whether the batch gives up what a renumbering left unconfirmed in a folder.
func (v *vanished) givesUpStale(id archive.FolderID) bool {
	return v.dropped[id] || slices.ContainsFunc(v.passed, func(f *folder) bool { return f.ID == id && f.stale > 0 })
}

func (v *vanished) goneFrom(id archive.FolderID) (gone uidSet, all bool) {
	for _, f := range v.passed {
		if f.ID == id {
			return f.gone, false
		}
	}
	return nil, v.dropped[id]
}

func (v *vanished) key(k archive.Known) any {
	if v.account.Kind == archive.Gmail {
		return k.Item
	}
	return k.Ref
}
