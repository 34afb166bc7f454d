package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mailkeep/archive"
)

func (a *app) snapshotCommand() *cobra.Command {
	var o archive.SnapshotOptions
	cmd := &cobra.Command{
		Use:   "snapshot DIR",
		Short: "make a consistent copy of the archive, for other backup programs to take",
		Long: `Makes the folder DIR to a copy of the archive as it is at one moment, or brings such a copy up to date, while backups and servers are at work. The copy is an
archive itself: every command works on it with --archive DIR. restic, rclone, rsync and the like should take the copy, not the archive: files that change while they
are read do not fit together.

Messages are hard links where DIR is on the archive's file system, which takes no space and protects from nothing that harms the disk; elsewhere, and with
--copy, they are copied, the new ones only. If it is interrupted, DIR holds the old copy or the new one, and the next run finishes it. With --delete messages leave DIR that
were pruned from the archive.`,
		Example: "  mailkeep snapshot /backup/mail && restic backup /backup/mail\n  mailkeep snapshot /mnt/usb/MailStore",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.snapshot(cmd.Context(), args[0], o) },
	}
	cmd.Flags().BoolVar(&o.Copy, "copy", false, "copy messages even where hard links would do")
	cmd.Flags().BoolVar(&o.Delete, "delete", false, "remove messages that the archive does not have any more")
	return cmd
}

// snapshotLine is the output of snapshot --json. Sizes are bytes.
type snapshotLine struct {
	Event    string   `json:"event"` // "snapshot"
	Folder   string   `json:"folder"`
	Batch    int64    `json:"batch"`
	Messages int64    `json:"messages"`
	Linked   int64    `json:"linked"`
	Copied   int64    `json:"copied"`
	Bytes    int64    `json:"bytes_copied"`
	Surplus  int64    `json:"surplus"` // files of messages that the archive has no more
	Missing  []string `json:"missing"` // messages without a whole file, by their SHA-256
	Seconds  float64  `json:"seconds"`
}

func (a *app) snapshot(ctx context.Context, to string, o archive.SnapshotOptions) error {
	dir := a.archiveDir
	if dir == "" {
		c, err := a.config()
		if err != nil {
			return err
		}
		dir = c.Archive
	}
	r, err := openArchive(dir) // for its errors, and to bring an old one up to date
	if err == nil {
		err = r.Close()
	}
	if err != nil {
		return err
	}
	started, shown := time.Now(), time.Now()
	o.Progress = func(done, total int64) {
		if time.Since(shown) > lineEvery {
			shown = time.Now()
			a.say("%s of %s", commas(done), count(total, "message"))
		}
	}
	done, err := archive.Snapshot(ctx, filepath.Clean(dir), filepath.Clean(to), o)
	if errors.Is(err, archive.ErrNotSnapshot) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	a.printSnapshot(to, &done, time.Since(started))
	if n := len(done.Missing); n > 0 {
		return fmt.Errorf("%w: the files of %s are missing or damaged, and so not in the snapshot; run \"mailkeep check\"", errDamage, count(int64(n), "message"))
	}
	return nil
}

func (a *app) printSnapshot(to string, done *archive.Snapshotted, took time.Duration) {
	if a.json {
		line := snapshotLine{"snapshot", to, int64(done.ModSeq), done.Messages, done.Linked, done.Copied, done.Bytes, done.Surplus, []string{}, took.Round(time.Millisecond).Seconds()}
		for _, ref := range done.Missing {
			line.Missing = append(line.Missing, ref.String())
		}
		printJSON(a.stdout, line)
		return
	}
	fmt.Fprintf(a.stdout, "%s: %s, of which %s linked and %s copied (%s); %s\n", printable(to), count(done.Messages, "message"), commas(done.Linked), commas(done.Copied),
		size(done.Bytes), duration(took))
	if done.Surplus > 0 {
		fmt.Fprintf(a.stdout, "%s of messages that the archive does not have any more (--delete removes them)\n", count(done.Surplus, "file"))
	}
}
