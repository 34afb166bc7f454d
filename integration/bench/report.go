package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// row is one line of a table. Figures are in Unit; less is better for all of them.
type row struct {
	Part     string             `json:"part,omitempty"` // the key of the part it belongs to
	Scenario string             `json:"scenario"`
	Unit     string             `json:"unit"` // ms, MB, or x (a ratio of bytes)
	Ours     float64            `json:"ours"`
	Theirs   map[string]float64 `json:"theirs,omitempty"` // by peer
	// AtLeast is how many times better than the best peer ours has to be, AtMost a bound for ours itself; 0: no goal.
	AtLeast float64 `json:"goal_ratio,omitempty"`
	AtMost  float64 `json:"goal_at_most,omitempty"`
	Floor   float64 `json:"floor,omitempty"`         // what our answer, replayed from a file, takes to read; 0: not measured
	Client  float64 `json:"client_cpu_ms,omitempty"` // processor time of the measuring side in a run against ours, 0: not measured
	Rounds  int     `json:"rounds,omitempty"`        // of which the figures are the median; 0: measured once
	Wrong   string  `json:"wrong,omitempty"`         // what was wrong with an answer
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

// part is what belongs into one table, with the circumstances under which it was measured.
type part struct {
	Key     string    `json:"key"` // names it in a Markdown file
	Title   string    `json:"title"`
	Started time.Time `json:"started"`
	Took    string    `json:"took"`
	Load    [2]string `json:"load_average"` // of the last minute, at the beginning and at the end
}

type report struct {
	Benchmark string    `json:"benchmark"`
	Scale     string    `json:"scale"`
	Machine   string    `json:"machine"`
	Disk      string    `json:"disk"`
	Commit    string    `json:"commit"`
	Dovecot   string    `json:"dovecot,omitempty"` // its version
	Dropped   string    `json:"page_cache_dropped,omitempty"`
	Started   time.Time `json:"started"`
	Parts     []*part   `json:"parts"`
	Rows      []*row    `json:"rows"`
	Growth    []*growth `json:"growth,omitempty"`
	Notes     []string  `json:"notes,omitempty"`
}

func newReport(benchmark, scale, dir string) *report {
	return &report{Benchmark: benchmark, Scale: scale, Machine: machine(), Disk: disk(dir), Commit: commit(), Started: time.Now()}
}

// begin opens a part; the rows that are added belong to it until the next one. The caller ends it with finish.
func (r *report) begin(key, title string) *part {
	p := &part{Key: key, Title: title, Started: time.Now(), Load: [2]string{loadAverage()}}
	r.Parts = append(r.Parts, p)
	return p
}

// finish notes how measuring a part ended.
func (p *part) finish() {
	p.Load[1], p.Took = loadAverage(), time.Since(p.Started).Round(time.Second).String()
}

func (r *report) add(x *row) {
	if n := len(r.Parts); n > 0 {
		x.Part = r.Parts[n-1].Key
	}
	r.Rows = append(r.Rows, x)
}

// print writes the report for people.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %s\n", r.Benchmark, r.Scale)
	for _, p := range r.Parts {
		fmt.Fprintln(w)
		r.section(w, p)
	}
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// verdict is an error when a goal was missed.
func (r *report) verdict() error {
	missed, goals := 0, 0
	count := func(goal, bad bool) {
		if goal {
			goals++
		}
		if bad {
			missed++
		}
	}
	for _, x := range r.Rows {
		count(x.AtLeast > 0 || x.AtMost > 0 || x.Wrong != "", x.missed())
	}
	for _, g := range r.Growth {
		count(true, g.missed())
	}
	if missed > 0 {
		return fmt.Errorf("%d of %d goals missed or answers wrong", missed, goals)
	}
	return nil
}

func (r *report) write(path string) error { return writeJSON(path, r) }

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
	return fmt.Sprintf("%d cores, %s%s, %s, %s/%s, %s", runtime.NumCPU(), cpu, memory(), kernel(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func memory() string {
	if total := totalMemory(); total > 0 {
		return fmt.Sprintf(", %.0f GB", float64(total)/1e9)
	}
	return ""
}

// commit is what was measured.
func commit() string {
	out, err := exec.Command("git", "log", "-1", "--format=%h of %cs").Output()
	if err != nil {
		return "unknown"
	}
	at := strings.TrimSpace(string(out))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err != nil || len(changed) > 0 {
		at += ", with changes"
	}
	return at
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
