// Command bench measures mailkeep beside the programs that people use today, on the same messages and machine, in one run.
//
//	go run ./integration/bench serve  [--scale small|full] [--json FILE]    the IMAP server beside Dovecot (Maildir and sdbox)
//	go run ./integration/bench backup [--scale small|full] [--json FILE]    the backup beside mbsync, both from a Dovecot
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
	"time"
)

// exit codes
const (
	exitMissed = 1
	exitUsage  = 2
)

// errUsage is wrapped by errors of the call, not of what was measured.
var errUsage = errors.New("usage")

var benches = map[string]func(context.Context, *env) error{"serve": benchServe, "backup": benchBackup}

const usage = `usage: bench serve|backup [--scale small|full] [--json FILE]

  serve    mailkeep's IMAP server beside Dovecot with Maildir and with sdbox
  backup   mailkeep's backup beside mbsync, both reading from one Dovecot

  --scale small   1,000 messages; under a minute (default)
  --scale full    20,000 messages of 31 KB, in 61 mailboxes
  --json FILE     also write the figures there
`

// env is what a benchmark works with.
type env struct {
	full   bool
	dir    string // temporary, removed at the end
	report *report
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
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

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: what is to be measured?", errUsage)
	}
	bench, ok := benches[args[0]]
	if !ok {
		return fmt.Errorf("%w: no benchmark %q", errUsage, args[0])
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(discard{})
	scale := flags.String("scale", "small", "")
	jsonFile := flags.String("json", "", "")
	if err := flags.Parse(args[1:]); err != nil || flags.NArg() > 0 || *scale != "small" && *scale != "full" {
		return fmt.Errorf("%w: %v", errUsage, args[1:])
	}
	dir, err := os.MkdirTemp("", "mailkeep-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	e := &env{full: *scale == "full", dir: dir, report: &report{Benchmark: args[0], Scale: *scale, Machine: machine(), Started: time.Now()}}
	if err := bench(ctx, e); err != nil {
		return err
	}
	e.report.print(os.Stdout)
	if *jsonFile != "" {
		if err := e.report.write(*jsonFile); err != nil {
			return err
		}
	}
	return e.report.verdict()
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

// folder makes a new folder in the benchmark's temporary one.
func (e *env) folder(name string) (string, error) {
	dir := filepath.Join(e.dir, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// note says on standard error what goes on.
func (e *env) note(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%6.1f s  %s\n", time.Since(e.report.Started).Seconds(), fmt.Sprintf(format, args...))
}
