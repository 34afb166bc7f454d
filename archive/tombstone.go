package archive

import (
	"context"
	"fmt"
)

// A tombstone keeps a pruned item from coming back. A copy that the source offers is buried, that is noted as recorded and not kept, when it is of a pruned item:
//
//   - on Gmail when its X-GM-MSGID is;
//   - elsewhere when its bytes, or its EMAILID, are, and it is in the folder from which it was pruned or the account has the message nowhere else: what somebody moved from a
//     mailbox that was not pruned to another one is no pruned mail.

// Tombstoned tells which of the given ids and fingerprints belong to messages that were pruned from an account, and to which messages: there is no need to download these.
// A fingerprint that several have is left out.
func (r *Reader) Tombstoned(ctx context.Context, account AccountID, ids []string, prints []Fingerprint) (byID map[string]Ref, byPrint map[Fingerprint]Ref, err error) {
	byID, byPrint = make(map[string]Ref), make(map[Fingerprint]Ref)
	err = lookUp(ctx, r, "SELECT source_id, ref FROM tombstone WHERE source_id <> '' AND account_id = ? AND source_id IN (?)", []any{account}, ids,
		func(id string, ref Ref) { byID[id] = ref })
	var ambiguous []Fingerprint
	if err == nil {
		err = lookUp(ctx, r, "SELECT fingerprint, ref FROM tombstone WHERE account_id = ? AND fingerprint IN (?)", []any{account}, prints, func(f Fingerprint, ref Ref) {
			if other, twice := byPrint[f]; twice && other != ref {
				ambiguous = append(ambiguous, f)
			}
			byPrint[f] = ref
		})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look for pruned messages: %w", err)
	}
	for _, f := range ambiguous {
		delete(byPrint, f)
	}
	return byID, byPrint, nil
}

// Buried returns the UIDs of a folder, under its current UIDVALIDITY, at which the source shows messages that were pruned here, ascending.
func (r *Reader) Buried(ctx context.Context, folder FolderID) ([]uint32, error) {
	var uids []uint32
	err := r.db.SelectContext(ctx, &uids, `SELECT b.uid FROM folder f JOIN buried b ON b.folder_id = f.id AND b.validity = f.current WHERE f.id = ? ORDER BY b.uid`, folder)
	if err != nil {
		return nil, fmt.Errorf("list pruned messages of folder %d: %w", folder, err)
	}
	return uids, nil
}

// Tombstones returns how many pruned items of an account, or of all when it is 0, are kept from coming back.
func (r *Reader) Tombstones(ctx context.Context, account AccountID) (n int64, err error) {
	if err := r.db.GetContext(ctx, &n, "SELECT count(*) FROM tombstone WHERE ?1 = 0 OR account_id = ?1", account); err != nil {
		return 0, fmt.Errorf("count pruned messages: %w", err)
	}
	return n, nil
}

// ForgetTombstones lets pruned mail of an account, or of all when it is 0, come back with the next backup, as far as the source has it. It returns how many tombstones there were.
func (w *Writer) ForgetTombstones(ctx context.Context, account AccountID) (int64, error) {
	const portion = 1000
	var forgotten int64
	for {
		n, err := w.forgetSome(ctx, account, portion)
		forgotten += n
		if err != nil || n == 0 {
			return forgotten, err
		}
	}
}

func (w *Writer) forgetSome(ctx context.Context, account AccountID, portion int) (n int64, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.record(ctx, func(r *recorder) error {
		stones, err := r.idsWhere("SELECT id FROM tombstone WHERE ?1 = 0 OR account_id = ?1 ORDER BY id LIMIT ?2", account, portion)
		if err != nil {
			return err
		}
		n = int64(len(stones))
		return each(stones, func(id int64) error { return r.raise(ItemID(id), true) })
	})
	return n, err
}

// raise removes a tombstone. With reopen the folders where it lies are read as a whole again: their states said that the message is recorded (A6).
func (r *recorder) raise(item ItemID, reopen bool) error {
	folders, err := r.idsWhere("SELECT DISTINCT folder_id FROM buried WHERE tombstone_id = ?", item)
	if err != nil {
		return err
	}
	if err := r.emit(fact{Raise: &raiseFact{Item: item}}); err != nil || !reopen {
		return err
	}
	return each(folders, func(id int64) error { return r.reopen(FolderID(id)) })
}

// reopen says that a folder must be read again as a whole, whichever account it belongs to.
func (r *recorder) reopen(id FolderID) error {
	var whole uint32
	if err := r.row("SELECT uidvalidity FROM folder WHERE id = ?", id).Scan(&whole); err != nil || whole == 0 {
		return err
	}
	return r.emit(fact{State: &stateFact{Folder: id}})
}

// hasTombstones spares batches the looking when nothing was ever pruned.
func (r *recorder) hasTombstones() (bool, error) {
	if r.tombstones == nil {
		var any bool
		if err := r.row("SELECT EXISTS (SELECT 1 FROM tombstone)").Scan(&any); err != nil {
			return false, err
		}
		r.tombstones = &any
	}
	return *r.tombstones, nil
}

