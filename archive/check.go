package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// FindingKind says what sort of damage, or of harmless remainder, a Finding is. The words are part of the output of "mailkeep check --json".
type FindingKind string

// The kinds of findings about files.
const (
	FileMissing    FindingKind = "missing"    // a message has no file
	FileTruncated  FindingKind = "truncated"  // a message's file is shorter than it was
	FileDamaged    FindingKind = "damaged"    // a message's file holds other bytes than it should
	FileSwapped    FindingKind = "swapped"    // a message's file holds another message, named in Actual
	FileUnreadable FindingKind = "unreadable" // a message's file cannot be read; the disk may be failing
	FileOrphan     FindingKind = "orphan"     // a whole message file without a row: harmless (A2)
	FileStray      FindingKind = "stray"      // a file among the messages that is none by its name, or is in the wrong folder: harmless
)

// The kinds of findings about everything else.
const (
	FormatDamaged    FindingKind = "format"        // FORMAT is missing or not readable
	DatabaseMissing  FindingKind = "no-database"   // there is no gmail.db
	DatabaseDamaged  FindingKind = "database"      // SQLite finds gmail.db broken, or it is no database
	CounterWrong     FindingKind = "counter"       // a mailbox counts other than it holds
	RowsInconsistent FindingKind = "rows"          // rows contradict each other, or an invariant
	JournalDamaged   FindingKind = "journal"       // lines of the journal do not match their checksum, or are missing
	JournalDisagrees FindingKind = "disagrees"     // gmail.db is not what the journal says
	JournalAhead     FindingKind = "journal-ahead" // the journal knows more; the next Writer brings gmail.db up to it: harmless
)

// Finding is something that Check found.
type Finding struct {
	Kind      FindingKind `json:"kind"`
	Invariant string      `json:"invariant,omitempty"` // of doc.go, "A1" to "A8", where one is broken
	Path      string      `json:"path"`                // the file concerned, below the archive's folder, with slashes
	Message   *Ref        `json:"message,omitempty"`   // the message concerned
	Actual    *Ref        `json:"actual,omitempty"`    // the digest that the file really has, where it was read to its end and is not Message
	Problem   string      `json:"problem"`             // what is wrong, to be read after the path
	Shown     []string    `json:"shown,omitempty"`     // where readers see the message: "account: mailbox, UID n"; the first few
}

func (f Finding) String() string {
	text := fmt.Sprintf("%s: %s %s", f.Kind, f.Path, f.Problem)
	if f.Invariant != "" {
		text = f.Invariant + " " + text
	}
	return text
}

// Harmless tells whether the archive is whole in spite of the finding.
func (f Finding) Harmless() bool {
	return slices.Contains([]FindingKind{FileOrphan, FileStray, JournalAhead}, f.Kind)
}

// OfFile tells whether a message's file is damaged or missing, which another copy of its bytes mends.
func (f Finding) OfFile() bool {
	return slices.Contains([]FindingKind{FileMissing, FileTruncated, FileDamaged, FileSwapped, FileUnreadable}, f.Kind)
}

// CheckOptions says how deep Check looks.
type CheckOptions struct {
	Digests bool // read every message and compare its SHA-256; otherwise existence and size only
	Journal bool // let SQLite check all of gmail.db, apply the whole journal to an empty database and compare
	// Resume goes on where an interrupted check with Resume stopped, less than a week ago, and notes in the archive's folder how far this one is.
	Resume bool
	// Progress, unless nil, is called now and then by one goroutine at a time.
	Progress func(CheckProgress)
}

// CheckProgress is how far a check is.
type CheckProgress struct {
	Messages, TotalMessages int64
	Bytes, TotalBytes       int64 // of the messages; those that are not read count too
	Database                bool  // it is gmail.db and the journal's turn
}

// Checked is what Check looked at.
type Checked struct {
	Messages int64 // rows that were compared with their files
	Bytes    int64 // of these
	Damage   int64 // findings that are not harmless
	Harmless int64 // the others
	Resumed  bool  // an earlier check had looked at a part of the files
}

// checker is one check.
type checker struct {
	dir    string
	o      CheckOptions
	report func(Finding) error
	done   Checked
	state  *checkState // nil without Resume; it moves on while files are checked
	from   string      // the folder that state began with; those before it were checked by an earlier check
	again  []Ref       // what was damaged in those

	reader *Reader // nil when gmail.db cannot be used
	rows   *rowSource
}

