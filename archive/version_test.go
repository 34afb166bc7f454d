package archive_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// versionOf returns a function that asks a Reader of its own for the version of the archive in dir.
func versionOf(t *testing.T, dir string) func() int64 {
	r, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return func() int64 {
		t.Helper()
		v, err := r.Version(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// A commit of a Writer in this process is noticed by the next question, however soon that comes.
func TestVersionNoticesEveryCommit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "MailStore")
	w := archivetest.Open(t, dir)
	version := versionOf(t, dir)
	for i := range 20 {
		before := version()
		if again := version(); again != before {
			t.Fatalf("step %d: the version went from %d to %d, though nothing was written", i, before, again)
		}
		if _, err := w.EnsureAccount(ctx, fmt.Sprint(i), archive.IMAP); err != nil {
			t.Fatal(err)
		}
		if after := version(); after == before {
			t.Fatalf("step %d: a commit was not noticed", i)
		}
	}
}

// A commit that no Writer of this process has made, as one of another process, is noticed a few milliseconds later.
func TestVersionNoticesOtherProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "MailStore")
	archivetest.Open(t, dir)
	version := versionOf(t, dir)
	other, err := sql.Open("sqlite", filepath.Join(dir, "gmail.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Exec("CREATE TABLE strange (n)"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Millisecond)
	for i := range 5 {
		before := version()
		if _, err := other.Exec("INSERT INTO strange VALUES (?)", i); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
		if after := version(); after == before {
			t.Fatalf("step %d: a commit was not noticed after the time for which a version is believed", i)
		}
	}
}
