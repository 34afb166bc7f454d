package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"
	"strings"
	"time"
)

// Alter changes the database of an archive behind its back.
func Alter(dir, statement string) error {
	db, err := connect(filepath.Join(dir, databaseFile))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement)
	return err
}

// Dump prints all rows of an archive's database, and the batch that it stands at.
func Dump(dir string) (string, error) {
	ctx := context.Background()
	db, err := connect(filepath.Join(dir, databaseFile))
	if err != nil {
		return "", err
	}
	defer db.Close()
	tables, err := factTables(ctx, db)
	if err != nil {
		return "", err
	}
	var seq ModSeq
	if err := db.Get(&seq, "SELECT seq FROM applied"); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "batch %d\n", seq)
	for i := range tables {
		fmt.Fprintln(&b, tables[i].Name)
		rows, err := db.QueryxContext(ctx, tables[i].sorted())
		if err != nil {
			return "", err
		}
		for {
			row, err := nextRow(rows)
			if err != nil {
				return "", err
			}
			if row == nil {
				break
			}
			fmt.Fprintln(&b, tables[i].text(row))
		}
		rows.Close()
	}
	return b.String(), nil
}

// WithStep returns options with which Snapshot calls step before each of its steps, and ends when that fails.
func (o SnapshotOptions) WithStep(step func(name string) error) SnapshotOptions {
	o.step = step
	return o
}

// CRC is the checksum of lines of the journal.
func CRC(lines string) string { return fmt.Sprintf("%08x", crc32.Checksum([]byte(lines), castagnoli)) }

// ReadJournal reads the journal in a folder as a Writer does, and past all damage. It returns the numbers of the whole batches that each saw, and the damage.
func ReadJournal(dir string) (strict, lenient []ModSeq, strictErr error, damage []JournalDamage, err error) {
	_, strictErr = readJournal(dir, position{}, func(g group) error { strict = append(strict, g.commit.Seq); return nil })
	names, err := journalFiles(dir)
	for i, name := range names {
		if err == nil {
			err = scanFile(dir, position{File: name}, i == len(names)-1, scanHooks{
				group:   func(g group) error { lenient = append(lenient, g.commit.Seq); return nil },
				damaged: func(d JournalDamage, _ []fact) error { damage = append(damage, d); return nil },
			})
		}
	}
	return strict, lenient, strictErr, damage, err
}

// PackFrom makes a Writer pack groups of the journal of at least so many bytes.
func (w *Writer) PackFrom(bytes int) { w.journal.packLeast = bytes }

// PackJournal returns the groups of a journal's text, all packed.
func PackJournal(text []byte) ([]byte, error) {
	var packed []byte
	lines := bufio.NewReader(bytes.NewReader(text))
	for {
		g, _, err := readGroup(lines)
		if errors.Is(err, io.EOF) {
			return packed, nil
		}
		if err != nil {
			return nil, err
		}
		again, err := encodeGroup(g.facts, 1, g.commit.Seq, g.commit.Time)
		if err != nil {
			return nil, err
		}
		packed = append(packed, again...)
	}
}

// CheckFormat judges a FORMAT file.
func CheckFormat(dir string) error { return checkFormat(dir) }

// AppendJournal appends a batch of n items like those of a Gmail account to a journal in dir, as a Writer does.
func AppendJournal(dir string) (add func(n int) error, done func() error) {
	j := &journal{dir: dir, packLeast: packLeast}
	var seq ModSeq
	id := ItemID(0)
	add = func(n int) error {
		facts := make([]fact, n)
		for i := range facts {
			id++
			ref := RefOf(fmt.Append(nil, id))
			print := FingerprintOf(ref[:], int64(id))
			facts[i].Item = &itemFact{ID: id, Ref: ref, Size: 30000, Fingerprint: &print, SourceID: fmt.Sprint(1<<60 + int64(id)), OwnThread: true, Date: time.Unix(1.7e9+int64(id), 0).UTC(),
				Flags: `\Seen`, In: []placed{{1, uint32(id)}, {2, uint32(id)}, {3, uint32(id)}}, At: place{1, 633655521, uint32(id)}}
		}
		seq++
		return j.append(facts, seq, time.Unix(1.7e9, 0))
	}
	return add, j.close
}
