package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/bench/load"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/need"
	"mailkeep/integration/program"
	"mailkeep/integration/proxy"
)

// sample is one run of a backup program.
type sample struct {
	wall  time.Duration
	peak  int64 // bytes of memory
	down  int64 // bytes from the server
	store int64 // bytes of the files that it keeps
}

// benchBackup compares our backup with mbsync, both from one Dovecot: first into nothing, then with nothing changed.
func benchBackup(ctx context.Context, e *env) (err error) {
	n, runs := 1000, 2
	if e.full {
		n, runs = 20000, 5
	}
	mbsync, err := need.Find("mbsync")
	if err != nil {
		return fmt.Errorf("%w: mbsync is not installed; on Debian: apt-get install isync", errUsage)
	}
	peer, err := startDovecot(dovecot.Options{Users: []dovecot.User{{Name: nearUser}, {Name: distantUser}}})
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, peer.Stop()) }()
	e.note("fill Dovecot with %d messages", n)
	tally, err := load.FillMaildir(peer, nearUser, gen.New(n, seed, gen.Full))
	if err != nil {
		return err
	}
	defer e.report.begin("backup", "From Dovecot: "+describe(tally)).finish()
	relay, err := proxy.New(peer.Addr)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, relay.Close()) }()
	e.note("build mailkeep")
	binary, err := program.Build(ctx, e.dir)
	if err != nil {
		return err
	}
	b := &backups{env: e, user: nearUser, relay: relay, binary: binary, mbsync: mbsync, first: map[string][]sample{}, again: map[string][]sample{}}
	for i := range runs + 1 {
		// Round 0 warms Dovecot's index and the page cache, and does not count.
		if err := b.round(ctx, i); err != nil {
			return err
		}
	}
	b.rows(tally)
	return b.distant(ctx, peer)
}

// What is backed up from far away: few messages, as their mailboxes are what costs round trips.
const (
	distance        = 50 * time.Millisecond
	distantMessages = 300
)

// distant compares first backups over a long way, from a second account.
func (b *backups) distant(ctx context.Context, peer *dovecot.Server) error {
	tally, err := load.FillMaildir(peer, distantUser, gen.New(distantMessages, seed, gen.Full))
	if err != nil {
		return err
	}
	b.first, b.user = map[string][]sample{}, distantUser
	runs := 1 // most of each is waiting, which varies little
	if b.full {
		runs = 3
	}
	b.relay.Delay(distance)
	defer b.relay.Delay(0)
	for i := range runs {
		for _, name := range []string{mailkeep, careless} {
			dir, err := b.folder(fmt.Sprintf("distant %d %s", i, name))
			if err != nil {
				return err
			}
			command, err := b.command(ctx, name, dir)
			if err != nil {
				return err
			}
			b.note("%v away, round %d: %s", distance, i+1, name)
			one, err := b.sample(command(), dir)
			if err != nil {
				return fmt.Errorf("%s, first backup from %v away: %w", name, distance, err)
			}
			b.first[name] = append(b.first[name], one)
		}
	}
	b.row(b.first, fmt.Sprintf("first backup of %s messages in %d mailboxes, %v away, beside mbsync without fsync (ours durable)", thousands(tally.Messages), len(tally.Mailboxes), distance),
		"ms", func(s sample) float64 { return ms(s.wall) }, careless).AtLeast = 5
	return nil
}

const (
	durable  = "mbsync"
	careless = "mbsync without fsync"

	nearUser, distantUser = "bench", "distant"
)

type backups struct {
	*env
	relay          *proxy.Proxy
	binary, mbsync string
	user           string // whose mail is backed up
	first, again   map[string][]sample
}

