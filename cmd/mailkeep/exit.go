package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"syscall"

	"mailkeep/archive"
	"mailkeep/backup"
)

// The exit codes, as exitHelp explains them.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitIncomplete
	exitLocked
	exitDamage
	exitPaused
)

const exitHelp = `
Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but some messages could not be fetched and stand in the
failure ledger (see "mailkeep status"), or verify found something missing; 4 another mailkeep is writing to the archive; 5 the archive is damaged;
6 stopped at the limit of a day's download: the same command goes on later, and "mailkeep run" does so by itself.`

// errUsage marks errors of usage and configuration.
var errUsage = errors.New("usage")

// errIncomplete says that a backup is done but for the failure ledger.
var errIncomplete = errors.New("not all messages could be fetched")

// usageError is an error that the user cures by typing or configuring something else.
type usageError struct{ err error }

func (e usageError) Error() string        { return e.err.Error() }
func (e usageError) Unwrap() error        { return e.err }
func (e usageError) Is(target error) bool { return target == errUsage }

// unknownCommand is an error that names the commands there are.
type unknownCommand struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, archive.ErrLocked):
		return exitLocked
	case isDamage(err), errors.Is(err, errDamage), errors.Is(err, archive.ErrMapLost):
		return exitDamage
	case errors.Is(err, errUsage), errors.Is(err, archive.ErrNotArchive):
		return exitUsage
	case errors.Is(err, backup.ErrQuota):
		return exitPaused
	case errors.Is(err, errIncomplete), errors.Is(err, errMissing):
		return exitIncomplete
	}
	return exitFailed
}

// message is what the user reads: what is wrong, then what to try.
func message(ctx context.Context, err error) string {
	switch {
	case isInterruption(ctx, err) && errors.As(err, new(resumable)):
		return "interrupted; run the command again to go on where it stopped"
	case isInterruption(ctx, err):
		return "interrupted"
	case errors.Is(err, archive.ErrNewer):
		return strings.TrimSuffix(err.Error(), ": "+archive.ErrNewer.Error()) + "; a newer one wrote this archive"
	case errors.Is(err, archive.ErrNotArchive):
		return err.Error() + "; name an empty or new folder with --archive or archive.path"
	case isDiskFull(err):
		return "the disk" + diskOf(err) + " is full; free some space and run the command again: nothing recorded so far is lost"
	case errors.Is(err, errDamage):
		return err.Error()
	case isDamage(err):
		return err.Error() + "; copy the folder, then run \"mailkeep check --repair\""
	}
	return err.Error()
}

// isInterruption tells whether an error is only the echo of Ctrl-C.
func isInterruption(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}

// resumable marks what stopped a backup that the next one takes up.
type resumable struct{ error }

func (e resumable) Unwrap() error { return e.error }

// told is an error in words of our own: the text alone is shown, its cause is for errors.Is.
type told struct {
	text  string
	cause error
}

func (e told) Error() string { return e.text }
func (e told) Unwrap() error { return e.cause }

func tellf(cause error, format string, args ...any) error {
	return told{fmt.Sprintf(format, args...), cause}
}

// isDamage tells whether SQLite found its file broken; the driver's errors say so in these words only.
func isDamage(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "database disk image is malformed") || strings.Contains(err.Error(), "file is not a database"))
}

// isDiskFull tells whether a file or the database could not grow.
func isDiskFull(err error) bool {
	return isErrno(err, syscall.ENOSPC, 112) || isErrno(err, syscall.EDQUOT, 1295) || isErrno(err, syscall.EFBIG, 223) ||
		err != nil && strings.Contains(err.Error(), "database or disk is full")
}

// diskOf names the file that could not grow, if the error does.
func diskOf(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return fmt.Sprintf(" with %q", at.Path)
	}
	return ""
}

// isErrno tells whether err is a system's error: unix by its POSIX name, or windows by its number there, which Go does not translate.
func isErrno(err error, unix syscall.Errno, windows uintptr) bool {
	var errno syscall.Errno
	return errors.Is(err, unix) || runtime.GOOS == "windows" && errors.As(err, &errno) && uintptr(errno) == windows
}
