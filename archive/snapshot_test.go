package archive_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

func (s *source) snapshot(to string, o archive.SnapshotOptions) archive.Snapshotted {
	s.t.Helper()
	done, err := archive.Snapshot(ctx, s.w.Dir(), to, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return done
}

// showsIn returns what readers of a folder see.
func showsIn(t *testing.T, dir string) string {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "copy") // a Writer would make the snapshot another archive
	copyTree(t, dir, copied)
	return reopened(t, copied)
}

// bustle records some messages, and lets some go.
func (s *source) bustle(box archive.FolderID, from, n int) {
	s.t.Helper()
	var b archive.Batch
	for i := range n {
		b.Copies = append(b.Copies, archive.Copy{Folder: box, UID: uint32(from + i), Ref: s.put(fmt.Sprint("letter ", from+i)), Date: time.Unix(1e9, 0)})
	}
	s.record(b)
	s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: uint32(from)}}})
}

func TestSnapshot(t *testing.T) {
	for _, copies := range []bool{false, true} {
		s := newSource(t, archive.IMAP)
		box := s.folder("INBOX", "", 1)
		s.bustle(box, 1, 5)
		if _, err := archive.WriteReceipt(s.w.Dir(), archive.Receipt{Account: "me@example.org", Finished: time.Now()}); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "snap")
		first := s.snapshot(to, archive.SnapshotOptions{Copy: copies})
		if first.Messages != 5 || first.Linked+first.Copied != 5 || copies != (first.Copied == 5) || len(first.Missing) > 0 {
			t.Errorf("made %+v", first)
		}
		archivetest.Check(t, to)
		if got := showsIn(t, to); got != s.shows() {
			t.Errorf("the snapshot shows\n%s\nwant\n%s", got, s.shows())
		}
		if _, err := archive.LastReceipt(to, "me@example.org"); err != nil {
			t.Error(err)
		}
		if again := s.snapshot(to, archive.SnapshotOptions{Copy: copies}); again.Messages != 5 || again.Linked+again.Copied != 0 || again.ModSeq != first.ModSeq {
			t.Errorf("brought up to date: %+v", again)
		}
		s.bustle(box, 6, 3)
		s.prune(gone())
		if more := s.snapshot(to, archive.SnapshotOptions{Copy: copies}); more.Messages != 6 || more.Linked+more.Copied != 2 || more.Surplus != 1 {
			t.Errorf("brought up to date: %+v", more)
		}
		if got := showsIn(t, to); got != s.shows() {
			t.Errorf("the snapshot shows\n%s\nwant\n%s", got, s.shows())
		}
		if more := s.snapshot(to, archive.SnapshotOptions{Copy: copies, Delete: true}); more.Surplus != 1 {
			t.Errorf("brought up to date: %+v", more)
		}
		if more := s.snapshot(to, archive.SnapshotOptions{Copy: copies}); more.Surplus != 0 {
			t.Errorf("brought up to date: %+v", more)
		}
		archivetest.Check(t, to)
	}
}

// Wherever a snapshot is interrupted, what is there is the old one or the new one.
func TestSnapshotInterrupted(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.bustle(box, 1, 3)
	killed := errors.New("killed")
	steps := []string{"database", "messages", "journal", "others", "switch", "format", "tidy", "mark"}
	for _, step := range steps {
		stop := archive.SnapshotOptions{}.WithStep(func(name string) error {
			if name == step {
				return killed
			}
			return nil
		})
		// The first one: nothing, or whole.
		fresh := filepath.Join(t.TempDir(), "fresh")
		if _, err := archive.Snapshot(ctx, s.w.Dir(), fresh, stop); !errors.Is(err, killed) {
			t.Fatalf("%s: %v", step, err)
		}
		if r, err := archive.Open(fresh); err == nil {
			r.Close()
			archivetest.Check(t, fresh)
		} else if step == "tidy" || step == "mark" {
			t.Errorf("%s: %v", step, err)
		}
		s.snapshot(fresh, archive.SnapshotOptions{})
		archivetest.Check(t, fresh)

		// A later one: the old one, or the new one.
		old := s.shows()
		s.bustle(box, 10*(1+len(step)), 3)
		s.prune(gone())
		if _, err := archive.Snapshot(ctx, s.w.Dir(), fresh, stop); !errors.Is(err, killed) {
			t.Fatalf("%s: %v", step, err)
		}
		if got := showsIn(t, fresh); got != old && got != s.shows() {
			t.Errorf("%s: the snapshot shows\n%s\nneither\n%s\nnor\n%s", step, got, old, s.shows())
		}
		s.snapshot(fresh, archive.SnapshotOptions{Delete: true})
		archivetest.Check(t, fresh)
		if got := showsIn(t, fresh); got != s.shows() {
			t.Errorf("%s: the snapshot shows\n%s\nwant\n%s", step, got, s.shows())
		}
	}
}

