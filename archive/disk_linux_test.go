package archive_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// smallDisk mounts a file system of the given size for the test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk cannot be mounted here (%v); run the tests as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// TestFullDisk fills a disk, at a different place each time: the message, the journal, the database.
func TestFullDisk(t *testing.T) {
	for _, size := range []int{100, 3000, 40000, 400000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) { fillDisk(t, size) })
	}
}

func fillDisk(t *testing.T, size int) {
	disk := smallDisk(t, "1500k")
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 300<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(disk, "MailStore")
	w, err := archive.OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	account, err := w.EnsureAccount(ctx, "me@example.org", archive.IMAP)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{t, w, account}
	box := s.folder("INBOX", "", 1)
	kept := 0
	for err == nil {
		kept++
		err = keepOne(w, account.ID, box, kept, size)
	}
	kept--
	if !errors.Is(err, archive.ErrDiskFull) {
		t.Errorf("a full disk gives %v", err)
	}
	t.Logf("after %d messages: %v", kept, err)
	if kept == 0 {
		t.Fatal("nothing fit")
	}
	// There is space again: the archive opens, has all that was recorded, and goes on.
	w.Close()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	w = archivetest.Open(t, dir)
	found, err := w.Totals(ctx, account.ID)
	if err != nil {
		t.Fatal(err)
	}
	// A batch that failed after the journal took it is there, too: it was whole.
	if found.Items < int64(kept) || found.Items > int64(kept)+1 {
		t.Errorf("%d messages were recorded and %d are there", kept, found.Items)
	}
	if err := keepOne(w, account.ID, box, kept+5, size); err != nil {
		t.Errorf("with space again: %v", err)
	}
	w.Close()
	archivetest.Check(t, dir)
}

func keepOne(w *archive.Writer, account archive.AccountID, box archive.FolderID, n, size int) error {
	ref, _, err := w.Put(strings.NewReader(fmt.Sprintf("%*d", size, n)))
	if err != nil {
		return err
	}
	_, err = w.Record(ctx, archive.Batch{Account: account, Copies: []archive.Copy{{Folder: box, UID: uint32(n), Ref: ref}}})
	return err
}

func TestReadOnlyFolder(t *testing.T) {
	disk := smallDisk(t, "4m")
	dir := filepath.Join(disk, "MailStore")
	w, err := archive.OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if w, err := archive.OpenWriter(dir); err == nil {
		w.Close()
		t.Error("a read-only archive was opened for writing")
	} else {
		t.Log(err)
	}
	r, err := archive.Open(dir)
	if err != nil {
		t.Fatalf("a read-only archive cannot be read: %v", err)
	}
	defer r.Close()
	if _, err := r.Accounts(ctx); err != nil {
		t.Error(err)
	}
}

// TestSummariesOnFullDisk: no more summaries, and nothing worse.
func TestSummariesOnFullDisk(t *testing.T) {
	disk := smallDisk(t, "120k")
	s, entries := filled(t, 1, 1000)
	if err := os.Symlink(disk, filepath.Join(s.w.Dir(), "summaries")); err != nil {
		t.Fatal(err)
	}
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 60<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.w.Summarize(ctx, nil); !errors.Is(err, archive.ErrDiskFull) {
			t.Errorf("a full disk gives %v", err)
		}
		present(t, s.w.Reader, entries)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.Summarize(ctx, nil); err != nil {
		t.Errorf("with space again: %v", err)
	}
	present(t, s.w.Reader, entries) // what was cut off is noticed
	if _, err := s.w.Summarize(ctx, nil); err != nil {
		t.Error(err)
	}
	wantPresent(t, s.w.Reader, entries, 1000)
}

// TestSummariesReadOnly reads the summaries of an archive that cannot be written, and derives none.
func TestSummariesReadOnly(t *testing.T) {
	disk := smallDisk(t, "4m")
	s, entries := filled(t, 1, 10)
	dir := s.w.Dir()
	if err := os.Symlink(disk, filepath.Join(dir, "summaries")); err != nil {
		t.Fatal(err)
	}
	summarize(t, s.w.Reader, 10)
	more := s.fill(11, 5)
	if err := syscall.Mount("none", disk, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if n, err := s.w.Summarize(ctx, nil); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
	wantPresent(t, s.w.Reader, entries, 10)
	wantPresent(t, s.w.Reader, more, 10)
}
