package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// snapshotChunk is how many messages are brought before they are made durable.
const snapshotChunk = 500

// messages brings the message files that the snapshot lacks.
func (s *snapshotter) messages(ctx context.Context) error {
	var total int64
	if err := s.db.GetContext(ctx, &total, "SELECT count(*) FROM message"); err != nil {
		return err
	}
	var after Ref
	for first := true; ; first = false {
		chunk, err := s.some(ctx, after, first)
		if err != nil || len(chunk) == 0 {
			return err
		}
		if err := s.bring(chunk); err != nil {
			return err
		}
		after = chunk[len(chunk)-1].Ref
		s.done.Messages += int64(len(chunk))
		if s.o.Progress != nil {
			s.o.Progress(s.done.Messages, total)
		}
	}
}

func (s *snapshotter) some(ctx context.Context, after Ref, first bool) ([]Orphan, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT ref, size FROM message WHERE ref > ? OR ? ORDER BY ref LIMIT ?", after, first, snapshotChunk)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var chunk []Orphan
	for rows.Next() {
		var m Orphan
		if err := rows.Scan(&m.Ref, &m.Size); err != nil {
			return nil, err
		}
		chunk = append(chunk, m)
	}
	return chunk, rows.Err()
}

// bring links or copies some files and makes them durable.
func (s *snapshotter) bring(chunk []Orphan) error {
	touched := make(map[string]bool)
	var copied []Ref
	for _, m := range chunk {
		to := messagePath(s.to, m.Ref)
		if info, err := os.Lstat(to); err == nil && info.Size() == m.Size {
			continue
		} else if err == nil {
			// Not what it should be: made anew.
			if err := os.Remove(to); err != nil {
				return err
			}
		}
		linked, err := s.bringOne(m, to, touched)
		if err != nil {
			return err
		}
		if !linked {
			copied = append(copied, m.Ref)
		}
	}
	files, bytes, err := s.store.settle(copied)
	s.done.Copied += int64(files)
	s.done.Bytes += bytes
	if err == nil && len(touched) > 0 {
		touched[s.to] = true
		err = s.store.barrier.folders(touched)
	}
	return err
}

// bringOne tells whether a file is linked; if not, it is staged to be settled, or noted as missing.
func (s *snapshotter) bringOne(m Orphan, to string, touched map[string]bool) (linked bool, err error) {
	from, err := s.source(m.Ref)
	if err != nil {
		return false, err
	}
	if from == "" {
		s.missing(m.Ref)
		return true, nil
	}
	if info, err := os.Stat(from); err != nil || info.Size() != m.Size {
		s.missing(m.Ref)
		return true, nil
	}
	if s.link {
		folder := filepath.Dir(to)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return false, err
		}
		if err := os.Link(from, to); err == nil {
			touched[folder] = true
			s.done.Linked++
			return true, nil
		} else if errors.Is(err, fs.ErrNotExist) {
			return false, errMoved
		}
		s.link = false // another file system, or one that knows no links
	}
	f, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, errMoved
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	ref, _, err := s.store.put(f)
	if err == nil && ref != m.Ref {
		s.missing(m.Ref)
	}
	return false, err
}

func (s *snapshotter) missing(ref Ref) {
	const most = 100
	if len(s.done.Missing) < most && !slices.Contains(s.done.Missing, ref) {
		s.done.Missing = append(s.done.Missing, ref)
	}
}

// source finds a message's file: in its place, or in quarantine/ when it was pruned after the database was copied; "" when it is nowhere.
func (s *snapshotter) source(ref Ref) (string, error) {
	path := messagePath(s.dir, ref)
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	folders, err := pruneFolders(s.dir)
	if err != nil {
		return "", err
	}
	for _, folder := range folders {
		exiled := filepath.Join(folder, filepath.Base(path))
		if _, err := os.Lstat(exiled); err == nil {
			return exiled, nil
		}
	}
	return "", nil
}

// journal brings the journal up to the batch that the database contains. Files are replaced as a whole: one with more in it than the database of the snapshot knows of is what a
// crash between journal and rows leaves, too.
func (s *snapshotter) journal(context.Context) error {
	names, err := s.journalNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		length := int64(-1)
		if name == s.end.File {
			length = s.end.Offset
		}
		if err := s.journalFile(name, length); err != nil {
			return fmt.Errorf("copy the journal %q: %w", name, err)
		}
	}
	return nil
}

// journalNames lists the files that belong to the snapshot: those up to the database's position, and compacted ones of batches that it contains.
func (s *snapshotter) journalNames() ([]string, error) {
	dir := filepath.Join(s.dir, journalDir)
	months, err := journalFiles(dir)
	if err != nil {
		return nil, err
	}
	names := slices.DeleteFunc(months, func(name string) bool { return name > s.end.File })
	if s.end.Offset > 0 && !slices.Contains(names, s.end.File) {
		return nil, errMoved // compacted since
	}
	compacted, err := journalSnapshots(dir)
	if err != nil {
		return nil, err
	}
	newest := snapshotFile(s.done.ModSeq)
	return append(names, slices.DeleteFunc(compacted, func(name string) bool { return name > newest })...), nil
}

// journalFile copies the first bytes of a file, or all of it when length is negative, unless the snapshot has just these: files of the journal only grow.
func (s *snapshotter) journalFile(name string, length int64) error {
	in, err := os.Open(filepath.Join(s.dir, journalDir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if length < 0 {
		length = info.Size()
	}
	if info.Size() < length {
		return errMoved
	}
	to := filepath.Join(s.to, journalDir, name)
	if have, err := os.Stat(to); err == nil && have.Size() == length {
		return nil
	}
	return writeStream(to, io.LimitReader(in, length))
}

// writeStream is writeDurably for a file that may be long.
func writeStream(path string, content io.Reader) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, content); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(temp)))
	}
	return syncDir(filepath.Dir(path))
}

// tidy removes what belonged to the old database only: files of the journal that were compacted since, and, if that is wanted, message files.
func (s *snapshotter) tidy(ctx context.Context) error {
	keep, err := s.journalNames()
	if errors.Is(err, errMoved) {
		return nil // compacted just now: the next snapshot tidies
	}
	if err != nil {
		return err
	}
	dir := filepath.Join(s.to, journalDir)
	months, err := journalFiles(dir)
	if err != nil {
		return err
	}
	compacted, err := journalSnapshots(dir)
	if err != nil {
		return err
	}
	for _, name := range append(months, compacted...) {
		if slices.Contains(keep, name) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return s.surplus(ctx)
}

func (s *snapshotter) surplus(ctx context.Context) error {
	db, err := connect(filepath.Join(s.to, databaseFile), "query_only(1)")
	if err != nil {
		return err
	}
	orphans, err := (&Reader{dir: s.to, db: db}).Orphans(ctx)
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	s.done.Surplus = int64(len(orphans))
	if !s.o.Delete {
		return nil
	}
	for _, o := range orphans {
		if err := os.Remove(messagePath(s.to, o.Ref)); err != nil {
			return err
		}
	}
	return nil
}
