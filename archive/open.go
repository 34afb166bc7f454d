package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite" // also the database driver "sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	formatFile   = "FORMAT"
	databaseFile = "gmail.db"
	formatMagic  = "mailkeep archive, format 1\n"
)

const formatText = formatMagic + `
This folder is a mail archive. It can be read without mailkeep:

  ab/abcdef....eml  one message each, exactly as the mail server sent it; the name is the SHA-256 of the bytes
                    ("sha256sum ab/*.eml" prints them). Any mail program opens these files.
  gmail.db          SQLite 3: accounts, mailboxes (labels), flags, dates. "sqlite3 gmail.db .schema" explains every column.
  journal/          JSON lines: the same facts in the order in which they were learned; gmail.db can be rebuilt from them.
                    A line that begins with "(" holds many, compressed: it is a zstd frame (RFC 8878) in which the bytes
                    0, 10 and 27 are written as 27 followed by "0", "n" and "e".
  summaries/        what mail programs ask about each message, taken from the messages for speed; may be deleted at any time.
  tmp/ lock quarantine/   working space.

Copy the whole folder to keep everything. Do not change or remove single files.
`

// checkFormat returns nil for an archive, ErrNotFound when there is no folder or an empty one, and ErrNotArchive for any other folder.
func checkFormat(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, formatFile))
	if err == nil {
		return checkMagic(dir, text)
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotDirectory) {
		return fmt.Errorf("open archive %q: %w", dir, err)
	}
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open archive %q: there is no such folder: %w", dir, ErrNotFound)
	case err != nil:
		return fmt.Errorf("open archive %q: %w", dir, err)
	case onlyBeginnings(names):
		return fmt.Errorf("open archive %q: the folder is empty: %w", dir, ErrNotFound)
	}
	return fmt.Errorf("open archive %q: the folder holds other files and no %s: %w", dir, formatFile, ErrNotArchive)
}

// onlyBeginnings tells whether a folder holds nothing but what create leaves when it is interrupted before it writes FORMAT, which it does last.
func onlyBeginnings(names []fs.DirEntry) bool {
	for _, n := range names {
		switch n.Name() {
		case lockFile, tmpDir, journalDir, quarantineDir, formatFile + ".new":
		case ".DS_Store", "desktop.ini", "lost+found", "System Volume Information": // what systems put into every folder or disk
		default:
			if !strings.HasPrefix(n.Name(), lockProbe) { // TestLocking comes before create
				return false
			}
		}
	}
	return true
}

func checkMagic(dir string, text []byte) error {
	first, _, _ := bytes.Cut(text, []byte("\n"))
	if string(bytes.TrimSuffix(first, []byte("\r")))+"\n" == formatMagic {
		return nil
	}
	if bytes.HasPrefix(first, []byte("mailkeep archive, format ")) {
		return fmt.Errorf("open archive %q: it is %q; update mailkeep: %w", dir, first, ErrNewer)
	}
	return fmt.Errorf("open archive %q: its %s file does not begin with %q: %w", dir, formatFile, formatMagic[:len(formatMagic)-1], ErrNotArchive)
}

// create lays out an empty archive. FORMAT comes last: before it stands, the folder counts as empty and creation starts over.
func create(dir string) error {
	for _, sub := range []string{"", tmpDir, journalDir, quarantineDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return fmt.Errorf("create archive %q: %w", dir, err)
		}
	}
	if err := writeDurably(filepath.Join(dir, formatFile), []byte(formatText)); err != nil {
		return fmt.Errorf("create archive %q: %w", dir, err)
	}
	return syncDir(filepath.Dir(filepath.Clean(dir)))
}

// writeDurably replaces a small file as a whole: a crash leaves the old one or the new one.
func writeDurably(path string, content []byte) error {
	temp := path + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(content); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// connect opens gmail.db. busy_timeout comes first, so that the other pragmas wait too.
func connect(path string, pragmas ...string) (*sqlx.DB, error) {
	return connectWith(path, url.Values{"_pragma": append([]string{"busy_timeout(10000)"}, pragmas...), "_txlock": {"immediate"}})
}

func connectWith(path string, query url.Values) (*sqlx.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	slashed := filepath.ToSlash(abs)
	if slashed[0] != '/' { // a Windows drive
		slashed = "/" + slashed
	}
	dsn := url.URL{Scheme: "file", Path: slashed, RawQuery: query.Encode()}
	return sqlx.Open("sqlite", dsn.String())
}

// mapBytes is how many bytes of gmail.db a Reader sees in memory without copying. The system counts them as memory of the program, which those of a large
// archive would make up most of; reading what lies behind them costs some 15 per cent more.
const mapBytes = 32 << 20

// connectReader opens gmail.db for queries only. SQLite's write-ahead log needs a folder that can be written even to read; in one that cannot (a read-only
// medium) the database is opened as it stands, which is right when the last Writer closed it and so left no log.
func connectReader(path string) (*sqlx.DB, error) {
	pragmas := []string{"query_only(1)", fmt.Sprintf("mmap_size(%d)", mapBytes)}
	db, err := connect(path, pragmas...)
	if err != nil {
		return nil, err
	}
	err = checkSchema(db)
	var lite *sqlite.Error
	if err == nil || !errors.As(err, &lite) || lite.Code()&0xff != sqlite3.SQLITE_CANTOPEN {
		return db, closing(err, db)
	}
	db.Close()
	if info, statErr := os.Stat(path + "-wal"); statErr == nil && info.Size() > 0 {
		return nil, fmt.Errorf("the folder cannot be written and %s was not closed properly; make the folder writable once: %w", databaseFile, err)
	}
	if db, err = connectWith(path, url.Values{"_pragma": pragmas, "mode": {"ro"}, "immutable": {"1"}}); err != nil {
		return nil, err
	}
	return db, closing(checkSchema(db), db)
}

// closing closes db when there is an error, which it returns.
func closing(err error, db *sqlx.DB) error {
	if err != nil {
		db.Close()
	}
	return err
}
