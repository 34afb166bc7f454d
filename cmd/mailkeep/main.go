// Mailkeep backs up mail accounts into one folder, each message once, and serves that folder as a read-only IMAP server.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"mailkeep/archive"
	"mailkeep/discover"
)

func main() { os.Exit(run(discover.New())) }

// run is the whole program; it returns the exit code. The finder is how servers of addresses are looked for.
func run(finder *discover.Finder) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second Ctrl-C ends the program at once; not one in the same moment, since timeout(1) signals the program and then its group.
	context.AfterFunc(ctx, func() { time.AfterFunc(secondSignal, stop) })
	results := &resultWriter{out: os.Stdout}
	a := &app{stdin: os.Stdin, stdout: results, stderr: os.Stderr, finder: finder, typed: map[string]string{}}
	err := a.execute(ctx, os.Args[1:])
	if lost := results.failure(); err == nil && lost != nil {
		err = fmt.Errorf("print the results: %w", lost)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "mailkeep: %s\n", printable(message(ctx, err)))
	}
	return exitCode(err)
}

// resultWriter keeps the first error of printing results, so that a program that could not tell them does not end as if it had.
// Accounts that are backed up at the same time print through one; what one Write prints stays together.
type resultWriter struct {
	out io.Writer

	mu  sync.Mutex
	err error
}

func (w *resultWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.out.Write(p)
	if w.err == nil {
		w.err = err
	}
	return n, err
}

func (w *resultWriter) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// secondSignal is how long after a first Ctrl-C the program ends in good order whatever comes.
const secondSignal = 500 * time.Millisecond

// app is what all commands share: the streams, the common flags and the log.
type app struct {
	stdin          *os.File
	stdout, stderr io.Writer
	log            *slog.Logger
	finder         *discover.Finder
	answers        *bufio.Reader     // of stdin, once a question was answered from there
	typed          map[string]string // passwords that were asked for in this run, by account

	configFile string
	archiveDir string
	json       bool
	quiet      bool
	verbose    bool

	started bool // the command line was understood
	lines   bool // progress as lines, since several accounts are backed up at once
}

// commands is the command table.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.setupCommand(), a.loginCommand(), a.backupCommand(), a.serveCommand(), a.runCommand(),
		a.statusCommand(), a.labelsCommand(), a.verifyCommand(), a.checkCommand(), a.rebuildCommand(), a.pruneCommand(), a.snapshotCommand(), a.demoCommand(), a.lockTestCommand(),
	}
}

func (a *app) execute(ctx context.Context, args []string) error {
	root := &cobra.Command{
		Use:   "mailkeep",
		Short: "keep every mail once: back up mail accounts into one folder and read it with any mail program",
		Long: `mailkeep backs up Gmail and any IMAP account into one folder, each message once as a plain file, and serves that folder as a
read-only IMAP server in which every label is a mailbox. Begin with "mailkeep setup"; "mailkeep demo" shows everything without an account.
` + exitHelp,
		Version:       version(),
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
			return unknownCommand{fmt.Errorf("unknown command %q%s", args[0], nearest(args[0], known))}
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
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return tellf(err, "%s", strings.Replace(err.Error(), ": time: ", ": ", 1)) // the package's name says nothing to the user
	})
	cmd, err := root.ExecuteContextC(ctx)
	if errors.As(err, new(unknownCommand)) {
		return usageError{err}
	}
	if err != nil && !a.started {
		return usagef("%w; \"%s --help\" explains", err, cmd.CommandPath())
	}
	return err
}

// version is what "go build" or "go install" noted about this program.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "of unknown origin"
	}
	return info.Main.Version
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

// checkFolder refuses an archive's path at which a file stands.
func checkFolder(dir string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return usagef("%q is a file, and an archive is a folder; name another path with --archive or archive.path", dir)
	}
	return nil
}

func openArchive(dir string) (*archive.Reader, error) {
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	r, err := archive.Open(filepath.Clean(dir))
	if errors.Is(err, archive.ErrOlder) {
		if r, err = openOlder(dir); err != nil {
			return nil, fmt.Errorf("bring the archive of an older mailkeep up to date: %w", err)
		}
	}
	if errors.Is(err, archive.ErrNotFound) {
		return nil, fmt.Errorf("there is no archive in %q yet; run \"mailkeep backup\" first, or name another folder with --archive", dir)
	}
	return r, err
}

// openOlder lets a Writer bring an archive up to date, and opens it then.
func openOlder(dir string) (*archive.Reader, error) {
	w, err := openWriter(dir)
	if err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return archive.Open(filepath.Clean(dir))
}

func openWriter(dir string) (*archive.Writer, error) {
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
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
