package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mailkeep/archive"
	"mailkeep/integration/bench/gen"
	"mailkeep/integration/program"
)

// checkGoal is how fast files must be read, compared with sha256sum on two processors.
const checkGoal = 0.8

// benchCheck compares "mailkeep check" with sha256sum, two at a time, over the same files.
func benchCheck(ctx context.Context, e *env) error {
	for _, tool := range []string{"sha256sum", "xargs", "find"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: %s is not installed; on Debian: apt-get install coreutils findutils", errUsage, tool)
		}
	}
	c, runs := corpus{n: 2000, seed: seed, profile: gen.Full}, 3
	if e.full {
		c, runs = corpus{n: 100_000, seed: seed, profile: gen.Full}, 3
	}
	e.note("build mailkeep")
	var err error
	if e.binary, err = program.Build(ctx, e.dir); err != nil {
		return err
	}
	dir, err := e.kept(ctx, "check-"+c.String(), archiveSources, func(dir string) error { return e.fillArchive(ctx, dir, c) })
	if err != nil {
		return err
	}
	store := filepath.Join(dir, "MailStore")
	files, size, err := messagesIn(store)
	if err != nil {
		return err
	}
	defer e.report.begin("check", fmt.Sprintf("Check of %s messages, %.2f GB", thousands(files), float64(size)/1e9)).finish()
	b := &checks{env: e, store: store, files: files, size: size}
	if err := b.readingRow(ctx, runs); err != nil {
		return err
	}
	if err := b.rottenRow(ctx); err != nil {
		return err
	}
	return b.journalRows(ctx, c)
}

// messagesIn counts the message files of an archive, and their bytes.
func messagesIn(store string) (files int, size int64, err error) {
	err = filepath.WalkDir(store, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".eml" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files++
			size += info.Size()
		}
		return err
	})
	return files, size, err
}

// checks is an archive under check.
type checks struct {
	*env
	store string
	files int
	size  int64
}

// readingRow times the reading alone on both sides, with the page cache as it is: dropped before each run in a full run, filled in a small one.
func (b *checks) readingRow(ctx context.Context, runs int) error {
	var ours, theirs, whole []float64
	for i := range runs + 1 {
		b.note("round %d", i)
		for _, one := range []struct {
			into *[]float64
			run  func(context.Context) error
		}{
			{&theirs, ending("sh", "-c", `find "$0" -name '*.eml' -print0 | xargs -0 -P2 -n 64 sha256sum > /dev/null`, b.store)},
			{&ours, b.read},
			{&whole, ending(b.binary, "check", "--anew", "--quiet", "--archive", b.store)},
		} {
			if b.full {
				how, err := dropPageCache(b.store)
				if err != nil {
					return err
				}
				b.report.Dropped = how
			}
			begun := time.Now()
			if err := one.run(ctx); err != nil {
				return err
			}
			if i > 0 { // the first warms up
				*one.into = append(*one.into, float64(time.Since(begun).Microseconds())/1e3)
			}
		}
	}
	x := &row{Scenario: "read and compare every message", Unit: "ms", Ours: median(ours), Theirs: map[string]float64{"sha256sum -P2": median(theirs)}, AtLeast: checkGoal, Rounds: runs}
	b.report.add(x)
	b.report.add(&row{Scenario: "the same, with gmail.db and the journal", Unit: "ms", Ours: median(whole), Rounds: runs})
	b.report.Notes = append(b.report.Notes, fmt.Sprintf("mailkeep check reads %.0f MB/s, sha256sum %.0f MB/s.", float64(b.size)/1e3/median(ours), float64(b.size)/1e3/median(theirs)))
	return nil
}

// ending is running a program to its end.
func ending(args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args[:2], " "), err, out)
		}
		return nil
	}
}

// read checks the files alone: what the command does without its looks at gmail.db and the journal.
func (b *checks) read(ctx context.Context) error {
	done, err := archive.Check(ctx, b.store, archive.CheckOptions{Digests: true}, func(f archive.Finding) error { return fmt.Errorf("found %v", f) })
	if err == nil && done.Messages != int64(b.files) {
		err = fmt.Errorf("checked %d of %d messages", done.Messages, b.files)
	}
	return err
}

// rottenRow flips a byte in a hundred files of a copy of the smallest sort, hard links but for those, and lets the check name them.
func (b *checks) rottenRow(ctx context.Context) error {
	const flips = 100
	rnd := rand.New(rand.NewPCG(7, 7))
	var paths []string
	err := filepath.WalkDir(b.store, func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".eml" {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	before := map[string][]byte{}
	for _, i := range rnd.Perm(len(paths))[:flips] {
		text, err := os.ReadFile(paths[i])
		if err != nil {
			return err
		}
		before[paths[i]] = bytes.Clone(text)
		text[rnd.IntN(len(text))] ^= 1
		if err := errors.Join(os.Remove(paths[i]), os.WriteFile(paths[i], text, 0o400)); err != nil {
			return err
		}
	}
	named := 0
	out, checkErr := exec.CommandContext(ctx, b.binary, "check", "--json", "--quiet", "--anew", "--archive", b.store).Output()
	for line := range bytes.Lines(out) {
		var f struct{ Event, Kind, Path string }
		if json.Unmarshal(line, &f) == nil && f.Event == "finding" && f.Kind == "damaged" && before[filepath.Join(b.store, filepath.FromSlash(f.Path))] != nil {
			named++
		}
	}
	for path, text := range before {
		if err := errors.Join(os.Remove(path), os.WriteFile(path, text, 0o400)); err != nil {
			return err
		}
	}
	x := &row{Scenario: "flipped bytes found, of 100", Unit: "files", Ours: float64(named)}
	if named != flips || checkErr == nil {
		x.Wrong = fmt.Sprintf("%d of %d damaged files were named, %v", named, flips, checkErr)
	}
	b.report.add(x)
	return nil
}

// journalRows tells what the journal costs: bytes for each message, before and after it is made small.
func (b *checks) journalRows(ctx context.Context, c corpus) error {
	size := func() (n int64, err error) {
		files, err := filepath.Glob(filepath.Join(b.store, "journal", "*.jsonl"))
		for _, f := range files {
			info, statErr := os.Stat(f)
			if err = errors.Join(err, statErr); err == nil {
				n += info.Size()
			}
		}
		return n, err
	}
	before, err := size()
	if err != nil {
		return err
	}
	copied, err := b.folder("compacted")
	if err != nil {
		return err
	}
	for _, part := range []string{"journal", "FORMAT", "gmail.db"} {
		if out, err := exec.CommandContext(ctx, "cp", "-a", filepath.Join(b.store, part), copied).CombinedOutput(); err != nil {
			return fmt.Errorf("copy %s: %w: %s", part, err, out)
		}
	}
	w, err := archive.OpenWriter(copied)
	if err != nil {
		return err
	}
	done, err := w.Compact(ctx)
	if err := errors.Join(err, w.Close()); err != nil {
		return err
	}
	b.report.add(&row{Scenario: "journal, bytes a message", Unit: "bytes", Ours: float64(before) / float64(c.n), AtMost: 300})
	b.report.add(&row{Scenario: "journal after rebuild --compact, bytes a message", Unit: "bytes", Ours: float64(done.After) / float64(c.n), AtMost: 300})
	return nil
}
