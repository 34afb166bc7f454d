// Command bench measures mailkeep beside the programs that people use today, on the same messages and machine, in one run.
//
//	go run ./integration/bench serve  [flags]    the IMAP server beside Dovecot (Maildir and sdbox)
//	go run ./integration/bench backup [flags]    the backup beside mbsync, both from a Dovecot
//	go run ./integration/bench check [flags]     the check of an archive beside sha256sum on two processors
//	go run ./integration/bench large [flags]     the backup of a large account
//	go run ./integration/bench daily [flags]     the backup of every day, with little to do
//
// Peers and servers are started by it, on loopback ports and in temporary folders, and ended again. It prints scenario, ours, theirs, ratio,
// goal, and exits with 1 when a goal is missed or an answer was wrong, 2 when it was called wrongly or a peer is not installed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"time"
)

// exit codes
const (
	exitMissed = 1
	exitUsage  = 2
)

// errUsage is wrapped by errors of the call, not of what was measured.
var errUsage = errors.New("usage")

var benches = map[string]func(context.Context, *env) error{"serve": benchServe, "backup": benchBackup, "check": benchCheck, "large": benchLarge, "daily": benchDaily}

const usage = `usage: bench serve|backup|check|large|daily [flags]

  serve    mailkeep's IMAP server beside Dovecot with Maildir and with sdbox
  backup   mailkeep's backup beside mbsync, both reading from one Dovecot
  check    mailkeep's check beside sha256sum, two at a time, over the same files
  large    mailkeep's backup of a large account from the simulated Gmail: whether it stays fast, and in how much memory; and what batches are worth
  daily    mailkeep's backup of an account that it has backed up before, with nothing changed and with a few changes

  --scale small     1,000 messages; under a minute (default)
  --scale full      serve: 20,000 messages of 31 KB and 100,000 of 7 KB in 61 mailboxes each, then how cost grows up to 1,000,000;
                    some 20 minutes, and 15 GB of disk for what is kept for the next time. backup: 20,000 messages. check: 100,000 messages, 3 GB.
                    large: 1,000,000 messages of 2 KB instead of 20,000. daily: 100,000 messages instead of 5,000
  --messages N      large, daily: another number of messages
  --only REGEXP     serve: only what matches, by corpus and scenario, such as "full-20000 .*LOGIN", "small-100000" or "tiny" (how cost grows)
  --json FILE       also write the figures there
  --markdown FILE   also write the tables there; what else the file says stays
  --cache DIR       keep the messages of --scale full there between runs (default: mailkeep-bench in the system's temporary folder)
`

// env is what a benchmark works with.
type env struct {
	full     bool
	messages int            // of a large account, or of a daily one; 0 for what the scale says
	only     *regexp.Regexp // nil: everything
	dir      string         // temporary, removed at the end
	cache    string         // kept; used by full runs only
	binary   string         // mailkeep, once built
	report   *report
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "bench: %v\n\n%s", err, usage)
		os.Exit(exitUsage)
	case err != nil:
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(exitMissed)
	}
}

// options are the flags.
type options struct {
	scale, only, jsonFile, markdown, cache string
	messages                               int
}

func parse(args []string) (name string, o options, err error) {
	if len(args) == 0 {
		return "", o, fmt.Errorf("%w: what is to be measured?", errUsage)
	}
	if benches[args[0]] == nil {
		return "", o, fmt.Errorf("%w: no benchmark %q", errUsage, args[0])
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(discard{})
	flags.StringVar(&o.scale, "scale", "small", "")
	flags.IntVar(&o.messages, "messages", 0, "")
	flags.StringVar(&o.only, "only", "", "")
	flags.StringVar(&o.jsonFile, "json", "", "")
	flags.StringVar(&o.markdown, "markdown", "", "")
	flags.StringVar(&o.cache, "cache", filepath.Join(os.TempDir(), "mailkeep-bench"), "")
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 || o.scale != "small" && o.scale != "full" {
		return "", o, fmt.Errorf("%w: %v", errUsage, args[1:])
	}
	if _, err := regexp.Compile(o.only); err != nil {
		return "", o, fmt.Errorf("%w: --only: %w", errUsage, err)
	}
	return args[0], o, nil
}

func run(ctx context.Context, args []string) error {
	name, o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mailkeep-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// Dovecot's own users must be able to reach their mail in it.
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	e := &env{full: o.scale == "full", messages: o.messages, dir: dir, cache: o.cache, report: newReport(name, o.scale, dir)}
	if o.only != "" {
		e.only = regexp.MustCompile(o.only)
		e.report.Notes = append(e.report.Notes, fmt.Sprintf("Only what matches %q was run.", o.only))
	}
	err = benches[name](ctx, e)
	e.report.print(os.Stdout) // after an error, what there is
	if err != nil {
		return err
	}
	if o.jsonFile != "" {
		if err := e.report.write(o.jsonFile); err != nil {
			return err
		}
	}
	if o.markdown != "" {
		if err := e.report.renew(o.markdown); err != nil {
			return err
		}
	}
	return e.report.verdict()
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// wants tells whether any of the scenarios is to be run with a corpus.
func (e *env) wants(c corpus, scenarios ...string) bool {
	return e.only == nil || slices.ContainsFunc(scenarios, func(s string) bool { return e.only.MatchString(c.String() + " " + s) })
}

// folder makes a new folder in the benchmark's temporary one.
func (e *env) folder(name string) (string, error) {
	dir := filepath.Join(e.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// note says on standard error what goes on.
func (e *env) note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(e.report.Started).Seconds(), fmt.Sprintf(format, args...))
}
