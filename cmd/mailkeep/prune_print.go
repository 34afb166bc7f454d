package main

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"time"

	"mailkeep/archive"
)

// The lines of prune --json; "event" tells which.
type (
	planLine struct {
		Event    string       `json:"event"` // "plan"
		Policy   string       `json:"policy"`
		Items    int64        `json:"messages"` // as accounts hold them
		Files    int64        `json:"files"`    // of these messages, those that nothing else needs
		Bytes    int64        `json:"bytes"`    // of these files
		Kept     int64        `json:"kept"`     // in other mailboxes, too
		Boxes    []planBox    `json:"mailboxes"`
		KeptIn   []planBox    `json:"kept_in,omitempty"`
		Examples []planSample `json:"samples"`
	}
	planBox struct {
		Account  string `json:"account"`
		Mailbox  string `json:"mailbox"`
		Messages int64  `json:"messages"`
		Bytes    int64  `json:"bytes,omitempty"`
	}
	planSample struct {
		Account string     `json:"account"`
		Ref     string     `json:"sha256"`
		Size    int64      `json:"bytes"`
		Date    time.Time  `json:"date"`
		Gone    *time.Time `json:"gone_since,omitempty"`
		From    string     `json:"from"`
		Subject string     `json:"subject"`
	}
	prunedLine struct {
		Event   string `json:"event"` // "pruned"
		Number  int64  `json:"number"`
		Items   int64  `json:"messages"`
		Changed int64  `json:"changed"` // left alone
		Files   int64  `json:"files"`
		Bytes   int64  `json:"bytes"`
	}
	undoLine struct {
		Event   string `json:"event"` // "undone"
		Number  int64  `json:"number"`
		Items   int64  `json:"messages"`
		Present int64  `json:"present"`
		Lost    int64  `json:"lost"`
	}
	emptiedLine struct {
		Event    string `json:"event"` // "emptied"
		Prunes   int    `json:"prunes"`
		Messages int64  `json:"messages"`
		Bytes    int64  `json:"bytes"`
	}
	forgottenLine struct {
		Event      string `json:"event"` // "forgotten"
		Tombstones int64  `json:"tombstones"`
	}
	orphansLine struct {
		Event string `json:"event"` // "orphans"
		Files int64  `json:"files"`
		Bytes int64  `json:"bytes"`
	}
	listedPrune struct {
		Event    string    `json:"event"` // "prune"
		Number   int64     `json:"number"`
		Time     time.Time `json:"time"`
		Policy   string    `json:"policy"`
		Messages int64     `json:"messages"`
		Files    int64     `json:"files"`
		Bytes    int64     `json:"bytes"`
		State    string    `json:"state"` // "quarantine", "removed" or "undone"
	}
)

func planBoxes(counts []archive.PruneCount) []planBox {
	boxes := []planBox{}
	for _, c := range counts {
		boxes = append(boxes, planBox{c.Account, c.Mailbox, c.Items, c.Bytes})
	}
	return boxes
}

func (a *app) printPlan(r *archive.Reader, p *archive.PrunePlan) error {
	line := planLine{"plan", p.Policy.Text, int64(len(p.Items)), p.Messages, p.Bytes, p.KeptAll, planBoxes(p.Boxes), planBoxes(p.Kept), []planSample{}}
	for _, s := range p.Samples {
		from, subject := describeMessage(r, s.Ref)
		one := planSample{s.Account, s.Ref.String(), s.Size, s.Date, nil, from, subject}
		if s.GoneAt != 0 {
			at := time.Unix(s.GoneAt, 0).UTC()
			one.Gone = &at
		}
		line.Examples = append(line.Examples, one)
	}
	if a.json {
		printJSON(a.stdout, line)
		return nil
	}
	return a.printPlanText(&line)
}

