package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	r := &report{Benchmark: "serve", Scale: "small", Rows: []*row{
		{Scenario: "fast", Unit: "ms", Ours: 2, Theirs: map[string]float64{"peer": 30}, AtLeast: 5},
		{Scenario: "slow", Unit: "ms", Ours: 20, Theirs: map[string]float64{"peer": 30}, AtLeast: 5},
		{Scenario: "broken", Unit: "ms", Wrong: "mailkeep: 1 message, want 2"},
	}}
	var b bytes.Buffer
	r.print(&b)
	for _, want := range []string{
		"| fast | 2.00 ms | peer 30 ms | 15.0 | 5 times |  |",
		"| slow | 20 ms | peer 30 ms | 1.5 | 5 times | missed |",
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
	for _, args := range [][]string{nil, {"nonsense"}, {"serve", "--scale", "huge"}, {"serve", "more"}, {"backup", "--nonsense"}} {
		if err := run(context.Background(), args); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v", args, err)
		}
	}
}
