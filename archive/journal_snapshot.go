package archive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// A snapshot is a file of the journal that holds all rows of gmail.db as they were after one batch, in the journal's own form: groups of JSON lines, each ended by a commit
// line with a checksum. What was journalled before is superseded by it. It is written beside, and gets its name when it is whole and durable.
//
// Its first line tells the batch and where the journal goes on; a line "table" names the columns of the lines "row" that follow; the last says how many rows there were.

// snapshotFact begins a snapshot.
type snapshotFact struct {
	Seq    ModSeq    `json:"seq"`    // the last batch that it contains
	Time   time.Time `json:"time"`   // when it was made
	Schema int       `json:"schema"` // of the tables
	Next   position  `json:"next"`   // where the journal goes on
}

// tableFact says what the rows that follow are. Columns of type BLOB are written in hexadecimal digits.
type tableFact struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Hex     []string `json:"hex,omitempty"`
}

// wholeFact ends a snapshot.
type wholeFact struct {
	Rows int64 `json:"rows"`
}

var snapshotName = regexp.MustCompile(`^snapshot-[0-9]{12}\.jsonl$`)

func snapshotFile(seq ModSeq) string { return fmt.Sprintf("snapshot-%012d%s", seq, journalExt) }

// journalSnapshots lists the snapshots, oldest first.
func journalSnapshots(dir string) ([]string, error) {
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range found {
		if snapshotName.MatchString(f.Name()) {
			names = append(names, f.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// tableInfo describes a table of a database.
type tableInfo struct {
	tableFact
	key []int // columns of the primary key, in its order
}

func (t *tableInfo) quoted() string { return quoteName(t.Name) }

// sorted is the query for all rows in the order of the key.
func (t *tableInfo) sorted() string {
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = quoteName(c)
	}
	query := "SELECT " + strings.Join(columns, ", ") + " FROM " + t.quoted()
	if len(t.key) == 0 {
		return query
	}
	var key []string
	for _, k := range t.key {
		key = append(key, columns[k])
	}
	return query + " ORDER BY " + strings.Join(key, ", ")
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// queryer is what a database and a transaction have in common.
type queryer interface {
	QueryxContext(ctx context.Context, query string, args ...any) (*sqlx.Rows, error)
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
}

// factTables lists the tables that hold facts: all but applied, which says how far a database is. SQLite's own table of used item ids comes last, since filling the others
// changes it.
func factTables(ctx context.Context, db queryer) ([]tableInfo, error) {
	var names []string
	err := db.SelectContext(ctx, &names, `SELECT name FROM sqlite_schema WHERE type = 'table' AND (name NOT LIKE 'sqlite\_%' ESCAPE '\' OR name = 'sqlite_sequence') AND name <> 'applied'
		ORDER BY name = 'sqlite_sequence', rowid`)
	if err != nil {
		return nil, err
	}
	var tables []tableInfo
	for _, name := range names {
		t, err := describeTable(ctx, db, name)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// tableColumn is what SQLite tells of a column.
type tableColumn struct {
	Name string `db:"name"`
	Type string `db:"type"`
	Key  int    `db:"pk"` // its place in the primary key, from 1
}

func describeTable(ctx context.Context, db queryer, name string) (tableInfo, error) {
	t := tableInfo{tableFact: tableFact{Name: name}}
	var columns []tableColumn
	if err := db.SelectContext(ctx, &columns, "SELECT name, type, pk FROM pragma_table_info(?)", name); err != nil {
		return t, err
	}
	for place := 1; ; place++ {
		i := slices.IndexFunc(columns, func(c tableColumn) bool { return c.Key == place })
		if i < 0 {
			break
		}
		t.key = append(t.key, i)
	}
	for _, c := range columns {
		t.Columns = append(t.Columns, c.Name)
		if c.Type == "BLOB" {
			t.Hex = append(t.Hex, c.Name)
		}
	}
	return t, nil
}

// loadSnapshot fills an empty database with a snapshot's rows, in one transaction: all or none. The error of one that is not whole is errDamagedJournal.
func loadSnapshot(ctx context.Context, db *sqlx.DB, path string) (*snapshotFact, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	a, err := newApplier(ctx, db)
	if err != nil {
		return nil, err
	}
	defer a.rollback()
	l := &snapshotLoader{applier: a, met: make(map[string]bool)}
	if err := l.load(ctx, bufio.NewReaderSize(file, 1<<20)); err != nil {
		return nil, fmt.Errorf("read snapshot %q: %w", filepath.Base(path), err)
	}
	a.seq = l.head.Seq
	return l.head, a.commit(l.head.Next)
}

// snapshotLoader applies a snapshot's facts.
type snapshotLoader struct {
	*applier
	head   *snapshotFact
	whole  bool
	rows   int64
	table  *tableFact
	met    map[string]bool // tables, by name
	insert string
	hexed  []bool
}

func (l *snapshotLoader) load(ctx context.Context, lines *bufio.Reader) error {
	for {
		g, _, err := readGroup(lines)
		switch {
		case errors.Is(err, io.EOF) && l.whole:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("it is not complete: %w", errDamagedJournal)
		case err != nil:
			var system *fs.PathError
			if errors.As(err, &system) {
				return err
			}
			return fmt.Errorf("%w: %w", err, errDamagedJournal)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range g.facts {
			if err := l.take(ctx, &g.facts[i]); err != nil {
				return err
			}
		}
	}
}

func (l *snapshotLoader) take(ctx context.Context, f *fact) error {
	switch {
	case l.whole || (l.head == nil) != (f.Snapshot != nil):
		return fmt.Errorf("its lines are not in order: %w", errDamagedJournal)
	case f.Snapshot != nil:
		if l.head = f.Snapshot; l.head.Schema > schemaVersion {
			return fmt.Errorf("it has schema version %d and this mailkeep knows %d; update mailkeep: %w", l.head.Schema, schemaVersion, ErrNewer)
		}
		return nil
	case f.Table != nil:
		return l.begin(ctx, f.Table)
	case f.Row != nil:
		return l.row(f.Row)
	case f.Whole != nil:
		l.whole = true
		if f.Whole.Rows != l.rows {
			return fmt.Errorf("it has %d rows and should have %d: %w", l.rows, f.Whole.Rows, errDamagedJournal)
		}
		return nil
	}
	return fmt.Errorf("it has a line that is no snapshot's: %w", errDamagedJournal)
}

// begin gets ready for the rows of a table, which must be one of the schema.
func (l *snapshotLoader) begin(ctx context.Context, t *tableFact) error {
	known, err := describeTable(ctx, l.tx, t.Name)
	if err != nil {
		return err
	}
	var columns, marks []string
	l.hexed = l.hexed[:0]
	for _, c := range t.Columns {
		if !slices.Contains(known.Columns, c) {
			return fmt.Errorf("it has a column %q of a table %q, which this mailkeep does not know; update mailkeep: %w", c, t.Name, ErrNewer)
		}
		columns, marks = append(columns, quoteName(c)), append(marks, "?")
		l.hexed = append(l.hexed, slices.Contains(t.Hex, c))
	}
	if len(columns) == 0 {
		return fmt.Errorf("it has a table without columns: %w", errDamagedJournal)
	}
	if l.table == nil || l.table.Name != t.Name {
		if l.met[t.Name] {
			return fmt.Errorf("it has the table %q twice: %w", t.Name, errDamagedJournal)
		}
		// The schema, and filling other tables, may have put rows there.
		if err := l.do("DELETE FROM " + known.quoted()); err != nil {
			return err
		}
		l.met[t.Name] = true
	}
	l.table = t
	l.insert = fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", known.quoted(), strings.Join(columns, ", "), strings.Join(marks, ", "))
	return nil
}

func (l *snapshotLoader) row(values rowFact) error {
	if l.table == nil || len(values) != len(l.table.Columns) {
		return fmt.Errorf("it has a row without a table: %w", errDamagedJournal)
	}
	for i, v := range values {
		text, isText := v.(string)
		if !isText || !l.hexed[i] {
			continue
		}
		b, err := hex.DecodeString(text)
		if err != nil {
			return fmt.Errorf("column %q is not hexadecimal: %w", l.table.Columns[i], errDamagedJournal)
		}
		values[i] = b
	}
	if err := l.do(l.insert, values...); err != nil {
		return fmt.Errorf("%w: %w", err, errDamagedJournal)
	}
	l.rows++
	return nil
}

// rowFact is the values of a row: numbers, texts, nil; in the order of the table's columns.
type rowFact []any

// UnmarshalJSON reads numbers as what they are in the schema: 64-bit integers.
func (r *rowFact) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var values []any
	if err := dec.Decode(&values); err != nil {
		return err
	}
	for i, v := range values {
		switch v := v.(type) {
		case nil, string:
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return fmt.Errorf("number %q is no integer", v)
			}
			values[i] = n
		default:
			return fmt.Errorf("a row holds %T", v)
		}
	}
	*r = values
	return nil
}
