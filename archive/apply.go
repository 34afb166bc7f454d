package archive

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// applier turns facts into rows, inside one transaction. It is the only code that writes rows, for a new batch and for one read from the journal alike, so that
// both give the same database.
type applier struct {
	*statements
	tx     *sqlx.Tx
	kept   bool // the statements outlive the transaction
	seq    ModSeq
	deltas map[MailboxID]*delta
	met    *metMessage // the last one looked up; nil once a fact was applied
}

// metMessage is the row of a message, or that there is none: id is 0 then.
type metMessage struct {
	ref      Ref
	id, size int64
	plain    bool // it has no fingerprint
}

// delta is what a batch adds to a mailbox's counters.
type delta struct {
	messages, unseen int
	bytes            int64
	next             UID
}

// newApplier begins a transaction of db, which ends with commit or rollback.
func newApplier(ctx context.Context, db *sqlx.DB) (*applier, error) {
	return applierWith(ctx, db, new(statements), false)
}

// applierWith is newApplier with statements that were prepared in an earlier transaction of the same connection, or will be used in a later one.
func applierWith(ctx context.Context, db *sqlx.DB, s *statements, kept bool) (*applier, error) {
	tx, err := s.begin(ctx, db)
	if err != nil {
		return nil, err
	}
	a := &applier{statements: s, tx: tx, kept: kept, deltas: make(map[MailboxID]*delta)}
	if err := a.row("SELECT seq FROM applied").Scan(&a.seq); err != nil {
		a.rollback()
		return nil, err
	}
	a.seq++
	return a, nil
}

// do is exec for statements whose result does not matter.
func (a *applier) do(query string, args ...any) error {
	_, err := a.exec(query, args...)
	return err
}

// scanner is a row, or why there is none.
type scanner interface{ Scan(...any) error }

type failed struct{ err error }

func (f failed) Scan(...any) error { return f.err }

func (a *applier) row(query string, args ...any) scanner {
	first, err := a.first(query, args)
	if err != nil {
		return failed{err}
	}
	return first
}

// commit stores the counters and the journal's position, and makes the rows visible.
func (a *applier) commit(end position) error {
	for id, d := range a.deltas {
		err := a.do(`UPDATE mailbox SET messages = messages + ?, unseen = unseen + ?, bytes = bytes + ?, uidnext = max(uidnext, ?), modseq = ? WHERE id = ?`,
			d.messages, d.unseen, d.bytes, d.next, a.seq, id)
		if err != nil {
			return err
		}
	}
	if err := a.do("UPDATE applied SET seq = ?, file = ?, offset = ?", a.seq, end.File, end.Offset); err != nil {
		return err
	}
	defer commits.Add(1) // also after an error, which may have come when all was done
	defer a.release()
	return a.tx.Commit()
}

// rollback does nothing after commit.
func (a *applier) rollback() {
	a.tx.Rollback()
	a.release()
}

// release gives the connection back. That a statement could not be closed, or a connection given back, changes nothing about what was committed.
func (a *applier) release() {
	if a.conn != nil && !a.kept {
		a.forget()
	}
	a.end()
}

func (a *applier) delta(id MailboxID) *delta {
	d := a.deltas[id]
	if d == nil {
		d = new(delta)
		a.deltas[id] = d
	}
	return d
}

// apply writes one fact.
func (a *applier) apply(f *fact) error {
	defer func() { a.met = nil }()
	switch {
	case f.Account != nil:
		return a.do("INSERT INTO account (id, name, kind) VALUES (?, ?, ?)", f.Account.ID, f.Account.Name, f.Account.Kind)
	case f.Mailbox != nil:
		return a.mailbox(f.Mailbox)
	case f.Folder != nil:
		return a.folder(f.Folder)
	case f.State != nil:
		s := f.State
		return a.do("UPDATE folder SET uidvalidity = ?, uidnext = ?, source_modseq = ?, messages = ? WHERE id = ?",
			s.UIDValidity, s.UIDNext, int64(s.ModSeq), s.Messages, s.Folder)
	case f.Renumber != nil:
		return a.do("UPDATE folder SET current = ? WHERE id = ?", f.Renumber.Validity, f.Renumber.Folder)
	case f.Item != nil:
		return a.item(f.Item)
	case f.Flags != nil:
		return a.flags(f.Flags)
	case f.Enter != nil:
		return a.enter(f.Enter.Item, f.Enter.In)
	case f.Leave != nil:
		return a.leave(f.Leave)
	case f.At != nil:
		return a.at(f.At.Item, f.At.At)
	case f.Left != nil:
		return a.left(f.Left.At)
	case f.Gone != nil:
		return a.gone(f.Gone)
	case f.Forget != nil:
		return a.do("DELETE FROM item WHERE id = ?", f.Forget.Item)
	case f.Hole != nil:
		h := f.Hole
		return a.do(`INSERT INTO hole (folder_id, validity, uid, reason, tries, first, last) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5)
			ON CONFLICT DO UPDATE SET reason = ?4, tries = tries + 1, last = ?5`, h.At.folder(), h.At.validity(), h.At.uid(), h.Reason, h.Time)
	case f.Filled != nil:
		return a.do("DELETE FROM hole WHERE folder_id = ? AND validity = ? AND uid = ?", f.Filled.At.folder(), f.Filled.At.validity(), f.Filled.At.uid())
	}
	if known, err := a.pruned(f); known {
		return err
	}
	return fmt.Errorf("apply batch %d: the journal has a fact that this mailkeep does not know; update mailkeep: %w", a.seq, ErrNewer)
}

