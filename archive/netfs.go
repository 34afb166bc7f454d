package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrSharedDisk says that SQLite cannot be trusted on the archive's file system.
var ErrSharedDisk = errors.New("the file system does not lock files as SQLite needs it")

// NetworkFileSystem names the network file system that a folder, or the nearest one above it that exists, is on; "" when it is none, or when the system does not tell.
// SQLite's write-ahead log shares memory between the programs that have a database open, and so works only when all of them run on one machine.
func NetworkFileSystem(dir string) string {
	for abs, err := filepath.Abs(dir); err == nil; abs = filepath.Dir(abs) {
		if _, statErr := os.Stat(abs); statErr == nil {
			return networkFileSystem(abs)
		}
		if abs == filepath.Dir(abs) {
			break
		}
	}
	return ""
}

const (
	lockProbe    = "lock-test.db"
	lockPatience = 20 * time.Second
)

// TestLocking finds out whether two processes exclude one another from a database in a folder, as SQLite needs it, and see what the other one wrote. The second process is the
// command, to which a path is added; it must call HoldLock with that path. It fails with ErrSharedDisk when they do not. The folder must exist.
func TestLocking(ctx context.Context, dir string, command ...string) error {
	path := filepath.Join(dir, fmt.Sprintf("%s-%d", lockProbe, os.Getpid()))
	defer removeDatabase(path)
	if err := removeDatabase(path); err != nil {
		return fmt.Errorf("test the locks of %q: %w", dir, err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	if err := testLocking(ctx, path, command); err != nil {
		return fmt.Errorf("test the locks of %q: %w", dir, err)
	}
	return nil
}

func testLocking(ctx context.Context, path string, command []string) (err error) {
	db, err := connect(path, "journal_mode(WAL)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	var mode string
	if err := db.GetContext(ctx, &mode, "PRAGMA journal_mode"); err != nil {
		return fmt.Errorf("%w (%w)", ErrSharedDisk, err)
	}
	if mode != "wal" {
		return fmt.Errorf("no write-ahead log can be kept there: %w", ErrSharedDisk)
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE probe (n INTEGER)"); err != nil {
		return fmt.Errorf("%w (%w)", ErrSharedDisk, err)
	}
	other := exec.CommandContext(ctx, command[0], append(command[1:len(command):len(command)], path)...)
	in, err := other.StdinPipe()
	if err != nil {
		return err
	}
	out, err := other.StdoutPipe()
	if err != nil {
		return err
	}
	if err := other.Start(); err != nil {
		return err
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(said) != lockHeld {
		in.Close()
		return errors.Join(fmt.Errorf("the second process did not get its lock: %w", ErrSharedDisk), err, other.Wait())
	}
	if _, err := db.ExecContext(ctx, "PRAGMA busy_timeout = 100"); err != nil { // whoever is locked out need not wait for long to know
		in.Close()
		return errors.Join(err, other.Wait())
	}
	_, busy := db.ExecContext(ctx, "INSERT INTO probe VALUES (2)")
	in.Close() // the other one commits now
	if err := other.Wait(); err != nil {
		return fmt.Errorf("the second process could not commit: %w (%w)", ErrSharedDisk, err)
	}
	var seen int
	err = db.GetContext(ctx, &seen, "SELECT count(*) FROM probe WHERE n = 1")
	switch {
	case busy == nil:
		return fmt.Errorf("two processes could write at once: %w", ErrSharedDisk)
	case err != nil:
		return fmt.Errorf("%w (%w)", ErrSharedDisk, err)
	case seen != 1:
		return fmt.Errorf("what one process writes, another does not see: %w", ErrSharedDisk)
	}
	return nil
}

const lockHeld = "held"

// HoldLock is the second process of TestLocking: it begins to write, says so on out, and commits when in ends.
func HoldLock(path string, in io.Reader, out io.Writer) (err error) {
	db, err := connect(path)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.Beginx() // immediate
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec("INSERT INTO probe VALUES (1)"); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, lockHeld); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	return tx.Commit()
}
