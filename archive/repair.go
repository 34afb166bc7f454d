package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/jmoiron/sqlx"
)

// Place is where at the source a message was last seen.
type Place struct {
	Ref      Ref    `db:"ref"`
	Size     int64  `db:"size"`      // bytes
	SourceID string `db:"source_id"` // X-GM-MSGID in decimal or EMAILID; "" when the server has none
	Folder   string `db:"name"`      // the server's name, decoded; "" when it was at no place any more
	Validity uint32 `db:"validity"`  // the server's UIDVALIDITY
	UID      uint32 `db:"uid"`       // the server's UID; 0 without a place
}

// Places returns where an account has, or had, messages. There may be several for one, or none.
func (r *Reader) Places(ctx context.Context, account AccountID, refs []Ref) ([]Place, error) {
	var all []Place
	for portion := range slices.Chunk(refs, 500) {
		query, args, err := sqlx.In(`SELECT m.ref, m.size, i.source_id, coalesce(f.name, '') AS name, coalesce(l.validity, 0) AS validity, coalesce(l.uid, 0) AS uid
			FROM message m JOIN item i ON i.message_id = m.id LEFT JOIN location l ON l.item_id = i.id LEFT JOIN folder f ON f.id = l.folder_id
			WHERE i.account_id = ? AND m.ref IN (?) ORDER BY m.ref, f.id, l.uid`, account, portion)
		if err != nil {
			return nil, fmt.Errorf("find the places of messages: %w", err)
		}
		var places []Place
		if err := r.db.SelectContext(ctx, &places, query, args...); err != nil {
			return nil, fmt.Errorf("find the places of messages: %w", err)
		}
		all = append(all, places...)
	}
	return all, nil
}

// PutBack puts messages in place that were Put and have a row already, such as those whose files were damaged. When it returns nil they survive a power cut.
func (w *Writer) PutBack(ctx context.Context, refs []Ref) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	for _, ref := range refs {
		var size int64
		err := w.rw.QueryRowContext(ctx, "SELECT size FROM message WHERE ref = ?", ref).Scan(&size)
		if errors.Is(err, sql.ErrNoRows) {
			err = ErrNotFound
		}
		if err != nil {
			return fmt.Errorf("put message %s back: %w", ref, err)
		}
	}
	if _, _, err := w.store.settle(refs); err != nil {
		w.broken = fmt.Errorf("put messages in place in %q: %w", w.dir, noSpace(err))
		return w.broken
	}
	return nil
}

// Repaired is what Repair did.
type Repaired struct {
	Aside    []string // damaged files as they are named now, below the archive's folder
	Restored []Ref    // messages that are whole again: another file held their bytes
	Left     []Ref    // messages that have no whole file now
}

// Repair deals with findings of damaged files: they are moved to quarantine/, and messages whose bytes another of these files holds, as when two were swapped, are put in place
// again. Findings of other kinds are passed over, except that a stray file may give a message its bytes back. What was mended since the finding is left alone. It fails with
// fs.ErrPermission, before anything is moved, when a file may not be read.
func (w *Writer) Repair(ctx context.Context, findings []Finding) (Repaired, error) {
	done, err := w.repair(ctx, findings)
	if err != nil {
		return done, fmt.Errorf("repair archive %q: %w", w.dir, noSpace(err))
	}
	return done, nil
}

func (w *Writer) repair(ctx context.Context, findings []Finding) (done Repaired, err error) {
	sources := make(map[Ref]string) // files that may hold a message, by the message
	var bad []Finding
	for _, f := range findings {
		switch {
		case f.OfFile() && f.Message != nil:
			if text, err := w.checkFile(*f.Message, w.sizeOf(ctx, *f.Message), true); err != nil || text == "" {
				continue
			}
			if err := w.mayRead(*f.Message); err != nil {
				return done, err
			}
			bad = append(bad, f)
		case f.Kind == FileStray && f.Message != nil:
			sources[*f.Message] = f.Path
		}
	}
	if done.Aside, err = w.setAsideFiles(bad, sources); err != nil {
		return done, err
	}
	for _, f := range bad {
		if w.sizeOf(ctx, *f.Message) < 0 {
			continue // nobody misses it
		}
		whole, err := w.putFrom(sources[*f.Message], *f.Message)
		if err != nil {
			return done, err
		}
		if whole {
			done.Restored = append(done.Restored, *f.Message)
		} else {
			done.Left = append(done.Left, *f.Message)
		}
	}
	return done, w.PutBack(ctx, done.Restored)
}

// mayRead is an error where only the system's permissions keep a file from being read: that is no damage, and the file may be the only copy.
func (w *Writer) mayRead(ref Ref) error {
	f, err := os.Open(messagePath(w.dir, ref))
	if err == nil {
		return f.Close()
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: it may be whole, but belongs to another user or may not be read; change that, and check again", err)
	}
	return nil
}

// sizeOf returns a message's size as its row says, -1 without a row.
func (r *Reader) sizeOf(ctx context.Context, ref Ref) int64 {
	size := int64(-1)
	if err := r.db.GetContext(ctx, &size, "SELECT size FROM message WHERE ref = ?", ref); err != nil {
		return -1
	}
	return size
}

// setAsideFiles moves damaged files to quarantine/ and notes which messages they hold.
func (w *Writer) setAsideFiles(bad []Finding, sources map[Ref]string) ([]string, error) {
	var names []string
	var actual []*Ref
	for _, f := range bad {
		if _, err := os.Lstat(filepath.Join(w.dir, filepath.FromSlash(f.Path))); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		names, actual = append(names, f.Path), append(actual, f.Actual)
	}
	if len(names) == 0 {
		return nil, nil
	}
	moved, err := setAside(w.dir, names...)
	for i, to := range moved {
		if actual[i] != nil {
			sources[*actual[i]] = to
		}
	}
	return moved, err
}

// putFrom stages a message from another file that may hold it.
func (w *Writer) putFrom(source string, ref Ref) (whole bool, err error) {
	if source == "" {
		return false, nil
	}
	f, err := os.Open(filepath.Join(w.dir, filepath.FromSlash(source)))
	if err != nil {
		return false, nil // it is only a chance
	}
	defer f.Close()
	got, _, err := w.Put(f)
	if errors.Is(err, ErrDiskFull) {
		return false, err
	}
	return err == nil && got == ref, nil
}
