package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"mailkeep/archive"
	"mailkeep/backup"
)

// The interval of run.
const (
	defaultEvery = time.Hour
	leastEvery   = time.Minute
)

// runOptions are the flags of run.
type runOptions struct {
	every time.Duration
	at    []string
	deaf  bool
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "serve the archive and back up every hour, in one process",
		Long: `Serves the archive as "serve" does and backs all accounts up: at once, and then at an interval or at times of the day, a few minutes late at random.
Where the server can tell of new mail by itself (IDLE), what arrives in the inbox is fetched within seconds. Each account has its own turns: one that
fails is reported and tried again, sooner when waiting may help, and one that has reached the limit of a day's download goes on by itself when it
may; the others do not wait for it. It runs until it is interrupted. "mailkeep setup --service" makes the system start it.`,
		Example: "  mailkeep run --every 30m\n  mailkeep run --at 03:00,15:00",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context(), o) },
	}
	cmd.Flags().DurationVar(&o.every, "every", 0, "`time` from the end of one backup to the next, such as 30m or 6h (default 1h)")
	cmd.Flags().StringSliceVar(&o.at, "at", nil, "`times` of the day instead, such as 03:00,15:00")
	cmd.Flags().BoolVar(&o.deaf, "no-idle", false, "do not wait for the servers to tell of new mail")
	return cmd
}

// settle puts the flags over the configuration.
func (o runOptions) settle(c *RunConfig) error {
	if o.every != 0 && o.every < leastEvery {
		return usagef("--every %s is too short; it must be at least %s", o.every, leastEvery)
	}
	if o.every != 0 && len(o.at) > 0 {
		return usagef("--every and --at exclude each other")
	}
	if o.every != 0 || len(o.at) > 0 {
		c.Every, c.At = o.every, nil
	}
	for _, text := range o.at {
		at, err := parseTimeOfDay(text)
		if err != nil {
			return usagef("--at: %w", err)
		}
		c.At = append(c.At, at)
	}
	c.Deaf = c.Deaf || o.deaf
	return nil
}

func (a *app) run(ctx context.Context, o runOptions) error {
	if err := o.settle(&RunConfig{}); err != nil {
		return err
	}
	c, err := a.config()
	if err != nil {
		return err
	}
	if err := o.settle(&c.Run); err != nil {
		return err
	}
	accounts, err := c.pick(nil)
	if err != nil {
		return err
	}
	if err := ensureArchive(c.Archive); err != nil {
		return err
	}
	if err := a.checkDisk(ctx, c.Archive); err != nil {
		return err
	}
	r, err := openArchive(c.Archive)
	if err != nil {
		return err
	}
	l, err := c.Serve.listen(a.log)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	a.printServe(c, l)
	a.lines = len(accounts) > 1
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.serveLasting(ctx, c, r, l) })
	keeper := &runner{app: a, archive: sharedWriter{dir: c.Archive}, schedule: newSchedule(c.Run), listen: !c.Run.Deaf}
	for i := range accounts {
		g.Go(func() error {
			keeper.keep(ctx, &accounts[i])
			return nil
		})
	}
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

// sharedWriter is the archive's one Writer while at least one account is being backed up; between backups other commands may have the archive.
type sharedWriter struct {
	dir string

	mu    sync.Mutex
	users int
	w     *archive.Writer
}

func (s *sharedWriter) take() (*archive.Writer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		w, err := openWriter(s.dir)
		if err != nil {
			return nil, err
		}
		s.w = w
	}
	s.users++
	return s.w, nil
}

func (s *sharedWriter) give() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	return s.w.Close()
}

// runner backs up accounts again and again, each in a goroutine of its own.
type runner struct {
	*app
	archive  sharedWriter
	schedule schedule
	listen   bool       // for new mail
	asking   sync.Mutex // one account at a time may ask for a password
}

// keep backs an account up at once and then at its turns, or when its server tells of new mail, until ctx ends. Errors are reported; the next turn may work.
func (r *runner) keep(ctx context.Context, acct *Account) {
	failures := 0
	var news pace
	prompted := false
	for ctx.Err() == nil {
		sum, err := r.once(ctx, acct)
		if ctx.Err() != nil {
			return
		}
		if prompted {
			news.followed(time.Now(), sum.NewItems+sum.Entered > 0)
		}
		if news.idly() {
			sum.Inbox = archive.FolderState{} // what it says differs from what there is, and a backup does not help
		}
		next := r.schedule.next(time.Now(), err, &failures)
		if err != nil {
			fmt.Fprintf(r.stderr, "mailkeep: %s\n", printable(message(ctx, err)))
		}
		r.say("%s: next backup at %s", printable(acct.Name), atClock(next))
		works := err == nil || errors.Is(err, errIncomplete)
		prompted = r.wait(ctx, next, news.earliest, func(ctx context.Context, told chan<- struct{}) {
			if r.listen && works {
				r.listenFor(ctx, acct, sum.Inbox, told)
			}
		})
	}
}

