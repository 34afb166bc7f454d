package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// derivation makes a database of the journal.
type derivation struct {
	dir     string // of the archive
	db      *sqlx.DB
	until   ModSeq                    // batches above are read and not applied; 0: all are
	damaged func(JournalDamage) error // nil: the first damage ends it with an error
	batch   func(bytes int64)         // called after each batch with the bytes read so far; nil for nobody

	seq   ModSeq // of the last batch in db
	last  ModSeq // of the last batch read
	base  bool   // db begins with a snapshot
	lossy bool   // there was damage: facts are applied one by one, what does not fit is left out
	gap   bool   // the batches that may be missing now were told of
	lost  int64  // bytes of the journal that could not be read or applied
}

// errDamagedJournal is the error of a journal that is not whole.
var errDamagedJournal = errors.New("the journal is damaged")

// derive fills an empty database of the current schema.
func (d *derivation) derive(ctx context.Context) error {
	journal := filepath.Join(d.dir, journalDir)
	start, err := d.begin(ctx, journal)
	if err != nil {
		return err
	}
	names, err := journalFiles(journal)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var read int64
	for i, name := range names {
		if name < start.File {
			continue
		}
		at := position{File: name}
		if name == start.File {
			at = start
		}
		err := scanFile(journal, at, i == len(names)-1, scanHooks{
			group: func(g group) error {
				if d.batch != nil {
					d.batch(read + g.end.Offset)
				}
				return d.group(ctx, g)
			},
			damaged: func(damage JournalDamage, facts []fact) error { return d.damage(ctx, damage, facts) },
		})
		if err != nil {
			return err
		}
		read += fileSize(filepath.Join(journal, name))
	}
	return nil
}

// begin loads the newest snapshot that is whole, and returns where the journal goes on behind it.
func (d *derivation) begin(ctx context.Context, journal string) (position, error) {
	snapshots, err := journalSnapshots(journal)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return position{}, err
	}
	for i := len(snapshots) - 1; i >= 0; i-- {
		head, err := loadSnapshot(ctx, d.db, filepath.Join(journal, snapshots[i]))
		if err == nil {
			d.seq, d.last, d.base = head.Seq, head.Seq, true
			return head.Next, nil
		}
		if ctx.Err() != nil || !errors.Is(err, errDamagedJournal) {
			return position{}, err
		}
		if err := d.tell(JournalDamage{File: snapshots[i], Problem: err.Error()}); err != nil {
			return position{}, err
		}
	}
	return position{}, nil
}

func (d *derivation) tell(damage JournalDamage) error {
	d.lost += damage.bytes
	if d.damaged == nil {
		return fmt.Errorf("read journal %q: %s: %w", damage.File, damage, errDamagedJournal)
	}
	return d.damaged(damage)
}

// group applies a batch, after telling about those that are missing before it.
func (d *derivation) group(ctx context.Context, g group) error {
	seq := g.commit.Seq
	gap := d.gap
	if d.gap = false; seq != d.last+1 && !(gap && seq > d.last) {
		damage := JournalDamage{File: g.end.File, Batches: batches(d.last+1, seq-1), Problem: "batches are missing", bytes: int64(min(seq-1-d.last, math.MaxInt32)) * lostBatch}
		if seq <= d.last {
			damage = JournalDamage{File: g.end.File, Batches: fmt.Sprint(seq), Problem: fmt.Sprintf("the batch follows batch %d", d.last)}
		}
		if err := d.tell(damage); err != nil {
			return err
		}
		d.lossy = true
		if seq <= d.last {
			return nil // twice the same, or of another archive
		}
	}
	d.last = seq
	if d.until > 0 && seq > d.until {
		return nil
	}
	d.seq = seq
	if !d.lossy {
		err := replay(ctx, d.db, g)
		if !contradicts(err) {
			return err
		}
		if err := d.tell(JournalDamage{File: g.end.File, Batches: fmt.Sprint(seq), Problem: fmt.Sprintf("the batch contradicts those before: %v", err)}); err != nil {
			return err
		}
		d.lossy = true
	}
	return replayLossy(ctx, d.db, g, func(*fact, error) { d.lost += lostFact })
}

// contradicts tells whether an error of applying facts lies in the facts.
func contradicts(err error) bool {
	var lite *sqlite.Error
	return noRows(err) || errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

// What counts as lost, in bytes, where nobody can tell how much it was: a fact that cannot be applied, and a batch that is missing, which had more facts than a Writer's users put
// into one.
const (
	lostFact  = 400
	lostBatch = 10_000 * lostFact
)

func batches(from, to ModSeq) string {
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d to %d", from, to)
}

// damage applies what can be read of a damaged part.
func (d *derivation) damage(ctx context.Context, damage JournalDamage, facts []fact) error {
	if err := d.tell(damage); err != nil {
		return err
	}
	d.lossy, d.gap = true, true
	d.last = max(d.last, damage.seq)
	d.seq = max(d.seq, d.last)
	g := group{facts: facts, commit: commitFact{Seq: d.last}, end: position{File: damage.File}}
	return replayLossy(ctx, d.db, g, func(*fact, error) {})
}

// replayLossy applies the facts of a group as far as they fit what is there; skipped is told of the others. The batch may have any number.
func replayLossy(ctx context.Context, db *sqlx.DB, g group, skipped func(*fact, error)) error {
	a, err := newApplier(ctx, db)
	if err != nil {
		return err
	}
	defer a.rollback()
	a.seq = max(a.seq, g.commit.Seq)
	for i := range g.facts {
		if err := a.try(&g.facts[i]); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			skipped(&g.facts[i], err)
		}
	}
	return a.commit(g.end)
}

// try applies a fact as a whole or not at all.
func (a *applier) try(f *fact) error {
	before := make(map[MailboxID]delta, len(a.deltas))
	for id, d := range a.deltas {
		before[id] = *d
	}
	if err := a.do("SAVEPOINT one"); err != nil {
		return err
	}
	err := a.apply(f)
	if err != nil {
		clear(a.deltas)
		for id, d := range before {
			a.deltas[id] = &d
		}
		if undo := a.do("ROLLBACK TO one"); undo != nil {
			return errors.Join(err, undo)
		}
	}
	return errors.Join(err, a.do("RELEASE one"))
}