// round runs all programs once, each into a new folder and then a second time.
func (b *backups) round(ctx context.Context, i int) error {
	names := []string{mailkeep, durable, careless}
	if i == 0 {
		names = names[:1]
	}
	for _, name := range names {
		dir, err := b.folder(fmt.Sprintf("%d %s", i, name))
		if err != nil {
			return err
		}
		command, err := b.command(ctx, name, dir)
		if err != nil {
			return err
		}
		b.note("round %d: %s", i, name)
		first, err := b.sample(command(), dir)
		if err != nil {
			return fmt.Errorf("%s, first backup: %w", name, err)
		}
		again, err := b.sample(command(), dir)
		if err != nil {
			return fmt.Errorf("%s, second run: %w", name, err)
		}
		if i > 0 {
			b.first[name] = append(b.first[name], first)
			b.again[name] = append(b.again[name], again)
		}
		// The folders stay until the end: ext4 is slow to create files where many were deleted a moment ago.
	}
	return nil
}

// command prepares a program's folder and gives what makes its command.
func (b *backups) command(ctx context.Context, name, dir string) (func() *exec.Cmd, error) {
	if name == mailkeep {
		k, err := program.New(b.binary, dir, program.Account{Name: "bench", Addr: b.relay.Addr, User: b.user, Password: "pass"})
		return func() *exec.Cmd { return k.Command(ctx, "backup") }, err
	}
	rc := filepath.Join(dir, "mbsyncrc")
	text := program.MbsyncConfig(b.relay.Addr, b.user, "pass", filepath.Join(dir, "mail"), name == durable)
	return func() *exec.Cmd { return exec.CommandContext(ctx, b.mbsync, "-q", "-c", rc, "all") },
		firstError(os.MkdirAll(filepath.Join(dir, "mail"), 0o700), os.WriteFile(rc, []byte(text), 0o600))
}

func (b *backups) sample(cmd *exec.Cmd, dir string) (sample, error) {
	b.relay.Reset()
	t0 := time.Now()
	out, peak, err := program.Watch(cmd)
	wall := time.Since(t0)
	if err != nil {
		return sample{}, fmt.Errorf("%w\n%s", err, out)
	}
	store, err := size(dir)
	return sample{wall, peak, b.relay.Down(), store}, err
}

// size sums up the files under dir; a file with several names counts once for each, as no program here makes links.
func size(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}

// rows turns the samples into the table.
func (b *backups) rows(t *gen.Tally) {
	wall := func(s sample) float64 { return ms(s.wall) }
	distinct := float64(t.Bytes)
	store := func(s sample) float64 { return float64(s.store) / distinct }
	down := func(s sample) float64 { return float64(s.down) / float64(t.Bytes+t.Headers) }
	peak := func(s sample) float64 { return float64(s.peak) / 1e6 }
	kb := func(s sample) float64 { return float64(s.down) / 1e3 }

	b.row(b.first, "first backup, beside mbsync as it comes", "ms", wall, durable).AtLeast = 5
	b.row(b.first, "first backup, beside mbsync without fsync (ours durable)", "ms", wall, careless).AtLeast = 2
	b.row(b.first, "bytes from the server / distinct messages and the headers of all copies", "x", down, durable).AtMost = 1.05
	b.row(b.first, "bytes on disk / distinct messages", "x", store, durable).AtMost = 1.05
	b.row(b.first, "peak memory", "MB", peak, durable).AtMost = 100
	b.row(b.again, "second run, nothing changed", "ms", wall, durable, careless).AtMost = 1000
	b.row(b.again, "second run, bytes from the server", "kB", kb, durable).AtMost = 100
}

func (b *backups) row(from map[string][]sample, scenario, unit string, value func(sample) float64, peers ...string) *row {
	figure := func(name string) float64 {
		var all []float64
		for _, s := range from[name] {
			all = append(all, value(s))
		}
		return median(all)
	}
	x := &row{Scenario: scenario, Unit: unit, Ours: figure(mailkeep), Theirs: map[string]float64{}}
	for _, p := range peers {
		x.Theirs[p] = figure(p)
	}
	b.report.add(x)
	return x
}
