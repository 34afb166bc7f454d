package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mailkeep/archive"
)

// mostHoles is how many entries of the failure ledger status prints as text; --json prints all.
const mostHoles = 20

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "show what the archive holds and what could not be fetched",
		Long: `Shows the accounts with their messages and sizes, when each was last backed up, how many messages vanished at the source, the failure
ledger (messages that the server lists but did not deliver; each backup tries them again; the exit code is 3 while there are any), and the disk space used.`,
		Example: "  mailkeep status\n  mailkeep status --json --archive /mnt/backup/MailStore",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	}
}

// statusReport is the output of status --json. Sizes are bytes.
type statusReport struct {
	Archive  string          `json:"archive"`
	Messages int64           `json:"messages"` // distinct, that is files
	Bytes    int64           `json:"bytes"`    // of these
	Disk     int64           `json:"disk"`     // all of the folder
	Accounts []statusAccount `json:"accounts"`
	Failed   []statusHole    `json:"failed"`
}

type statusAccount struct {
	Name       string           `json:"name"`
	Kind       string           `json:"kind"`
	Messages   int64            `json:"messages"` // distinct
	Bytes      int64            `json:"bytes"`
	Mailboxes  int              `json:"mailboxes"`
	Gone       int64            `json:"gone"`
	Failed     int64            `json:"failed"`
	LastBackup *lastRun         `json:"last_backup,omitempty"`
	LastVerify *archive.Receipt `json:"last_verify,omitempty"`
}

type statusHole struct {
	Account string    `json:"account"`
	Mailbox string    `json:"mailbox"`
	UID     uint32    `json:"uid"`
	Reason  string    `json:"reason"`
	Tries   int       `json:"tries"`
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
}

func (a *app) status(ctx context.Context) (err error) {
	r, err := a.readArchive()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	report, err := newStatus(ctx, r)
	if err != nil {
		return err
	}
	if a.json {
		printJSON(a.stdout, report)
	} else if err := a.printStatus(report); err != nil {
		return err
	}
	if len(report.Failed) > 0 {
		return fmt.Errorf("%w: each backup tries them again", errIncomplete)
	}
	return nil
}

func newStatus(ctx context.Context, r *archive.Reader) (*statusReport, error) {
	dir, err := filepath.Abs(r.Dir())
	if err != nil {
		return nil, err
	}
	report := &statusReport{Archive: dir, Accounts: []statusAccount{}, Failed: []statusHole{}}
	all, err := r.Totals(ctx, 0)
	if err != nil {
		return nil, err
	}
	report.Messages, report.Bytes = all.Messages, all.Bytes
	accounts, err := r.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	runs, err := readRuns(dir)
	if err != nil {
		return nil, err
	}
	names := map[archive.AccountID]string{}
	for _, acct := range accounts {
		names[acct.ID] = acct.Name
		line, err := newStatusAccount(ctx, r, acct)
		if err != nil {
			return nil, err
		}
		if run, ok := runs[acct.Name]; ok {
			line.LastBackup = &run
		}
		if line.LastVerify, err = lastVerified(dir, acct.Name); err != nil {
			return nil, err
		}
		report.Accounts = append(report.Accounts, line)
	}
	holes, err := r.Holes(ctx, 0)
	if err != nil {
		return nil, err
	}
	for _, h := range holes {
		report.Failed = append(report.Failed, statusHole{names[h.Account], h.Name, h.UID, h.Reason, h.Tries, time.Unix(h.First, 0).UTC(), time.Unix(h.Last, 0).UTC()})
	}
	report.Disk, err = diskUse(ctx, dir)
	return report, err
}

func newStatusAccount(ctx context.Context, r *archive.Reader, acct archive.Account) (statusAccount, error) {
	totals, err := r.Totals(ctx, acct.ID)
	if err != nil {
		return statusAccount{}, err
	}
	boxes, err := r.Mailboxes(ctx, acct.ID)
	if err != nil {
		return statusAccount{}, err
	}
	return statusAccount{Name: acct.Name, Kind: string(acct.Kind), Messages: totals.Messages, Bytes: totals.Bytes,
		Mailboxes: len(boxes), Gone: totals.Gone, Failed: totals.Holes}, nil
}

// diskUse sums up the sizes of all files; those that vanish meanwhile do not count.
func diskUse(ctx context.Context, dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				sum += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return errors.Join(err, ctx.Err())
	})
	if err != nil {
		return 0, fmt.Errorf("measure the archive: %w", err)
	}
	return sum, nil
}

func (a *app) printStatus(s *statusReport) error {
	fmt.Fprintf(a.stdout, "archive %s: %s (%s), %s on disk\n", printable(s.Archive), count(s.Messages, "message"), size(s.Bytes), size(s.Disk))
	if len(s.Accounts) == 0 {
		fmt.Fprintln(a.stdout, "no account has been backed up yet")
		return nil
	}
	fmt.Fprintln(a.stdout)
	t := table{right: []bool{false, false, true, true, true, true, true}}
	t.row("account", "kind", "mailboxes", "messages", "size", "gone", "failed", "last backup")
	for _, acct := range s.Accounts {
		last := "unknown"
		if acct.LastBackup != nil {
			last = acct.LastBackup.Finished.Local().Format("2006-01-02 15:04") + " " + acct.LastBackup.Result
		}
		t.row(acct.Name, acct.Kind, commas(int64(acct.Mailboxes)), commas(acct.Messages), size(acct.Bytes), commas(acct.Gone), commas(acct.Failed), last)
	}
	if err := t.write(a.stdout); err != nil {
		return err
	}
	for _, acct := range s.Accounts {
		if r := acct.LastVerify; r != nil {
			fmt.Fprintf(a.stdout, "\n%s, verified %s: %s\n", printable(acct.Name), r.Finished.Local().Format("2006-01-02 15:04"), verified(r))
		}
	}
	if len(s.Failed) == 0 {
		return nil
	}
	fmt.Fprintf(a.stdout, "\nfailure ledger: %s could not be fetched; each backup tries again\n", count(int64(len(s.Failed)), "message"))
	for _, h := range s.Failed[:min(len(s.Failed), mostHoles)] {
		fmt.Fprintf(a.stdout, "  %s, %s, UID %d: %s (%s since %s)\n", printable(h.Account), printable(h.Mailbox), h.UID, printable(h.Reason),
			count(int64(h.Tries), "attempt"), h.First.Local().Format(time.DateOnly))
	}
	if more := len(s.Failed) - mostHoles; more > 0 {
		fmt.Fprintf(a.stdout, "  and %s more; --json lists all\n", commas(int64(more)))
	}
	return nil
}
