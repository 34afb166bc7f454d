package archive_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// Every commit is noticed, also when the log has been at rest for long enough that only its time is looked at.
func TestVersionNoticesEveryCommit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "MailStore")
	w := archivetest.Open(t, dir)
	r, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	version := func() int64 {
		t.Helper()
		v, err := r.Version(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for i := range 20 {
		if i%2 == 1 {
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(dir, "gmail.db-wal"), old, old); err != nil {
				t.Fatal(err)
			}
		}
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
