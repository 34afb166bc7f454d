package archive

import (
	"context"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strings"
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

// CRC is the checksum of lines of the journal.
func CRC(lines string) string { return fmt.Sprintf("%08x", crc32.Checksum([]byte(lines), castagnoli)) }
