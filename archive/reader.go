package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// Reader answers all queries about an archive and can change nothing. It is safe for use by many goroutines, beside a Writer in this or another process (A7).
type Reader struct {
	dir  string
	db   *sqlx.DB    // query_only connections
	file os.FileInfo // of gmail.db as it was opened

	version   *versionWatch
	summaries summaryState
}

// poolSize is how many connections a Reader opens at most, and keeps.
var poolSize = max(4, 2*runtime.NumCPU())

// Open opens an archive for reading. It fails with ErrNotFound when there is none at dir, ErrNotArchive when the folder is something else, and ErrNewer when a
// newer mailkeep wrote it. The caller closes the Reader.
func Open(dir string) (*Reader, error) {
	if err := checkFormat(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, databaseFile)
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open archive %q: nothing has been backed up into it yet; run a backup first: %w", dir, ErrNotFound)
		}
		return nil, fmt.Errorf("open archive %q: %w", dir, err)
	}
	return openReader(dir)
}

func openReader(dir string) (*Reader, error) {
	path := filepath.Join(dir, databaseFile)
	file, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open archive %q: %w", dir, err)
	}
	db, err := connectReader(path)
	if err != nil {
		return nil, fmt.Errorf("open archive %q: %w", dir, err)
	}
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize) // opening one costs more than keeping it: it reads the schema
	version, err := newVersionWatch(db)
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("open archive %q: %w", dir, err)
	}
	return &Reader{dir: dir, db: db, file: file, version: version}, nil
}

// Replaced tells whether another gmail.db has taken the place of the one that was opened, as Rebuild and an update of its schema put one there. A Reader goes on answering from the old
// one, or from either: it should be closed, and the archive opened again.
func (r *Reader) Replaced() bool {
	now, err := os.Stat(filepath.Join(r.dir, databaseFile))
	return err == nil && !os.SameFile(r.file, now)
}

// Close releases the connections. Files that OpenMessage returned stay open, and Summaries stay usable.
func (r *Reader) Close() error {
	r.closeSummaries()
	return errors.Join(r.version.close(), r.db.Close())
}

// Dir returns the archive's folder.
func (r *Reader) Dir() string { return r.dir }

// OpenMessage opens a message's file for reading; the caller closes it. It fails with ErrNotFound when the file is not there, which readers treat as an expunged message (A7).
func (r *Reader) OpenMessage(ref Ref) (*os.File, error) {
	f, err := os.Open(messagePath(r.dir, ref))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open message %s: %w", ref, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open message %s: %w", ref, err)
	}
	return f, nil
}

// ReadMessage returns a message's bytes. Errors are those of OpenMessage.
func (r *Reader) ReadMessage(ref Ref) ([]byte, error) {
	b, err := os.ReadFile(messagePath(r.dir, ref))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read message %s: %w", ref, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read message %s: %w", ref, err)
	}
	return b, nil
}

// AppendMessage appends a message to dst, whose file is expected to have size bytes. It is the cheapest way to read a message that is not large. When more or less than size bytes
// were appended the file is not what was recorded; never more than one more are. Errors are those of OpenMessage, and leave dst as it was.
func (r *Reader) AppendMessage(dst []byte, ref Ref, size int64) ([]byte, error) {
	out, err := readFile(dst, messagePath(r.dir, ref), int(size))
	if errors.Is(err, fs.ErrNotExist) {
		return dst, fmt.Errorf("read message %s: %w", ref, ErrNotFound)
	}
	if err != nil {
		return dst, fmt.Errorf("read message %s: %w", ref, err)
	}
	return out, nil
}

// grow returns dst with room for n more bytes, and that room.
func grow(dst []byte, n int) (grown, room []byte) {
	grown = slices.Grow(dst, n)
	return grown, grown[len(grown) : len(grown)+n]
}

