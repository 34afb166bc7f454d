package archive_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// copyTree copies the files of one folder into another as they are now.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// twoBatches makes an archive, keeps a copy of its database after the first batch, and returns the folder, that copy's, and what readers see after each batch.
func twoBatches(t *testing.T) (dir, early string, first, second string) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}, {Folder: box, UID: 2, Ref: s.put("two")}}})
	first = s.shows()
	early = t.TempDir()
	dir = s.w.Dir()
	s.w.Close()
	copyTree(t, dir, early)
	s.w = archivetest.Open(t, dir)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Flags: []string{`\Seen`}}, {Folder: box, UID: 3, Ref: s.put("three")}}, Gone: []archive.Location{{Folder: box, UID: 2}}})
	second = s.shows()
	s.w.Close()
	return dir, early, first, second
}

// reopened opens an archive for writing and returns what readers see then.
func reopened(t *testing.T, dir string) string {
	t.Helper()
	w, err := archive.OpenWriter(dir)
	if err != nil {
		t.Fatalf("open again: %v", err)
	}
	defer w.Close()
	account, err := w.AccountByName(ctx, "me@example.org")
	if err != nil {
		t.Fatal(err)
	}
	return (&source{t, w, account}).shows()
}

func journalFile(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "journal", "[0-9]*.jsonl"))
	if err != nil || len(found) == 0 {
		t.Fatalf("no journal: %v", err)
	}
	return found[len(found)-1]
}

func TestDatabaseLostItsLastCommit(t *testing.T) {
	dir, early, _, second := twoBatches(t)
	crashed := t.TempDir()
	copyTree(t, dir, crashed)
	replaceDatabase(t, early, crashed)
	if got := reopened(t, crashed); got != second {
		t.Errorf("after the crash readers see\n%s\nwant\n%s", got, second)
	}
	archivetest.Check(t, crashed)
}

func replaceDatabase(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range []string{"gmail.db", "gmail.db-wal", "gmail.db-shm"} {
		os.Remove(filepath.Join(to, name))
	}
	b, err := os.ReadFile(filepath.Join(from, "gmail.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "gmail.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDatabaseLostAltogether(t *testing.T) {
	dir, _, _, second := twoBatches(t)
	for _, name := range []string{"gmail.db", "gmail.db-wal", "gmail.db-shm"} {
		os.Remove(filepath.Join(dir, name))
	}
	if got := reopened(t, dir); got != second {
		t.Errorf("from the journal alone readers see\n%s\nwant\n%s", got, second)
	}
	archivetest.Check(t, dir)
}

// TestTornJournal cuts the last group at every byte, with the database from before it.
func TestTornJournal(t *testing.T) {
	dir, early, first, second := twoBatches(t)
	whole, err := os.ReadFile(journalFile(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(journalFile(t, early))
	if err != nil {
		t.Fatal(err)
	}
	crashed := t.TempDir()
	copyTree(t, dir, crashed)
	for length := len(before); length <= len(whole); length++ {
		replaceDatabase(t, early, crashed)
		if err := os.WriteFile(journalFile(t, crashed), whole[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		want := first
		if length == len(whole) {
			want = second
		}
		if got := reopened(t, crashed); got != want {
			t.Fatalf("with %d of %d bytes readers see\n%s\nwant\n%s", length, len(whole), got, want)
		}
	}
	archivetest.Check(t, crashed)
}

func TestJournalWithUnwrittenEnd(t *testing.T) {
	dir, early, first, _ := twoBatches(t)
	path := journalFile(t, dir)
	before, _ := os.ReadFile(journalFile(t, early))
	// A power cut may leave a file grown, its content not written.
	if err := os.WriteFile(path, append(before, make([]byte, 700)...), 0o600); err != nil {
		t.Fatal(err)
	}
	replaceDatabase(t, early, dir)
	if got := reopened(t, dir); got != first {
		t.Errorf("readers see\n%s\nwant\n%s", got, first)
	}
	archivetest.Check(t, dir)
}

func TestJournalDamage(t *testing.T) {
	for name, damage := range map[string]func(string) string{
		"shortened": func(s string) string { return s[:len(s)/2] },
		"flipped":   func(s string) string { return strings.Replace(s, `"size":3`, `"size":4`, 1) },
		"removed":   func(s string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			dir, _, _, _ := twoBatches(t)
			damaged := t.TempDir()
			copyTree(t, dir, damaged)
			path := journalFile(t, damaged)
			text, _ := os.ReadFile(path)
			os.WriteFile(path, []byte(damage(string(text))), 0o600)
			if name == "removed" {
				os.Remove(path)
			}
			if name == "flipped" {
				// Only a rebuild reads the beginning: it must refuse to make something wrong.
				for _, n := range []string{"gmail.db", "gmail.db-wal", "gmail.db-shm"} {
					os.Remove(filepath.Join(damaged, n))
				}
			}
			w, err := archive.OpenWriter(damaged)
			if err == nil {
				w.Close()
				t.Fatal("opened")
			}
			t.Log(err)
		})
	}
}

func TestStrayFilesAreCleared(t *testing.T) {
	dir, _, _, second := twoBatches(t)
	os.WriteFile(filepath.Join(dir, "tmp", "in-123"), []byte("half a mess"), 0o400)
	orphan := archive.RefOf([]byte("orphan"))
	os.MkdirAll(filepath.Join(dir, orphan.String()[:2]), 0o700)
	os.WriteFile(filepath.Join(dir, orphan.String()[:2], orphan.String()+".eml"), []byte("orphan"), 0o400)
	if got := reopened(t, dir); got != second {
		t.Errorf("readers see\n%s", got)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, "tmp")); len(left) != 0 {
		t.Errorf("left in tmp: %v", left)
	}
	// A2: offered again, the orphan is adopted.
	w := archivetest.Open(t, dir)
	account, _ := w.AccountByName(ctx, "me@example.org")
	s := &source{t, w, account}
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: s.folderRow("INBOX").ID, UID: 9, Ref: s.put("orphan")}}})
}

func TestOpenRefuses(t *testing.T) {
	other := t.TempDir()
	os.WriteFile(filepath.Join(other, "holiday.jpg"), []byte("x"), 0o600)
	newer := t.TempDir()
	os.WriteFile(filepath.Join(newer, "FORMAT"), []byte("mailkeep archive, format 2\n"), 0o600)
	strange := t.TempDir()
	os.WriteFile(filepath.Join(strange, "FORMAT"), []byte("something else\n"), 0o600)
	file := filepath.Join(other, "holiday.jpg")
	for _, c := range []struct {
		dir   string
		want  error
		write error
	}{
		{other, archive.ErrNotArchive, archive.ErrNotArchive},
		{newer, archive.ErrNewer, archive.ErrNewer},
		{strange, archive.ErrNotArchive, archive.ErrNotArchive},
		{filepath.Join(other, "none"), archive.ErrNotFound, nil},
		{t.TempDir(), archive.ErrNotFound, nil},
		{file, nil, nil},
	} {
		if r, err := archive.Open(c.dir); err == nil {
			r.Close()
			t.Errorf("%s: opened", c.dir)
		} else if c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.dir, err, c.want)
		}
		w, err := archive.OpenWriter(c.dir)
		if err == nil {
			w.Close()
		}
		if c.write != nil && !errors.Is(err, c.write) || c.dir == file && err == nil {
			t.Errorf("%s: writer: %v, want %v", c.dir, err, c.write)
		}
	}
	if names, _ := os.ReadDir(other); len(names) != 2 { // the photo and "none", which a writer may create
		t.Errorf("the foreign folder was touched: %v", names)
	}
}

