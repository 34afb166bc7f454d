package archive

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"
)

// What a prune let go of waits in quarantine/prune-N/, N being its id: items.jsonl says all that is needed to bring it back, beside it lie the files. items.jsonl is durable before
// the prune begins.

// QuarantineTime is how long what was pruned can be brought back at least.
const QuarantineTime = 30 * 24 * time.Hour

const manifestFile = "items.jsonl"

var pruneName = regexp.MustCompile(`^prune-([0-9]{1,18})$`)

func pruneFolder(dir string, id PruneID) string {
	return filepath.Join(dir, quarantineDir, fmt.Sprintf("prune-%d", id))
}

func hasManifest(dir string, id PruneID) bool {
	_, err := os.Stat(filepath.Join(pruneFolder(dir, id), manifestFile))
	return err == nil
}

// manifestHead is the first line of items.jsonl.
type manifestHead struct {
	Format     int     `json:"format"` // 1
	Prune      PruneID `json:"prune"`
	Time       int64   `json:"time"`
	Policy     string  `json:"policy"`
	Tombstones bool    `json:"tombstones"`
}

// manifestItem is each further line: an item as it was, or a file without a row, which has no Item.
type manifestItem struct {
	Item        ItemID        `json:"item,omitempty"`
	Account     AccountID     `json:"account,omitempty"`
	Ref         Ref           `json:"sha256"`
	Size        int64         `json:"size"`
	Fingerprint *Fingerprint  `json:"fp,omitempty"`
	SourceID    string        `json:"source,omitempty"`
	ThreadID    string        `json:"thread,omitempty"`
	Date        time.Time     `json:"date,omitzero"`
	Flags       string        `json:"flags,omitempty"`
	Gone        int64         `json:"gone,omitempty"`
	In          []manifestBox `json:"in,omitempty"`
	At          []place       `json:"at,omitempty"`
}

type manifestBox struct {
	ID   MailboxID `json:"id"`
	Name string    `json:"name"` // for people
}

// writeManifest makes what is needed for the undoing of a prune durable.
func (w *Writer) writeManifest(ctx context.Context, head manifestHead, items []ItemID) error {
	return writeManifest(w.dir, head, func(enc *json.Encoder) error {
		for _, id := range items {
			if err := ctx.Err(); err != nil {
				return err
			}
			item, err := w.manifestItem(ctx, id)
			if err == nil {
				err = enc.Encode(item)
			}
			if err != nil {
				return fmt.Errorf("note item %d: %w", id, err)
			}
		}
		return nil
	})
}

// writeManifest replaces a manifest that a prune left which never began.
func writeManifest(dir string, head manifestHead, fill func(*json.Encoder) error) error {
	folder := pruneFolder(dir, head.Prune)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	temp := filepath.Join(folder, manifestFile+".new")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err = enc.Encode(head); err == nil {
		err = fill(enc)
	}
	err = errors.Join(err, out.Flush())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, filepath.Join(folder, manifestFile))
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	return inOrder(func() error { return syncDir(folder) }, func() error { return syncDir(filepath.Dir(folder)) }, func() error { return syncDir(dir) })
}

func (w *Writer) manifestItem(ctx context.Context, id ItemID) (*manifestItem, error) {
	m := &manifestItem{Item: id}
	var date int64
	var zone int
	var print Fingerprint
	err := w.db.QueryRowContext(ctx, `SELECT i.account_id, m.ref, m.size, m.fingerprint, i.source_id, i.thread_id, i.date, i.zone, i.flags, i.gone
		FROM item i JOIN message m ON m.id = i.message_id WHERE i.id = ?`, id).
		Scan(&m.Account, &m.Ref, &m.Size, &print, &m.SourceID, &m.ThreadID, &date, &zone, &m.Flags, &m.Gone)
	if err != nil {
		return nil, err
	}
	m.Date = zoned(date, zone)
	if !print.IsZero() {
		m.Fingerprint = &print
	}
	err = w.db.SelectContext(ctx, &m.In, "SELECT b.id, b.name FROM entry e JOIN mailbox b ON b.id = e.mailbox_id WHERE e.item_id = ? ORDER BY b.id", id)
	if err != nil {
		return nil, err
	}
	rows, err := w.db.QueryContext(ctx, "SELECT folder_id, validity, uid FROM location WHERE item_id = ? ORDER BY folder_id, validity, uid", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p place
		if err := rows.Scan(&p[0], &p[1], &p[2]); err != nil {
			return nil, err
		}
		m.At = append(m.At, p)
	}
	return m, rows.Err()
}

