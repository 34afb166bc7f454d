package archive_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"mailkeep/archive"
)

// A file that may not be read is not moved out of the way like a damaged one: it may be the only copy.
func TestRepairLeavesWhatMayNotBeRead(t *testing.T) {
	s := sourceInMemory(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	ref := s.put("one")
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: ref}}})
	path := filepath.Join(s.w.Dir(), ref.String()[:2], ref.String()+".eml")
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	found := []archive.Finding{{Kind: archive.FileUnreadable, Path: ref.String()[:2] + "/" + ref.String() + ".eml", Message: &ref}}
	var done archive.Repaired
	err := asNobody(t, s.w.Dir(), func() (err error) {
		done, err = s.w.Repair(ctx, found)
		return err
	})
	if !errors.Is(err, fs.ErrPermission) || len(done.Aside) > 0 {
		t.Errorf("repaired %+v, %v", done, err)
	}
	if err := os.Chmod(path, 0o400); err != nil || !s.hasFile("one") {
		t.Errorf("the file has left its place: %v", err)
	}
}

// asNobody calls f; where the test is root, whom no permissions stop, with the file system's rights of another user, who owns the folder but none of its messages.
func asNobody(t *testing.T, dir string, f func() error) error {
	t.Helper()
	if os.Geteuid() != 0 {
		return f()
	}
	const nobody = 65534
	err := filepath.WalkDir(filepath.Dir(dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) == ".eml" {
			return err
		}
		return os.Chown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // the rights are the thread's
	defer runtime.UnlockOSThread()
	if err := syscall.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer syscall.Setfsuid(0)
	return f()
}

// What a test of the locks leaves when it is killed keeps no archive from being made there.
func TestArchiveBesideALockTest(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lock-test.db-123-wal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := archive.OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
