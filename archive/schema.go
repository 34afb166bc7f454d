package archive

import (
	"embed"
	"fmt"
	"path"

	"github.com/jmoiron/sqlx"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

const (
	applicationID = 0x6d6b7031 // "mkp1", PRAGMA application_id
	schemaVersion = 1          // the number of files in schema/, PRAGMA user_version
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
		return fmt.Errorf("%s has the older schema version %d; run a backup once, which updates it", databaseFile, version)
	}
	return nil
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