// readManifest calls f for each line behind the first.
func readManifest(folder string, f func(*manifestItem) error) (head manifestHead, err error) {
	file, err := os.Open(filepath.Join(folder, manifestFile))
	if err != nil {
		return head, err
	}
	defer file.Close()
	dec := json.NewDecoder(bufio.NewReader(file))
	if err := dec.Decode(&head); err != nil || head.Format != 1 {
		return head, fmt.Errorf("%q is damaged, or of a newer mailkeep: %w", file.Name(), errors.Join(err, ErrNewer))
	}
	for f != nil {
		var m manifestItem
		err := dec.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return head, fmt.Errorf("%q is damaged: %w", file.Name(), err)
		}
		if err := f(&m); err != nil {
			return head, err
		}
	}
	return head, nil
}

// exile moves the files of messages that have no rows any more into a folder of quarantine/. What a Put has found in place meanwhile stays there. A file that cannot be moved,
// as on Windows while somebody reads it, stays as well, and the next prune moves it.
func (s *mailStore) exile(refs []Ref, folder string) error {
	s.moving.Lock()
	defer s.moving.Unlock()
	touched := map[string]bool{folder: true}
	for _, ref := range refs {
		s.mu.Lock()
		_, wanted := s.staged[ref]
		s.mu.Unlock()
		if wanted {
			continue
		}
		from := messagePath(s.dir, ref)
		err := os.Rename(from, filepath.Join(folder, filepath.Base(from)))
		if errors.Is(err, fs.ErrNotExist) || err != nil && runtime.GOOS == "windows" {
			continue
		}
		if err != nil {
			return err
		}
		touched[filepath.Dir(from)] = true
	}
	return s.barrier.folders(touched)
}

