package archive

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"
)

// recorder works out what a batch means against the rows as they are, one step after the other: each fact is applied in the transaction at once, so that
// later steps see it, and noted for the journal.
type recorder struct {
	*applier
	ctx   context.Context // ends the work between two steps; the transaction itself is never interrupted
	store *mailStore
	now   time.Time
	facts []fact
	done  Recorded

	tombstones *bool // whether there are any; nil: not looked yet

	account Account
	next    map[MailboxID]UID       // UIDs that this batch gives out
	boxes   map[string]*mailboxFact // the account's mailboxes by name, as far as the batch named them
	folders map[FolderID]*Folder

	lastItem ItemID               // given out by this batch; 0 before the first one
	grounds  map[FolderID]*ground // where the batch has copies
	holed    map[FolderID]bool    // folders that the batch asked about: whether they have holes
}

func (r *recorder) emit(f fact) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if err := r.apply(&f); err != nil {
		return err
	}
	r.facts = append(r.facts, f)
	return nil
}

// batch applies a batch in the order of its fields.
func (r *recorder) batch(b *Batch) error {
	err := r.row("SELECT id, name, kind FROM account WHERE id = ?", b.Account).Scan(&r.account.ID, &r.account.Name, &r.account.Kind)
	if err != nil {
		return fmt.Errorf("find account %d: %w", b.Account, err)
	}
	return inOrder(
		func() error { return each(b.Renamed, r.rename) },
		func() error { return each(b.Folders, r.describe) },
		func() error { return each(b.Mailboxes, r.describeMailbox) },
		func() error { return each(b.Renumber, r.renumber) },
		func() error { return r.survey(b.Copies) },
		func() error { return each(b.Copies, r.copy) },
		func() error { return each(b.Holes, r.hole) },
		func() error { return r.vanish(b) },
		func() error { return each(b.States, r.state) },
	)
}

// inOrder stops at the first error.
func inOrder(steps ...func() error) error {
	return each(steps, func(step func() error) error { return step() })
}

// each stops at the first error.
func each[T any](all []T, f func(T) error) error {
	for _, one := range all {
		if err := f(one); err != nil {
			return err
		}
	}
	return nil
}

// copy records one copy: a new item, or changes of a known one.
func (r *recorder) copy(c Copy) error {
	folder, err := r.folder(c.Folder)
	if err != nil {
		return err
	}
	if folder.Current == 0 {
		return fmt.Errorf("record UID %d of %q: the folder's UIDVALIDITY is not known", c.UID, folder.Name)
	}
	at := place{uint32(folder.ID), folder.Current, c.UID}
	vacant := r.grounds[folder.ID].enter(c.UID)
	known, err := r.find(&c, at, vacant)
	if err != nil {
		return fmt.Errorf("record UID %d of %q: %w", c.UID, folder.Name, err)
	}
	if err := inOrder(func() error { return r.fill(at) }, func() error { return r.evict(known, at, vacant) }); err != nil {
		return err
	}
	if known == nil {
		if buried, err := r.buryAgain(&c, at); buried || err != nil {
			return err
		}
		return r.create(&c, folder, at)
	}
	return r.update(&c, known, at)
}

// evict gives up a place for another item, whose id the source shows there now. On other servers than Gmail the place itself is the item's id.
func (r *recorder) evict(known *knownItem, at place, vacant bool) error {
	if r.account.Kind != Gmail || vacant {
		return nil
	}
	var occupant ItemID
	err := r.row("SELECT item_id FROM location WHERE folder_id = ? AND validity = ? AND uid = ?", at.folder(), at.validity(), at.uid()).Scan(&occupant)
	if noRows(err) || known != nil && known.id == occupant {
		return nil
	}
	return inOrder(
		func() error { return err },
		func() error { return r.emit(fact{Left: &leftFact{At: at}}) },
		func() error { return r.settleLost(occupant) },
	)
}

