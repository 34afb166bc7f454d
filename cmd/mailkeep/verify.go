package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mailkeep/archive"
	"mailkeep/backup"
)

// deepSample is how many messages verify --deep fetches when no number is given.
const deepSample = 200

// mostProblemLines is how many differences of a kind verify prints as text; --json prints up to a thousand.
const mostProblemLines = 10

// errMissing says that the server has what the archive has not.
var errMissing = errors.New("something is missing from the archive")

// errDamage says that the archive's own files are not what was recorded.
var errDamage = errors.New("the archive is damaged")

func (a *app) verifyCommand() *cobra.Command {
	var deep string
	cmd := &cobra.Command{
		Use:   "verify [account...]",
		Short: "compare the accounts with the archive, message by message",
		Long: `Compares each account as it is now with the archive: which messages are there, under which labels, with which flags and sizes; on Gmail by their
X-GM-MSGID, on other servers by mailbox and UID, and by fingerprint where a mailbox was renumbered. It prints for each mailbox how many messages are on the server and
in the archive, how many are missing (and why), and how many the server has no more. Neither side is changed; a backup or a server may run meanwhile.

--deep also fetches messages and compares their bytes with the archive's files: ` + strconv.Itoa(deepSample) + ` chosen at random, --deep=N that many, --deep=all all of them.

A receipt with time, counts and a digest over the list of all messages and labels is kept in the archive's folder receipts/; "mailkeep status" shows the last one.

With --json each line is an object: "event" is "progress", "warning" or, when an account is compared, "verification". The exit code is 3 when something is missing and 5
when a file of the archive turned out to be damaged.`,
		Example: "  mailkeep verify\n  mailkeep verify me@gmail.com --deep\n  mailkeep verify --deep=all --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := depth(deep)
			if err != nil {
				return err
			}
			return a.verify(cmd.Context(), args, n)
		},
	}
	cmd.Flags().StringVar(&deep, "deep", "0", "also fetch and hash `N` messages chosen at random, or all")
	cmd.Flags().Lookup("deep").NoOptDefVal = strconv.Itoa(deepSample)
	return cmd
}

func depth(text string) (int64, error) {
	if text == "all" {
		return backup.VerifyAll, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, usagef("--deep=%s: give a number of messages, or all", text)
	}
	return n, nil
}

func (a *app) verify(ctx context.Context, names []string, deep int64) (err error) {
	c, err := a.config()
	if err != nil {
		return err
	}
	accounts, err := c.pick(names)
	if err != nil {
		return err
	}
	r, err := openArchive(c.Archive)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var results []error
	for i := range accounts {
		err := a.verifyAccount(ctx, r, &accounts[i], deep)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			results = append(results, fmt.Errorf("account %q: %w", accounts[i].Name, err))
		}
	}
	if len(results) > 1 {
		for _, err := range results {
			fmt.Fprintf(a.stderr, "mailkeep: %s\n", printable(message(ctx, err)))
		}
		return tellf(errors.Join(results...), "%d of %d accounts are not as they should be; the reasons stand above", len(results), len(accounts))
	}
	return errors.Join(results...)
}

func (a *app) verifyAccount(ctx context.Context, r *archive.Reader, acct *Account, deep int64) error {
	c, err := a.credential(ctx, acct)
	if err != nil {
		return err
	}
	watch := a.watch(acct.Name)
	options := acct.backupOptions()
	options.Dial, options.Progress = a.dialer(acct, c), watch
	v, err := backup.Verify(ctx, r, options, deep)
	watch.Finish()
	var dialed dialError
	switch {
	case errors.Is(err, archive.ErrNotFound):
		return tellf(err, "nothing of it is in the archive yet; run \"mailkeep backup\" first")
	case errors.As(err, &dialed) && ctx.Err() == nil:
		return dialed.err
	case err != nil:
		return err
	}
	path, err := archive.WriteReceipt(r.Dir(), v.Receipt)
	if err != nil {
		return err
	}
	if a.json {
		printJSON(a.stdout, newVerifyLine(v, path))
	} else if err := a.printVerification(v, path); err != nil {
		return err
	}
	return verdictOf(v)
}

