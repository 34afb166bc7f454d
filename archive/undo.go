package archive

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Undone tells what UndoPrune did.
type Undone struct {
	ID      PruneID
	Items   int64 // brought back
	Present int64 // that were there: the prune had not come to them, or the source brought them back since
	Lost    int64 // not brought back: the file is neither in quarantine/ nor in its place, or damaged; a later backup takes the message in again if the source has it
}

// UndoPrune brings back what a prune removed, with dates, flags and mailboxes; id 0 means the latest one that can be undone. UIDs are never used again (A5), so that the items get new
// ones. An item is at the source again if the source shows its message where it was, and is marked as gone if not. It fails with ErrNotFound when there is nothing to undo. Files come first,
// then journal and rows (A8); after a crash, calling it again finishes it.
func (w *Writer) UndoPrune(ctx context.Context, id PruneID, progress func(done int64)) (Undone, error) {
	run, err := w.undoable(ctx, id)
	if err != nil {
		return Undone{}, err
	}
	done, err := w.undo(ctx, run, progress)
	if err != nil {
		return done, fmt.Errorf("undo prune %d: %w", run.ID, noSpace(err))
	}
	return done, nil
}

func (w *Writer) undoable(ctx context.Context, id PruneID) (PruneRun, error) {
	runs, err := w.Prunes(ctx)
	if err != nil {
		return PruneRun{}, err
	}
	for _, run := range slices.Backward(runs) {
		switch {
		case id == 0 && run.Held, id == run.ID && run.Held:
			return run, nil
		case id == run.ID && run.Undone != 0:
			return PruneRun{}, fmt.Errorf("prune %d was undone already: %w", id, ErrNotFound)
		case id == run.ID:
			return PruneRun{}, fmt.Errorf("prune %d cannot be undone, its files have left the quarantine: %w", id, ErrNotFound)
		}
	}
	if id == 0 {
		return PruneRun{}, fmt.Errorf("there is no prune that can be undone: %w", ErrNotFound)
	}
	return PruneRun{}, fmt.Errorf("there was no prune %d: %w", id, ErrNotFound)
}