// A Writer records and prunes while snapshots are taken.
func TestSnapshotBesideAWriter(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.bustle(box, 1, 5)
	// The archive changes between the steps of the snapshot, which shows what was there when the database was copied.
	to := filepath.Join(t.TempDir(), "snap")
	next, want := 100, ""
	for range 3 {
		o := archive.SnapshotOptions{}.WithStep(func(step string) error {
			if step == "messages" {
				want = s.shows()
			}
			s.bustle(box, next, 3)
			s.prune(gone())
			next += 10
			return nil
		})
		s.snapshot(to, o)
		archivetest.Check(t, to)
		got := showsIn(t, to)
		if got != want {
			t.Errorf("the snapshot shows\n%s\nwant\n%s", got, want)
		}
	}
}

// The journal is compacted before a snapshot, and while one is taken.
func TestSnapshotOfACompactedJournal(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.bustle(box, 1, 5)
	to := filepath.Join(t.TempDir(), "snap")
	s.snapshot(to, archive.SnapshotOptions{})
	for _, when := range []string{"before", "messages", "journal", "others", "switch", "tidy"} {
		s.bustle(box, 10*len(when), 3)
		if when == "before" {
			s.compact()
		}
		once := false
		s.snapshot(to, archive.SnapshotOptions{}.WithStep(func(step string) error {
			if step == when && !once {
				once = true
				s.compact()
			}
			return nil
		}))
		archivetest.Check(t, to)
		if got := showsIn(t, to); got != s.shows() {
			t.Errorf("%s: the snapshot shows\n%s\nwant\n%s", when, got, s.shows())
		}
	}
}

func (s *source) compact() {
	s.t.Helper()
	if _, err := s.w.Compact(ctx); err != nil {
		s.t.Fatal(err)
	}
}

func TestSnapshotRefuses(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.bustle(box, 1, 3)
	other := newSource(t, archive.IMAP)
	other.bustle(other.folder("Sent", "", 1), 1, 3)
	other.bustle(other.folder("More", "", 1), 1, 3)
	theirs := filepath.Join(t.TempDir(), "theirs")
	other.snapshot(theirs, archive.SnapshotOptions{})
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "notes.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"inside": filepath.Join(s.w.Dir(), "snap"), "around": filepath.Dir(s.w.Dir()), "itself": s.w.Dir(), "another archive": other.w.Dir(),
		"newer": theirs, "full": full} {
		if _, err := archive.Snapshot(ctx, s.w.Dir(), to, archive.SnapshotOptions{}); !errors.Is(err, archive.ErrNotSnapshot) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 5 { // the other archive's snapshot is the older one now
		s.bustle(s.folder("Later", "", 1), 50, 2)
	}
	if _, err := archive.Snapshot(ctx, s.w.Dir(), theirs, archive.SnapshotOptions{}); !errors.Is(err, archive.ErrNotSnapshot) {
		t.Errorf("another archive's snapshot: %v", err)
	}
	s.compact() // no file of the journal is left to compare
	if _, err := archive.Snapshot(ctx, s.w.Dir(), theirs, archive.SnapshotOptions{}); !errors.Is(err, archive.ErrNotSnapshot) {
		t.Errorf("another archive's snapshot, after the journal was compacted: %v", err)
	}
	archivetest.Check(t, theirs)
	if _, err := archive.Snapshot(ctx, full, filepath.Join(t.TempDir(), "snap"), archive.SnapshotOptions{}); !errors.Is(err, archive.ErrNotArchive) {
		t.Errorf("of no archive: %v", err)
	}
}
