package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mailkeep/archive"
	"mailkeep/backup"
)

// repairedLine is a line of check --repair --json.
type repairedLine struct {
	Event string `json:"event"` // "repaired", or "left" for what could not be
	Path  string `json:"path"`
	How   string `json:"how"` // or why not
}

// repairer mends one archive.
type repairer struct {
	*app
	dir     string
	damaged []archive.Finding // of files
	broken  bool              // something else than files is damaged
	why     map[archive.Ref]string
}

func (r *repairer) tell(event, path, how string) {
	if r.json {
		printJSON(r.stdout, repairedLine{event, path, how})
		return
	}
	word := "repaired"
	if event == "left" {
		word = "not repaired"
	}
	if event == "left" || !r.quiet {
		fmt.Fprintln(r.stdout, printable(fmt.Sprintf("%s: %s: %s", word, path, how)))
	}
}

// repair checks the archive and mends what it finds.
func (a *app) repair(ctx context.Context, dir string, o checkOptions) error {
	started := time.Now()
	r := &repairer{app: a, dir: dir, why: map[archive.Ref]string{}}
	done, err := a.runCheck(ctx, dir, o, r.take)
	if err != nil {
		return err
	}
	if done.Damage == 0 {
		a.printChecked(done, "clean", time.Since(started))
		return nil
	}
	left, err := r.mend(ctx)
	if err != nil {
		return err
	}
	archive.ForgetCheck(dir)
	result := "repaired"
	if done.Damage = int64(left); left > 0 {
		result = "damaged"
	}
	a.printChecked(done, result, time.Since(started))
	if left > 0 {
		return fmt.Errorf("%w: %s could not be fetched again; what was left of the files is in quarantine/, and a later \"mailkeep check --repair\" tries again", errDamage, count(int64(left), "message"))
	}
	return nil
}

// take notes a finding for later and shows it.
func (r *repairer) take(f archive.Finding) error {
	switch {
	case f.OfFile(), f.Kind == archive.FileStray && f.Message != nil:
		r.damaged = append(r.damaged, f)
	case !f.Harmless():
		r.broken = true
	}
	return r.printFinding(f)
}

// mend returns how many messages have no whole file in the end.
func (r *repairer) mend(ctx context.Context) (left int, err error) {
	if r.broken {
		if err := r.rebuildMap(ctx); err != nil {
			return 0, err
		}
	}
	w, err := openWriter(r.dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	done, err := w.Repair(ctx, r.damaged)
	for _, path := range done.Aside {
		r.tell("repaired", path, "moved here, out of the way")
	}
	if err != nil {
		return 0, err
	}
	for _, ref := range done.Restored {
		r.tell("repaired", pathOf(ref), "its bytes were in another file")
	}
	refs, err := r.refetchAll(ctx, w, done.Left)
	if err != nil {
		return 0, err
	}
	for _, ref := range refs {
		r.tell("left", pathOf(ref), r.why[ref])
	}
	r.finishSummaries(ctx, w.Reader)
	return len(refs), nil
}

// pathOf is a message's path in the archive.
func pathOf(ref archive.Ref) string {
	name := ref.String()
	return name[:2] + "/" + name + ".eml"
}

// rebuildMap makes gmail.db and the journal whole again.
func (r *repairer) rebuildMap(ctx context.Context) error {
	done, err := archive.Rebuild(ctx, r.dir, archive.RebuildOptions{})
	if err != nil {
		return lockedOrNone(r.dir, err)
	}
	for _, line := range rebuiltLines(&done) {
		r.tell("repaired", "gmail.db", line)
	}
	return nil
}

// refetchAll asks each account for the messages, and returns those that none delivered.
func (r *repairer) refetchAll(ctx context.Context, w *archive.Writer, refs []archive.Ref) ([]archive.Ref, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	for _, ref := range refs {
		r.why[ref] = "none of the configured accounts has the message any more"
	}
	c, err := r.config()
	if err != nil || len(c.Accounts) == 0 {
		for _, ref := range refs {
			r.why[ref] = "no account is configured to fetch it from; name the configuration with --config"
		}
		return refs, nil
	}
	for i := range c.Accounts {
		if len(refs) == 0 {
			return nil, nil
		}
		if refs, err = r.refetch(ctx, w, &c.Accounts[i], refs); err != nil {
			return refs, err
		}
	}
	return refs, nil
}

// refetch asks one account. One that cannot be reached is no error: the others may have the messages.
func (r *repairer) refetch(ctx context.Context, w *archive.Writer, acct *Account, refs []archive.Ref) ([]archive.Ref, error) {
	known, err := r.knows(ctx, w, acct, refs)
	if err != nil || !known {
		return refs, err
	}
	unreachable := func(err error) ([]archive.Ref, error) {
		if ctx.Err() != nil || errors.Is(err, backup.ErrArchive) {
			return refs, err
		}
		for _, ref := range refs {
			r.why[ref] = fmt.Sprintf("account %q could not be asked: %v", acct.Name, err)
		}
		return refs, nil
	}
	c, err := r.credential(ctx, acct)
	if err != nil {
		return unreachable(err)
	}
	options := acct.backupOptions()
	options.Dial = r.dialer(acct, c)
	got, err := backup.Refetch(ctx, w, options, refs)
	for _, ref := range got.Fetched {
		r.tell("repaired", pathOf(ref), fmt.Sprintf("fetched again from account %q", acct.Name))
	}
	refs = slices.DeleteFunc(slices.Clone(refs), func(ref archive.Ref) bool { return slices.Contains(got.Fetched, ref) })
	for _, ref := range got.Differ {
		r.why[ref] = fmt.Sprintf("account %q has other bytes under its id, which are not what was backed up", acct.Name)
	}
	var dialed dialError
	if errors.As(err, &dialed) {
		err = dialed.err
	}
	if err != nil {
		return unreachable(err)
	}
	return refs, nil
}

// knows tells whether an account ever had one of the messages.
func (r *repairer) knows(ctx context.Context, w *archive.Writer, acct *Account, refs []archive.Ref) (bool, error) {
	known, err := w.AccountByName(ctx, acct.Name)
	if errors.Is(err, archive.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	places, err := w.Places(ctx, known.ID, refs)
	return len(places) > 0, err
}
