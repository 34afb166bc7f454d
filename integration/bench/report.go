package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is one line of the table. Figures are in Unit; less is better for all of them.
type row struct {
	Scenario string             `json:"scenario"`
	Unit     string             `json:"unit"` // ms, MB, or x (a ratio of bytes)
	Ours     float64            `json:"ours"`
	Theirs   map[string]float64 `json:"theirs,omitempty"` // by peer
	// AtLeast is how many times better than the best peer ours has to be, AtMost a bound for ours itself; 0: no goal.
	AtLeast float64 `json:"goal_ratio,omitempty"`
	AtMost  float64 `json:"goal_at_most,omitempty"`
	Wrong   string  `json:"wrong,omitempty"` // what was wrong with an answer
}

// best is the best peer's figure, 0 without peers.
func (r *row) best() float64 {
	best := 0.0
	for _, v := range r.Theirs {
		if best == 0 || v < best {
			best = v
		}
	}
	return best
}

// ratio is how many times better ours is than the best peer's; 0 when there is nothing to compare.
func (r *row) ratio() float64 {
	if r.Ours == 0 {
		return 0
	}
	return r.best() / r.Ours
}

func (r *row) missed() bool {
	return r.Wrong != "" || r.AtLeast > 0 && r.ratio() < r.AtLeast || r.AtMost > 0 && r.Ours > r.AtMost
}

type report struct {
	Benchmark string    `json:"benchmark"`
	Scale     string    `json:"scale"`
	Corpus    string    `json:"corpus"`
	Machine   string    `json:"machine"`
	Started   time.Time `json:"started"`
	Rows      []*row    `json:"rows"`
	Notes     []string  `json:"notes,omitempty"`
}

func (r *report) add(x *row) { r.Rows = append(r.Rows, x) }

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %s, %s\n%s\n\n", r.Benchmark, r.Scale, r.Corpus, r.Machine)
	fmt.Fprintln(w, "| scenario | ours | theirs | ratio | goal | |")
	fmt.Fprintln(w, "|---|--:|--:|--:|--:|---|")
	for _, x := range r.Rows {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", x.Scenario, ours(x), theirs(x), ratio(x), goal(x), remark(x))
	}
	fmt.Fprintln(w)
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
}

func ours(x *row) string {
	if x.Wrong != "" {
		return "-"
	}
	return figure(x.Ours, x.Unit)
}

func theirs(x *row) string {
	var parts []string
	for name, v := range x.Theirs {
		parts = append(parts, name+" "+figure(v, x.Unit))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func figure(v float64, unit string) string {
	switch {
	case unit == "x":
		return fmt.Sprintf("%.3f x", v)
	case v < 10:
		return fmt.Sprintf("%.2f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

func ratio(x *row) string {
	if x.ratio() == 0 || x.Wrong != "" {
		return ""
	}
	return fmt.Sprintf("%.1f", x.ratio())
}

func goal(x *row) string {
	switch {
	case x.AtLeast > 0:
		return fmt.Sprintf("%g times", x.AtLeast)
	case x.AtMost > 0:
		return "at most " + figure(x.AtMost, x.Unit)
	}
	return ""
}

func remark(x *row) string {
	switch {
	case x.Wrong != "":
		return "WRONG: " + x.Wrong
	case x.missed():
		return "missed"
	}
	return ""
}

// verdict is an error when a goal was missed.
func (r *report) verdict() error {
	missed := 0
	for _, x := range r.Rows {
		if x.missed() {
			missed++
		}
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d goals missed or answers wrong", missed, len(r.Rows))
	}
	return nil
}

func (r *report) write(path string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// machine describes where the figures come from.
func machine() string {
	cpu := "unknown processor"
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				cpu = strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	return fmt.Sprintf("%d cores, %s, %s/%s, %s", runtime.NumCPU(), cpu, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	switch n := len(s); {
	case n == 0:
		return 0
	case n%2 == 1:
		return s[n/2]
	default:
		return (s[n/2-1] + s[n/2]) / 2
	}
}

func ms(d time.Duration) float64 { return float64(d) / 1e6 }
