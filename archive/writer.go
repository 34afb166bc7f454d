package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const lockFile = "lock"

var errClosed = errors.New("the archive is closed")

// Writer adds to an archive. It holds the archive's lock (A7) until Close. Put may be called by many goroutines; the other methods serialize themselves.
type Writer struct {
	*Reader
	lock    *flock.Flock
	store   *mailStore
	journal *journal

	mu         sync.Mutex // serializes batches
	rw         *sqlx.DB   // one connection
	statements statements // of that connection, for batches
	broken     error      // the journal is ahead of the database; only opening again mends that
	closed     sync.Once
	ended      atomic.Bool
}

// OpenWriter opens the archive at dir for writing, and creates it when dir does not exist or is an empty folder. It finishes what an interrupted Writer
// left. It fails with ErrLocked when another Writer has it, ErrNotArchive when the folder is something else, ErrNewer when a newer mailkeep wrote it, and ErrMapLost when there are
// messages and nothing else: an empty map beside them would hide them all.
func OpenWriter(dir string) (*Writer, error) {
	err := checkFormat(dir)
	fresh := errors.Is(err, ErrNotFound)
	if err != nil && !fresh {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create archive %q: %w", dir, err)
	}
	lock, err := lockArchive(dir)
	if err != nil {
		return nil, err
	}
	w := &Writer{lock: lock}
	if err := w.open(dir, fresh); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func lockArchive(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock archive %q: %w", dir, err)
	}
	if !got {
		return nil, fmt.Errorf("lock archive %q: wait until it has finished, or end it: %w", dir, ErrLocked)
	}
	return lock, nil
}

func (w *Writer) open(dir string, fresh bool) error {
	if fresh {
		if err := create(dir); err != nil {
			return err
		}
	}
	if err := checkWritable(filepath.Join(dir, databaseFile)); err != nil {
		return fmt.Errorf("open archive %q for writing: %w", dir, err)
	}
	if err := upgrade(filepath.Join(dir, databaseFile)); err != nil {
		return fmt.Errorf("open archive %q: %w", dir, err)
	}
	rw, err := connect(filepath.Join(dir, databaseFile), "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(0)", "journal_size_limit(67108864)")
	if err != nil {
		return fmt.Errorf("open archive %q: %w", dir, err)
	}
	rw.SetMaxOpenConns(1)
	w.rw = rw
	if err := migrate(rw); err != nil {
		return fmt.Errorf("open archive %q: %w", dir, err)
	}
	if w.store, err = openMailStore(dir); err != nil {
		return fmt.Errorf("open archive %q: %w", dir, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, journalDir), 0o700); err != nil { // lost, which the next steps say better
		return fmt.Errorf("open archive %q: %w", dir, err)
	}
	if w.journal, err = recoverJournal(dir, rw); err != nil {
		return fmt.Errorf("open archive %q: %w", dir, err)
	}
	if err := checkMap(dir, rw); err != nil {
		return fmt.Errorf("open archive %q for writing: %w", dir, err)
	}
	w.Reader, err = openReader(dir)
	return err
}

// checkMap refuses a map without a single batch beside messages: the first batch of an archive, which makes an account, is durable before any message is in place.
func checkMap(dir string, db *sqlx.DB) error {
	var seq ModSeq
	if err := db.Get(&seq, "SELECT seq FROM applied"); err != nil || seq > 0 {
		return err
	}
	if messages, err := anyMessage(dir); err != nil || !messages {
		return err
	}
	return ErrMapLost
}

// checkWritable makes the system's own error, such as "read-only file system", come before SQLite's.
func checkWritable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// recoverJournal applies what the journal has and the database lacks, and cuts off a torn end.
func recoverJournal(dir string, db *sqlx.DB) (*journal, error) {
	j := &journal{dir: filepath.Join(dir, journalDir), packLeast: packLeast}
	from, err := j.resume(db)
	if err != nil {
		return nil, err
	}
	end, err := readJournal(j.dir, from, func(g group) error { return replay(context.Background(), db, g) })
	if err != nil {
		return nil, fmt.Errorf("%w; \"mailkeep rebuild\" mends that", err)
	}
	j.end = end
	return j, j.cut(filepath.Join(dir, quarantineDir))
}

// resume returns where the journal goes on for the database. An empty one begins with the newest snapshot. One that stands where a snapshot was made goes on behind that: the
// crash came before it was told.
func (j *journal) resume(db *sqlx.DB) (position, error) {
	var applied struct {
		Seq ModSeq `db:"seq"`
		position
	}
	const query = "SELECT seq, file, offset FROM applied"
	if err := db.Get(&applied, query); err != nil {
		return position{}, err
	}
	snapshots, err := journalSnapshots(j.dir)
	if err != nil || len(snapshots) == 0 {
		return applied.position, err
	}
	if applied.Seq == 0 {
		head, err := loadSnapshot(context.Background(), db, filepath.Join(j.dir, snapshots[len(snapshots)-1]))
		if err != nil {
			return position{}, fmt.Errorf("%w; \"mailkeep rebuild\" mends that", err)
		}
		return head.Next, nil
	}
	head, err := newestSnapshot(j.dir)
	if err != nil || head.Seq != applied.Seq || head.Next.File <= applied.File {
		return applied.position, nil // what a snapshot says matters to those that need it
	}
	return head.Next, j.goOn(db, head.Next)
}

// Close gives up the lock. Messages put and not recorded are forgotten. Further calls do nothing.
func (w *Writer) Close() error {
	var err error
	w.closed.Do(func() { err = w.close() })
	return err
}

