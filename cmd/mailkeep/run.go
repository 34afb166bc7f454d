package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"mailkeep/archive"
)

// The interval of run.
const (
	defaultEvery = time.Hour
	leastEvery   = time.Minute
)

func (a *app) runCommand() *cobra.Command {
	var every time.Duration
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "serve the archive and back up every hour, in one process",
		Long: `Serves the archive as "serve" does and backs all accounts up at once and then at an interval. A backup that fails is reported and tried again
at the next turn. It runs until it is interrupted.`,
		Example: "  mailkeep run --every 30m",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context(), every, o) },
	}
	cmd.Flags().DurationVar(&every, "every", defaultEvery, "`time` from the end of one backup to the next, such as 30m or 6h")
	return cmd
}

func (a *app) run(ctx context.Context, every time.Duration, o backupOptions) (err error) {
	if every < leastEvery {
		return usagef("--every %s is too short; it must be at least %s", every, leastEvery)
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	accounts, err := c.pick(nil)
	if err != nil {
		return err
	}
	if err := ensureArchive(c.Archive); err != nil {
		return err
	}
	r, err := openArchive(c.Archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	l, err := c.Serve.listen(a.log)
	if err != nil {
		return err
	}
	a.printServe(c, l)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.serveOn(ctx, r, l, &c.Serve) })
	g.Go(func() error {
		a.backupEvery(ctx, every, func() error { return a.backupAll(ctx, c.Archive, accounts, o) })
		return nil
	})
	return g.Wait()
}

// ensureArchive makes an empty archive when there is none, so that it can be served while the first backup runs.
func ensureArchive(dir string) error {
	w, err := openWriter(dir)
	if errors.Is(err, archive.ErrLocked) {
		return nil // somebody is filling it
	}
	if err != nil {
		return err
	}
	return w.Close()
}

// backupEvery runs a backup at once and then again and again until ctx ends. Errors are reported; the next turn may work.
func (a *app) backupEvery(ctx context.Context, every time.Duration, backup func() error) {
	for ctx.Err() == nil {
		err := backup()
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			fmt.Fprintf(a.stderr, "mailkeep: %s\n", printable(message(ctx, err)))
		}
		a.say("next backup at %s", time.Now().Add(every).Format("15:04"))
		select {
		case <-ctx.Done():
		case <-time.After(every):
		}
	}
}