// pruneFolders lists the prunes that quarantine/ holds, by id.
func pruneFolders(dir string) (map[PruneID]string, error) {
	found, err := os.ReadDir(filepath.Join(dir, quarantineDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	folders := make(map[PruneID]string)
	for _, f := range found {
		if m := pruneName.FindStringSubmatch(f.Name()); m != nil && f.IsDir() {
			if id, err := strconv.ParseInt(m[1], 10, 64); err == nil {
				folders[PruneID(id)] = filepath.Join(dir, quarantineDir, f.Name())
			}
		}
	}
	return folders, nil
}

// nextPrune is a number that no prune had: of those in gmail.db, and of those that only quarantine/ tells of, as when the map was lost or replaced by an older copy.
func (w *Writer) nextPrune(ctx context.Context) (id PruneID, err error) {
	if err := w.rw.GetContext(ctx, &id, "SELECT coalesce(max(id), 0) + 1 FROM prune"); err != nil {
		return 0, err
	}
	folders, err := pruneFolders(w.dir)
	for taken, folder := range folders {
		if left, readErr := os.ReadDir(folder); readErr != nil || len(left) > 0 {
			id = max(id, taken+1)
		}
	}
	return id, err
}

// finishPrunes moves the files that a crash kept from being moved.
func (w *Writer) finishPrunes(ctx context.Context) error {
	runs, err := w.Prunes(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, run := range runs {
		if !run.Held {
			continue
		}
		var left []Ref
		_, err := readManifest(pruneFolder(w.dir, run.ID), func(m *manifestItem) error {
			if _, err := os.Lstat(messagePath(w.dir, m.Ref)); err != nil {
				return nil // moved, as nearly all are
			}
			known, err := w.hasMessage(ctx, m.Ref)
			if err == nil && !known {
				left = append(left, m.Ref)
			}
			return err
		})
		if err == nil {
			err = w.store.exile(left, pruneFolder(w.dir, run.ID))
		}
		if err != nil {
			return fmt.Errorf("finish prune %d: %w", run.ID, err)
		}
	}
	return nil
}

func (w *Writer) hasMessage(ctx context.Context, ref Ref) (known bool, err error) {
	return known, w.rw.GetContext(ctx, &known, "SELECT EXISTS (SELECT 1 FROM message WHERE ref = ?)", ref)
}

// Emptied tells what EmptyQuarantine removed for good.
type Emptied struct {
	Prunes   int
	Messages int64
	Bytes    int64
}

// EmptyQuarantine removes for good what was pruned before a time. A file whose message has a row again and is not in its place is not removed but put back.
func (w *Writer) EmptyQuarantine(ctx context.Context, before time.Time) (Emptied, error) {
	var done Emptied
	if err := w.finishPrunes(ctx); err != nil {
		return done, err
	}
	folders, err := pruneFolders(w.dir)
	if err != nil {
		return done, fmt.Errorf("empty the quarantine: %w", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, folder := range folders {
		head, err := readManifest(folder, nil)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return done, fmt.Errorf("empty the quarantine: %w", err)
		}
		since := head.Time
		if err != nil {
			since, err = lastMoved(folder) // without its list a file there is still somebody's mail
			if err != nil {
				return done, fmt.Errorf("empty the quarantine: %w", err)
			}
		} else if head.Prune != id {
			continue
		}
		if since > before.Unix() {
			continue
		}
		if err := w.emptyFolder(ctx, folder, &done); err != nil {
			return done, fmt.Errorf("empty the quarantine of prune %d: %w", id, err)
		}
	}
	return done, nil
}

// lastMoved is when a folder changed last, in Unix seconds.
func lastMoved(folder string) (int64, error) {
	info, err := os.Stat(folder)
	if err != nil {
		return 0, err
	}
	return info.ModTime().Unix(), nil
}

// emptyFolder removes items.jsonl last: as long as it is there, the folder counts as one that can be undone, as far as its files go.
func (w *Writer) emptyFolder(ctx context.Context, folder string, done *Emptied) error {
	found, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, f := range found {
		if f.Name() == manifestFile {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.removeExile(ctx, folder, f, done); err != nil {
			return err
		}
	}
	done.Prunes++
	return inOrder(
		func() error { return ignoreMissing(os.Remove(filepath.Join(folder, manifestFile))) },
		func() error { return os.Remove(folder) },
		func() error { return syncDir(filepath.Dir(folder)) },
	)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (w *Writer) removeExile(ctx context.Context, folder string, f fs.DirEntry, done *Emptied) error {
	path := filepath.Join(folder, f.Name())
	ref, err := ParseRef(trimExtension(f.Name()))
	if err != nil {
		return os.Remove(path) // items.jsonl.new of a prune that never began
	}
	info, err := f.Info()
	if err != nil {
		return err
	}
	known, err := w.hasMessage(ctx, ref)
	if err != nil {
		return err
	}
	if _, missing := os.Lstat(messagePath(w.dir, ref)); known && errors.Is(missing, fs.ErrNotExist) {
		return w.store.repatriate(ref, path)
	}
	done.Messages++
	done.Bytes += info.Size()
	return os.Remove(path)
}

func trimExtension(name string) string { return name[:max(0, len(name)-len(extension))] }

// repatriate moves a file back to where its message belongs, durably.
func (s *mailStore) repatriate(ref Ref, from string) error {
	to := messagePath(s.dir, ref)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return s.barrier.folders(map[string]bool{filepath.Dir(to): true, s.dir: true, filepath.Dir(from): true})
}