// create adds an item, and the message if it is new.
func (r *recorder) create(c *Copy, folder *Folder, at place) error {
	if c.Ref.IsZero() {
		return fmt.Errorf("record UID %d of %q: the message is not in the archive and came without bytes", c.UID, folder.Name)
	}
	size, err := r.keptSize(c.Ref)
	if err != nil {
		return fmt.Errorf("record UID %d of %q: %w", c.UID, folder.Name, err)
	}
	names := c.Mailboxes
	if len(names) == 0 {
		if names, err = r.folderMailbox(folder); err != nil {
			return err
		}
	}
	item := &itemFact{Account: r.account.ID, Ref: c.Ref, Size: size, SourceID: c.SourceID, ThreadID: c.ThreadID, Date: c.Date, Flags: canonicalFlags(c.Flags), At: at}
	if item.Date.IsZero() {
		item.Date = keepableDate(r.now.UTC())
	}
	if item.Account == 1 {
		item.Account = 0
	}
	if item.OwnThread = c.SourceID != "" && c.ThreadID == c.SourceID; item.OwnThread {
		item.ThreadID = ""
	}
	if !c.Fingerprint.IsZero() {
		item.Fingerprint = &c.Fingerprint
	}
	if item.ID, err = r.newItem(); err != nil {
		return err
	}
	if item.In, err = r.places(names); err != nil {
		return err
	}
	if err := r.emit(fact{Item: item}); err != nil {
		return err
	}
	r.done.Items++
	r.done.Entered += len(item.In)
	return nil
}

// newItem gives out the id of an item; the batch asks for the first one only.
func (r *recorder) newItem() (ItemID, error) {
	if r.lastItem == 0 {
		if err := r.row("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'item'").Scan(&r.lastItem); err != nil {
			return 0, err
		}
	}
	r.lastItem++
	return r.lastItem, nil
}

// keptSize returns the size of a message that is to get an item: its file must be there (A1), as long as the archive knows it to be.
func (r *recorder) keptSize(ref Ref) (int64, error) {
	size, err := r.store.has(ref)
	if err != nil {
		return 0, err
	}
	m, err := r.meet(ref)
	if err != nil {
		return 0, err
	}
	if m.id != 0 && m.size != size {
		return 0, fmt.Errorf("the file of message %s has %d bytes and should have %d", ref, size, m.size)
	}
	return size, nil
}

// folderMailbox names the mailbox for a copy that comes without any: its folder's, or one called like the folder, so that nothing is ever kept out of sight.
func (r *recorder) folderMailbox(folder *Folder) ([]string, error) {
	m, err := r.mailboxByID(folder.Mailbox)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return []string{mailboxName(folder.Name)}, nil
	}
	return []string{m.Name}, nil
}

