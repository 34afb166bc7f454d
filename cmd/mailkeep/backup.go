package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailkeep/archive"
	"mailkeep/backup"
)

// backupOptions are the flags of backup and run.
type backupOptions struct {
	acceptChanges bool
	dryRun        bool
}

func (a *app) backupCommand() *cobra.Command {
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "backup [account...]",
		Short: "fetch what is new from the accounts into the archive",
		Long: `Fetches new mail, changed labels and flags of the accounts named, or of all, into the archive. Nothing is changed or deleted on the
servers. Messages that vanished there stay in the archive and are also shown in the mailbox "` + archive.GoneMailbox + `". It can be
interrupted at any moment; the next run goes on where it stopped.

With --json each line of the standard output is an object. "event" says what it is: "progress" (phase, messages of total, bytes of bytes_wanted,
bytes_per_second, eta_seconds once it can be told), "warning" (kind, text, and mailbox and uid where it concerns one) or "account", when an account
is done (result "done", "incomplete", "paused", "failed" or "interrupted", error, what was added, removed and changed, failed: entries of the failure ledger).
With --quiet there are no "progress" lines.`,
		Example: "  mailkeep backup\n  mailkeep backup me@gmail.com --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.backup(cmd.Context(), args, o)
		},
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "list what would be fetched, with bytes, and fetch and write nothing")
	cmd.Flags().BoolVar(&o.acceptChanges, "accept-changes", false, "believe the server even when more than a tenth of an account vanished at once")
	return cmd
}

func (a *app) backup(ctx context.Context, names []string, o backupOptions) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	accounts, err := c.pick(names)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.dryRun(ctx, c.Archive, accounts)
	}
	return a.backupAll(ctx, c.Archive, accounts, o)
}

// pick returns the accounts of these names, or all when there is none.
func (c *Config) pick(names []string) ([]Account, error) {
	if len(c.Accounts) == 0 {
		return nil, usagef("%s: no account is configured; run \"mailkeep setup\" to add one", c.File)
	}
	if len(names) == 0 {
		return c.Accounts, nil
	}
	byName := map[string]Account{}
	for _, acct := range c.Accounts {
		byName[acct.Name] = acct
	}
	var picked []Account
	seen := map[string]bool{}
	for _, name := range names {
		acct, ok := byName[name]
		if !ok {
			return nil, usagef("%s: there is no account %q%s", c.File, name, nearest(name, byName))
		}
		if !seen[name] {
			picked = append(picked, acct)
		}
		seen[name] = true
	}
	return picked, nil
}

