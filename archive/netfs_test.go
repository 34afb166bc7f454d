package archive_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"mailkeep/archive"
)

// The test is its own second process: the environment says what that does.
func TestTwoProcessesLock(t *testing.T) {
	const role = "MAILKEEP_LOCK_HELPER"
	switch os.Getenv(role) {
	case "hold":
		if err := archive.HoldLock(flag.Arg(0), os.Stdin, os.Stdout); err != nil {
			t.Fatal(err)
		}
		return
	case "leave":
		return
	}
	t.Setenv(role, "hold")
	dir := t.TempDir()
	if err := archive.TestLocking(ctx, dir, os.Args[0], "-test.run=^TestTwoProcessesLock$", "--"); err != nil {
		t.Error(err)
	}
	// A second process that never gets the lock is what a file system without locks looks like.
	t.Setenv(role, "leave")
	if err := archive.TestLocking(ctx, dir, os.Args[0], "-test.run=^TestTwoProcessesLock$", "--"); !errors.Is(err, archive.ErrSharedDisk) {
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