// places gives out the UIDs under which an item enters mailboxes.
func (r *recorder) places(names []string) ([]placed, error) {
	in := make([]placed, 0, len(names))
	for _, name := range names {
		box, err := r.mailbox(name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(in, func(p placed) bool { return p.mailbox() == box }) {
			continue
		}
		uid, err := r.giveUID(box)
		if err != nil {
			return nil, err
		}
		in = append(in, placed{uint32(box), uint32(uid)})
	}
	return in, nil
}

func (r *recorder) giveUID(box MailboxID) (UID, error) {
	next, ok := r.next[box]
	if !ok {
		if err := r.row("SELECT uidnext FROM mailbox WHERE id = ?", box).Scan(&next); err != nil {
			return 0, err
		}
	}
	if next == math.MaxUint32 { // RFC 9051 section 2.3.1.1: 32 bits, and UIDNEXT must fit, too
		return 0, fmt.Errorf("mailbox %d has no UIDs left", box)
	}
	r.next[box] = next + 1
	return next, nil
}

// update brings a known item up to what the source says now.
func (r *recorder) update(c *Copy, known *knownItem, at place) error {
	if err := r.moveTo(known, at); err != nil {
		return err
	}
	if flags := canonicalFlags(c.Flags); flags != known.flags {
		if err := r.emit(fact{Flags: &flagsFact{Item: known.id, Flags: flags}}); err != nil {
			return err
		}
		r.done.Flags++
	}
	if len(c.Mailboxes) > 0 {
		if err := r.setMailboxes(known.id, c.Mailboxes); err != nil {
			return err
		}
	}
	if known.gone == 0 {
		return nil
	}
	if err := r.emit(fact{Gone: &goneFact{Item: known.id}}); err != nil {
		return err
	}
	r.done.Returned++
	return r.leaveNamed(known.id, GoneMailbox)
}

// moveTo notes where an item is now; places of the same folder from before its renumbering are given up.
func (r *recorder) moveTo(known *knownItem, at place) error {
	places, err := r.placesOf(known.id)
	if err != nil {
		return err
	}
	for _, p := range places {
		if p.folder() == at.folder() && p.validity() != at.validity() {
			if err := r.emit(fact{Left: &leftFact{At: p}}); err != nil {
				return err
			}
		}
	}
	if slices.Contains(places, at) {
		return nil
	}
	return r.emit(fact{At: &atFact{Item: known.id, At: at}})
}

// setMailboxes makes an item's entries exactly those named.
func (r *recorder) setMailboxes(item ItemID, names []string) error {
	have, err := r.mailboxesOf(item)
	if err != nil {
		return err
	}
	var want []MailboxID
	var enter []string
	for _, name := range names {
		box, err := r.mailbox(name)
		if err != nil {
			return err
		}
		want = append(want, box)
		if !slices.Contains(have, box) {
			enter = append(enter, name)
		}
	}
	leave := slices.DeleteFunc(have, func(box MailboxID) bool { return slices.Contains(want, box) })
	if err := r.leaveAll(item, leave); err != nil {
		return err
	}
	return r.enterAll(item, enter)
}

func (r *recorder) enterAll(item ItemID, names []string) error {
	if len(names) == 0 {
		return nil
	}
	in, err := r.places(names)
	if err != nil || len(in) == 0 {
		return err
	}
	r.done.Entered += len(in)
	return r.emit(fact{Enter: &enterFact{Item: item, In: in}})
}

func (r *recorder) leaveAll(item ItemID, boxes []MailboxID) error {
	if len(boxes) == 0 {
		return nil
	}
	r.done.Left += len(boxes)
	return r.emit(fact{Leave: &leaveFact{Item: item, From: boxes}})
}

// leaveNamed takes an item out of one mailbox if it is in there.
func (r *recorder) leaveNamed(item ItemID, name string) error {
	boxes, err := r.mailboxesOf(item)
	if err != nil {
		return err
	}
	box, err := r.mailbox(name)
	if err != nil || !slices.Contains(boxes, box) {
		return err
	}
	return r.leaveAll(item, []MailboxID{box})
}

// hole notes a copy that the source did not deliver.
func (r *recorder) hole(h HoleReport) error {
	folder, err := r.folder(h.Folder)
	if err != nil {
		return err
	}
	if folder.Current == 0 {
		return fmt.Errorf("note UID %d of %q: the folder's UIDVALIDITY is not known", h.UID, folder.Name)
	}
	at := place{uint32(folder.ID), folder.Current, h.UID}
	r.holed[h.Folder] = true
	return r.emit(fact{Hole: &holeFact{At: at, Reason: h.Reason, Time: r.now.Unix()}})
}

// fill clears a hole.
func (r *recorder) fill(at place) error {
	any, asked := r.holed[FolderID(at.folder())]
	if !asked {
		if err := r.row("SELECT EXISTS (SELECT 1 FROM hole WHERE folder_id = ?)", at.folder()).Scan(&any); err != nil {
			return err
		}
		r.holed[FolderID(at.folder())] = any
	}
	if !any {
		return nil
	}
	var tries int
	err := r.row("SELECT tries FROM hole WHERE folder_id = ? AND validity = ? AND uid = ?", at.folder(), at.validity(), at.uid()).Scan(&tries)
	if noRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.emit(fact{Filled: &leftFact{At: at}})
}

// state closes a folder's pass, or opens it again with the zero state. Places from before a renumbering that nothing confirmed are gone: vanish has seen to them.
func (r *recorder) state(s FolderResult) error {
	folder, err := r.folder(s.Folder)
	if err != nil || folder.FolderState == s.State {
		return err
	}
	if s.State != (FolderState{}) && s.State.UIDValidity != folder.Current {
		return fmt.Errorf("close folder %q: its UIDVALIDITY is %d and the pass was made under %d", folder.Name, s.State.UIDValidity, folder.Current)
	}
	folder.FolderState = s.State
	return r.emit(fact{State: &stateFact{Folder: s.Folder, FolderState: s.State}})
}
