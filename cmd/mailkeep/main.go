// Mailkeep backs up mail accounts into one folder, each message once, and serves that folder as a read-only IMAP server.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"mailkeep/archive"
)

func main() { os.Exit(run()) }

// run is the whole program; it returns the exit code.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, typed: map[string]string{}}
	err := a.execute(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "mailkeep: %s\n", printable(message(ctx, err)))
	}
	return exitCode(err)
}

// The exit codes, as exitHelp explains them.
const (
	exitDone = iota
	exitFailed
	exitUsage
	exitIncomplete
	exitLocked
	exitDamage
)

const exitHelp = `
Exit codes: 0 done; 1 failed; 2 wrong usage or configuration; 3 done, but some messages could not be fetched and stand in the
failure ledger (see "mailkeep status"); 4 another mailkeep is writing to the archive; 5 the archive is damaged.`

// errUsage marks errors of usage and configuration.
var errUsage = errors.New("usage")

// errIncomplete says that a backup is done but for the failure ledger.
var errIncomplete = errors.New("not all messages could be fetched")

// usageError is an error that the user cures by typing or configuring something else.
type usageError struct{ err error }

func (e usageError) Error() string        { return e.err.Error() }
func (e usageError) Unwrap() error        { return e.err }
func (e usageError) Is(target error) bool { return target == errUsage }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// exitCode is the one place where errors become exit codes.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, archive.ErrLocked):
		return exitLocked
	case isDamage(err):
		return exitDamage
	case errors.Is(err, errUsage), errors.Is(err, archive.ErrNotArchive):
		return exitUsage
	case errors.Is(err, errIncomplete):
		return exitIncomplete
	}
	return exitFailed
}

// message is what the user reads: what is wrong, then what to try.
func message(ctx context.Context, err error) string {
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return "interrupted; run the command again to go on where it stopped"
	case errors.Is(err, archive.ErrNotArchive):
		return err.Error() + "; name an empty or new folder with --archive or archive.path"
	case isDiskFull(err):
		return "the disk" + diskOf(err) + " is full; free some space and run the command again: nothing recorded so far is lost"
	case isDamage(err):
		return err.Error() + "; copy the folder before trying anything else"
	}
	return err.Error()
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

// app is what all commands share: the streams, the common flags and the log.
type app struct {
	stdin          *os.File
	stdout, stderr io.Writer
	log            *slog.Logger
	answers        *bufio.Reader     // of stdin, once a question was answered from there
	typed          map[string]string // passwords that were asked for in this run, by account

	configFile string
	archiveDir string
	json       bool
	quiet      bool
	verbose    bool

	started bool // the command line was understood
}

// commands is the command table.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.setupCommand(), a.loginCommand(), a.backupCommand(), a.serveCommand(), a.runCommand(),
		a.statusCommand(), a.labelsCommand(), a.demoCommand(),
	}
}

func (a *app) execute(ctx context.Context, args []string) error {
	root := &cobra.Command{
		Use:   "mailkeep",
		Short: "keep every mail once: back up mail accounts into one folder and read it with any mail program",
		Long: `mailkeep backs up Gmail and any IMAP account into one folder, each message once as a plain file, and serves that folder as a
read-only IMAP server in which every label is a mailbox. Begin with "mailkeep setup"; "mailkeep demo" shows everything without an account.
` + exitHelp,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			known := map[string]bool{}
			for _, c := range a.commands() {
				known[c.Name()] = true
			}
			return fmt.Errorf("unknown command %q%s", args[0], nearest(args[0], known))
		},
		RunE:             func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(*cobra.Command, []string) { a.start() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration `file` (default: mailkeep.toml here, then in the user's configuration folder)")
	flags.StringVar(&a.archiveDir, "archive", "", "`folder` of the archive (default: archive.path of the configuration)")
	flags.BoolVar(&a.json, "json", false, "print JSON instead of text")
	flags.BoolVar(&a.quiet, "quiet", false, "print errors and results only")
	flags.BoolVar(&a.verbose, "verbose", false, "log what happens to the standard error")
	for _, c := range a.commands() {
		c.Long += "\n" + exitHelp
		root.AddCommand(c)
	}
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && !a.started {
		return usagef("%w; \"mailkeep --help\" explains", err)
	}
	return err
}

// start runs once the command line is understood.
func (a *app) start() {
	a.started = true
	level := slog.LevelWarn
	switch {
	case a.verbose:
		level = slog.LevelDebug
	case a.quiet:
		level = slog.LevelError
	}
	a.log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
}

// config reads the configuration and applies --archive to it.
func (a *app) config() (*Config, error) {
	file, err := findConfig(a.configFile)
	if err != nil {
		return nil, err
	}
	c, err := loadConfig(file)
	if err != nil {
		return nil, err
	}
	if a.archiveDir != "" {
		c.Archive = a.archiveDir
	}
	a.log.Debug("configuration read", "file", file, "archive", c.Archive, "accounts", len(c.Accounts))
	return c, nil
}

// readArchive opens the archive for a command that only looks: --archive is enough, a configuration is not needed then.
func (a *app) readArchive() (*archive.Reader, error) {
	dir := a.archiveDir
	if dir == "" {
		c, err := a.config()
		if err != nil {
			return nil, err
		}
		dir = c.Archive
	}
	return openArchive(dir)
}

func openArchive(dir string) (*archive.Reader, error) {
	r, err := archive.Open(filepath.Clean(dir))
	if errors.Is(err, archive.ErrNotFound) {
		return nil, fmt.Errorf("there is no archive in %q yet; run \"mailkeep backup\" first, or name another folder with --archive", dir)
	}
	return r, err
}

func openWriter(dir string) (*archive.Writer, error) {
	w, err := archive.OpenWriter(filepath.Clean(dir))
	if errors.Is(err, archive.ErrLocked) {
		return nil, fmt.Errorf("archive %q: %w; wait until that has finished, or end it", dir, archive.ErrLocked)
	}
	return w, err
}

// say prints to the standard error what is neither a result nor an error.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

func lowerFirst(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if second, _ := utf8.DecodeRuneInString(s[size:]); unicode.IsUpper(second) {
		return s // an abbreviation
	}
	return string(unicode.ToLower(r)) + s[size:]
}