func (a *applier) mailbox(m *mailboxFact) error {
	a.delta(m.ID) // so that commit sets its modseq
	return a.do(`INSERT INTO mailbox (id, account_id, name, special_use, uidvalidity, gone) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT (id) DO UPDATE SET name = ?3, special_use = ?4, gone = ?6`, m.ID, m.Account, m.Name, m.SpecialUse, m.Validity, m.Gone)
}

func (a *applier) folder(f *folderFact) error {
	return a.do(`INSERT INTO folder (id, account_id, name, delimiter, special_use, object_id, mailbox_id, gone) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
		ON CONFLICT (id) DO UPDATE SET name = ?3, delimiter = ?4, special_use = ?5, object_id = ?6, mailbox_id = ?7, gone = ?8`,
		f.ID, f.Account, f.Name, f.Delimiter, f.SpecialUse, f.ObjectID, f.Mailbox, f.Gone)
}

func (a *applier) item(i *itemFact) error {
	message, err := a.message(i)
	if err != nil {
		return err
	}
	account := max(i.Account, 1)
	thread := i.ThreadID
	if i.OwnThread {
		thread = i.SourceID
	}
	_, offset := i.Date.Zone()
	err = a.do("INSERT INTO item (id, account_id, message_id, source_id, thread_id, date, zone, flags, modseq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		i.ID, account, message, i.SourceID, thread, i.Date.Unix(), offset/60, i.Flags, a.seq)
	if err != nil {
		return err
	}
	if err := a.place(i.ID, i.In, i.Size, unseen(i.Flags)); err != nil {
		return err
	}
	if i.At == (place{}) {
		return nil
	}
	return a.at(i.ID, i.At)
}

// left empties a place of the source, whether it showed an item or a pruned one.
func (a *applier) left(at place) error {
	for _, table := range []string{"location", "buried"} {
		err := a.do("DELETE FROM "+table+" WHERE folder_id = ? AND validity = ? AND uid = ?", at.folder(), at.validity(), at.uid())
		if err != nil {
			return err
		}
	}
	return nil
}

// message returns the id of an item's message, which is new or has no fingerprint yet as the case may be.
func (a *applier) message(i *itemFact) (int64, error) {
	m, err := a.meet(i.Ref)
	if err != nil {
		return 0, err
	}
	if m.id == 0 {
		result, err := a.exec(`INSERT INTO message (id, ref, size, fingerprint)
			SELECT max(coalesce((SELECT message FROM dropped), 0), coalesce((SELECT max(id) FROM message), 0)) + 1, ?, ?, ?`, i.Ref, i.Size, i.Fingerprint)
		if err != nil {
			return 0, err
		}
		return result.LastInsertId()
	}
	if m.plain && i.Fingerprint != nil {
		err = a.do("UPDATE message SET fingerprint = ? WHERE id = ?", i.Fingerprint, m.id)
	}
	return m.id, err
}

// meet looks a message up, unless that was the last thing done.
func (a *applier) meet(ref Ref) (*metMessage, error) {
	if a.met != nil && a.met.ref == ref {
		return a.met, nil
	}
	m := &metMessage{ref: ref}
	err := a.row("SELECT id, size, fingerprint IS NULL FROM message WHERE ref = ?", ref).Scan(&m.id, &m.size, &m.plain)
	if err != nil && !noRows(err) {
		return nil, err
	}
	a.met = m
	return m, nil
}

func (a *applier) at(item ItemID, at place) error {
	return a.do("INSERT INTO location (folder_id, validity, uid, item_id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET item_id = ?4",
		at.folder(), at.validity(), at.uid(), item)
}

// weight returns what an item adds to the counters of each mailbox it is in.
func (a *applier) weight(item ItemID) (size int64, unread int, err error) {
	var flags string
	err = a.row("SELECT size, flags FROM item JOIN message ON message.id = message_id WHERE item.id = ?", item).Scan(&size, &flags)
	return size, unseen(flags), err
}

func (a *applier) enter(item ItemID, in []placed) error {
	size, unread, err := a.weight(item)
	if err != nil {
		return err
	}
	if err := a.place(item, in, size, unread); err != nil {
		return err
	}
	return a.relabel(item)
}

// relabel notes that an item is in other mailboxes than before: its ModSeq, which is that of its entry in each mailbox, must not be below the batch that entered it, and
// its labels are something that readers may have asked about in all of them.
func (a *applier) relabel(item ItemID) error {
	if err := a.do("UPDATE item SET modseq = ? WHERE id = ?", a.seq, item); err != nil {
		return err
	}
	return a.touch(item, 0)
}

func (a *applier) place(item ItemID, in []placed, size int64, unread int) error {
	for _, p := range in {
		if err := a.do("INSERT INTO entry (mailbox_id, uid, item_id) VALUES (?, ?, ?)", p.mailbox(), p.uid(), item); err != nil {
			return err
		}
		d := a.delta(p.mailbox())
		d.messages++
		d.unseen += unread
		d.bytes += size
		d.next = max(d.next, p.uid()+1)
	}
	return nil
}

func (a *applier) leave(l *leaveFact) error {
	size, unread, err := a.weight(l.Item)
	if err != nil {
		return err
	}
	for _, box := range l.From {
		var uid UID
		if err := a.row("DELETE FROM entry WHERE item_id = ? AND mailbox_id = ? RETURNING uid", l.Item, box).Scan(&uid); err != nil {
			return err
		}
		if err := a.do("INSERT INTO vanished (mailbox_id, modseq, uid) VALUES (?, ?, ?)", box, a.seq, uid); err != nil {
			return err
		}
		d := a.delta(box)
		d.messages--
		d.unseen -= unread
		d.bytes -= size
	}
	return a.relabel(l.Item)
}

func (a *applier) flags(f *flagsFact) error {
	_, before, err := a.weight(f.Item)
	if err != nil {
		return err
	}
	if err := a.do("UPDATE item SET flags = ?, modseq = ? WHERE id = ?", f.Flags, a.seq, f.Item); err != nil {
		return err
	}
	return a.touch(f.Item, unseen(f.Flags)-before)
}

func (a *applier) gone(g *goneFact) error {
	if err := a.do("UPDATE item SET gone = ?, modseq = ? WHERE id = ?", g.Since, a.seq, g.Item); err != nil {
		return err
	}
	return a.touch(g.Item, 0)
}

// touch marks all mailboxes of an item as changed.
func (a *applier) touch(item ItemID, unread int) error {
	boxes, err := a.mailboxesOf(item)
	for _, box := range boxes {
		a.delta(box).unseen += unread
	}
	return err
}

func (a *applier) mailboxesOf(item ItemID) ([]MailboxID, error) {
	var boxes []MailboxID
	err := a.each("SELECT mailbox_id FROM entry WHERE item_id = ? ORDER BY mailbox_id", []any{item}, func(r row) (bool, error) {
		var box MailboxID
		err := r.Scan(&box)
		boxes = append(boxes, box)
		return true, err
	})
	return boxes, err
}

// unseen is 1 for a flag list without \Seen and 0 for one with it.
func unseen(flags string) int {
	for flag := range strings.FieldsSeq(flags) {
		if strings.EqualFold(flag, `\Seen`) {
			return 0
		}
	}
	return 1
}

// replay applies a group that was read from the journal.
func replay(ctx context.Context, db *sqlx.DB, g group) error {
	a, err := newApplier(ctx, db)
	if err != nil {
		return err
	}
	defer a.rollback()
	if a.seq != g.commit.Seq {
		return fmt.Errorf("apply the journal: batch %d follows batch %d: a part of the journal is lost", g.commit.Seq, a.seq-1)
	}
	for i := range g.facts {
		if err := a.apply(&g.facts[i]); err != nil {
			return fmt.Errorf("apply batch %d of the journal: %w", a.seq, err)
		}
	}
	return a.commit(g.end)
}
