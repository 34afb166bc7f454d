package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/bench/load"
	"mailkeep/integration/program"
)

// growth is how the cost of one scenario grows with the number of messages, ours alone.
type growth struct {
	Scenario string    `json:"scenario"`
	Unit     string    `json:"unit"`
	Sizes    []int     `json:"messages"`
	Figures  []float64 `json:"figures"`           // one for each size
	AtMost   []float64 `json:"at_most,omitempty"` // bounds for them; 0: none
	Info     bool      `json:"info,omitempty"`    // without a goal
	Wrong    string    `json:"wrong,omitempty"`
}

// slack is what a step may cost beyond linear: the same work differs by as much from one run to the next on a machine that does other things too.
const slack = 1.25

// worst is the largest factor between two steps, as a share of what linear growth would be.
func (g *growth) worst() float64 {
	worst := 0.0
	for i := 1; i < len(g.Figures); i++ {
		if linear := g.Figures[i-1] * float64(g.Sizes[i]) / float64(g.Sizes[i-1]); linear > 0 {
			worst = max(worst, g.Figures[i]/linear)
		}
	}
	return worst
}

func (g *growth) missed() bool {
	for i, most := range g.AtMost {
		if most > 0 && i < len(g.Figures) && g.Figures[i] > most {
			return true
		}
	}
	return g.Wrong != "" || !g.Info && g.worst() > slack
}

// grow measures our server at several sizes of archive, with messages of the same kind.
func (e *env) grow(ctx context.Context, sizes []int) error {
	sizes = slices.DeleteFunc(sizes, func(n int) bool { return !e.wants(corpus{n, seed, gen.Tiny}, scenarioNames()...) })
	if len(sizes) == 0 { // an empty table would replace the one in the page of results
		return nil
	}
	rows := map[string]*growth{}
	defer e.report.begin(growthPart, "How cost grows: ours, messages of 1.2 KB").finish()
	for _, n := range sizes {
		if err := e.growTo(ctx, n, rows); err != nil {
			return fmt.Errorf("%d messages: %w", n, err)
		}
	}
	return nil
}

func (e *env) growTo(ctx context.Context, n int, rows map[string]*growth) (err error) {
	c := corpus{n, seed, gen.Tiny}
	dir, err := e.kept(ctx, "growth-"+c.String(), archiveSources, func(dir string) error { return e.fillArchive(ctx, dir, c) })
	if err != nil {
		return err
	}
	b := &bed{env: e, corpus: c}
	if err := readJSON(filepath.Join(dir, "tally.json"), &b.tally); err != nil {
		return err
	}
	defer func() { err = firstError(err, b.close()) }()
	if err := b.serve(dir); err != nil {
		return err
	}
	step := growthStep{bed: b, rows: rows}
	if err := step.warm(ctx); err != nil {
		return err
	}
	return step.starts(ctx)
}

// growthStep measures at one size.
type growthStep struct {
	*bed
	rows map[string]*growth // by scenario
}

// add puts a figure into the table.
func (g growthStep) add(scenario, unit string, figure, bound float64, err error) *growth {
	x := g.rows[scenario]
	if x == nil {
		x = &growth{Scenario: scenario, Unit: unit}
		g.rows[scenario] = x
		g.report.Growth = append(g.report.Growth, x)
	}
	x.Sizes, x.Figures, x.AtMost = append(x.Sizes, g.corpus.n), append(x.Figures, figure), append(x.AtMost, bound)
	if err != nil && x.Wrong == "" {
		x.Wrong = fmt.Sprintf("%d messages: %v", g.corpus.n, err)
	}
	return x
}

// warm runs the scenarios on our server alone.
func (g growthStep) warm(ctx context.Context) error {
	for _, s := range load.Scenarios() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !g.wants(g.corpus, s.Name) {
			continue
		}
		g.note("%d messages: %s", g.corpus.n, s.Name)
		samples, err := g.repeat(s)
		g.add(s.Name, "ms", center(samples, 0.5), 0, err).Info = s.Info
		if s.Tail != "" {
			g.add(s.Tail, "ms", center(samples, 0.99), 0, err)
		}
	}
	if g.wants(g.corpus, peakMemory) {
		g.add(peakMemory, "MB", float64(program.PeakMemory(g.ours.pid()))/1e6, 300, nil)
	}
	return nil
}

// starts measures a new server.
func (g growthStep) starts(ctx context.Context) error {
	if g.wants(g.corpus, selectStarted) {
		g.note("%d messages: %s", g.corpus.n, selectStarted)
		took, err := g.inTurn(ctx, g.all(), rounds, firstSelect)
		g.add(selectStarted, "ms", center(took[mailkeep], 0.5), selectBound(g.corpus.n), err)
	}
	if g.wants(g.corpus, coldIndexed) {
		g.note("%d messages: %s", g.corpus.n, coldIndexed)
		took, err := g.inTurn(ctx, g.all(), rounds, func(s *server) (load.Sample, error) { return g.fromCold(s, nil) })
		g.add(coldIndexed, "ms", center(took[mailkeep], 0.5), 0, err)
	}
	return ctx.Err()
}

// tooLong is when a run of the growth table is not repeated.
const tooLong = 20 * time.Second

// repeat runs a scenario on our server; the first run warms up and counts only when it takes too long for another.
func (b *bed) repeat(s load.Scenario) ([]load.Sample, error) {
	var samples []load.Sample
	begin := time.Now()
	for i := range rounds + 1 {
		t0 := time.Now()
		sample, err := s.Run(b.ours.Target)
		if err != nil {
			return nil, err
		}
		if i > 0 || time.Since(t0) > tooLong {
			samples = append(samples, sample)
		}
		if len(samples) > 0 && time.Since(begin) > tooLong {
			break
		}
	}
	return samples, nil
}
