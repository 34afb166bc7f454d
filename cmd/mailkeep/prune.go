package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailkeep/archive"
	"mailkeep/backup"
)

// receiptAge is how old the verification of an account may be when mail that is gone from its server is pruned.
const receiptAge = 7 * 24 * time.Hour

// pruneOptions are the flags of prune.
type pruneOptions struct {
	goneFor   string
	labels    []string
	excluded  bool
	orphans   bool
	yes       bool
	dryRun    bool
	noReceipt bool
	undo      string
	empty     bool
	forget    bool
}

func (a *app) pruneCommand() *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [account...]",
		Short: "let go of messages that you name; nothing else ever deletes any",
		Long: `Lets go of the messages that a policy chooses, of the accounts named or of all:

  --gone-for 90d  what the server has not had for that long ("0d": all that is gone from it)
  --label NAME    what is in this mailbox (label) and in no other; All Mail and "` + archive.GoneMailbox + `" do not count. May be given several times
  --excluded      what is only in mailboxes that the configuration excludes by now
  --orphans       files of messages that the archive's map does not name, as an interrupted backup leaves them

Several of the first three mean what fulfils all of them. The plan is shown first; nothing happens without --yes or a "yes" typed at the terminal. --gone-for wants
a receipt of "mailkeep verify" for each account that is younger than 7 days and finds nothing missing, and lets go only of what was gone by then; --no-receipt does without.

Nothing is changed on any server. Files of messages that no other account or mailbox has go to the archive's folder quarantine/ for 30 days; a later prune, or
--empty-quarantine at once, removes them for good. Until then --undo brings the last prune back, and --undo=N the one with that number: flags, dates and labels as they were, under new UIDs.
What was pruned by --gone-for or --label does not return with later backups, even if the server has it; --forget-tombstones lets it. What was pruned by --excluded
returns when it is not excluded any more.

Without any of these flags it lists what was pruned.`,
		Example: "  mailkeep prune --gone-for 90d\n  mailkeep prune --label Newsletters --gone-for 1y --yes\n  mailkeep prune --undo",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.prune(cmd.Context(), args, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.goneFor, "gone-for", "", "choose what has been gone from the server for this `age`, such as 90d, 6m or 2y")
	f.StringArrayVar(&o.labels, "label", nil, "choose what is only in this `mailbox`")
	f.BoolVar(&o.excluded, "excluded", false, "choose what is only in mailboxes that the configuration excludes")
	f.BoolVar(&o.orphans, "orphans", false, "choose files that the archive's map does not name")
	f.BoolVar(&o.yes, "yes", false, "do it without asking")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the plan only")
	f.BoolVar(&o.noReceipt, "no-receipt", false, "prune by --gone-for without a recent verification")
	f.StringVar(&o.undo, "undo", "", "bring back the last prune, or that with the `number`")
	f.Lookup("undo").NoOptDefVal = "last"
	f.BoolVar(&o.empty, "empty-quarantine", false, "remove for good what was pruned, without waiting for 30 days")
	f.BoolVar(&o.forget, "forget-tombstones", false, "let pruned mail come back with the next backup")
	return cmd
}

func (a *app) prune(ctx context.Context, names []string, o pruneOptions) error {
	chooses := o.goneFor != "" || len(o.labels) > 0 || o.excluded
	tasks := 0
	for _, on := range []bool{chooses, o.orphans, o.undo != "", o.empty, o.forget} {
		if on {
			tasks++
		}
	}
	if tasks > 1 {
		return usagef("--orphans, --undo, --empty-quarantine and --forget-tombstones are given alone")
	}
	dir, config, err := a.pruneTarget(names, o)
	if err != nil {
		return err
	}
	switch {
	case tasks == 0 || o.dryRun:
		return a.pruneReading(ctx, dir, config, names, o, tasks == 0)
	case o.undo != "":
		return a.writing(dir, func(w *archive.Writer) error { return a.pruneUndo(ctx, w, o.undo) })
	case o.empty:
		return a.writing(dir, func(w *archive.Writer) error { return a.pruneEmpty(ctx, w, o) })
	case o.forget:
		return a.writing(dir, func(w *archive.Writer) error { return a.pruneForget(ctx, w, names) })
	case o.orphans:
		return a.writing(dir, func(w *archive.Writer) error { return a.pruneOrphans(ctx, w, o) })
	}
	return a.writing(dir, func(w *archive.Writer) error { return a.pruneChosen(ctx, w, config, names, o) })
}

