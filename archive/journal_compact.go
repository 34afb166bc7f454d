package archive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

const snapshotRows = 1000 // rows of a group

// newestSnapshot returns the head of the newest snapshot, or nil when there is none. Only the head is read.
func newestSnapshot(dir string) (*snapshotFact, error) {
	names, err := journalSnapshots(dir)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	file, err := os.Open(filepath.Join(dir, names[len(names)-1]))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	line, _, err := readLine(bufio.NewReader(file))
	var head fact
	if err != nil || json.Unmarshal(line, &head) != nil || head.Snapshot == nil {
		return nil, fmt.Errorf("read journal %q: the first line is no snapshot's: %w", names[len(names)-1], errDamagedJournal)
	}
	return head.Snapshot, nil
}

// snapshotWriter writes groups of lines.
type snapshotWriter struct {
	out   *bufio.Writer
	head  snapshotFact
	group bytes.Buffer
	lines int
	rows  int64
}

// writeSnapshot makes a snapshot of the rows that db shows, which must not change meanwhile, durable under its name in the journal's folder.
func writeSnapshot(ctx context.Context, db queryer, dir string, head snapshotFact) (name string, err error) {
	name = snapshotFile(head.Seq)
	temp := filepath.Join(dir, name+".new")
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return "", err
	}
	w := &snapshotWriter{out: bufio.NewWriterSize(f, 1<<20), head: head}
	if err = w.write(ctx, db); err == nil {
		err = w.out.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp, filepath.Join(dir, name))
	}
	if err != nil {
		os.Remove(temp)
		return "", err
	}
	return name, syncDir(dir)
}

func (w *snapshotWriter) write(ctx context.Context, db queryer) error {
	// The head is a group of its own, so that it is never packed: newestSnapshot reads its line alone.
	if err := errors.Join(w.line(fact{Snapshot: &w.head}), w.commit()); err != nil {
		return err
	}
	tables, err := factTables(ctx, db)
	if err != nil {
		return err
	}
	for i := range tables {
		if err := w.table(ctx, db, &tables[i]); err != nil {
			return fmt.Errorf("write the rows of table %q: %w", tables[i].Name, err)
		}
	}
	if err := w.line(fact{Whole: &wholeFact{Rows: w.rows}}); err != nil {
		return err
	}
	return w.commit()
}

func (w *snapshotWriter) table(ctx context.Context, db queryer, t *tableInfo) error {
	rows, err := db.QueryxContext(ctx, t.sorted())
	if err != nil {
		return err
	}
	defer rows.Close()
	hexed := make([]bool, len(t.Columns))
	for i, c := range t.Columns {
		hexed[i] = slices.Contains(t.Hex, c)
	}
	for n := 0; rows.Next(); n++ {
		if n%snapshotRows == 0 { // each group can be read alone
			if n > 0 {
				err = w.commit()
			}
			if err = errors.Join(err, w.line(fact{Table: &t.tableFact})); err != nil {
				return err
			}
		}
		values, err := rows.SliceScan()
		if err != nil {
			return err
		}
		for i, v := range values {
			if b, ok := v.([]byte); ok && hexed[i] {
				values[i] = hex.EncodeToString(b)
			} else if ok {
				values[i] = string(b)
			}
		}
		if err := w.line(fact{Row: values}); err != nil {
			return err
		}
		w.rows++
	}
	if err := rows.Err(); err != nil || w.lines == 0 {
		return err
	}
	return w.commit()
}

func (w *snapshotWriter) line(f fact) error {
	w.lines++
	return lineEncoder(&w.group).Encode(&f)
}

// commit writes the group with its checksum.
func (w *snapshotWriter) commit() error {
	text, err := sealGroup(w.group.Bytes(), packLeast, commitFact{Seq: w.head.Seq, Time: w.head.Time, Lines: w.lines})
	if err != nil {
		return err
	}
	_, err = w.out.Write(text)
	w.group.Reset()
	w.lines = 0
	return err
}

// nextFile names a file of the journal behind all there are.
func nextFile(dir string, now time.Time) (string, error) {
	names, err := journalFiles(dir)
	if err != nil {
		return "", err
	}
	month := now.UTC().Format("2006-01") + journalExt
	if len(names) == 0 || names[len(names)-1] < month {
		return month, nil
	}
	base, number, _ := strings.Cut(strings.TrimSuffix(names[len(names)-1], journalExt), "_")
	n := 1
	if number != "" {
		if n, err = strconv.Atoi(number); err != nil {
			return "", err
		}
	}
	if n++; n > 99 {
		return "", fmt.Errorf("the journal has 99 files of %s already; wait for the next month", base)
	}
	return fmt.Sprintf("%s_%02d%s", base, n, journalExt), nil
}

