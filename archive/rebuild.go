package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jmoiron/sqlx"
)

// RecoveredMailbox is the name of the mailbox that shows messages of which only the file was left.
const RecoveredMailbox = "Recovered"

// RecoveredAccount is the name of the account for such messages when nobody knows whose they are.
const RecoveredAccount = "recovered"

// RebuildSource says what a database was made of.
type RebuildSource string

// The sources of a rebuild, the best first.
const (
	FromJournal        RebuildSource = "journal"         // the same database again, UIDs included
	FromDatabase       RebuildSource = "database"        // the journal was damaged, and is made anew from gmail.db
	FromDamagedJournal RebuildSource = "damaged journal" // what could be read of it
	FromFiles          RebuildSource = "files"           // the messages alone
)

// RebuildOptions say how Rebuild works.
type RebuildOptions struct {
	// Progress, unless nil, is called now and then with the bytes of the journal that were read.
	Progress func(done, total int64)
}

// Rebuilt is what Rebuild did.
type Rebuilt struct {
	Source    RebuildSource
	Batch     ModSeq // the last one
	Accounts  int64
	Mailboxes int64
	Messages  int64
	Damage    []JournalDamage // what of the journal was lost
	Recovered int64           // messages whose facts were lost; they are shown in RecoveredMailbox
	Account   string          // of that mailbox
	Aside     []string        // what was moved to quarantine/, below the archive's folder
}

const (
	newDatabase  = databaseFile + ".new"
	workDatabase = "rebuild.db" // in tmp/
)

// rebuilder is one rebuild.
type rebuilder struct {
	dir  string
	o    RebuildOptions
	now  time.Time
	done Rebuilt

	old     *sqlx.DB // gmail.db as it was, if SQLite finds it whole
	oldSeq  ModSeq
	journal derivation
}

// Rebuild makes gmail.db anew: from the journal where that is whole, and then it is the same again. A damaged journal is made anew from gmail.db where that is whole. With both
// damaged everything that can be read is kept, and messages whose facts were lost are shown in RecoveredMailbox; so are all when only the files are left.
// It is built beside, checked, and switched at once; what was there before goes to quarantine/. It can be killed at any moment and begun again. Nothing may write to the
// archive meanwhile (ErrLocked); Readers must be opened again (Reader.Replaced).
func Rebuild(ctx context.Context, dir string, o RebuildOptions) (Rebuilt, error) {
	if err := checkFormat(dir); err != nil {
		messages, _ := anyMessage(dir)
		if !errors.Is(err, ErrNotArchive) || !messages && !looksLikeArchive(dir) {
			return Rebuilt{}, err
		}
	}
	lock, err := lockArchive(dir)
	if err != nil {
		return Rebuilt{}, err
	}
	b := &rebuilder{dir: dir, o: o, now: time.Now()}
	err = errors.Join(b.run(ctx), b.close(), lock.Unlock())
	if err != nil {
		return b.done, fmt.Errorf("rebuild archive %q: %w", dir, noSpace(err))
	}
	return b.done, nil
}

func (b *rebuilder) path(name string) string { return filepath.Join(b.dir, name) }

func (b *rebuilder) close() error {
	if b.old == nil {
		return nil
	}
	err := b.old.Close()
	b.old = nil
	return err
}

func (b *rebuilder) run(ctx context.Context) error {
	for _, sub := range []string{journalDir, quarantineDir} {
		if err := os.MkdirAll(b.path(sub), 0o700); err != nil {
			return err
		}
	}
	if err := errors.Join(emptyTmp(b.path(tmpDir)), removeDatabase(b.path(newDatabase))); err != nil {
		return err
	}
	if err := b.probe(ctx); err != nil {
		return err
	}
	if err := b.build(ctx); err != nil {
		return err
	}
	if err := b.examine(ctx); err != nil {
		return err
	}
	if err := b.close(); err != nil {
		return err
	}
	if err := b.switchOver(); err != nil {
		return err
	}
	if checkFormat(b.dir) != nil {
		return writeDurably(b.path(formatFile), []byte(formatText))
	}
	return nil
}

// probe opens gmail.db if it is whole, with everything that its write-ahead log holds put in place.
func (b *rebuilder) probe(ctx context.Context) error {
	if fileSize(b.path(databaseFile)) == 0 {
		return nil
	}
	db, err := connect(b.path(databaseFile))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	err = checkSchema(db)
	if errors.Is(err, ErrNewer) {
		return closing(err, db)
	}
	if errors.Is(err, ErrOlder) {
		err = nil // it is brought up to today's where it is copied
	}
	var lines []string
	if err == nil {
		err = db.SelectContext(ctx, &lines, "PRAGMA integrity_check(1)")
	}
	if err == nil && len(lines) == 1 && lines[0] == "ok" {
		if err = db.GetContext(ctx, &b.oldSeq, "SELECT seq FROM applied"); err == nil {
			b.old = db
			_, _ = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") // a server may keep that from happening; the journal has it all
			return nil
		}
	}
	db.Close()
	return ctx.Err()
}

