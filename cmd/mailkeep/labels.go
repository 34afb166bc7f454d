package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailkeep/archive"
)

func (a *app) labelsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "labels [account]",
		Short:   "list the mailboxes of the archive",
		Long:    `Lists the mailboxes (on Gmail: the labels) of one account or of all, with the number of messages, the unread ones, their size and the special use.`,
		Example: "  mailkeep labels\n  mailkeep labels me@gmail.com --json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return a.labels(cmd.Context(), name)
		},
	}
}

// labelLine is an element of the list that labels --json prints.
type labelLine struct {
	Account    string     `json:"account"`
	Name       string     `json:"name"`
	SpecialUse string     `json:"special_use,omitempty"`
	Messages   uint32     `json:"messages"`
	Unseen     uint32     `json:"unseen"`
	Bytes      int64      `json:"bytes"`
	GoneSince  *time.Time `json:"gone_since,omitempty"` // the source has no such mailbox any more
}

func (a *app) labels(ctx context.Context, name string) (err error) {
	r, err := a.readArchive()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	lines, err := listLabels(ctx, r, name)
	if err != nil {
		return err
	}
	if a.json {
		printJSON(a.stdout, lines)
		return nil
	}
	return a.printLabels(lines)
}

// printLabels prints a table for each account.
func (a *app) printLabels(lines []labelLine) error {
	var t *table
	for i, l := range lines {
		if i == 0 || l.Account != lines[i-1].Account {
			t = &table{indent: "  ", right: []bool{false, true, true, true}}
			t.row("mailbox", "messages", "unread", "size", "special use")
		}
		note := l.SpecialUse
		if l.GoneSince != nil {
			note += " not on the server since " + l.GoneSince.Local().Format(time.DateOnly)
		}
		t.row(l.Name, commas(int64(l.Messages)), commas(int64(l.Unseen)), size(l.Bytes), strings.TrimSpace(note))
		if i+1 < len(lines) && lines[i+1].Account == l.Account {
			continue
		}
		fmt.Fprintf(a.stdout, "%s:\n", printable(l.Account))
		if err := t.write(a.stdout); err != nil {
			return err
		}
	}
	return nil
}

func listLabels(ctx context.Context, r *archive.Reader, name string) ([]labelLine, error) {
	accounts, err := r.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	names := map[string]archive.AccountID{}
	for _, acct := range accounts {
		names[acct.Name] = acct.ID
	}
	if _, ok := names[name]; name != "" && !ok {
		return nil, usagef("the archive holds no account %q%s", name, nearest(name, names))
	}
	lines := []labelLine{}
	for _, acct := range accounts {
		if name != "" && acct.Name != name {
			continue
		}
		boxes, err := r.Mailboxes(ctx, acct.ID)
		if err != nil {
			return nil, err
		}
		for _, b := range boxes {
			line := labelLine{Account: acct.Name, Name: b.Name, SpecialUse: b.SpecialUse, Messages: b.Messages, Unseen: b.Unseen, Bytes: b.Bytes}
			if b.GoneAt != 0 {
				at := time.Unix(b.GoneAt, 0).UTC()
				line.GoneSince = &at
			}
			lines = append(lines, line)
		}
	}
	return lines, nil
}
