package archive

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// rowSource is the database that says which messages there should be: gmail.db, or what the journal gives.
type rowSource struct {
	db  *sqlx.DB
	tmp string // folder of the latter
}

func (s *rowSource) close() error {
	if s.tmp == "" {
		return nil
	}
	return errors.Join(s.db.Close(), os.RemoveAll(s.tmp))
}

// emptyDatabase makes a database of the current schema that nobody needs after a crash.
func emptyDatabase(path string) (*sqlx.DB, error) {
	db, err := connect(path, "journal_mode(MEMORY)", "synchronous(OFF)", "cache_size(-65536)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, closing(migrate(db), db)
}

// newRowSource makes an empty database in the system's folder for temporary files.
func newRowSource() (*rowSource, error) {
	tmp, err := os.MkdirTemp("", "mailkeep-check-")
	if err != nil {
		return nil, err
	}
	db, err := emptyDatabase(filepath.Join(tmp, databaseFile))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(tmp))
	}
	return &rowSource{db: db, tmp: tmp}, nil
}

// checkJournal applies the journal to an empty database and compares, and settles which rows the files are compared with.
func (c *checker) checkJournal(ctx context.Context) error {
	if c.reader != nil {
		c.rows = &rowSource{db: c.reader.db}
		if !c.o.Journal {
			return nil
		}
	}
	again, err := newRowSource()
	if err != nil {
		return err
	}
	if c.reader == nil {
		c.rows = again
		_, err := c.replay(ctx, again.db, 0)
		return err
	}
	return errors.Join(c.compareJournal(ctx, again.db), again.close())
}

// replay fills db from the journal, and reports what is damaged.
func (c *checker) replay(ctx context.Context, db *sqlx.DB, until ModSeq) (*derivation, error) {
	d := &derivation{dir: c.dir, db: db, until: until, damaged: func(damage JournalDamage) error {
		return c.found(ctx, Finding{Kind: JournalDamaged, Invariant: "A8", Path: path.Join(journalDir, damage.File), Problem: "is damaged: " + damage.String()})
	}}
	err := d.derive(ctx)
	if err == nil && !d.lossy && d.last == 0 && c.reader != nil && until > 0 {
		err = c.found(ctx, Finding{Kind: JournalDamaged, Invariant: "A8", Path: journalDir, Problem: "is missing or empty"})
		d.lossy = true
	}
	return d, err
}

// compareJournal compares gmail.db, as it is at one moment, with the journal up to there. What a Writer adds meanwhile lies behind.
func (c *checker) compareJournal(ctx context.Context, again *sqlx.DB) error {
	tx, err := c.reader.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var seq ModSeq
	if err := tx.GetContext(ctx, &seq, "SELECT seq FROM applied"); err != nil {
		return err
	}
	d, err := c.replay(ctx, again, seq)
	if errors.Is(err, ErrNewer) {
		return err
	}
	var system *fs.PathError
	if ctx.Err() != nil || errors.As(err, &system) {
		return err
	}
	if err != nil {
		return c.found(ctx, Finding{Kind: JournalDamaged, Invariant: "A8", Path: journalDir, Problem: fmt.Sprintf("cannot be applied: %v", err)})
	}
	switch {
	case d.lossy:
		return nil // it was said already; all else would follow from that
	case d.last < seq:
		return c.found(ctx, Finding{Kind: JournalDamaged, Invariant: "A8", Path: journalDir,
			Problem: fmt.Sprintf("ends with batch %d, and %s contains batch %d: a part is lost", d.last, databaseFile, seq)})
	}
	if err := c.compareDatabases(ctx, tx, again); err != nil {
		return err
	}
	return c.checkAhead(ctx, d.last)
}