func TestCreationInterrupted(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"tmp", "journal"} {
		os.Mkdir(filepath.Join(dir, sub), 0o700)
	}
	os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600)
	os.WriteFile(filepath.Join(dir, "FORMAT.new"), []byte("mailk"), 0o600)
	archivetest.Open(t, dir)
}

func TestOneWriter(t *testing.T) {
	w := archivetest.New(t)
	if second, err := archive.OpenWriter(w.Dir()); !errors.Is(err, archive.ErrLocked) {
		t.Errorf("a second writer: %v, %v", second, err)
	}
	r, err := archive.Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Accounts(ctx); err != nil {
		t.Error(err)
	}
	w.Close()
	if _, err := w.EnsureAccount(ctx, "late", archive.IMAP); err == nil {
		t.Error("a closed writer wrote")
	}
}

// TestCheckFinds breaks each rule by hand: a check that finds nothing must mean something.
func TestCheckFinds(t *testing.T) {
	dir, _, _, _ := twoBatches(t)
	ref := archive.RefOf([]byte("one"))
	file := filepath.Join(ref.String()[:2], ref.String()+".eml")
	for name, breakIt := range map[string]func(string){
		"file removed": func(dir string) { os.Remove(filepath.Join(dir, file)) },
		"file changed": func(dir string) { rewrite(t, filepath.Join(dir, file), "eno") },
		"file shorter": func(dir string) { rewrite(t, filepath.Join(dir, file), "on") },
		"counter":      func(dir string) { alter(t, dir, "UPDATE mailbox SET unseen = unseen + 1") },
		"uidnext":      func(dir string) { alter(t, dir, "UPDATE mailbox SET uidnext = 1") },
		"entry":        func(dir string) { alter(t, dir, "DELETE FROM entry WHERE uid = 1") },
		"item":         func(dir string) { alter(t, dir, "DELETE FROM item WHERE id = 1") },
		"location":     func(dir string) { alter(t, dir, "DELETE FROM location WHERE uid = 1") },
		"flags":        func(dir string) { alter(t, dir, `UPDATE item SET flags = '\Answered' WHERE id = 1`) },
		"gone":         func(dir string) { alter(t, dir, "UPDATE item SET gone = 1 WHERE id = 1") },
		"uid used again": func(dir string) {
			alter(t, dir, "INSERT INTO vanished (mailbox_id, modseq, uid) SELECT mailbox_id, 1, uid FROM entry")
		},
		"folder state": func(dir string) { alter(t, dir, "UPDATE folder SET uidvalidity = 99") },
		"batch":        func(dir string) { alter(t, dir, "UPDATE applied SET seq = 1") },
	} {
		t.Run(name, func(t *testing.T) {
			broken := filepath.Join(t.TempDir(), "MailStore")
			copyTree(t, dir, broken)
			breakIt(broken)
			r, err := archive.Open(broken)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			findings, err := r.Check(ctx, archive.CheckOptions{Digests: true, Journal: true})
			if err != nil || len(findings) == 0 {
				t.Errorf("found %v, %v", findings, err)
			}
			t.Log(fmt.Sprint(findings))
		})
	}
}

func rewrite(t *testing.T, path, content string) {
	t.Helper()
	os.Remove(path)
	if err := os.WriteFile(path, []byte(content), 0o400); err != nil {
		t.Fatal(err)
	}
}

func alter(t *testing.T, dir, statement string) {
	t.Helper()
	if err := archive.Alter(dir, statement); err != nil {
		t.Fatal(err)
	}
}
