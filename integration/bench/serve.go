package main

import (
	"context"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/bench/load"
	"mailkeep/integration/program"
)

const (
	seed     = 1
	mailkeep = "mailkeep"
)

// benchServe compares our IMAP server with Dovecot, each of them holding the same messages: the account is backed up from that
// Dovecot, then every scenario is run on all servers in turn.
func benchServe(ctx context.Context, e *env) (err error) {
	release := func() error { return nil }
	corpora := []corpus{{1000, seed, gen.Full}}
	if e.full {
		corpora = []corpus{{20_000, seed, gen.Full}, {100_000, seed + 1, gen.Small}}
		if release, err = e.openCache(); err != nil {
			return err
		}
	}
	defer func() { err = firstError(err, release()) }()
	e.note("build mailkeep")
	if e.binary, err = program.Build(ctx, e.dir); err != nil {
		return err
	}
	for i, c := range corpora {
		if err := e.table(ctx, c, i == 0); err != nil {
			return err
		}
	}
	if !e.full {
		return nil
	}
	return e.grow(ctx, []int{10_000, 100_000, 1_000_000})
}

// table measures everything with one corpus; what does not depend on the messages only with the first.
func (e *env) table(ctx context.Context, c corpus, first bool) (err error) {
	if !e.wants(c, scenarioNames()...) {
		return nil
	}
	b, err := e.lay(ctx, c)
	defer func() { err = firstError(err, b.close()) }()
	if err != nil {
		return err
	}
	defer e.report.begin(c.String(), describe(b.tally)).finish()
	steps := []func(context.Context) error{b.warm, b.peak, b.startup, b.cold}
	if first {
		steps = append(steps, b.idle)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

const peakMemory = "peak memory of the server after all this"

// peak is what the server has needed at most for the scenarios so far.
func (b *bed) peak(context.Context) error {
	if !b.wants(b.corpus, peakMemory) {
		return nil
	}
	if peak := program.PeakMemory(b.ours.pid()); peak > 0 {
		x := b.newRow(peakMemory, "MB")
		x.Ours, x.AtMost = float64(peak)/1e6, 300
	}
	return nil
}

// scenarioNames are all that a row can be about.
func scenarioNames() []string {
	names := []string{peakMemory, selectStarted, coldIndexed, coldPlain, idleMemory}
	for _, s := range load.Scenarios() {
		names = append(names, s.Name)
	}
	return names
}