// build makes gmail.db.new from the best source there is.
func (b *rebuilder) build(ctx context.Context) error {
	whole, err := b.fromJournal(ctx)
	if err != nil || whole {
		return err
	}
	work, err := b.salvage(ctx)
	if err != nil {
		return err
	}
	head := snapshotFact{Seq: b.done.Batch, Time: b.now.UTC().Truncate(time.Second), Schema: schemaVersion}
	if head.Next.File, err = nextFile(b.path(journalDir), b.now); err == nil {
		_, err = writeSnapshot(ctx, work, b.path(journalDir), head)
	}
	if err := errors.Join(err, work.Close()); err != nil {
		return err
	}
	// The journal is whole again. From here on this is a rebuild like any other, which whoever runs it next would take up.
	if err := removeDatabase(b.path(newDatabase)); err != nil {
		return err
	}
	again, err := emptyDatabase(b.path(newDatabase))
	if err != nil {
		return err
	}
	d := derivation{dir: b.dir, db: again}
	if err := errors.Join(d.derive(ctx), again.Close()); err != nil {
		return err
	}
	b.done.Aside, err = setAsideJournal(b.dir, head)
	return err
}

// fromJournal fills gmail.db.new from the journal, and tells whether that is all: nothing was damaged, and gmail.db did not know more.
func (b *rebuilder) fromJournal(ctx context.Context) (whole bool, err error) {
	db, err := emptyDatabase(b.path(newDatabase))
	if err != nil {
		return false, err
	}
	total := journalSize(b.path(journalDir))
	b.journal = derivation{dir: b.dir, db: db,
		damaged: func(d JournalDamage) error { b.done.Damage = append(b.done.Damage, d); return nil },
		batch: func(read int64) {
			if b.o.Progress != nil {
				b.o.Progress(read, total)
			}
		}}
	if err := errors.Join(b.journal.derive(ctx), db.Close()); err != nil {
		return false, err
	}
	b.done.Source, b.done.Batch = FromJournal, b.journal.seq
	switch last := b.journal.last; {
	case b.journal.lossy:
		return false, nil
	case last < b.oldSeq:
		b.done.Damage = append(b.done.Damage, JournalDamage{File: journalDir, Batches: batches(last+1, b.oldSeq), Problem: "the end is lost"})
		return false, nil
	case last == 0 && b.oldSeq == 0:
		messages, err := anyMessage(b.dir)
		return !messages, err
	}
	return len(b.done.Damage) == 0, nil
}

// examine checks gmail.db.new before it takes the place, and readies it for that.
func (b *rebuilder) examine(ctx context.Context) error {
	db, err := connect(b.path(newDatabase))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	problem, err := inconsistency(ctx, db)
	if err == nil && problem != "" {
		err = fmt.Errorf("what the journal gives is inconsistent, and %s stays as it was: %s", databaseFile, problem)
	}
	if err == nil {
		err = db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM mailbox), (SELECT count(*) FROM message), seq FROM applied").
			Scan(&b.done.Accounts, &b.done.Mailboxes, &b.done.Messages, &b.done.Batch)
	}
	if err == nil {
		_, err = db.ExecContext(ctx, "PRAGMA journal_mode = WAL") // kept in the file: readers may come before a Writer
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return syncFile(b.path(newDatabase))
}

// inconsistency returns the first thing that is wrong with a database, or "".
func inconsistency(ctx context.Context, db *sqlx.DB) (string, error) {
	var lines []string
	if err := db.SelectContext(ctx, &lines, "PRAGMA integrity_check(1)"); err != nil {
		return "", err
	}
	if len(lines) != 1 || lines[0] != "ok" {
		return fmt.Sprint(lines), nil
	}
	for _, rule := range rules {
		var problems []string
		if err := db.SelectContext(ctx, &problems, rule.query+" LIMIT 1"); err != nil {
			return "", fmt.Errorf("%s: %w", rule.query, err)
		}
		if len(problems) > 0 {
			return problems[0], nil
		}
	}
	return "", nil
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// switchOver puts gmail.db.new in the place of gmail.db. In between there may be no gmail.db for a moment: a Writer then makes it from the journal, which is whole.
func (b *rebuilder) switchOver() error {
	var old []string
	for _, suffix := range []string{"-wal", "-shm", ""} { // a log must not outlive its database
		if _, err := os.Lstat(b.path(databaseFile) + suffix); err == nil {
			old = append(old, databaseFile+suffix)
		}
	}
	if len(old) > 0 {
		moved, err := setAside(b.dir, old...)
		b.done.Aside = append(b.done.Aside, moved...)
		if err != nil {
			return fmt.Errorf("move %s aside (does \"mailkeep serve\" have it open?): %w", databaseFile, err)
		}
	}
	if err := os.Rename(b.path(newDatabase), b.path(databaseFile)); err != nil {
		return err
	}
	return syncDir(b.dir)
}

// anyMessage tells whether there are message files at all.
func anyMessage(dir string) (bool, error) {
	for i := range 256 {
		files, err := os.ReadDir(filepath.Join(dir, fmt.Sprintf("%02x", i)))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return false, err
		}
		for _, f := range files {
			if ref, err := ParseRef(trimExtension(f.Name())); err == nil && f.Name() == ref.String()+extension && ref[0] == byte(i) {
				return true, nil
			}
		}
	}
	return false, nil
}
