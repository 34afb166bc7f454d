package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// A snapshot is a copy of an archive, and an archive itself. Its parts are brought in the order of A8: message files, then the journal, then gmail.db, which is switched as a whole. So
// a snapshot that is brought up to date is the old one, the old one with a journal that is ahead of gmail.db, or the new one, whenever it is interrupted.

// SnapshotOptions say how Snapshot works.
type SnapshotOptions struct {
	Copy     bool                    // copy message files where hard links would do
	Delete   bool                    // remove message files that the archive does not have any more
	Progress func(done, total int64) // messages; may be nil

	step func(string) error // for tests: called before each step, and ends the snapshot when it fails
}

// Snapshotted tells what Snapshot did.
type Snapshotted struct {
	ModSeq   ModSeq // the last batch that the snapshot contains
	Messages int64  // all that it holds
	Linked   int64  // of these: new, and sharing their bytes with the archive
	Copied   int64  // of these: new, and copied
	Bytes    int64  // of the copied ones
	Surplus  int64  // files of messages that the archive has no more; removed with Delete
	Missing  []Ref  // messages whose file the archive lacks, or has with wrong bytes; at most a hundred
}

const (
	copyMark     = "SNAPSHOT"
	copyMarkText = "This folder is made and brought up to date by \"mailkeep snapshot\": a copy of another mailkeep archive, and one itself.\n" +
		"To use it as an archive of its own from now on, remove this file.\n\n"
)

// ErrNotSnapshot says that a folder is not to be overwritten by a snapshot.
var ErrNotSnapshot = errors.New("not a snapshot of this archive")

// Snapshot makes the folder to a consistent copy of the archive in dir, or brings such a copy up to date, while a Writer and servers are at work. Message files are hard links where
// the file system can: they never change (A3), but share the disk's fate. It fails with ErrNotSnapshot when to is anything else than a snapshot of this archive or an empty folder.
func Snapshot(ctx context.Context, dir, to string, o SnapshotOptions) (Snapshotted, error) {
	if err := checkFormat(dir); err != nil {
		return Snapshotted{}, err
	}
	if err := checkApart(dir, to); err != nil {
		return Snapshotted{}, err
	}
	s := &snapshotter{dir: dir, to: to, o: o, link: !o.Copy}
	err := s.open(ctx)
	if err == nil {
		err = s.run(ctx)
	}
	if err = errors.Join(err, s.close()); err != nil {
		return s.done, fmt.Errorf("make a snapshot in %q: %w", to, noSpace(err))
	}
	return s.done, nil
}

// checkApart refuses folders that contain one another.
func checkApart(dir, to string) error {
	from, err := realPath(dir)
	if err != nil {
		return err
	}
	target, err := realPath(to)
	if err != nil {
		return err
	}
	inside := func(a, b string) bool {
		rel, err := filepath.Rel(a, b)
		return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
	}
	if inside(from, target) || inside(target, from) {
		return fmt.Errorf("make a snapshot in %q: it lies within the archive, or contains it; name another folder: %w", to, ErrNotSnapshot)
	}
	return nil
}

// realPath resolves links, in the part of a path that exists.
func realPath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		real, err := filepath.EvalSymlinks(abs)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		parent := filepath.Dir(abs)
		if !errors.Is(err, fs.ErrNotExist) || parent == abs {
			return "", err
		}
		abs, rest = parent, filepath.Join(filepath.Base(abs), rest)
	}
}

// snapshotter is one run.
type snapshotter struct {
	dir, to string
	o       SnapshotOptions
	link    bool // hard links are worth trying
	done    Snapshotted

	lock  interface{ Unlock() error }
	store *mailStore // of the snapshot
	db    *sqlx.DB   // the new database, not in its place yet
	end   position   // of the journal that it contains
}

func (s *snapshotter) before(step string) error {
	if s.o.step == nil {
		return nil
	}
	return s.o.step(step)
}