// Check verifies the archive in dir and calls report for each finding, in the order database, journal, files by name; an error of report ends it. It changes nothing but
// its own note of how far it is. It may run beside a Writer and servers: what they change meanwhile is not reported. It works without a usable gmail.db
// too: the journal then says which messages there should be. Its own error is for a check that could not be made.
func Check(ctx context.Context, dir string, o CheckOptions, report func(Finding) error) (Checked, error) {
	c := &checker{dir: dir, o: o, report: report}
	if err := c.open(ctx); err != nil {
		return c.done, errors.Join(fmt.Errorf("check archive %q: %w", dir, err), c.close())
	}
	err := c.run(ctx)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("check archive %q: %w", dir, err)
	}
	return c.done, errors.Join(err, c.close())
}

// Check is the function Check for the archive of a Reader, without Resume; it returns all findings.
func (r *Reader) Check(ctx context.Context, o CheckOptions) ([]Finding, error) {
	o.Resume = false
	var all []Finding
	_, err := Check(ctx, r.dir, o, func(f Finding) error { all = append(all, f); return nil })
	return all, err
}

// open finds out what there is to check.
func (c *checker) open(ctx context.Context) error {
	if err := c.checkFormat(); err != nil {
		return err
	}
	r, problem, err := openChecked(c.dir)
	if err != nil {
		return err
	}
	c.reader = r
	if problem == nil {
		if problem, err = c.integrity(ctx); err != nil {
			return err
		}
	}
	if problem != nil {
		if err := c.found(ctx, *problem); err != nil {
			return err
		}
	}
	return nil
}

// checkFormat reports a damaged FORMAT file of a folder that is an archive by everything else.
func (c *checker) checkFormat() error {
	err := checkFormat(c.dir)
	if err == nil || !errors.Is(err, ErrNotArchive) && !errors.Is(err, ErrNewer) || !looksLikeArchive(c.dir) {
		return err
	}
	if errors.Is(err, ErrNewer) {
		return err
	}
	return c.found(context.Background(), Finding{Kind: FormatDamaged, Path: formatFile, Problem: "is missing or damaged; everything else looks like an archive"})
}

// looksLikeArchive tells whether a folder has what an archive consists of, FORMAT aside.
func looksLikeArchive(dir string) bool {
	names, err := journalFiles(filepath.Join(dir, journalDir))
	_, dbErr := os.Stat(filepath.Join(dir, databaseFile))
	return err == nil && (len(names) > 0 || dbErr == nil)
}

// openChecked opens gmail.db. A problem is returned in place of a Reader when there is something else than a usable database.
func openChecked(dir string) (*Reader, *Finding, error) {
	path := filepath.Join(dir, databaseFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, &Finding{Kind: DatabaseMissing, Path: databaseFile, Problem: "is missing"}, nil
	} else if err != nil {
		return nil, nil, err
	}
	r, err := openReader(dir)
	switch {
	case err == nil:
		return r, nil, nil
	case errors.Is(err, ErrNewer):
		return nil, nil, err
	case errors.Is(err, ErrNotFound):
		return nil, &Finding{Kind: DatabaseDamaged, Path: databaseFile, Problem: "is empty"}, nil
	case errors.Is(err, ErrNotArchive), isCorrupt(err):
		return nil, &Finding{Kind: DatabaseDamaged, Path: databaseFile, Problem: "is not a database of mailkeep's: " + sqliteText(err)}, nil
	}
	return nil, nil, err
}

func (c *checker) run(ctx context.Context) error {
	if c.o.Resume {
		c.state = resumeCheck(c.dir, c.o.Digests)
		c.from, c.again = c.state.Next, slices.Clone(c.state.Again)
		c.done.Resumed = c.from != ""
	}
	c.progress(CheckProgress{Database: true})
	if c.reader != nil {
		if err := c.checkRows(ctx); err != nil {
			return err
		}
	}
	if err := c.checkJournal(ctx); err != nil {
		return err
	}
	if err := c.checkFiles(ctx); err != nil {
		return err
	}
	if c.state != nil {
		c.state.forget()
	}
	return nil
}

func (c *checker) progress(p CheckProgress) {
	if c.o.Progress != nil {
		c.o.Progress(p)
	}
}

// found passes a finding on.
func (c *checker) found(ctx context.Context, f Finding) error {
	if f.Message != nil {
		f.Shown = c.shownIn(ctx, *f.Message)
	}
	if f.Harmless() {
		c.done.Harmless++
	} else {
		c.done.Damage++
	}
	return c.report(f)
}

func (c *checker) close() error {
	var err error
	if c.rows != nil {
		err = c.rows.close()
	}
	if c.reader != nil {
		err = errors.Join(err, c.reader.Close())
	}
	return err
}
