package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailkeep/archive"
	"mailkeep/backup"
)

// checkOptions are the flags of check.
type checkOptions struct {
	quick  bool
	repair bool
	anew   bool
}

func (a *app) checkCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check",
		Short: "prove that the archive is complete and unharmed",
		Long: `Reads every message and compares its SHA-256 with its name, looks whether every row has its file and every file a row, lets SQLite check
gmail.db, and compares gmail.db with the journal. It changes nothing and may run beside backups and servers. An interrupted check goes on where it was,
for a week; --anew begins at the beginning. The exit code is 5 when there is damage. Files that belong to no row are told and are no damage.

With --quick only the existence and sizes of the files are looked at, and the counters.

With --repair nothing else may write to the archive meanwhile. Damaged files are moved to quarantine/, never deleted, and fetched again from their accounts as far as the
servers still have them; what arrives takes the place only if it is the same byte for byte. A damaged gmail.db goes to quarantine/ too and is made again from
the journal. What could not be repaired is listed, and the exit code is 5.

With --json each line of the standard output is an object. "event" says what it is: "progress", "finding" (kind, path, problem, harmless, and message, actual and shown
where it concerns a message), "repaired" (path, how) or, at the end, "check" (result "clean", "repaired" or "damaged", messages, bytes, damage, harmless).`,
		Example: "  mailkeep check\n  mailkeep check --quick --archive /mnt/backup/MailStore\n  mailkeep check --repair",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.check(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.quick, "quick", false, "look at existence and sizes only, read nothing")
	cmd.Flags().BoolVar(&o.repair, "repair", false, "mend what can be mended")
	cmd.Flags().BoolVar(&o.anew, "anew", false, "do not go on where an interrupted check stopped")
	return cmd
}

// archiveFolder is the archive's path for a command that does not need its database to be readable.
func (a *app) archiveFolder() (string, error) {
	dir := a.archiveDir
	if dir == "" {
		c, err := a.config()
		if err != nil {
			return "", err
		}
		dir = c.Archive
	}
	return filepath.Clean(dir), checkFolder(dir)
}

// noArchive turns the error of a folder without an archive into advice.
func noArchive(dir string, err error) error {
	if errors.Is(err, archive.ErrNotFound) {
		return fmt.Errorf("there is no archive in %q yet; run \"mailkeep backup\" first, or name another folder with --archive", dir)
	}
	return err
}

func (a *app) check(ctx context.Context, o checkOptions) error {
	dir, err := a.archiveFolder()
	if err != nil {
		return err
	}
	if o.repair {
		return a.repair(ctx, dir, o)
	}
	started := time.Now()
	done, err := a.runCheck(ctx, dir, o, a.printFinding)
	if err != nil {
		return err
	}
	a.printChecked(done, checkVerdict(done), time.Since(started))
	if done.Damage > 0 {
		return fmt.Errorf("%w: %s; \"mailkeep check --repair\" mends what can be mended", errDamage, count(done.Damage, "finding"))
	}
	return nil
}

func checkVerdict(done archive.Checked) string {
	if done.Damage > 0 {
		return "damaged"
	}
	return "clean"
}

// phaseCheck is a check's phase in the progress of this package.
const phaseCheck backup.Phase = "check"

// runCheck checks an archive with progress.
func (a *app) runCheck(ctx context.Context, dir string, o checkOptions, report func(archive.Finding) error) (archive.Checked, error) {
	watch := a.watch("check")
	if o.anew {
		archive.ForgetCheck(dir)
	}
	done, err := archive.Check(ctx, dir, archive.CheckOptions{Digests: !o.quick, Journal: !o.quick, Resume: true, Progress: func(p archive.CheckProgress) {
		watch.Update(backup.Status{Phase: phaseCheck, Expected: p.TotalMessages, Seen: p.Messages, Wanted: p.TotalMessages, WantedBytes: p.TotalBytes, DownloadedBytes: p.Bytes})
	}}, report)
	watch.Finish()
	if ctx.Err() != nil {
		return done, resumable{err}
	}
	return done, noArchive(dir, err)
}

// findingLine is a line of check --json.
type findingLine struct {
	Event string `json:"event"` // "finding"
	archive.Finding
	Harmless bool `json:"harmless"`
}

func (a *app) printFinding(f archive.Finding) error {
	if a.json {
		printJSON(a.stdout, findingLine{"finding", f, f.Harmless()})
		return nil
	}
	if f.Harmless() && a.quiet {
		return nil
	}
	word := string(f.Kind)
	if f.Harmless() {
		word += " (harmless)"
	}
	text := fmt.Sprintf("%s: %s %s", word, f.Path, f.Problem)
	if len(f.Shown) > 0 {
		text += "; shown in " + strings.Join(f.Shown, "; ")
	}
	fmt.Fprintln(a.stdout, printable(text))
	return nil
}

// checkedLine is the last line of check --json.
type checkedLine struct {
	Event    string  `json:"event"`  // "check"
	Result   string  `json:"result"` // "clean", "repaired" or "damaged"
	Messages int64   `json:"messages"`
	Bytes    int64   `json:"bytes"`
	Damage   int64   `json:"damage"`   // findings that remain
	Harmless int64   `json:"harmless"` // findings that are no damage
	Resumed  bool    `json:"resumed"`  // a part was checked by an earlier, interrupted check
	Seconds  float64 `json:"seconds"`
}

func (a *app) printChecked(done archive.Checked, result string, took time.Duration) {
	if a.json {
		printJSON(a.stdout, checkedLine{"check", result, done.Messages, done.Bytes, done.Damage, done.Harmless, done.Resumed, took.Round(time.Millisecond).Seconds()})
		return
	}
	if a.quiet {
		return
	}
	text := fmt.Sprintf("%s: %s (%s) checked in %s", result, count(done.Messages, "message"), size(done.Bytes), duration(took.Round(100*time.Millisecond)))
	if done.Resumed {
		text += ", some by an earlier check that was interrupted"
	}
	if done.Harmless > 0 {
		text += fmt.Sprintf("; %s that may stay", count(done.Harmless, "harmless finding"))
	}
	fmt.Fprintln(a.stdout, text)
}
