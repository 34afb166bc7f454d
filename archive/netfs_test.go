package archive_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"mailkeep/archive"
)

// TestLockHelper is the second process of TestTwoProcessesLock.
func TestLockHelper(t *testing.T) {
	if os.Getenv("MAILKEEP_LOCK_HELPER") == "" {
		t.Skip("it is run by TestTwoProcessesLock")
	}
	if err := archive.HoldLock(flag.Arg(0), os.Stdin, os.Stdout); err != nil {
		t.Fatal(err)
	}
}

func TestTwoProcessesLock(t *testing.T) {
	t.Setenv("MAILKEEP_LOCK_HELPER", "1")
	dir := t.TempDir()
	if err := archive.TestLocking(ctx, dir, os.Args[0], "-test.run=^TestLockHelper$", "--"); err != nil {
		t.Error(err)
	}
	// A second process that never gets the lock is what a file system without locks looks like.
	t.Setenv("MAILKEEP_LOCK_HELPER", "")
	if err := archive.TestLocking(ctx, dir, os.Args[0], "-test.run=^TestLockHelper$", "--"); !errors.Is(err, archive.ErrSharedDisk) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	if err := archive.TestLocking(ctx, filepath.Join(dir, "missing"), os.Args[0]); err == nil {
		t.Error("locks were tested in a folder that there is not")
	}
	if kind := archive.NetworkFileSystem(filepath.Join(dir, "not", "made", "yet")); kind != "" {
		t.Logf("the folder for temporary files is on %s", kind)
	}
}