// buryAgain buries a copy, which is of no known item, when it is of a pruned one; it tells whether it did.
func (r *recorder) buryAgain(c *Copy, at place) (bool, error) {
	if any, err := r.hasTombstones(); err != nil || !any {
		return false, err
	}
	stone, err := r.tombstoneOf(c, at)
	if err != nil {
		return false, err
	}
	if stone == 0 {
		return false, r.unbury(at)
	}
	r.done.Buried++
	var lies ItemID
	err = r.row("SELECT tombstone_id FROM buried WHERE folder_id = ? AND validity = ? AND uid = ?", at.folder(), at.validity(), at.uid()).Scan(&lies)
	if err == nil && lies == stone {
		return true, nil
	}
	if err != nil && !noRows(err) {
		return false, err
	}
	return true, r.emit(fact{Bury: &buryFact{At: at, Item: stone}})
}

// tombstoneOf returns the pruned item that a copy is of, or 0.
func (r *recorder) tombstoneOf(c *Copy, at place) (ItemID, error) {
	var stone ItemID
	err := r.row("SELECT id FROM tombstone WHERE account_id = ? AND source_id = ? AND source_id <> '' ORDER BY id DESC LIMIT 1", r.account.ID, c.SourceID).Scan(&stone)
	if err != nil && !noRows(err) {
		return 0, err
	}
	if r.account.Kind == Gmail {
		return stone, nil
	}
	// In the folder where it was pruned, or when the account has it nowhere else.
	err = r.row(`SELECT t.id FROM tombstone t WHERE t.account_id = ?1 AND (t.ref = ?2 OR t.id = ?3) AND (t.folder_id = ?4 OR NOT EXISTS (
		SELECT 1 FROM message m JOIN item i ON i.message_id = m.id WHERE m.ref = t.ref AND i.account_id = ?1)) ORDER BY t.folder_id = ?4 DESC, t.id DESC LIMIT 1`,
		r.account.ID, c.Ref, stone, at.folder()).Scan(&stone)
	if noRows(err) {
		return 0, nil
	}
	return stone, err
}

// unbury gives up a place under which a pruned message lay.
func (r *recorder) unbury(at place) error {
	if any, err := r.hasTombstones(); err != nil || !any {
		return err
	}
	var stone ItemID
	err := r.row("SELECT tombstone_id FROM buried WHERE folder_id = ? AND validity = ? AND uid = ?", at.folder(), at.validity(), at.uid()).Scan(&stone)
	if noRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.emit(fact{Left: &leftFact{At: at}})
}

// placesIn lists the places of items and of pruned ones that a condition names.
func (r *recorder) placesIn(condition string, args ...any) ([]place, error) {
	places, err := r.placesWhere("location WHERE "+condition, args...)
	if err != nil {
		return nil, err
	}
	any, err := r.hasTombstones()
	if err != nil || !any {
		return places, err
	}
	buried, err := r.placesWhere("buried WHERE "+condition, args...)
	return append(places, buried...), err
}

// idsWhere collects the results of a query for one number.
func (a *applier) idsWhere(query string, args ...any) ([]int64, error) {
	var ids []int64
	err := a.each(query, args, func(r row) (bool, error) {
		var id int64
		err := r.Scan(&id)
		ids = append(ids, id)
		return true, err
	})
	return ids, err
}

// pruned writes the facts that prune and its undoing make; known is false for any other.
func (a *applier) pruned(f *fact) (known bool, err error) {
	switch {
	case f.Prune != nil:
		p := f.Prune
		err = a.do(`INSERT INTO prune (id, time, policy, items, messages, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT (id) DO UPDATE SET items = items + ?4, messages = messages + ?5, bytes = bytes + ?6`, p.ID, p.Time, p.Policy, p.Items, p.Messages, p.Bytes)
	case f.Drop != nil:
		err = a.drop(f.Drop.Ref)
	case f.Tombstone != nil:
		t := f.Tombstone
		err = a.do("INSERT INTO tombstone (id, prune_id, account_id, folder_id, source_id, ref, fingerprint) VALUES (?, ?, ?, ?, ?, ?, ?)",
			t.Item, t.Prune, t.Account, t.Folder, t.SourceID, t.Ref, t.Fingerprint)
	case f.Bury != nil:
		b := f.Bury
		err = a.do("INSERT INTO buried (folder_id, validity, uid, tombstone_id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET tombstone_id = ?4",
			b.At.folder(), b.At.validity(), b.At.uid(), b.Item)
	case f.Raise != nil:
		if err = a.do("DELETE FROM buried WHERE tombstone_id = ?", f.Raise.Item); err == nil {
			err = a.do("DELETE FROM tombstone WHERE id = ?", f.Raise.Item)
		}
	case f.Undone != nil:
		err = a.do("UPDATE prune SET restored = restored + ?, undone = max(undone, ?) WHERE id = ?", f.Undone.Lines, f.Undone.Time, f.Undone.Prune)
	default:
		return false, nil
	}
	return true, err
}

// drop removes a message's row and remembers its id.
func (a *applier) drop(ref Ref) error {
	var id int64
	if err := a.row("DELETE FROM message WHERE ref = ? RETURNING id", ref).Scan(&id); err != nil {
		return err
	}
	return a.do("INSERT INTO dropped (one, message) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET message = max(message, ?1)", id)
}
