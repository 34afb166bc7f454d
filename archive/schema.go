package archive

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"

	"github.com/jmoiron/sqlx"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

const (
	applicationID = 0x6d6b7031 // "mkp1", PRAGMA application_id
	schemaVersion = 2          // the number of files in schema/, PRAGMA user_version
)

// checkSchema refuses a database that this program cannot read.
func checkSchema(db *sqlx.DB) error {
	var id, version int
	if err := db.Get(&id, "PRAGMA application_id"); err != nil {
		return fmt.Errorf("read %s: %w", databaseFile, err)
	}
	if err := db.Get(&version, "PRAGMA user_version"); err != nil {
		return fmt.Errorf("read %s: %w", databaseFile, err)
	}
	switch {
	case id == 0 && version == 0:
		return fmt.Errorf("%s is empty; run a backup, which fills it: %w", databaseFile, ErrNotFound)
	case id != applicationID:
		return fmt.Errorf("%s was made by another program: %w", databaseFile, ErrNotArchive)
	case version > schemaVersion:
		return fmt.Errorf("%s has schema version %d and this mailkeep knows %d; update mailkeep: %w", databaseFile, version, schemaVersion, ErrNewer)
	case version < schemaVersion:
		return fmt.Errorf("%s has the older schema version %d; run a backup once, which updates it: %w", databaseFile, version, ErrOlder)
	}
	return nil
}

// upgrade brings an existing database up to schemaVersion: on a copy, which takes its place once it is whole and durable. The caller holds the archive's lock. A Reader of an
// older mailkeep keeps the old file, and sees nothing new until it is started again. Batches that only the old file's log held come back from the journal.
func upgrade(path string) error {
	version, err := storedVersion(path)
	if err != nil || version == 0 || version >= schemaVersion {
		return err
	}
	fresh := path + ".new"
	if err := inOrder(
		func() error { return removeDatabase(fresh) },
		func() error { return copyDatabase(path, fresh) },
		func() error { return migrateCopy(fresh) },
	); err != nil {
		return errors.Join(fmt.Errorf("update %s from schema version %d to %d: %w", databaseFile, version, schemaVersion, noSpace(err)), removeDatabase(fresh))
	}
	// A log or index of the old file must not be taken for the new one's.
	return inOrder(
		func() error { return ignoreMissing(os.Remove(path + "-wal")) },
		func() error { return ignoreMissing(os.Remove(path + "-shm")) },
		func() error { return os.Rename(fresh, path) },
		func() error { return syncDir(filepath.Dir(path)) },
	)
}

// storedVersion is 0 for a file that is empty, missing or no database of ours: opening it says more.
func storedVersion(path string) (version int, err error) {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		return 0, ignoreMissing(err)
	}
	db, err := connect(path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var id int
	if err := errors.Join(db.Get(&id, "PRAGMA application_id"), db.Get(&version, "PRAGMA user_version")); err != nil {
		return 0, fmt.Errorf("read %s: %w", databaseFile, err)
	}
	if id != applicationID {
		return 0, nil
	}
	return version, nil
}

// removeDatabase removes a database that nobody has open, if there is one.
func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		errs = append(errs, ignoreMissing(os.Remove(path+suffix)))
	}
	return errors.Join(errs...)
}

// copyDatabase writes a consistent copy, whoever uses the original meanwhile.
func copyDatabase(from, to string) error {
	db, err := connect(from)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("VACUUM INTO ?", to)
	return errors.Join(err, db.Close())
}

// migrateCopy leaves one durable file.
func migrateCopy(path string) error {
	db, err := connect(path, "journal_mode(DELETE)", "synchronous(FULL)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if err = migrate(db); err == nil {
		var verdict string
		if err = db.Get(&verdict, "PRAGMA quick_check(1)"); err == nil && verdict != "ok" {
			err = fmt.Errorf("the copy is damaged: %s", verdict)
		}
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// migrate brings the database up to schemaVersion, one transaction a step. A released step is never edited.
func migrate(db *sqlx.DB) error {
	var version int
	if err := db.Get(&version, "PRAGMA user_version"); err != nil {
		return fmt.Errorf("read %s: %w", databaseFile, err)
	}
	for next := version + 1; next <= schemaVersion; next++ {
		text, err := schemaFiles.ReadFile(path.Join("schema", fmt.Sprintf("%04d.sql", next)))
		if err != nil {
			return err
		}
		step := fmt.Sprintf("%s\nPRAGMA application_id = %d; PRAGMA user_version = %d;", text, applicationID, next)
		if err := inTransaction(db, step); err != nil {
			return fmt.Errorf("update %s to schema version %d: %w", databaseFile, next, err)
		}
	}
	return checkSchema(db)
}

func inTransaction(db *sqlx.DB, statements string) error {
	tx, err := db.Beginx()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(statements); err != nil {
		return err
	}
	return tx.Commit()
}
