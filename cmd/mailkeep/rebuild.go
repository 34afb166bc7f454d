package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/spf13/cobra"

	"mailkeep/archive"
	"mailkeep/backup"
)

func (a *app) rebuildCommand() *cobra.Command {
	var compact bool
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "make gmail.db anew from the journal, or the journal from gmail.db",
		Long: `Makes gmail.db, the map of the archive, anew from the journal: accounts, labels, UIDs, flags and dates are what they were, and mail programs notice
nothing. A damaged journal is made anew from gmail.db. With both damaged everything that can be read is kept, what was lost is told by line, and messages of which
only the file is left are shown in the mailbox "` + archive.RecoveredMailbox + `", by date. What was there before goes to quarantine/; messages are never touched.
It can be interrupted at any moment and begun again. Nothing else may write to the archive meanwhile; a "mailkeep serve" that is running ends its
connections and serves what was made.

With --compact the journal is written anew as a snapshot of gmail.db, which must be whole; the files that it supersedes go to quarantine/ and may be deleted there.

With --json the output is one object: source ("journal", "database", "damaged journal" or "files"), accounts, mailboxes, messages, damage (file, lines, batches, problem),
recovered, account, aside. With --compact: snapshot, before, after (bytes), aside.`,
		Example: "  mailkeep rebuild\n  mailkeep rebuild --archive /mnt/backup/MailStore\n  mailkeep rebuild --compact",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := a.archiveFolder()
			if err != nil {
				return err
			}
			if compact {
				return a.compact(cmd.Context(), dir)
			}
			return a.rebuild(cmd.Context(), dir)
		},
	}
	cmd.Flags().BoolVar(&compact, "compact", false, "make the journal small: a snapshot in place of its history")
	return cmd
}

// rebuiltLine is the output of rebuild --json.
type rebuiltLine struct {
	Event     string                  `json:"event"` // "rebuild"
	Source    archive.RebuildSource   `json:"source"`
	Accounts  int64                   `json:"accounts"`
	Mailboxes int64                   `json:"mailboxes"`
	Messages  int64                   `json:"messages"`
	Damage    []archive.JournalDamage `json:"damage"`
	Recovered int64                   `json:"recovered"`
	Account   string                  `json:"account,omitempty"` // of the recovered messages
	Aside     []string                `json:"aside"`             // what was moved, below the archive's folder
	Seconds   float64                 `json:"seconds"`
}

func (a *app) rebuild(ctx context.Context, dir string) error {
	started := time.Now()
	watch := a.watch("rebuild")
	done, err := archive.Rebuild(ctx, dir, archive.RebuildOptions{Progress: func(read, total int64) {
		watch.Update(backup.Status{Phase: phaseRebuild, WantedBytes: total, DownloadedBytes: read})
	}})
	watch.Finish()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return lockedOrNone(dir, err)
	}
	if err := a.renewSummaries(ctx, dir); err != nil {
		return err
	}
	if a.json {
		line := rebuiltLine{"rebuild", done.Source, done.Accounts, done.Mailboxes, done.Messages, done.Damage, done.Recovered, done.Account, done.Aside,
			time.Since(started).Round(time.Millisecond).Seconds()}
		if line.Damage == nil {
			line.Damage = []archive.JournalDamage{}
		}
		if line.Aside == nil {
			line.Aside = []string{}
		}
		printJSON(a.stdout, line)
		return nil
	}
	for _, line := range rebuiltLines(&done) {
		fmt.Fprintln(a.stdout, printable(line))
	}
	return nil
}

// phaseRebuild is a rebuild's phase in the progress of this package.
const phaseRebuild backup.Phase = "rebuild"

// lockedOrNone gives the errors of an archive that is in use, or not there, their advice.
func lockedOrNone(dir string, err error) error {
	if errors.Is(err, archive.ErrLocked) {
		return fmt.Errorf("archive %q: %w; wait until that has finished, or end it", dir, archive.ErrLocked)
	}
	return noArchive(dir, err)
}

// renewSummaries derives what the rebuilt map asks for anew.
func (a *app) renewSummaries(ctx context.Context, dir string) error {
	r, err := openArchive(dir)
	if err != nil {
		return err
	}
	a.finishSummaries(ctx, r)
	return r.Close()
}

// rebuiltLines tells what a rebuild did.
func rebuiltLines(done *archive.Rebuilt) []string {
	how := map[archive.RebuildSource]string{
		archive.FromJournal:        "made again from the journal, with the same UIDs",
		archive.FromDatabase:       "whole, and the journal was made anew from it",
		archive.FromDamagedJournal: "made from what could be read of the journal",
		archive.FromFiles:          "made from the message files alone",
	}[done.Source]
	lines := []string{fmt.Sprintf("gmail.db is %s: %s, %s, %s", how, count(done.Accounts, "account"), count(done.Mailboxes, "mailbox"), count(done.Messages, "message"))}
	for _, d := range done.Damage {
		lines = append(lines, fmt.Sprintf("damaged: %s: %s", path.Join("journal", d.File), d))
	}
	if done.Recovered > 0 {
		lines = append(lines, fmt.Sprintf("%s of which only the file is left: shown in the mailbox %q of account %q, labels and flags are lost", count(done.Recovered, "message"),
			archive.RecoveredMailbox, done.Account))
	}
	if done.Source == archive.FromDamagedJournal || done.Source == archive.FromFiles {
		lines = append(lines, "run \"mailkeep backup\" next: it reads the accounts as a whole and finds again what they still have")
	}
	if len(done.Aside) > 0 {
		lines = append(lines, fmt.Sprintf("what was there before is in %s", path.Dir(done.Aside[len(done.Aside)-1])))
	}
	return lines
}

// compactedLine is the output of rebuild --compact --json.
type compactedLine struct {
	Event    string   `json:"event"` // "compact"
	Snapshot string   `json:"snapshot"`
	Before   int64    `json:"before"` // bytes
	After    int64    `json:"after"`
	Aside    []string `json:"aside"`
}

func (a *app) compact(ctx context.Context, dir string) (err error) {
	if r, err := openArchive(dir); err != nil { // nothing is created here
		return err
	} else if err := r.Close(); err != nil {
		return err
	}
	w, err := openWriter(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	done, err := w.Compact(ctx)
	if err != nil {
		return err
	}
	if a.json {
		printJSON(a.stdout, compactedLine{"compact", done.Snapshot, done.Before, done.After, append([]string{}, done.Aside...)})
		return nil
	}
	if !a.quiet {
		fmt.Fprintf(a.stdout, "the journal has %s, and had %s; %s moved to quarantine/\n", size(done.After), size(done.Before), count(int64(len(done.Aside)), "file"))
	}
	return nil
}