func (w *Writer) undo(ctx context.Context, run PruneRun, progress func(done int64)) (Undone, error) {
	done := Undone{ID: run.ID}
	folder := pruneFolder(w.dir, run.ID)
	head, err := readManifest(folder, nil)
	if err != nil {
		return done, err
	}
	var chunk []*manifestItem
	skip := run.Restored
	flush := func() error {
		err := w.undoChunk(ctx, head, chunk, &done)
		chunk = chunk[:0]
		if progress != nil {
			progress(done.Items + done.Present + done.Lost)
		}
		return err
	}
	_, err = readManifest(folder, func(m *manifestItem) error {
		if skip--; skip >= 0 {
			return nil
		}
		if chunk = append(chunk, m); len(chunk) < pruneChunk {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return done, err
	}
	return done, w.undone(ctx, run.ID, done.Lost == 0)
}

// undone notes that nothing is left to be undone. What is left of a folder whose files are not all whole stays until the quarantine is emptied.
func (w *Writer) undone(ctx context.Context, id PruneID, whole bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.record(ctx, func(r *recorder) error { return r.emit(fact{Undone: &undoneFact{Prune: id, Time: r.now.Unix()}}) })
	if err != nil || !whole {
		return err
	}
	return w.emptyFolder(ctx, pruneFolder(w.dir, id), &Emptied{})
}

func (w *Writer) undoChunk(ctx context.Context, head manifestHead, chunk []*manifestItem, done *Undone) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var here, lost []*manifestItem
	for _, m := range chunk {
		ok, err := w.store.recall(m, pruneFolder(w.dir, head.Prune))
		switch {
		case err != nil:
			return err
		case !ok:
			lost = append(lost, m)
		case m.Item == 0: // a file without a row
			done.Items++
		default:
			here = append(here, m)
		}
	}
	var back, present int64
	_, err := w.record(ctx, func(r *recorder) error {
		back, present = 0, 0
		for _, m := range here {
			restored, err := (&undoer{r, head}).item(m)
			if err != nil {
				return fmt.Errorf("item %d: %w", m.Item, err)
			}
			if restored {
				back++
			} else {
				present++
			}
		}
		for _, m := range lost { // nothing keeps the source from bringing it back
			if err := (&undoer{r, head}).unearth(m.Item, true); err != nil {
				return fmt.Errorf("item %d: %w", m.Item, err)
			}
		}
		return r.emit(fact{Undone: &undoneFact{Prune: head.Prune, Lines: int64(len(chunk))}})
	})
	if err != nil {
		return err
	}
	done.Items += back
	done.Present += present
	done.Lost += int64(len(lost))
	return nil
}

// recall puts a message's file back in its place; ok is false when there is none with the right bytes.
func (s *mailStore) recall(m *manifestItem, folder string) (ok bool, err error) {
	if _, err := os.Lstat(messagePath(s.dir, m.Ref)); err == nil {
		return s.intact(m.Ref, m.Size)
	}
	path := filepath.Join(folder, m.Ref.String()+extension)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	if closeErr := f.Close(); err != nil || closeErr != nil || Ref(hash.Sum(nil)) != m.Ref {
		return false, nil
	}
	return true, s.repatriate(m.Ref, path)
}

// undoer brings items back within one batch.
type undoer struct {
	*recorder
	head manifestHead
}

// item brings one item back under a new id, unless it was not removed or the source brought it back itself; it tells whether it did.
func (u *undoer) item(m *manifestItem) (bool, error) {
	there, err := u.present(m)
	if err != nil {
		return false, err
	}
	places, err := u.placesLeft(m)
	if err != nil {
		return false, err
	}
	kept := places
	if u.account.Kind == IMAP && len(kept) > 1 {
		kept = kept[:1] // an item is one copy there; what else was buried with it is read again
	}
	if err := u.unearth(m.Item, there || len(kept) < len(places)); err != nil || there {
		return false, err
	}
	return true, u.revive(m, kept)
}

// unearth removes the tombstone of an item, if it has one still.
func (u *undoer) unearth(item ItemID, reopen bool) error {
	var stands bool
	if err := u.row("SELECT EXISTS (SELECT 1 FROM tombstone WHERE id = ?)", item).Scan(&stands); err != nil || !stands {
		return err
	}
	return u.raise(item, reopen)
}

// present tells whether the account has the item: as it was, or taken in again.
func (u *undoer) present(m *manifestItem) (there bool, err error) {
	if err := u.row("SELECT id, name, kind FROM account WHERE id = ?", m.Account).Scan(&u.account.ID, &u.account.Name, &u.account.Kind); err != nil {
		return false, err
	}
	// The caches of the batch are by name, and names are the account's.
	u.boxes, u.folders = make(map[string]*mailboxFact), make(map[FolderID]*Folder)
	if err := u.row("SELECT EXISTS (SELECT 1 FROM item WHERE id = ?)", m.Item).Scan(&there); err != nil || there {
		return there, err
	}
	if u.account.Kind == Gmail && m.SourceID != "" {
		err = u.row("SELECT EXISTS (SELECT 1 FROM item WHERE account_id = ? AND source_id = ? AND source_id <> '')", m.Account, m.SourceID).Scan(&there)
		return there, err
	}
	for _, at := range m.At {
		err := u.row(`SELECT EXISTS (SELECT 1 FROM location l JOIN item i ON i.id = l.item_id JOIN message m ON m.id = i.message_id
			WHERE l.folder_id = ? AND l.validity = ? AND l.uid = ? AND m.ref = ?)`, at.folder(), at.validity(), at.uid(), m.Ref).Scan(&there)
		if err != nil || there {
			return there, err
		}
	}
	return false, nil
}

// placesLeft returns the places at which the source shows the item still, as far as is known.
func (u *undoer) placesLeft(m *manifestItem) ([]place, error) {
	if u.head.Tombstones {
		return u.placesWhere("buried JOIN folder ON folder.id = folder_id AND current = validity WHERE tombstone_id = ?", m.Item)
	}
	var left []place
	for _, at := range m.At {
		var ok bool
		err := u.row(`SELECT EXISTS (SELECT 1 FROM folder WHERE id = ?1 AND current = ?2 AND gone = 0)
			AND NOT EXISTS (SELECT 1 FROM location WHERE folder_id = ?1 AND validity = ?2 AND uid = ?3)`, at.folder(), at.validity(), at.uid()).Scan(&ok)
		if err != nil {
			return nil, err
		}
		if ok {
			left = append(left, at)
		}
	}
	return left, nil
}

// revive creates the item anew.
func (u *undoer) revive(m *manifestItem, places []place) error {
	item := &itemFact{Account: m.Account, Ref: m.Ref, Size: m.Size, Fingerprint: m.Fingerprint, SourceID: m.SourceID, ThreadID: m.ThreadID, Date: keepableDate(m.Date), Flags: m.Flags}
	var err error
	if item.ID, err = u.newItem(); err != nil {
		return err
	}
	back := m.Gone != 0 && len(places) > 0 // the source shows it again
	for _, box := range m.In {
		if back && box.Name == GoneMailbox {
			continue
		}
		uid, err := u.giveUID(box.ID)
		if err != nil {
			return err
		}
		item.In = append(item.In, placed{uint32(box.ID), uint32(uid)})
	}
	if err := u.emit(fact{Item: item}); err != nil {
		return err
	}
	for _, at := range places {
		if err := u.emit(fact{At: &atFact{Item: item.ID, At: at}}); err != nil {
			return err
		}
	}
	switch {
	case len(places) > 0:
		return nil
	case m.Gone != 0:
		return u.emit(fact{Gone: &goneFact{Item: item.ID, Since: m.Gone}})
	}
	return u.markGone(item.ID) // the source let go of it meanwhile
}

// PruneOrphans moves files without rows to quarantine/, and notes it like any prune. Those that got a row meanwhile stay.
func (w *Writer) PruneOrphans(ctx context.Context, orphans []Orphan, policy string) (Pruned, error) {
	if err := w.finishPrunes(ctx); err != nil {
		return Pruned{}, err
	}
	done, err := w.pruneOrphans(ctx, orphans, policy)
	if err != nil {
		return done, fmt.Errorf("prune files without a row: %w", noSpace(err))
	}
	return done, nil
}

func (w *Writer) pruneOrphans(ctx context.Context, orphans []Orphan, policy string) (done Pruned, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var refs []Ref
	var lines []manifestItem
	for _, o := range orphans {
		known, err := w.hasMessage(ctx, o.Ref)
		if err != nil {
			return done, err
		}
		if known {
			done.Changed++
			continue
		}
		refs, lines = append(refs, o.Ref), append(lines, manifestItem{Ref: o.Ref, Size: o.Size})
		done.Messages++
		done.Bytes += o.Size
	}
	if len(refs) == 0 {
		return done, nil
	}
	head := manifestHead{Format: 1, Time: time.Now().Unix(), Policy: policy}
	if head.Prune, err = w.nextPrune(ctx); err != nil {
		return done, err
	}
	if err := writeManifest(w.dir, head, func(enc *json.Encoder) error {
		return each(lines, func(m manifestItem) error { return enc.Encode(m) })
	}); err != nil {
		return done, err
	}
	done.ID = head.Prune
	_, err = w.record(ctx, func(r *recorder) error {
		return r.emit(fact{Prune: &pruneFact{ID: head.Prune, Time: head.Time, Policy: policy, Messages: done.Messages, Bytes: done.Bytes}})
	})
	if err != nil {
		return done, err
	}
	return done, w.store.exile(refs, pruneFolder(w.dir, head.Prune))
}
