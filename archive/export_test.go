package archive

import "path/filepath"

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
