package archive_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// unpack lays out an archive that an earlier version of this program made.
func unpack(t *testing.T, version int) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", fmt.Sprintf("schema%d.tar.gz", version)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for in := tar.NewReader(zipped); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			return filepath.Join(dir, fmt.Sprintf("schema%d", version))
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(head.Name))
		if head.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o700)
		} else {
			var content []byte
			if content, err = io.ReadAll(in); err == nil {
				err = os.WriteFile(path, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Archives of every released schema are brought up to date when they are opened for writing, on a copy of the database.
func TestArchivesOfOlderSchemas(t *testing.T) {
	dir := unpack(t, 1)
	if _, err := archive.Open(dir); !errors.Is(err, archive.ErrOlder) {
		t.Errorf("opened for reading: %v", err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "gmail.db"))
	if err != nil {
		t.Fatal(err)
	}
	journal, err := os.ReadFile(journalFile(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	// What an update that was killed left is in nobody's way.
	if err := os.WriteFile(filepath.Join(dir, "gmail.db.new"), before[:5000], 0o600); err != nil {
		t.Fatal(err)
	}
	want := "Gone from server: 1=two!\nINBOX: 1=one[\\Seen] 2=two! 3=three\nWork: 1=one"
	if got := reopened(t, dir); got != want {
		t.Errorf("readers see\n%s\nwant\n%s", got, want)
	}
	archivetest.Check(t, dir)
	if after, err := os.ReadFile(journalFile(t, dir)); err != nil || !slices.Equal(after, journal) {
		t.Errorf("the journal changed: %v", err)
	}
	for _, left := range []string{"gmail.db.new", "gmail.db.new-journal", "gmail.db-wal"} {
		if _, err := os.Stat(filepath.Join(dir, left)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", left, err)
		}
	}
	w := archivetest.Open(t, dir)
	account, err := w.AccountByName(ctx, "me@example.org")
	if err != nil {
		t.Fatal(err)
	}
	s := &source{t, w, account}
	if _, done := s.prune(gone()); done.Items != 1 || done.Messages != 1 {
		t.Errorf("pruned %+v", done)
	}
	s.want("Gone from server:", `INBOX: 1=one[\Seen] 3=three`, "Work: 1=one")
}

// An update that cannot be finished leaves the old database as it was.
func TestUpdateOfADamagedDatabase(t *testing.T) {
	dir := unpack(t, 1)
	path := filepath.Join(dir, "gmail.db")
	db, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 8192; i < len(db)-4096; i++ {
		db[i] = 0xa5
	}
	if err := os.WriteFile(path, db, 0o600); err != nil {
		t.Fatal(err)
	}
	if w, err := archive.OpenWriter(dir); err == nil {
		w.Close()
		t.Error("a damaged database was updated")
	}
	if after, err := os.ReadFile(path); err != nil || !slices.Equal(after, db) {
		t.Errorf("the damaged database changed: %v", err)
	}
}
