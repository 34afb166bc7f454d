package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/integration/bench/gen"
)

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		row    row
		missed bool
		ratio  string
	}{
		{row{Ours: 10, Theirs: map[string]float64{"a": 60, "b": 50}, AtLeast: 5}, false, "5.0"},
		{row{Ours: 11, Theirs: map[string]float64{"a": 60, "b": 50}, AtLeast: 5}, true, "4.5"},
		{row{Ours: 10, Theirs: map[string]float64{"a": 1}}, false, "0.1"},
		{row{Ours: 5, AtMost: 5}, false, ""},
		{row{Ours: 5.1, AtMost: 5}, true, ""},
		{row{Wrong: "an answer"}, true, ""},
		{row{Ours: 1, Theirs: map[string]float64{"a": 9}, AtLeast: 5, Wrong: "an answer"}, true, ""},
	} {
		r := &report{Rows: []*row{&c.row}}
		if got := r.verdict() != nil; got != c.missed {
			t.Errorf("%+v: missed %v, want %v", c.row, got, c.missed)
		}
		if got := ratio(&c.row); got != c.ratio {
			t.Errorf("%+v: ratio %q, want %q", c.row, got, c.ratio)
		}
	}
}

func TestReport(t *testing.T) {
	r := &report{Benchmark: "serve", Scale: "small", Parts: []*part{{Title: "1,000 messages"}}, Rows: []*row{
		{Scenario: "fast", Unit: "ms", Ours: 2, Theirs: map[string]float64{"peer": 30}, AtLeast: 5},
		{Scenario: "slow", Unit: "ms", Ours: 20, Theirs: map[string]float64{"peer": 30}, AtLeast: 5},
		{Scenario: "broken", Unit: "ms", Wrong: "mailkeep: 1 message, want 2"},
	}}
	var b bytes.Buffer
	r.print(&b)
	for _, want := range []string{
		"| scenario | ours | peer | ratio | goal |  |\n|---|--:|--:|--:|--:|---|\n",
		"| fast | 2.00 ms | 30 ms | 15.0 | 5 times |  |",
		"| slow | 20 ms | 30 ms | 1.5 | 5 times | missed |",
		"| broken | - |  |  |  | WRONG: mailkeep: 1 message, want 2 |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line %q in:\n%s", want, b.String())
		}
	}
	path := filepath.Join(t.TempDir(), "report.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var again report
	if err := json.Unmarshal(raw, &again); err != nil || len(again.Rows) != 3 || again.Rows[0].Theirs["peer"] != 30 {
		t.Errorf("%v, %s", err, raw)
	}
}