// open makes sure that the folder is one to write to, and takes its lock.
func (s *snapshotter) open(ctx context.Context) error {
	if err := s.checkTarget(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.to, 0o700); err != nil {
		return err
	}
	lock, err := lockArchive(s.to)
	if err != nil {
		return err
	}
	s.lock = lock
	if err := s.checkLineage(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(s.to, journalDir), 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.to, copyMark)); err != nil {
		if err := writeDurably(filepath.Join(s.to, copyMark), []byte(copyMarkText)); err != nil {
			return err
		}
	}
	s.store, err = openMailStore(s.to)
	return err
}

func (s *snapshotter) close() error {
	var errs []error
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// checkTarget lets a folder pass that is a snapshot, or nothing yet.
func (s *snapshotter) checkTarget() error {
	if _, err := os.Stat(filepath.Join(s.to, copyMark)); err == nil {
		return nil
	}
	names, err := os.ReadDir(s.to)
	if errors.Is(err, fs.ErrNotExist) || err == nil && onlyBeginnings(names) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("the folder holds something else; name an empty or new one: %w", ErrNotSnapshot)
}

// checkLineage refuses a snapshot of another archive, and one that went on by itself: both would lose what they have.
func (s *snapshotter) checkLineage(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.to, databaseFile)); err != nil {
		return ignoreMissing(err)
	}
	theirs, seq, err := appliedIn(ctx, s.to)
	if err != nil {
		return fmt.Errorf("look at the snapshot that is there (remove the folder to begin anew): %w", err)
	}
	_, ours, err := appliedIn(ctx, s.dir)
	if err != nil {
		return err
	}
	if seq > ours {
		return fmt.Errorf("the snapshot there is newer (batch %d) than the archive (batch %d); name another folder: %w", seq, ours, ErrNotSnapshot)
	}
	if theirs.Offset == 0 {
		return nil
	}
	was, err := journalTail(s.to, theirs)
	if err != nil {
		return err
	}
	is, err := journalTail(s.dir, theirs)
	same := bytes.Equal(was, is)
	if errors.Is(err, fs.ErrNotExist) { // compacted since, or never written
		same, err = sameArchive(ctx, s.to, s.dir)
	}
	if err == nil && !same {
		return fmt.Errorf("the folder is a snapshot of another archive; name another one: %w", ErrNotSnapshot)
	}
	return err
}

// sameArchive tells by what never changes whether a snapshot is of an archive: mailboxes keep their UIDVALIDITY, which is the time when they were made, and items their messages.
func sameArchive(ctx context.Context, snapshot, dir string) (bool, error) {
	const newest = "ORDER BY i.id DESC LIMIT 100"
	was, err := traitsOf(ctx, snapshot, newest)
	if err != nil {
		return false, err
	}
	is, err := traitsOf(ctx, dir, "WHERE i.id IN ("+idList(slices.Collect(maps.Keys(was.refs)))+")")
	if err != nil {
		return false, err
	}
	for id, validity := range was.boxes {
		if is.boxes[id] != validity {
			return false, nil
		}
	}
	for id, ref := range is.refs { // others were pruned
		if was.refs[id] != ref {
			return false, nil
		}
	}
	return true, nil
}

// traits are what tells one archive from another.
type traits struct {
	boxes map[MailboxID]int64 // UIDVALIDITY
	refs  map[ItemID]Ref
}

func traitsOf(ctx context.Context, dir, which string) (t traits, err error) {
	db, err := connect(filepath.Join(dir, databaseFile), "query_only(1)")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if t.boxes, err = pairs[MailboxID, int64](ctx, db, "SELECT id, uidvalidity FROM mailbox"); err == nil {
		t.refs, err = pairs[ItemID, Ref](ctx, db, "SELECT i.id, m.ref FROM item i JOIN message m ON m.id = i.message_id "+which)
	}
	return t, err
}

// pairs reads the rows of two columns.
func pairs[K comparable, V any](ctx context.Context, db *sqlx.DB, query string) (map[K]V, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[K]V)
	for rows.Next() {
		var k K
		var v V
		if err := rows.Scan(&k, &v); err != nil {
			return nil, err
		}
		all[k] = v
	}
	return all, rows.Err()
}

