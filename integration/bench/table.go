package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// growthPart is the key of the part with the growth table.
const growthPart = "growth"

// section writes a part: its title, its table, what was measured, on what and how.
func (r *report) section(w io.Writer, p *part) {
	fmt.Fprintf(w, "### %s\n\n", p.Title)
	if p.Key == growthPart {
		r.growth(w)
	} else {
		r.table(w, p.Key)
	}
	fmt.Fprintln(w)
	line := func(format string, args ...any) { fmt.Fprintf(w, "- "+format+"\n", args...) }
	line("Measured on %s in %s, mailkeep at commit %s%s.", p.Started.Format("2006-01-02 15:04"), p.Took, r.Commit, prefixed(", Dovecot ", r.Dovecot))
	line("Machine: %s; disk %s; load average %s at the beginning, %s at the end.", r.Machine, r.Disk, p.Load[0], p.Load[1])
	if r.Dropped != "" {
		line("Page cache dropped: %s.", r.Dropped)
	}
	for _, n := range r.Notes {
		line("%s", n)
	}
}

func (r *report) table(w io.Writer, key string) {
	var rows []*row
	var peers []string
	floor := false
	for _, x := range r.Rows {
		if x.Part != key {
			continue
		}
		rows, floor = append(rows, x), floor || x.Floor > 0
		for name := range x.Theirs {
			if !slices.Contains(peers, name) {
				peers = append(peers, name)
			}
		}
	}
	slices.Sort(peers)
	head := append(append([]string{"scenario", "ours"}, peers...), "ratio", "goal", "")
	if floor {
		head = append(head, "floor")
	}
	cells(w, head...)
	fmt.Fprintln(w, "|---|"+strings.Repeat("--:|", len(peers)+3)+strings.Repeat("---|", len(head)-len(peers)-4))
	for _, x := range rows {
		line := []string{x.Scenario + rounded(x), ours(x)}
		for _, p := range peers {
			line = append(line, theirs(x, p))
		}
		line = append(line, ratio(x), goal(x), remark(x))
		if floor {
			line = append(line, positive(x.Floor, x.Unit))
		}
		cells(w, line...)
	}
}

func cells(w io.Writer, line ...string) {
	for i, c := range line {
		line[i] = strings.ReplaceAll(strings.ReplaceAll(c, "|", "\\|"), "\n", " ")
	}
	fmt.Fprintf(w, "| %s |\n", strings.Join(line, " | "))
}

// growth writes how cost grows.
func (r *report) growth(w io.Writer) {
	if len(r.Growth) == 0 {
		return
	}
	head := []string{"scenario"}
	for _, n := range r.Growth[0].Sizes {
		head = append(head, thousands(n))
	}
	cells(w, append(head, "worst step / linear", "")...)
	fmt.Fprintln(w, "|---|"+strings.Repeat("--:|", len(head))+"---|")
	for _, g := range r.Growth {
		line := []string{g.Scenario}
		for i, v := range g.Figures {
			line = append(line, figure(v, g.Unit))
			if m := g.AtMost[i]; m > 0 {
				line[i+1] += " (at most " + figure(m, g.Unit) + ")"
			}
		}
		for len(line) < len(head) {
			line = append(line, "")
		}
		cells(w, append(line, fmt.Sprintf("%.2f", g.worst()), growthRemark(g))...)
	}
	fmt.Fprintf(w, "\n1 would be linear. A step counts as worse than linear above %g.\n", slack)
}

func growthRemark(g *growth) string {
	if g.Info && g.worst() > slack && g.Wrong == "" {
		return "worse, and without a goal"
	}
	return verdict(g.Wrong, g.missed())
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func ours(x *row) string {
	if x.Wrong != "" {
		return "-"
	}
	return positive(x.Ours, x.Unit)
}

func theirs(x *row, peer string) string {
	if v, ok := x.Theirs[peer]; ok {
		return figure(v, x.Unit)
	}
	return ""
}

// positive is empty for what was not measured.
func positive(v float64, unit string) string {
	if v == 0 {
		return ""
	}
	return figure(v, unit)
}

// rounded tells when fewer rounds were run than usual.
func rounded(x *row) string {
	if x.Rounds == 0 || x.Rounds >= rounds {
		return ""
	}
	return fmt.Sprintf(" (rounds: %d)", x.Rounds)
}

func figure(v float64, unit string) string {
	switch {
	case unit == "x":
		return fmt.Sprintf("%.3f x", v)
	case v < 10:
		return fmt.Sprintf("%.2f %s", v, unit)
	}
	return thousands(int(v+0.5)) + " " + unit
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

func remark(x *row) string { return verdict(x.Wrong, x.missed()) }

func verdict(wrong string, missed bool) string {
	switch {
	case wrong != "":
		return "WRONG: " + wrong
	case missed:
		return "missed"
	}
	return ""
}

// What stands between two marks of a part in a Markdown file is written by the benchmark, the rest by people.
func marks(p *part) (begin, end string) {
	return "<!-- written by bench, " + p.Key + ": begin -->\n", "<!-- written by bench, " + p.Key + ": end -->\n"
}

// renew replaces those parts in a Markdown file that were measured, and adds the ones that the file does not have.
func (r *report) renew(path string) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, p := range r.Parts {
		var b bytes.Buffer
		begin, end := marks(p)
		b.WriteString(begin)
		r.section(&b, p)
		b.WriteString(end)
		before, rest, begins := bytes.Cut(text, []byte(begin))
		_, after, ends := bytes.Cut(rest, []byte(end))
		if begins && !ends {
			return fmt.Errorf("renew %q: no line %q follows its %q", path, strings.TrimSpace(end), strings.TrimSpace(begin))
		}
		if !begins && len(before) > 0 {
			before = append(slices.Clip(before), '\n')
		}
		text = slices.Concat(before, b.Bytes(), after)
	}
	return os.WriteFile(path, text, 0o644)
}