// pruneTarget finds the archive; the configuration is needed for --excluded only.
func (a *app) pruneTarget(names []string, o pruneOptions) (dir string, c *Config, err error) {
	if a.archiveDir != "" && !o.excluded {
		return a.archiveDir, nil, nil
	}
	if c, err = a.config(); err != nil {
		return "", nil, err
	}
	return c.Archive, c, nil
}

// writing opens an archive that exists for writing.
func (a *app) writing(dir string, f func(*archive.Writer) error) (err error) {
	r, err := openArchive(dir) // OpenWriter would make one
	if err == nil {
		err = r.Close()
	}
	if err != nil {
		return err
	}
	w, err := openWriter(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return f(w)
}

// pruneReading lists prunes, or shows a plan.
func (a *app) pruneReading(ctx context.Context, dir string, c *Config, names []string, o pruneOptions, list bool) (err error) {
	r, err := openArchive(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if list {
		return a.listPrunes(ctx, r)
	}
	if o.orphans {
		orphans, err := r.Orphans(ctx)
		if err != nil {
			return err
		}
		a.printOrphans(orphans)
		return nil
	}
	if o.undo != "" || o.empty || o.forget {
		return usagef("--dry-run goes with a policy: --gone-for, --label, --excluded or --orphans")
	}
	plan, err := a.planPrune(ctx, r, c, names, o)
	if err != nil {
		return err
	}
	return a.printPlan(r, plan)
}

// planPrune turns the flags into a policy and asks the archive what it chooses.
func (a *app) planPrune(ctx context.Context, r *archive.Reader, c *Config, names []string, o pruneOptions) (*archive.PrunePlan, error) {
	policy, err := prunePolicy(ctx, r, c, names, o)
	if err != nil {
		return nil, err
	}
	plan, err := r.PlanPrune(ctx, policy)
	if err != nil || o.goneFor == "" || o.noReceipt {
		return plan, err
	}
	verified, err := oldestReceipt(r.Dir(), plan.Accounts)
	if err != nil || verified.IsZero() || !verified.Before(policy.GoneBefore) {
		return plan, err
	}
	policy.GoneBefore = verified
	return r.PlanPrune(ctx, policy)
}

// oldestReceipt returns the time of the oldest of the receipts that the accounts need, which must be young and sound.
func oldestReceipt(dir string, accounts []archive.Account) (time.Time, error) {
	var oldest time.Time
	for _, acct := range accounts {
		receipt, err := archive.LastReceipt(dir, acct.Name)
		if err != nil && !errors.Is(err, archive.ErrNotFound) {
			return oldest, err
		}
		refuse := func(format string, args ...any) error {
			return usagef("account %q %s; run \"mailkeep backup\" and \"mailkeep verify\" first, or add --no-receipt", acct.Name, fmt.Sprintf(format, args...))
		}
		if err != nil {
			return oldest, refuse("was never verified, so what is marked as gone may be a mistake")
		}
		if age := time.Since(receipt.Started); age > receiptAge || age < -time.Hour {
			return oldest, refuse("was last verified on %s, which is more than 7 days ago", receipt.Started.Local().Format(time.DateOnly))
		}
		if reason, ok := receipt.Sound(); !ok {
			return oldest, refuse("did not pass its last verification (%s)", reason)
		}
		if oldest.IsZero() || receipt.Started.Before(oldest) {
			oldest = receipt.Started
		}
	}
	return oldest, nil
}

func prunePolicy(ctx context.Context, r *archive.Reader, c *Config, names []string, o pruneOptions) (archive.PrunePolicy, error) {
	accounts, err := pickAccounts(ctx, r, names)
	if err != nil {
		return archive.PrunePolicy{}, err
	}
	p := archive.PrunePolicy{Tombstones: !o.excluded}
	var text []string
	if o.goneFor != "" {
		age, err := parseAge(o.goneFor)
		if err != nil && o.goneFor != "0d" || o.goneFor == "none" {
			return p, usagef("--gone-for %s: give an age such as 90d, 6m or 2y", o.goneFor)
		}
		p.GoneBefore = time.Now().Add(-age)
		text = append(text, "gone for "+o.goneFor)
	}
	if len(names) > 0 && len(accounts) == 1 {
		p.Account = accounts[0].ID
	}
	if len(o.labels) > 0 {
		if err := chooseLabels(ctx, r, accounts, o.labels, &p); err != nil {
			return p, err
		}
		text = append(text, "label "+strings.Join(o.labels, ", "))
	}
	if o.excluded {
		if err := chooseExcluded(ctx, r, c, accounts, &p); err != nil {
			return p, err
		}
		text = append(text, "excluded")
	}
	p.Text = strings.Join(append(text, names...), "; ")
	return p, nil
}

// pickAccounts returns the archive's accounts of these names, or all.
func pickAccounts(ctx context.Context, r *archive.Reader, names []string) ([]archive.Account, error) {
	all, err := r.Accounts(ctx)
	if err != nil || len(names) == 0 {
		return all, err
	}
	if len(names) > 1 {
		return nil, usagef("name one account, or none for all")
	}
	known := map[string]archive.Account{}
	for _, acct := range all {
		known[acct.Name] = acct
	}
	acct, ok := known[names[0]]
	if !ok {
		return nil, usagef("the archive holds no account %q%s", names[0], nearest(names[0], known))
	}
	return []archive.Account{acct}, nil
}

// chooseLabels chooses mailboxes by name; All Mail keeps nothing.
func chooseLabels(ctx context.Context, r *archive.Reader, accounts []archive.Account, labels []string, p *archive.PrunePolicy) error {
	known := map[string]bool{}
	p.Mailboxes = []archive.MailboxID{}
	for _, acct := range accounts {
		boxes, err := r.Mailboxes(ctx, acct.ID)
		if err != nil {
			return err
		}
		for _, b := range boxes {
			known[b.Name] = true
			switch {
			case slices.Contains(labels, b.Name):
				p.Mailboxes = append(p.Mailboxes, b.ID)
			case b.SpecialUse == `\All`:
				p.Beside = append(p.Beside, b.ID)
			}
		}
	}
	for _, label := range labels {
		if !known[label] {
			return usagef("there is no mailbox %q%s; \"mailkeep labels\" lists them", label, nearest(label, known))
		}
	}
	return nil
}

// chooseExcluded chooses the mailboxes that the configuration leaves out now.
func chooseExcluded(ctx context.Context, r *archive.Reader, c *Config, accounts []archive.Account, p *archive.PrunePolicy) error {
	var chosen []archive.MailboxID
	for _, acct := range accounts {
		i := slices.IndexFunc(c.Accounts, func(one Account) bool { return one.Name == acct.Name })
		if i < 0 {
			continue // not configured any more is not excluded
		}
		configured := &c.Accounts[i]
		boxes, err := r.Mailboxes(ctx, acct.ID)
		if err != nil {
			return err
		}
		folders, err := r.Folders(ctx, acct.ID)
		if err != nil {
			return err
		}
		for _, b := range boxes {
			if configured.leavesOut(b, folders) {
				chosen = append(chosen, b.ID)
			}
		}
	}
	if p.Mailboxes == nil {
		p.Mailboxes = []archive.MailboxID{}
		p.Mailboxes = append(p.Mailboxes, chosen...)
		return nil
	}
	p.Beside = nil
	p.Mailboxes = slices.DeleteFunc(p.Mailboxes, func(id archive.MailboxID) bool { return !slices.Contains(chosen, id) })
	return nil
}

// leavesOut tells whether a mailbox of the archive is one that backups of the account do not read any more.
func (a *Account) leavesOut(b archive.Mailbox, folders []archive.Folder) bool {
	name, delim, use := b.Name, "/", b.SpecialUse
	for _, f := range folders {
		if f.Mailbox == b.ID {
			name, delim, use = f.Name, f.Delimiter, f.SpecialUse
		}
	}
	if b.Name == archive.GoneMailbox {
		return false
	}
	// What a rebuild recovered is in no mailbox of the server that could be included, and may be nowhere else.
	recovered := strings.HasPrefix(b.Name, archive.RecoveredMailbox)
	return len(a.Include) > 0 && !recovered && !backup.Excluded(a.Include, name, delim, use) || backup.Excluded(a.Exclude, name, delim, use)
}

func (a *app) pruneChosen(ctx context.Context, w *archive.Writer, c *Config, names []string, o pruneOptions) error {
	plan, err := a.planPrune(ctx, w.Reader, c, names, o)
	if err != nil {
		return err
	}
	if err := a.printPlan(w.Reader, plan); err != nil {
		return err
	}
	if len(plan.Items) == 0 {
		return a.expire(ctx, w)
	}
	if err := a.confirm(ctx, o.yes, fmt.Sprintf("prune %s", count(int64(len(plan.Items)), "message"))); err != nil {
		return err
	}
	shown := time.Now()
	done, err := w.Prune(ctx, plan, func(done, total int) {
		if time.Since(shown) > lineEvery {
			shown = time.Now()
			a.say("%s of %s pruned", commas(int64(done)), count(int64(total), "message"))
		}
	})
	if err != nil {
		return err
	}
	a.printPruned(done)
	return a.expire(ctx, w)
}

// confirm asks at the terminal, unless --yes was given.
func (a *app) confirm(ctx context.Context, yes bool, what string) error {
	if yes {
		return nil
	}
	if !a.isTerminal() {
		return usagef("nothing was changed: add --yes to %s", what)
	}
	answer, err := a.ask(ctx, question{title: what + "? type yes", standard: "no"})
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(answer), "yes") {
		return usagef("nothing was changed")
	}
	return nil
}

// expire removes what has been in quarantine for longer than it must.
func (a *app) expire(ctx context.Context, w *archive.Writer) error {
	done, err := w.EmptyQuarantine(ctx, time.Now().Add(-archive.QuarantineTime))
	if err == nil && done.Prunes > 0 {
		a.say("removed for good what was pruned more than 30 days ago: %s, %s", count(done.Messages, "message"), size(done.Bytes))
	}
	return err
}

func (a *app) pruneOrphans(ctx context.Context, w *archive.Writer, o pruneOptions) error {
	orphans, err := w.Orphans(ctx)
	if err != nil {
		return err
	}
	a.printOrphans(orphans)
	if len(orphans) == 0 {
		return a.expire(ctx, w)
	}
	if err := a.confirm(ctx, o.yes, "move "+count(int64(len(orphans)), "file")+" to quarantine/"); err != nil {
		return err
	}
	done, err := w.PruneOrphans(ctx, orphans, "orphans")
	if err != nil {
		return err
	}
	a.printPruned(done)
	return a.expire(ctx, w)
}

func (a *app) pruneUndo(ctx context.Context, w *archive.Writer, which string) error {
	var id int64
	if which != "last" {
		var err error
		if id, err = strconv.ParseInt(which, 10, 64); err != nil || id < 1 {
			return usagef("--undo=%s: give the number of a prune; \"mailkeep prune\" lists them", which)
		}
	}
	done, err := w.UndoPrune(ctx, archive.PruneID(id), nil)
	if errors.Is(err, archive.ErrNotFound) {
		return tellf(err, "%s; \"mailkeep prune\" lists what can be undone", strings.TrimSuffix(err.Error(), ": "+archive.ErrNotFound.Error()))
	}
	if err != nil {
		return err
	}
	if a.json {
		printJSON(a.stdout, undoLine{"undone", int64(done.ID), done.Items, done.Present, done.Lost})
	} else {
		fmt.Fprintf(a.stdout, "prune %d is undone: %s brought back, %s were there\n", done.ID, count(done.Items, "message"), commas(done.Present))
	}
	if done.Lost > 0 {
		return fmt.Errorf("%w: %s could not be brought back, since the files in quarantine/prune-%d are missing or damaged; the next backup fetches what the server still has",
			errDamage, count(done.Lost, "message"), done.ID)
	}
	return nil
}

func (a *app) pruneEmpty(ctx context.Context, w *archive.Writer, o pruneOptions) error {
	if err := a.confirm(ctx, o.yes, "remove for good all that was pruned"); err != nil {
		return err
	}
	done, err := w.EmptyQuarantine(ctx, time.Now().Add(time.Minute))
	if err != nil {
		return err
	}
	if a.json {
		printJSON(a.stdout, emptiedLine{"emptied", done.Prunes, done.Messages, done.Bytes})
		return nil
	}
	fmt.Fprintf(a.stdout, "removed for good: %s, %s\n", count(done.Messages, "message"), size(done.Bytes))
	return nil
}

func (a *app) pruneForget(ctx context.Context, w *archive.Writer, names []string) error {
	accounts, err := pickAccounts(ctx, w.Reader, names)
	if err != nil {
		return err
	}
	var only archive.AccountID
	if len(names) > 0 {
		only = accounts[0].ID
	}
	n, err := w.ForgetTombstones(ctx, only)
	if err != nil {
		return err
	}
	if a.json {
		printJSON(a.stdout, forgottenLine{"forgotten", n})
		return nil
	}
	fmt.Fprintf(a.stdout, "%s may come back with the next backup, as far as the server has them\n", count(n, "pruned message"))
	return nil
}