func (a *app) printPlanText(p *planLine) error {
	if p.Items == 0 {
		fmt.Fprintf(a.stdout, "nothing to prune (%s)\n", printable(p.Policy))
	} else {
		fmt.Fprintf(a.stdout, "to prune (%s): %s; %s of them go, %s\n", printable(p.Policy), count(p.Items, "message"), count(p.Files, "file"), size(p.Bytes))
		t := &table{indent: "  ", right: []bool{false, false, true, true}}
		for _, b := range p.Boxes {
			t.row(b.Account, b.Mailbox, count(b.Messages, "message"), size(b.Bytes))
		}
		if err := t.write(a.stdout); err != nil {
			return err
		}
		fmt.Fprintln(a.stdout, "the largest:")
		t = &table{indent: "  ", right: []bool{false, true}}
		for _, s := range p.Examples {
			t.row(s.Date.Format(time.DateOnly), size(s.Size), s.From, s.Subject)
		}
		if err := t.write(a.stdout); err != nil {
			return err
		}
	}
	if p.Kept == 0 {
		return nil
	}
	fmt.Fprintf(a.stdout, "kept, since other mailboxes show them too: %s\n", count(p.Kept, "message"))
	t := &table{indent: "  ", right: []bool{false, false, true}}
	for _, b := range p.KeptIn[:min(len(p.KeptIn), mostProblemLines)] {
		t.row(b.Account, b.Mailbox, commas(b.Messages))
	}
	return t.write(a.stdout)
}

// describeMessage returns sender and subject for people, as far as the header tells.
func describeMessage(r *archive.Reader, ref archive.Ref) (from, subject string) {
	f, err := r.OpenMessage(ref)
	if err != nil {
		return "", ""
	}
	defer f.Close()
	m, err := mail.ReadMessage(io.LimitReader(f, 256<<10))
	if err != nil {
		return "", ""
	}
	decode := func(field string) string {
		text, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get(field))
		if err != nil {
			text = m.Header.Get(field)
		}
		const longest = 60
		if letters := []rune(text); len(letters) > longest {
			return string(letters[:longest]) + "..."
		}
		return text
	}
	return decode("From"), decode("Subject")
}

func (a *app) printPruned(done archive.Pruned) {
	if a.json {
		printJSON(a.stdout, prunedLine{"pruned", int64(done.ID), done.Items, done.Changed, done.Messages, done.Bytes})
		return
	}
	fmt.Fprintf(a.stdout, "prune %d: %s pruned, %s (%s) in quarantine/prune-%d for 30 days; \"mailkeep prune --undo=%d\" brings them back\n",
		done.ID, count(done.Items, "message"), count(done.Messages, "file"), size(done.Bytes), done.ID, done.ID)
	if done.Changed > 0 {
		fmt.Fprintf(a.stdout, "%s had changed meanwhile and stay\n", count(done.Changed, "message"))
	}
}

func (a *app) printOrphans(orphans []archive.Orphan) {
	line := orphansLine{Event: "orphans", Files: int64(len(orphans))}
	for _, o := range orphans {
		line.Bytes += o.Size
	}
	if a.json {
		printJSON(a.stdout, line)
		return
	}
	fmt.Fprintf(a.stdout, "files that the archive's map does not name: %s, %s\n", count(line.Files, "file"), size(line.Bytes))
	for _, o := range orphans[:min(len(orphans), mostProblemLines)] {
		fmt.Fprintf(a.stdout, "  %s.eml  %s\n", o.Ref, size(o.Size))
	}
}

// listPrunes says what was pruned and what became of it.
func (a *app) listPrunes(ctx context.Context, r *archive.Reader) error {
	runs, err := r.Prunes(ctx)
	if err != nil {
		return err
	}
	stones, err := r.Tombstones(ctx, 0)
	if err != nil {
		return err
	}
	t := &table{right: []bool{true, false, false, true, true, true}}
	t.row("prune", "time", "policy", "messages", "files", "size", "")
	for _, run := range runs {
		at, state := time.Unix(run.Time, 0), "removed"
		switch {
		case run.Undone != 0:
			state = "undone"
		case run.Held:
			state = "quarantine"
		}
		if a.json {
			printJSON(a.stdout, listedPrune{"prune", int64(run.ID), at.UTC(), run.Policy, run.Items, run.Messages, run.Bytes, state})
			continue
		}
		note := map[string]string{"undone": "undone", "removed": "removed for good", "quarantine": "can be undone until " + at.Add(archive.QuarantineTime).Local().Format(time.DateOnly)}
		t.row(fmt.Sprint(run.ID), at.Local().Format("2006-01-02 15:04"), run.Policy, commas(run.Items), commas(run.Messages), size(run.Bytes), note[state])
	}
	if a.json {
		printJSON(a.stdout, forgottenLine{"tombstones", stones})
		return nil
	}
	if len(runs) == 0 {
		fmt.Fprintln(a.stdout, "nothing was ever pruned; \"mailkeep prune --help\" explains the policies")
		return nil
	}
	if err := t.write(a.stdout); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s kept from coming back\n", count(stones, "pruned message"))
	return nil
}