func (w *Writer) close() error {
	w.mu.Lock() // a batch under way ends first
	defer w.mu.Unlock()
	w.broken = errClosed
	w.ended.Store(true)
	var errs []error
	if w.Reader != nil {
		errs = append(errs, w.Reader.Close())
	}
	if w.journal != nil {
		errs = append(errs, w.journal.close())
	}
	if w.store != nil {
		errs = append(errs, w.store.close())
	}
	if w.rw != nil {
		errs = append(errs, w.statements.close(w.rw), w.rw.Close())
	}
	return errors.Join(append(errs, w.lock.Unlock())...)
}

// Put copies a message into the archive, byte for byte (A4), and returns its Ref and its size in bytes. The message counts as kept once a batch that names
// the Ref is recorded; until then a crash loses it. Equal messages are kept once.
func (w *Writer) Put(r io.Reader) (Ref, int64, error) {
	if w.ended.Load() {
		return Ref{}, 0, errClosed
	}
	ref, size, err := w.store.put(r)
	if err != nil {
		return Ref{}, 0, fmt.Errorf("store a message in %q: %w", w.dir, noSpace(err))
	}
	return ref, size, nil
}

// EnsureAccount returns the account of that name and creates it if need be. An account never changes its kind.
func (w *Writer) EnsureAccount(ctx context.Context, name string, kind Kind) (Account, error) {
	known, err := w.AccountByName(ctx, name)
	if err == nil && known.Kind != kind {
		return Account{}, fmt.Errorf("open account %q: the archive has it as %q, and the server is now %q; give it another name in the configuration", name, known.Kind, kind)
	}
	if err == nil || !errors.Is(err, ErrNotFound) {
		return known, err
	}
	var made Account
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err = w.record(ctx, func(r *recorder) error {
		made = Account{Name: name, Kind: kind}
		if err := r.row("SELECT coalesce(max(id), 0) + 1 FROM account").Scan(&made.ID); err != nil {
			return err
		}
		return r.emit(fact{Account: &accountFact{ID: made.ID, Name: name, Kind: kind}})
	})
	if err != nil {
		return Account{}, fmt.Errorf("create account %q: %w", name, err)
	}
	return made, nil
}

// Record makes a batch durable and visible to readers, as a whole or not at all. When it returns nil, the batch survives kill -9 and a power cut.
// Cancelling ctx ends it between two steps with nothing recorded.
func (w *Writer) Record(ctx context.Context, b Batch) (Recorded, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return Recorded{}, w.broken
	}
	files, bytes, err := w.store.settle(b.refs())
	if err != nil {
		// What the kernel failed to write once it may report as written the next time, so these files cannot be trusted any more.
		w.broken = fmt.Errorf("put messages in place in %q: %w", w.dir, noSpace(err))
		return Recorded{}, w.broken
	}
	b = b.tidy()
	done, err := w.record(ctx, func(r *recorder) error { return r.batch(&b) })
	if err != nil {
		return Recorded{}, err
	}
	done.NewFiles, done.NewBytes = files, bytes
	return done, nil
}

// refs lists the messages that a batch needs.
func (b *Batch) refs() []Ref {
	var refs []Ref
	for _, c := range b.Copies {
		if !c.Ref.IsZero() {
			refs = append(refs, c.Ref)
		}
	}
	return refs
}

// record runs f, which emits facts, and commits them in the order of A8. The caller holds w.mu.
func (w *Writer) record(ctx context.Context, f func(*recorder) error) (Recorded, error) {
	if w.broken != nil {
		return Recorded{}, w.broken
	}
	r, err := w.work(ctx, f)
	if err != nil {
		return Recorded{}, fmt.Errorf("record a batch in %q: %w", w.dir, noSpace(err))
	}
	defer r.rollback()
	if len(r.facts) == 0 {
		return Recorded{}, nil
	}
	if err := w.journal.append(r.facts, r.seq, r.now); err != nil {
		return Recorded{}, fmt.Errorf("record a batch in %q: %w", w.dir, noSpace(err))
	}
	if err := r.commit(w.journal.end); err != nil {
		w.broken = fmt.Errorf("record a batch in %q: it is in the journal and could not be put into %s; it will be when the archive is opened again: %w", w.dir, databaseFile, noSpace(err))
		return Recorded{}, w.broken
	}
	r.done.ModSeq = r.seq
	return r.done, nil
}

// work runs f in a transaction, which the caller commits or rolls back; after an error it is rolled back already. The transaction does not end with ctx: between
// the journal and the commit nothing may interrupt it.
func (w *Writer) work(ctx context.Context, f func(*recorder) error) (*recorder, error) {
	a, err := applierWith(ctx, w.rw, &w.statements, true)
	if err != nil {
		return nil, err
	}
	r := &recorder{applier: a, ctx: ctx, store: w.store, now: time.Now(), next: make(map[MailboxID]UID), boxes: make(map[string]*mailboxFact), folders: make(map[FolderID]*Folder), holed: make(map[FolderID]bool), grounds: make(map[FolderID]*ground)}
	if err := f(r); err != nil {
		a.rollback()
		return nil, err
	}
	return r, nil
}

// noSpace adds ErrDiskFull to an error that means it.
func noSpace(err error) error {
	var lite *sqlite.Error
	full := errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_FULL
	for _, f := range fullErrors {
		full = full || errors.Is(err, f)
	}
	if !full {
		return err
	}
	return fmt.Errorf("%w (%w)", ErrDiskFull, err)
}

// noRows tells whether a query found nothing.
func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