// appliedIn returns what an archive's database contains.
func appliedIn(ctx context.Context, dir string) (at position, seq ModSeq, err error) {
	db, err := connect(filepath.Join(dir, databaseFile), "query_only(1)")
	if err != nil {
		return at, 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT file, offset, seq FROM applied").Scan(&at.File, &at.Offset, &seq)
	return at, seq, errors.Join(err, db.Close())
}

// journalTail returns the bytes before a position, which end with a checksum of the last batch.
func journalTail(dir string, at position) ([]byte, error) {
	f, err := os.Open(filepath.Join(dir, journalDir, at.File))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tail := make([]byte, min(at.Offset, 256))
	if _, err := f.ReadAt(tail, at.Offset-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return tail, nil
}

// errMoved says that the archive was compacted or pruned under the snapshot: what it copies must be taken anew.
var errMoved = errors.New("the archive changed meanwhile")

func (s *snapshotter) run(ctx context.Context) error {
	const attempts = 3
	for n := 1; ; n++ {
		err := s.attempt(ctx)
		if !errors.Is(err, errMoved) || n == attempts {
			return err
		}
		if err := s.db.Close(); err != nil {
			return err
		}
		s.db, s.done = nil, Snapshotted{}
	}
}

func (s *snapshotter) attempt(ctx context.Context) error {
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"database", s.copyDatabase}, {"messages", s.messages}, {"journal", s.journal}, {"others", s.others},
		{"switch", s.switchDatabase}, {"format", s.format}, {"tidy", s.tidy}, {"mark", s.mark},
	}
	for _, step := range steps {
		err := s.before(step.name)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = step.do(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *snapshotter) fresh() string { return filepath.Join(s.to, databaseFile+".new") }

func (s *snapshotter) copyDatabase(ctx context.Context) error {
	if err := removeDatabase(s.fresh()); err != nil {
		return err
	}
	if err := copyDatabase(filepath.Join(s.dir, databaseFile), s.fresh()); err != nil {
		return err
	}
	f, err := os.OpenFile(s.fresh(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if s.db, err = connect(s.fresh(), "query_only(1)"); err != nil {
		return err
	}
	return s.db.QueryRowContext(ctx, "SELECT file, offset, seq FROM applied").Scan(&s.end.File, &s.end.Offset, &s.done.ModSeq)
}

// format makes the folder an archive, the first time.
func (s *snapshotter) format(context.Context) error {
	path := filepath.Join(s.to, formatFile)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(s.dir, formatFile))
	if err != nil {
		return err
	}
	return writeDurably(path, text)
}

// switchDatabase gives the new database its name.
func (s *snapshotter) switchDatabase(context.Context) error {
	err := s.db.Close()
	s.db = nil
	path := filepath.Join(s.to, databaseFile)
	return inOrder(
		func() error { return err },
		func() error { return ignoreMissing(os.Remove(path + "-wal")) },
		func() error { return ignoreMissing(os.Remove(path + "-shm")) },
		func() error { return os.Rename(s.fresh(), path) },
		func() error { return syncDir(s.to) },
	)
}

// others copies what is no fact about mail, and may be missing.
func (s *snapshotter) others(context.Context) error {
	found, err := os.ReadDir(filepath.Join(s.dir, receiptsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(found) > 0 {
		if err := os.MkdirAll(filepath.Join(s.to, receiptsDir), 0o700); err != nil {
			return err
		}
	}
	names := []string{"last-run.json"}
	for _, f := range found {
		if filepath.Ext(f.Name()) == ".json" {
			names = append(names, filepath.Join(receiptsDir, f.Name()))
		}
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if have, haveErr := os.ReadFile(filepath.Join(s.to, name)); err == nil && haveErr == nil && bytes.Equal(have, text) {
			continue
		}
		if err == nil {
			err = writeDurably(filepath.Join(s.to, name), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mark notes what the snapshot is.
func (s *snapshotter) mark(context.Context) error {
	from, err := filepath.Abs(s.dir)
	if err != nil {
		return err
	}
	note, err := json.Marshal(map[string]any{"archive": from, "batch": s.done.ModSeq, "messages": s.done.Messages, "made": time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	return writeDurably(filepath.Join(s.to, copyMark), append([]byte(copyMarkText), append(note, '\n')...))
}
