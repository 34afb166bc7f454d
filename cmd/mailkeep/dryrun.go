package main

import (
	"context"
	"errors"
	"fmt"

	"mailkeep/archive"
	"mailkeep/backup"
)

// dryRunLine is a line of backup --dry-run --json, one for each mailbox.
type dryRunLine struct {
	Event    string `json:"event"` // "preview"
	Account  string `json:"account"`
	Mailbox  string `json:"mailbox"`
	Messages int64  `json:"messages"` // at the server
	New      int64  `json:"new"`
	Bytes    int64  `json:"bytes"`    // of the new ones
	LeftOut  int64  `json:"left_out"` // new, and too old or too large
	Excluded bool   `json:"excluded"`
}

// dryRun lists what a backup would fetch. It needs neither an archive nor its lock.
func (a *app) dryRun(ctx context.Context, dir string, accounts []Account) (err error) {
	var r *archive.Reader
	if err := checkFolder(dir); err != nil {
		return err
	}
	switch r, err = archive.Open(dir); {
	case errors.Is(err, archive.ErrNotFound):
		r = nil
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, r.Close()) }()
	}
	for i := range accounts {
		acct := &accounts[i]
		c, err := a.credential(ctx, acct)
		if err != nil {
			return fmt.Errorf("account %q: %w", acct.Name, err)
		}
		options := acct.backupOptions()
		options.Dial = a.dialer(acct, c)
		all, err := backup.DryRun(ctx, r, options)
		if err != nil {
			return fmt.Errorf("account %q: %w", acct.Name, err)
		}
		if err := a.printDryRun(acct, all); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printDryRun(acct *Account, all []backup.Preview) error {
	if a.json {
		for _, p := range all {
			printJSON(a.stdout, dryRunLine{"preview", acct.Name, p.Mailbox, p.Messages, p.New, p.Bytes, p.LeftOut, p.Excluded})
		}
		return nil
	}
	t := table{right: []bool{false, true, true, true, true}}
	t.row("mailbox", "messages", "to fetch", "size", "left out")
	var sum backup.Preview
	for _, p := range all {
		if p.Excluded {
			t.row(p.Mailbox, "", "", "", "excluded")
			continue
		}
		t.row(p.Mailbox, commas(p.Messages), commas(p.New), size(p.Bytes), commas(p.LeftOut))
		sum.New += p.New
		sum.Bytes += p.Bytes
	}
	fmt.Fprintf(a.stdout, "%s: %s to fetch, at most %s; copies of messages that are here already, or come twice, are not fetched\n",
		printable(acct.Name), count(sum.New, "message"), size(sum.Bytes))
	return t.write(a.stdout)
}