// checkAhead looks whether gmail.db comes to contain what the journal had: a Writer journals a batch a moment before it commits the rows.
func (c *checker) checkAhead(ctx context.Context, last ModSeq) error {
	var seq ModSeq
	for range 10 {
		if err := c.reader.db.GetContext(ctx, &seq, "SELECT seq FROM applied"); err != nil || seq >= last {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
	return c.found(ctx, Finding{Kind: JournalAhead, Path: databaseFile,
		Problem: fmt.Sprintf("contains batches up to %d, and the journal goes on to %d; the next backup applies them", seq, last)})
}

func (c *checker) compareDatabases(ctx context.Context, have, want queryer) error {
	tables, err := factTables(ctx, want)
	if err != nil {
		return err
	}
	for i := range tables {
		if err := c.compareTable(ctx, have, want, &tables[i]); err != nil {
			return fmt.Errorf("compare table %s: %w", tables[i].Name, err)
		}
	}
	return nil
}

// compareTable walks through both tables in the order of their keys and reports the rows that differ.
func (c *checker) compareTable(ctx context.Context, have, want queryer, t *tableInfo) error {
	a, err := have.QueryxContext(ctx, t.sorted())
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := want.QueryxContext(ctx, t.sorted())
	if err != nil {
		return err
	}
	defer b.Close()
	x, err := nextRow(a)
	if err != nil {
		return err
	}
	y, err := nextRow(b)
	for n := 0; err == nil && (x != nil || y != nil) && n < mostFindings; {
		order := t.compareKeys(x, y)
		if order != 0 || !equalRows(x, y) {
			n++
			if err := c.found(ctx, t.difference(x, y, order)); err != nil {
				return err
			}
		}
		if order <= 0 {
			x, err = nextRow(a)
		}
		if order >= 0 && err == nil {
			y, err = nextRow(b)
		}
	}
	return err
}

// difference describes a row that one or both have.
func (t *tableInfo) difference(have, want []any, order int) Finding {
	f := Finding{Kind: JournalDisagrees, Invariant: "A8", Path: databaseFile}
	switch {
	case order < 0:
		f.Problem = fmt.Sprintf("has a row in table %s that the journal does not know: %s", t.Name, t.text(have))
	case order > 0:
		f.Problem = fmt.Sprintf("lacks a row in table %s that the journal has: %s", t.Name, t.text(want))
	default:
		f.Problem = fmt.Sprintf("has a row in table %s that differs from the journal: %s; the journal gives %s", t.Name, t.text(have), t.text(want))
	}
	return f
}

// text prints a row.
func (t *tableInfo) text(row []any) string {
	var b bytes.Buffer
	for i, v := range row {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch v := v.(type) {
		case []byte:
			fmt.Fprintf(&b, "%s=%x", t.Columns[i], clip(v))
		case string:
			fmt.Fprintf(&b, "%s=%.80q", t.Columns[i], v)
		default:
			fmt.Fprintf(&b, "%s=%v", t.Columns[i], v)
		}
	}
	return b.String()
}

// nextRow returns a row's values, or nil at the end.
func nextRow(rows *sqlx.Rows) ([]any, error) {
	if !rows.Next() {
		return nil, rows.Err()
	}
	return rows.SliceScan()
}

// compareKeys orders two rows; the one that there is comes before none.
func (t *tableInfo) compareKeys(x, y []any) int {
	if x == nil || y == nil {
		return cmp.Compare(len(y), len(x))
	}
	for _, k := range t.key {
		if order := compareValues(x[k], y[k]); order != 0 {
			return order
		}
	}
	return 0
}

// compareValues orders values as SQLite does: NULL, numbers, texts, blobs.
func compareValues(x, y any) int {
	switch a := x.(type) {
	case int64:
		if b, ok := y.(int64); ok {
			return cmp.Compare(a, b)
		}
	case string:
		if b, ok := y.(string); ok {
			return cmp.Compare(a, b)
		}
	case []byte:
		if b, ok := y.([]byte); ok {
			return bytes.Compare(a, b)
		}
	case float64:
		if b, ok := y.(float64); ok {
			return cmp.Compare(a, b)
		}
	}
	return cmp.Compare(class(x), class(y))
}

func class(v any) int {
	switch v.(type) {
	case nil:
		return 0
	case int64:
		return 1
	case float64: // no column holds any
		return 2
	case string:
		return 3
	}
	return 4
}

func equalRows(x, y []any) bool {
	return slices.EqualFunc(x, y, func(a, b any) bool { return compareValues(a, b) == 0 })
}

// fileSize is 0 for a file that is not there.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
