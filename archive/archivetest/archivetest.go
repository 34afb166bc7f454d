// Package archivetest makes archives for tests and checks the invariants when a test ends.
package archivetest

import (
	"context"
	"path/filepath"
	"testing"

	"mailkeep/archive"
)

// New returns a Writer on an empty archive in the test's temporary folder. When the test ends, the Writer is closed, and the test fails unless the
// archive fulfils the invariants A1 to A8.
func New(t testing.TB) *archive.Writer {
	t.Helper()
	return Open(t, filepath.Join(t.TempDir(), "MailStore"))
}

// Open is New for an archive in a folder of the caller's choice, which may exist already.
func Open(t testing.TB, dir string) *archive.Writer {
	t.Helper()
	w, err := archive.OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// A test may have closed it to open it again; the lock tells nothing then.
		w.Close()
		Check(t, dir)
	})
	return w
}

// Check fails the test unless the archive at dir fulfils the invariants, digests and journal included. What is harmless may be there.
func Check(t testing.TB, dir string) {
	t.Helper()
	r, err := archive.Open(dir)
	if err != nil {
		t.Errorf("open the archive to check it: %v", err)
		return
	}
	defer r.Close()
	findings, err := r.Check(context.Background(), archive.CheckOptions{Digests: true, Journal: true})
	if err != nil {
		t.Errorf("check the archive: %v", err)
	}
	for _, f := range findings {
		if f.Harmless() {
			continue
		}
		t.Errorf("invariant broken: %s", f)
	}
}