func TestWrongCalls(t *testing.T) {
	for _, args := range [][]string{nil, {"nonsense"}, {"serve", "--scale", "huge"}, {"serve", "more"}, {"backup", "--nonsense"}, {"serve", "--only", "("}} {
		if err := run(context.Background(), args); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// Rows stand in the table of their part; columns are those that the part's rows have.
func TestParts(t *testing.T) {
	r := &report{}
	r.begin("one", "first")
	r.add(&row{Scenario: "a", Unit: "ms", Ours: 2, Floor: 1, Theirs: map[string]float64{"Dovecot": 12345.6}, Rounds: 2})
	r.add(&row{Scenario: "c", Unit: "ms", Ours: 3, Rounds: rounds})
	r.begin("two", "second")
	r.add(&row{Scenario: "b", Unit: "MB", Ours: 31, AtMost: 30})
	for i, want := range []string{`### first

| scenario | ours | Dovecot | ratio | goal |  | floor |
|---|--:|--:|--:|--:|---|---|
| a (rounds: 2) | 2.00 ms | 12,346 ms | 6172.8 |  |  | 1.00 ms |
| c | 3.00 ms |  |  |  |  |  |

- Measured`, `### second

| scenario | ours | ratio | goal |  |
|---|--:|--:|--:|---|
| b | 31 MB |  | at most 30 MB | missed |

- Measured`} {
		var b bytes.Buffer
		if r.section(&b, r.Parts[i]); !strings.HasPrefix(b.String(), want) {
			t.Errorf("got\n%s\nwant\n%s", b.String(), want)
		}
	}
}

func TestGrowth(t *testing.T) {
	sizes := []int{10, 100, 1000}
	for _, c := range []struct {
		g      growth
		worst  float64
		missed bool
	}{
		{growth{Figures: []float64{1, 10, 100}}, 1, false},
		{growth{Figures: []float64{1, 1, 1}}, 0.1, false},
		{growth{Figures: []float64{1, 10, 130}}, 1.3, true},
		{growth{Figures: []float64{1, 13, 100}}, 1.3, true},
		{growth{Figures: []float64{1, 13, 100}, Info: true}, 1.3, false},
		{growth{Figures: []float64{1, 1, 21}, AtMost: []float64{5, 5, 20}}, 2.1, true},
		{growth{Figures: []float64{1, 6, 6}, AtMost: []float64{5, 5, 20}}, 0.6, true},
		{growth{Figures: []float64{1, 2, 3}, Wrong: "an answer"}, 0.2, true},
		{growth{}, 0, false},
	} {
		c.g.Sizes = sizes
		if got := c.g.worst(); math.Abs(got-c.worst) > 1e-9 || c.g.missed() != c.missed {
			t.Errorf("%+v: worst %v, missed %v", c.g, got, c.g.missed())
		}
		r := &report{Growth: []*growth{&c.g}}
		if (r.verdict() != nil) != c.missed {
			t.Errorf("%+v: verdict %v", c.g, r.verdict())
		}
	}
}

// What people wrote around the tables stays, and so do the parts that were not measured.
func TestRenew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "RESULTS.md")
	write := func(key, scenario string, ours float64) string {
		t.Helper()
		r := &report{}
		r.begin(key, "title of "+key)
		r.add(&row{Scenario: scenario, Unit: "ms", Ours: ours})
		if err := r.renew(path); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if got := write("one", "a|b", 1); !strings.Contains(got, `| a\|b | 1.00 ms |`) {
		t.Fatal(got)
	}
	both := "# Results\n" + write("two", "c", 3) + "## Why\n"
	if err := os.WriteFile(path, []byte(both), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := write("one", "a|b", 2), strings.Replace(both, "1.00 ms", "2.00 ms", 1); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	begin, end := marks(&part{Key: "one"})
	if err := os.WriteFile(path, []byte(strings.Replace(both, end, "", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &report{}
	r.begin("one", "")
	if err := r.renew(path); err == nil {
		t.Errorf("a file with %q and no end was overwritten", begin)
	}
}

// A folder of the cache is made once for each state of the sources.
func TestKept(t *testing.T) {
	e := &env{full: true, cache: t.TempDir(), report: &report{}}
	release, err := e.openCache()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&env{cache: e.cache}).openCache(); err == nil {
		t.Error("two runs use one cache")
	}
	made := 0
	fill := func(dir string) error {
		made++
		return os.WriteFile(filepath.Join(dir, "file"), nil, 0o600)
	}
	get := func(sources ...string) string {
		dir, err := e.kept(t.Context(), "name", sources, fill)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(dir, "file")); err != nil {
			t.Error(err)
		}
		return dir
	}
	one, again := get("mailkeep/integration/need"), get("mailkeep/integration/need")
	if one != again || made != 1 {
		t.Errorf("%q and %q, made %d times", one, again, made)
	}
	if all, err := digestOf(t.Context(), []string{"mailkeep/integration/program"}); err != nil {
		t.Error(err)
	} else if one, err := digestOf(t.Context(), []string{"mailkeep/integration/program:memory.go"}); err != nil || one == all {
		t.Errorf("one file has the digest %q, all have %q, %v", one, all, err)
	}
	two := get("mailkeep/integration/proxy")
	if _, err := os.Stat(one); two == one || made != 2 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%q after %q, made %d times, %v", two, one, made, err)
	}
	if err := os.Remove(filepath.Join(two, complete)); err != nil {
		t.Fatal(err)
	}
	if three := get("mailkeep/integration/proxy"); three != two || made != 3 {
		t.Errorf("an incomplete folder was used")
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

// An archive that was filled without a server holds what the tally says, and passes the archive's own check.
func TestFillArchive(t *testing.T) {
	e := &env{report: &report{Started: time.Now()}}
	dir := t.TempDir()
	if err := e.fillArchive(t.Context(), dir, corpus{300, seed, gen.Tiny}); err != nil {
		t.Fatal(err)
	}
	var tally gen.Tally
	if err := readJSON(filepath.Join(dir, "tally.json"), &tally); err != nil {
		t.Fatal(err)
	}
	r, err := archive.Open(filepath.Join(dir, "MailStore"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	a, err := r.AccountByName(t.Context(), "bench")
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := r.Mailboxes(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, b := range boxes {
		want, ok := tally.Mailboxes[b.Name]
		if !ok && b.Messages == 0 {
			continue
		}
		held++
		if int(b.Messages) != want.Messages || b.Bytes != want.Bytes || int(b.Unseen) != want.Messages-want.Seen {
			t.Errorf("%+v, want %+v", b, want)
		}
	}
	if held != len(tally.Mailboxes) {
		t.Errorf("%d mailboxes, want %d", held, len(tally.Mailboxes))
	}
	if found, err := r.Check(t.Context(), archive.CheckOptions{}); err != nil || len(found) > 0 {
		t.Errorf("check: %v, %v", found, err)
	}
}