// Accounts returns all accounts by id, that is in the order in which they were first backed up.
func (r *Reader) Accounts(ctx context.Context) ([]Account, error) {
	var accounts []Account
	err := r.db.SelectContext(ctx, &accounts, "SELECT id, name, kind FROM account ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	return accounts, nil
}

// AccountByName returns the account of that name, or ErrNotFound.
func (r *Reader) AccountByName(ctx context.Context, name string) (Account, error) {
	var a Account
	err := r.db.GetContext(ctx, &a, "SELECT id, name, kind FROM account WHERE name = ?", name)
	if errors.Is(err, sql.ErrNoRows) {
		return Account{}, fmt.Errorf("find account %q: %w", name, ErrNotFound)
	}
	if err != nil {
		return Account{}, fmt.Errorf("find account %q: %w", name, err)
	}
	return a, nil
}

// Folders returns an account's folders by id, those that the server no longer lists included.
func (r *Reader) Folders(ctx context.Context, account AccountID) ([]Folder, error) {
	var folders []Folder
	err := r.db.SelectContext(ctx, &folders, `SELECT id, account_id, name, delimiter, special_use, object_id, mailbox_id, current,
		uidvalidity, uidnext, source_modseq, messages, gone FROM folder WHERE account_id = ? ORDER BY id`, account)
	if err != nil {
		return nil, fmt.Errorf("list folders of account %d: %w", account, err)
	}
	return folders, nil
}

// Totals returns the sums over one account, or over the whole archive when account is 0. It reads all rows of messages and items.
func (r *Reader) Totals(ctx context.Context, account AccountID) (Totals, error) {
	var t Totals
	err := r.db.GetContext(ctx, &t, `SELECT
		(SELECT count(*) FROM message WHERE ?1 = 0 OR EXISTS (SELECT 1 FROM item WHERE message_id = message.id AND account_id = ?1)) AS messages,
		(SELECT coalesce(sum(size), 0) FROM message WHERE ?1 = 0 OR EXISTS (SELECT 1 FROM item WHERE message_id = message.id AND account_id = ?1)) AS bytes,
		(SELECT count(*) FROM item WHERE ?1 = 0 OR account_id = ?1) AS items,
		(SELECT count(*) FROM item WHERE gone <> 0 AND (?1 = 0 OR account_id = ?1)) AS gone,
		(SELECT coalesce(sum(messages), 0) FROM mailbox WHERE ?1 = 0 OR account_id = ?1) AS entries,
		(SELECT count(*) FROM hole JOIN folder ON folder.id = folder_id WHERE ?1 = 0 OR account_id = ?1) AS holes`, account)
	if err != nil {
		return Totals{}, fmt.Errorf("sum up the archive: %w", err)
	}
	return t, nil
}

// HoleCount returns how long the failure ledger of an account is. Unlike Totals it costs the same in a large archive as in a small one.
func (r *Reader) HoleCount(ctx context.Context, account AccountID) (n int64, err error) {
	err = r.db.GetContext(ctx, &n, "SELECT count(*) FROM hole JOIN folder ON folder.id = folder_id WHERE account_id = ?", account)
	if err != nil {
		return 0, fmt.Errorf("count the failure ledger of account %d: %w", account, err)
	}
	return n, nil
}

// Holes returns the failure ledger of an account, or of all when account is 0, oldest first.
func (r *Reader) Holes(ctx context.Context, account AccountID) ([]Hole, error) {
	var holes []Hole
	err := r.db.SelectContext(ctx, &holes, `SELECT account_id, folder_id, name, validity, uid, reason, tries, first, last
		FROM hole JOIN folder ON folder.id = folder_id WHERE ?1 = 0 OR account_id = ?1 ORDER BY first, folder_id, uid`, account)
	if err != nil {
		return nil, fmt.Errorf("list the failure ledger: %w", err)
	}
	return holes, nil
}

// zoned turns stored seconds and minutes east of UTC into a time that prints as the server gave it.
func zoned(seconds int64, minutes int) time.Time {
	if minutes == 0 {
		return time.Unix(seconds, 0).UTC()
	}
	return time.Unix(seconds, 0).In(time.FixedZone("", minutes*60))
}