// verdictOf is the error that the exit code comes from.
func verdictOf(v *backup.Verification) error {
	lacks := v.Missing + v.Labels + v.Differ
	switch {
	case v.Damaged > 0:
		return fmt.Errorf("%w: %s; run \"mailkeep check\"", errDamage, count(v.Damaged, "file"))
	case lacks > 0:
		return fmt.Errorf("%w: %s, %s, %s with other bytes; run \"mailkeep backup\" and verify again", errMissing,
			count(v.Missing, "message"), count(v.Labels, "label"), count(v.Differ, "message"))
	case len(v.Unread) > 0:
		return fmt.Errorf("%w, perhaps: %s could not be compared; the reasons stand above", errMissing, count(int64(len(v.Unread)), "mailbox"))
	}
	return nil
}

// verifyLine is the line of verify --json for an account.
type verifyLine struct {
	Event string `json:"event"` // "verification"
	archive.Receipt
	Seconds  float64         `json:"seconds"`
	File     string          `json:"receipt"`
	Problems []verifyProblem `json:"problems"`
}

type verifyProblem struct {
	Kind     string `json:"kind"`
	Mailbox  string `json:"mailbox"`
	UID      uint32 `json:"uid,omitempty"`
	SourceID string `json:"source_id,omitempty"`
	Ref      string `json:"sha256,omitempty"`
	Reason   string `json:"reason"`
}

func newVerifyLine(v *backup.Verification, path string) verifyLine {
	line := verifyLine{Event: "verification", Receipt: v.Receipt, Seconds: v.Elapsed.Round(time.Millisecond).Seconds(), File: path, Problems: []verifyProblem{}}
	for _, p := range v.Problems {
		one := verifyProblem{string(p.Kind), p.Mailbox, p.UID, p.SourceID, "", p.Reason}
		if !p.Ref.IsZero() {
			one.Ref = p.Ref.String()
		}
		line.Problems = append(line.Problems, one)
	}
	return line
}

func (a *app) printVerification(v *backup.Verification, path string) error {
	if !a.quiet {
		t := &table{indent: "  ", right: []bool{false, true, true, true, true}}
		t.row("mailbox", "on server", "in archive", "missing", "extra")
		for _, m := range v.Mailboxes {
			if m.Excluded {
				t.row(m.Name, "excluded", commas(m.Archive), "", "")
				continue
			}
			t.row(m.Name, commas(m.Server), commas(m.Archive), commas(m.Missing), commas(m.Extra))
		}
		fmt.Fprintf(a.stdout, "%s:\n", printable(v.Account))
		if err := t.write(a.stdout); err != nil {
			return err
		}
	}
	a.printProblems(v)
	fmt.Fprintf(a.stdout, "%s: %s; receipt %s (%s)\n", printable(v.Account), verified(&v.Receipt), printable(path), duration(v.Elapsed))
	return nil
}

// verified sums a receipt up in a line.
func verified(r *archive.Receipt) string {
	parts := []string{fmt.Sprintf("%s on the server, %s here, %s missing", count(r.Server, "message"), commas(r.Held), commas(r.Missing))}
	add := func(n int64, what string) string {
		if n == 0 {
			return ""
		}
		return commas(n) + " " + what
	}
	parts = append(parts, add(r.Gone, "kept and gone from the server"), add(r.LeftOut, "left out on purpose"), add(r.Returned, "marked as gone and at the server"),
		add(r.Labels, "labels missing"), add(r.Flags, "with other flags"), add(r.Sizes, "with another size"))
	if r.Deep > 0 {
		parts = append(parts, fmt.Sprintf("%s hashed, %s differ, %s damaged", commas(r.Deep), commas(r.Differ), commas(r.Damaged)))
	}
	return join(parts...)
}

// printProblems lists the first differences of each kind.
func (a *app) printProblems(v *backup.Verification) {
	shown := map[backup.ProblemKind]int{}
	for _, p := range v.Problems {
		shown[p.Kind]++
		switch n := shown[p.Kind]; {
		case n == mostProblemLines+1:
			fmt.Fprintf(a.stdout, "  %s: and more; --json lists them\n", p.Kind)
		case n <= mostProblemLines:
			where := printable(p.Mailbox)
			if p.UID != 0 {
				where += ", UID " + strconv.FormatUint(uint64(p.UID), 10)
			}
			fmt.Fprintf(a.stdout, "  %s: %s: %s\n", p.Kind, where, printable(p.Reason))
		}
	}
}

// lastVerified is the newest receipt of an account, or nil; one that cannot be read is as good as none.
func lastVerified(dir, account string) (*archive.Receipt, error) {
	r, err := archive.LastReceipt(dir, account)
	if errors.Is(err, archive.ErrNotFound) || errors.Is(err, os.ErrPermission) {
		return nil, nil
	}
	return r, err
}