// backupAll backs up one account after the other. A failure of one does not keep the others from their turn, unless it is the archive's.
func (a *app) backupAll(ctx context.Context, dir string, accounts []Account, o backupOptions) (err error) {
	if err := a.checkDisk(ctx, dir); err != nil {
		return err
	}
	w, err := openWriter(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	defer a.summarizeBeside(ctx, w.Reader)()
	var failed, paused []error
	incomplete := false
	for i := range accounts {
		result := a.backupAccount(ctx, w, &accounts[i], o)
		incomplete = incomplete || result.incomplete()
		if result.err == nil {
			continue
		}
		if ctx.Err() != nil {
			return resumable{result.err}
		}
		if errors.Is(result.err, backup.ErrArchive) {
			if isDiskFull(result.err) && diskOf(result.err) == "" { // SQLite does not say which file
				return &fs.PathError{Op: "write", Path: dir, Err: result.err}
			}
			return result.err
		}
		err := fmt.Errorf("account %q: %w", accounts[i].Name, result.err)
		if errors.Is(result.err, backup.ErrQuota) {
			paused = append(paused, err)
		} else {
			failed = append(failed, err)
		}
	}
	switch {
	case len(failed) == 1 && len(accounts) == 1:
		return failed[0]
	case len(failed) > 0:
		for _, err := range append(failed, paused...) {
			fmt.Fprintf(a.stderr, "mailkeep: %s\n", printable(message(ctx, err)))
		}
		return fmt.Errorf("%d of %d accounts could not be backed up; the reasons stand above", len(failed), len(accounts))
	case len(paused) > 0:
		return errors.Join(paused...)
	case incomplete:
		return fmt.Errorf("%w: \"mailkeep status\" lists them, and the next backup tries again", errIncomplete)
	}
	return nil
}

// accountResult is how the backup of one account went.
type accountResult struct {
	account string
	backup.Summary
	holes int64 // in the failure ledger afterwards
	err   error
}

func (r *accountResult) incomplete() bool { return r.holes > 0 || r.Unfinished }

// backupAccount gets what the account logs in with and backs it up.
func (a *app) backupAccount(ctx context.Context, w *archive.Writer, acct *Account, o backupOptions) accountResult {
	c, err := a.credential(ctx, acct) // before progress is shown, since it may ask
	if err != nil {
		r := accountResult{account: acct.Name, err: err}
		a.finish(ctx, w, &r, time.Now())
		return r
	}
	return a.backupWith(ctx, w, acct, c, o)
}

func (a *app) backupWith(ctx context.Context, w *archive.Writer, acct *Account, c credential, o backupOptions) accountResult {
	watch := a.watch(acct.Name)
	r := accountResult{account: acct.Name}
	started := time.Now()
	options := acct.backupOptions()
	options.Dial, options.Progress, options.AcceptChanges = a.dialer(acct, c), watch, o.acceptChanges
	r.Summary, r.err = backup.Run(ctx, w, options)
	watch.Finish()
	var dialed dialError
	if errors.As(r.err, &dialed) && ctx.Err() == nil {
		r.err = dialed.err // one piece of advice is enough
	}
	a.finish(ctx, w, &r, started)
	return r
}

// finish looks up the failure ledger, notes the run and reports it.
func (a *app) finish(ctx context.Context, w *archive.Writer, r *accountResult, started time.Time) {
	if known, err := w.AccountByName(ctx, r.account); err == nil {
		if holes, err := w.HoleCount(ctx, known.ID); err == nil {
			r.holes = holes
		}
	}
	err := noteRun(w.Dir(), r.account, lastRun{Started: started, Finished: time.Now(), New: r.NewItems, Bytes: r.Bytes, Result: r.verdict()})
	if err != nil && r.err == nil { // a full disk is told once
		a.log.Warn("the time of this run is not noted", "error", err)
	}
	a.report(ctx, r)
}

// verdict is the word for how the run went, as status shows it.
func (r *accountResult) verdict() string {
	switch {
	case errors.Is(r.err, context.Canceled):
		return "interrupted"
	case errors.Is(r.err, backup.ErrQuota):
		return "paused"
	case r.err != nil:
		return "failed"
	case r.incomplete():
		return "incomplete"
	}
	return "done"
}

// accountLine is a line of --json, printed when an account is done.
type accountLine struct {
	Event       string  `json:"event"` // "account"
	Account     string  `json:"account"`
	Result      string  `json:"result"` // "done", "incomplete", "paused", "failed" or "interrupted"
	Error       string  `json:"error,omitempty"`
	Mailboxes   int     `json:"mailboxes"`
	Unchanged   int     `json:"mailboxes_unchanged"`
	Downloaded  int     `json:"downloaded"`
	Bytes       int64   `json:"bytes"`
	NewMessages int     `json:"new_messages"`
	NewItems    int     `json:"new_items"`
	Entered     int     `json:"labels_added"`
	Left        int     `json:"labels_removed"`
	Flags       int     `json:"flags_changed"`
	Renamed     int     `json:"renamed"`
	Gone        int     `json:"gone"`
	Returned    int     `json:"returned"`
	Failed      int64   `json:"failed"` // entries of the failure ledger
	Warnings    int     `json:"warnings"`
	Seconds     float64 `json:"seconds"`
}

func (a *app) report(ctx context.Context, r *accountResult) {
	if a.json {
		line := accountLine{"account", r.account, r.verdict(), "", r.Mailboxes, r.Unchanged, r.Downloaded, r.Bytes, r.NewMessages, r.NewItems,
			r.Entered, r.Left, r.Flags, r.Renamed, r.Gone, r.Returned, r.holes, r.WarningCount, r.Elapsed.Round(time.Millisecond).Seconds()}
		if r.err != nil {
			line.Error = message(ctx, r.err)
		}
		printJSON(a.stdout, line)
		return
	}
	if r.err == nil && !a.quiet {
		fmt.Fprintf(a.stdout, "%s: %s\n", printable(r.account), r.text())
	}
}

// text is the summary of a run that went through.
func (r *accountResult) text() string {
	var parts []string
	add := func(n int, noun string) {
		if n > 0 {
			parts = append(parts, count(int64(n), noun))
		}
	}
	add(r.NewItems, "new message")
	if r.Downloaded > 0 {
		parts = append(parts, fmt.Sprintf("%s downloaded (%s)", commas(int64(r.Downloaded)), size(r.Bytes)))
	}
	if r.NewItems == 0 {
		add(r.Entered-r.Gone, "added label") // what is gone was entered into its own mailbox
	}
	add(r.Left, "removed label")
	add(r.Flags, "changed flag")
	add(r.Renamed, "renamed mailbox")
	if r.Gone > 0 {
		parts = append(parts, fmt.Sprintf("%s gone from the server, kept here", count(int64(r.Gone), "message")))
	}
	if r.Returned > 0 {
		parts = append(parts, count(int64(r.Returned), "message")+" back on the server")
	}
	if len(parts) == 0 {
		parts = append(parts, "nothing new")
	}
	if r.Buried > 0 {
		parts = append(parts, count(int64(r.Buried), "message")+" pruned before, not taken in again")
	}
	if r.holes > 0 {
		parts = append(parts, count(r.holes, "message")+" could not be fetched")
	}
	return fmt.Sprintf("%s; %s, %s", strings.Join(parts, ", "), count(int64(r.Mailboxes), "mailbox"), duration(r.Elapsed))
}