// atClock tells a time that is most often today's.
func atClock(t time.Time) string {
	if time.Until(t) > 20*time.Hour {
		return t.Format("2006-01-02 15:04")
	}
	return t.Format("15:04")
}

func (r *runner) once(ctx context.Context, acct *Account) (_ backup.Summary, err error) {
	r.asking.Lock()
	c, err := r.credential(ctx, acct)
	r.asking.Unlock()
	if err != nil {
		return backup.Summary{}, fmt.Errorf("account %q: %w", acct.Name, err)
	}
	w, err := r.archive.take()
	if err != nil {
		return backup.Summary{}, err
	}
	defer func() { err = errors.Join(err, r.archive.give()) }()
	result := r.backupWith(ctx, w, acct, c, backupOptions{})
	switch {
	case result.err != nil:
		return result.Summary, fmt.Errorf("account %q: %w", acct.Name, result.err)
	case result.incomplete():
		return result.Summary, fmt.Errorf("account %q: %w: \"mailkeep status\" lists them, and the next backup tries again", acct.Name, errIncomplete)
	}
	return result.Summary, nil
}

// How a wait goes on.
const (
	lookAtClock = time.Minute      // a computer that slept wakes up late otherwise
	settleDown  = 2 * time.Second  // new mail seldom comes alone
	listenAgain = 30 * time.Second // after a connection that waited was lost; doubled up to lastRetry
)

// turn is a time to wait for.
type turn struct {
	at   time.Time // by the wall clock, which goes on while the computer sleeps
	set  time.Time // when that was decided
	span time.Duration
}

func newTurn(at time.Time) turn {
	now := time.Now()
	return turn{at.Round(0), now, at.Round(0).Sub(now.Round(0))}
}

// left is how long the turn is away, by the wall clock or by what has passed since it was set, whichever is less: a wall clock that was wrong may be set back by years.
func (t turn) left(wall time.Time, passed time.Duration) time.Duration {
	return min(t.at.Sub(wall), t.span-passed)
}

// wait returns when it is time for the next backup: at next, or when listen says that there are news but not before earliest. It tells whether it was for news.
func (r *runner) wait(ctx context.Context, next, earliest time.Time, listen func(context.Context, chan<- struct{})) (prompted bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	news := make(chan struct{}, 1)
	var ear sync.WaitGroup
	defer ear.Wait()
	defer cancel()
	ear.Go(func() { listen(ctx, news) })
	due := newTurn(next)
	for {
		now := time.Now()
		left := due.left(now.Round(0), now.Sub(due.set))
		if left <= 0 {
			return prompted
		}
		select {
		case <-ctx.Done():
			return prompted
		case <-news:
			prompted = true
			if earliest.Before(next) {
				due = newTurn(earliest)
			}
		case <-time.After(min(left, lookAtClock)):
		}
	}
}

// listenFor waits with IDLE for new mail and says so once. After a lost connection it asks for a backup, too: something may have been missed.
func (r *runner) listenFor(ctx context.Context, acct *Account, inbox archive.FolderState, news chan<- struct{}) {
	began := time.Now()
	pause := listenAgain
	for ctx.Err() == nil {
		err := r.idle(ctx, acct, inbox)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			sleep(ctx, settleDown)
			news <- struct{}{}
			return
		case errors.Is(err, backup.ErrNoIdle), errors.Is(err, backup.ErrAuth), errors.Is(err, errUsage):
			r.log.Info("new mail is fetched at the next turn only", "account", acct.Name, "reason", err)
			return
		case time.Since(began) > lastRetry:
			news <- struct{}{}
			return
		}
		r.log.Info("waiting for new mail was interrupted", "account", acct.Name, "reason", err)
		sleep(ctx, pause)
		pause = min(2*pause, lastRetry)
	}
}

func (r *runner) idle(ctx context.Context, acct *Account, inbox archive.FolderState) error {
	r.asking.Lock()
	c, err := r.credential(ctx, acct)
	r.asking.Unlock()
	if err != nil {
		return err
	}
	return backup.Watch(ctx, r.dialer(acct, c), inbox)
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