// Compacted is what Compact did.
type Compacted struct {
	Snapshot string   // name of the new file in journal/
	Before   int64    // bytes of the journal's files before
	After    int64    // and after, those moved away not counted
	Aside    []string // what is superseded and was moved, below the archive's folder
}

// Compact writes a snapshot of all rows into the journal and moves what it supersedes to quarantine/. Nothing is rewritten in place: the snapshot gets its name when it is
// durable, and the journal goes on in a new file. A kill at any moment leaves a journal that gives the same database.
func (w *Writer) Compact(ctx context.Context) (Compacted, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	done, err := w.compact(ctx)
	if err != nil {
		return done, fmt.Errorf("compact the journal of %q: %w", w.dir, noSpace(err))
	}
	return done, nil
}

func (w *Writer) compact(ctx context.Context) (done Compacted, err error) {
	if w.broken != nil {
		return done, w.broken
	}
	done.Before = journalSize(w.journal.dir)
	head := snapshotFact{Time: time.Now().UTC().Truncate(time.Second), Schema: schemaVersion}
	if err := w.rw.GetContext(ctx, &head.Seq, "SELECT seq FROM applied"); err != nil {
		return done, err
	}
	if head.Next.File, err = nextFile(w.journal.dir, head.Time); err != nil {
		return done, err
	}
	if done.Snapshot, err = writeSnapshot(ctx, w.rw, w.journal.dir, head); err != nil {
		return done, err
	}
	// From here on the journal is read from the snapshot; recoverJournal does what follows when a crash comes in between.
	if err := w.journal.goOn(w.rw, head.Next); err != nil {
		w.broken = fmt.Errorf("the journal was compacted and %s could not be told; open the archive again: %w", databaseFile, err)
		return done, w.broken
	}
	done.Aside, err = setAsideJournal(w.dir, head)
	done.After = journalSize(w.journal.dir)
	return done, err
}

// goOn makes a position the end of the journal, where a snapshot says it is. The database is told durably, and so are all batches before.
func (j *journal) goOn(db *sqlx.DB, next position) error {
	for _, statement := range []string{"PRAGMA synchronous = FULL", "UPDATE applied SET file = '" + next.File + "', offset = 0", "PRAGMA synchronous = NORMAL"} {
		if _, err := db.Exec(statement); err != nil {
			return err
		}
	}
	err := j.close()
	j.file, j.end = nil, next
	return err
}

// setAsideJournal moves the files that a snapshot supersedes to quarantine/.
func setAsideJournal(dir string, head snapshotFact) ([]string, error) {
	journal := filepath.Join(dir, journalDir)
	files, err := journalFiles(journal)
	if err != nil {
		return nil, err
	}
	snapshots, err := journalSnapshots(journal)
	if err != nil {
		return nil, err
	}
	var old []string
	for _, name := range files {
		if name < head.Next.File {
			old = append(old, path.Join(journalDir, name))
		}
	}
	for _, name := range snapshots {
		if name < snapshotFile(head.Seq) {
			old = append(old, path.Join(journalDir, name))
		}
	}
	if len(old) == 0 {
		return nil, nil
	}
	return setAside(dir, old...)
}

// setAside moves files of the archive, named with slashes, into a new folder in quarantine/, and returns their new names.
func setAside(dir string, names ...string) ([]string, error) {
	folder, err := quarantineFolder(dir)
	if err != nil {
		return nil, err
	}
	var moved []string
	for _, name := range names {
		to := path.Join(folder, name)
		place := filepath.Join(dir, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(place), 0o700); err != nil {
			return moved, err
		}
		if err := os.Rename(filepath.Join(dir, filepath.FromSlash(name)), place); err != nil {
			return moved, err
		}
		moved = append(moved, to)
		if err := errors.Join(syncDir(filepath.Dir(place)), syncDir(filepath.Dir(filepath.Join(dir, filepath.FromSlash(name))))); err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// quarantineFolder makes a folder in quarantine/ for what is moved now, and returns its name below the archive's.
func quarantineFolder(dir string) (string, error) {
	if err := os.MkdirAll(filepath.Join(dir, quarantineDir), 0o700); err != nil {
		return "", err
	}
	base := path.Join(quarantineDir, "damaged-"+time.Now().UTC().Format("20060102T150405Z"))
	for n, name := 2, base; ; n++ {
		err := os.Mkdir(filepath.Join(dir, filepath.FromSlash(name)), 0o700)
		if err == nil {
			return name, syncDir(filepath.Join(dir, quarantineDir))
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
}

// journalSize sums up the bytes of the journal's files.
func journalSize(dir string) int64 {
	files, _ := journalFiles(dir)
	snapshots, _ := journalSnapshots(dir)
	var sum int64
	for _, name := range append(files, snapshots...) {
		sum += fileSize(filepath.Join(dir, name))
	}
	return sum
}
