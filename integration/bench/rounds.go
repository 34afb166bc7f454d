package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"mailkeep/integration/bench/load"
)

// rounds is how many count, of which the median is taken.
const rounds = 5

// enough tells whether a scenario has had enough rounds. Those without a goal, and those of a small run, may have fewer when they are slow.
func (e *env) enough(s load.Scenario, done int, took time.Duration) bool {
	switch {
	case done >= rounds:
		return true
	case e.full:
		return s.Info && done >= 1 && took > 25*time.Second
	case s.Info:
		return done >= 2 && took > 600*time.Millisecond
	}
	return done >= 3 && took > 1500*time.Millisecond
}

// warm runs the scenarios on servers that have been running and read the mail before.
func (b *bed) warm(ctx context.Context) error {
	for _, s := range load.Scenarios() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if b.wants(b.corpus, s.Name) && (b.full || !s.Long) {
			b.note("%s", s.Name)
			b.measure(s)
			settle()
		}
	}
	return nil
}

// measure runs a scenario on all servers in turn, so that what disturbs the machine disturbs all. The first round checks what the
// answers hold, warms the servers up, and does not count.
func (b *bed) measure(s load.Scenario) {
	x := b.newRow(s.Name, "ms")
	x.AtLeast = s.Goal
	if err := b.record(s); err != nil {
		x.Wrong = err.Error()
		return
	}
	targets := []*load.Target{}
	for _, t := range b.all() {
		targets = append(targets, t.Target)
	}
	took, begin := map[string][]load.Sample{}, time.Now()
	for i := 0; i == 0 || !b.enough(s, i-1, time.Since(begin)); i++ {
		for _, t := range targets {
			sample, err := s.Run(t)
			if err != nil {
				x.Wrong = fmt.Sprintf("%s: %v", t.Name, err)
				return
			}
			if i > 0 {
				took[t.Name] = append(took[t.Name], sample)
			}
		}
		if i == 0 {
			replay, err := b.player(s)
			if err != nil {
				x.Wrong = err.Error()
				return
			}
			if replay != nil {
				targets = append(targets, replay)
			}
		}
		x.Rounds = i
	}
	b.figures(x, s, took)
}

// record prepares a tape for the answer of a scenario that has one.
func (b *bed) record(s load.Scenario) (err error) {
	if !s.Record {
		return nil
	}
	b.ours.Tape, err = load.NewTape(filepath.Join(b.dir, s.Replay+".tape"))
	b.recorded = b.ours.Tape
	return err
}

// player is the replay of the answer that was recorded for a scenario; nil without.
func (b *bed) player(s load.Scenario) (*load.Target, error) {
	if s.Record {
		if err := b.recorded.Close(); err != nil {
			return nil, err
		}
		if b.replay != nil {
			if err := b.replay.Close(); err != nil {
				return nil, err
			}
			removeFile(filepath.Join(b.dir, b.tape+".tape"))
		}
		replay, err := b.recorded.Play()
		if err != nil {
			return nil, err
		}
		b.replay, b.tape = replay, s.Replay
	}
	if s.Replay == "" || s.Replay != b.tape {
		return nil, nil
	}
	return b.replay.Target(b.ours.Target), nil
}

// figures turns samples into the row, and a second row where the scenario has a tail.
func (b *bed) figures(x *row, s load.Scenario, took map[string][]load.Sample) {
	x.set(took, func(all []load.Sample) float64 { return center(all, 0.5) })
	x.Client = medianOf(took[mailkeep], func(s load.Sample) float64 { return ms(s.Client) })
	if s.Tail != "" {
		tail := b.newRow(s.Tail, "ms")
		tail.Rounds = x.Rounds
		tail.set(took, func(all []load.Sample) float64 { return center(all, 0.99) })
	}
}

// set fills in a figure for each server.
func (r *row) set(took map[string][]load.Sample, figure func([]load.Sample) float64) {
	for name, samples := range took {
		switch name {
		case mailkeep:
			r.Ours = figure(samples)
		case "replay":
			r.Floor = figure(samples)
		default:
			r.Theirs[name] = figure(samples)
		}
	}
}

// center is the median of the runs' times; of scenarios that are made of round trips, the quantile q of all those.
func center(samples []load.Sample, q float64) float64 {
	var trips []time.Duration
	for _, s := range samples {
		trips = append(trips, s.Each...)
	}
	if len(trips) > 0 {
		return ms(load.Quantile(trips, q))
	}
	return medianOf(samples, func(s load.Sample) float64 { return ms(s.Wall) })
}

func medianOf(samples []load.Sample, value func(load.Sample) float64) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, value(s))
	}
	return median(all)
}
