package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"mailkeep/backup"
)

// How often progress is shown.
const (
	lineEvery = 5 * time.Second
	jsonEvery = time.Second
)

// watcher shows the progress of one account's backup. Finish must be called when the run is over.
type watcher interface {
	backup.Progress
	Finish()
}

// watch picks the watcher that fits: bars on a terminal, JSON lines with --json, plain lines elsewhere, warnings only with --quiet.
func (a *app) watch(account string) watcher {
	t := &tracker{account: account}
	switch {
	case a.json:
		return &jsonWatcher{tracker: t, out: a.stdout, quiet: a.quiet}
	case a.quiet:
		return &lineWatcher{tracker: t, out: a.stderr, quiet: true}
	case !a.lines && canDraw(a.stderr):
		return newBarWatcher(t, a.stderr)
	}
	return &lineWatcher{tracker: t, out: a.stderr}
}

// canDraw tells whether bars can be drawn: on a terminal that knows how to go back a line, and that has a width.
func canDraw(out io.Writer) bool {
	if !isTerminalFile(out) || os.Getenv("TERM") == "dumb" {
		return false
	}
	width, _, err := term.GetSize(int(out.(*os.File).Fd()))
	return err == nil && width > 0
}

// tracker keeps the newest status and what the meter makes of it.
type tracker struct {
	account string

	mu     sync.Mutex
	status backup.Status
	meter  meter
}

func (t *tracker) take(s backup.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status = s
	now := tally{Messages: s.Seen, TotalMessages: s.Expected, Bytes: s.DownloadedBytes}
	if s.Phase != backup.PhaseRead { // while mailboxes are being read the bytes to come are not known
		now.TotalBytes = s.WantedBytes
	}
	t.meter.update(now, time.Now())
}

// snapshot is what is shown of a moment.
type snapshot struct {
	backup.Status
	rate      float64 // bytes a second
	left      time.Duration
	leftKnown bool
}

func (t *tracker) snapshot() snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := snapshot{Status: t.status, rate: t.meter.rate}
	if t.status.Seen < t.status.Expected {
		s.left, s.leftKnown = t.meter.left()
		s.stretch(&t.meter)
	}
	return s
}

// stretch makes the time left longer by the days in which nothing more may be received: with a limit a day, what does not fit into today's rest comes in portions
// of the limit.
func (s *snapshot) stretch(m *meter) {
	if s.QuotaLimit == 0 || !s.leftKnown {
		return
	}
	rest := max(s.QuotaLimit-s.QuotaUsed, 0)
	todo := m.bytesLeft()
	if todo <= rest {
		return
	}
	days := (todo - rest + s.QuotaLimit - 1) / s.QuotaLimit
	last := float64(todo-rest-(days-1)*s.QuotaLimit) / float64(s.QuotaLimit) // of the last day, if that day's portion came evenly
	s.left = max(s.left, time.Duration((float64(days-1)+last)*float64(24*time.Hour)))
}

// quota tells how much of a day's limit is used.
func (s snapshot) quota() string {
	if s.QuotaLimit == 0 {
		return ""
	}
	return fmt.Sprintf("%s of today's %s used", size(s.QuotaUsed), size(s.QuotaLimit))
}

// waiting tells why nothing happens.
func (s snapshot) waiting() string {
	if s.Waiting == "" {
		return ""
	}
	return fmt.Sprintf("%s, waiting %s", printable(s.Waiting), duration(max(time.Until(s.Until), 0).Round(time.Second)))
}

// text describes the moment in a line.
func (s snapshot) text() string {
	return join(s.doing(), s.messages(), s.bytes(), s.speed(), s.timeLeft(), s.quota(), s.waiting())
}

// barText is text with what matters most in front, since a narrow terminal cuts off the end.
func (s snapshot) barText() string {
	return join(s.waiting(), s.messages(), s.timeLeft(), s.quota(), s.speed(), s.bytes(), s.doing())
}

// join puts commas between the parts that are not empty.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

func (s snapshot) messages() string {
	if s.Expected == 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s", commas(s.Seen), count(s.Expected, "message"))
}

func (s snapshot) bytes() string {
	if s.WantedBytes == 0 {
		return ""
	}
	text := fmt.Sprintf("%s of %s", size(s.DownloadedBytes), size(s.WantedBytes))
	if s.Phase == backup.PhaseRead {
		text += " found so far"
	}
	return text
}

func (s snapshot) speed() string {
	if s.rate < 1 {
		return ""
	}
	return size(int64(s.rate)) + "/s"
}

func (s snapshot) timeLeft() string {
	if !s.leftKnown {
		return ""
	}
	return duration(s.left) + " left"
}

func (s snapshot) doing() string {
	switch s.Phase {
	case backup.PhaseRead:
		return "reading " + printable(s.Mailbox)
	case backup.PhaseDownload:
		return "downloading"
	case backup.PhaseFinish:
		return "finishing"
	case backup.PhaseVerify:
		return "comparing " + printable(s.Mailbox)
	case phaseRebuild:
		return "reading the journal"
	case phaseCheck:
		if s.Expected == 0 {
			return "checking gmail.db and the journal"
		}
		return "checking"
	}
	return "connecting"
}

// lineWatcher prints a line now and then.
type lineWatcher struct {
	*tracker
	out   io.Writer
	quiet bool // warnings only

	lineMu sync.Mutex
	last   time.Time
}

func (w *lineWatcher) Update(s backup.Status) {
	w.take(s)
	w.lineMu.Lock()
	defer w.lineMu.Unlock()
	now := time.Now()
	if w.quiet || now.Sub(w.last) < lineEvery {
		return
	}
	w.last = now
	fmt.Fprintf(w.out, "%s: %s\n", printable(w.account), w.snapshot().text())
}

func (w *lineWatcher) Warn(warning backup.Warning) {
	fmt.Fprintf(w.out, "%s: warning: %s\n", printable(w.account), printable(warning.Text))
}

func (w *lineWatcher) Finish() {}

// jsonWatcher prints JSON lines.
type jsonWatcher struct {
	*tracker
	out   io.Writer
	quiet bool // warnings only

	lineMu sync.Mutex
	last   time.Time
}

// progressLine is a line of --json. Sizes are bytes, times seconds.
type progressLine struct {
	Event       string  `json:"event"` // "progress"
	Account     string  `json:"account"`
	Phase       string  `json:"phase"`
	Mailbox     string  `json:"mailbox,omitempty"`
	Messages    int64   `json:"messages"`
	Total       int64   `json:"total"`
	Bytes       int64   `json:"bytes"`
	BytesWanted int64   `json:"bytes_wanted"`
	Rate        float64 `json:"bytes_per_second"`
	ETA         *int64  `json:"eta_seconds,omitempty"`
	QuotaUsed   int64   `json:"quota_used,omitempty"` // in the last 24 hours
	QuotaLimit  int64   `json:"quota_limit,omitempty"`
	Waiting     string  `json:"waiting,omitempty"` // why
}

// warningLine is a line of --json.
type warningLine struct {
	Event   string `json:"event"` // "warning"
	Account string `json:"account"`
	Kind    string `json:"kind"`
	Mailbox string `json:"mailbox,omitempty"`
	UID     uint32 `json:"uid,omitempty"`
	Text    string `json:"text"`
}

func (w *jsonWatcher) Update(s backup.Status) {
	w.take(s)
	w.lineMu.Lock()
	defer w.lineMu.Unlock()
	now := time.Now()
	if w.quiet || now.Sub(w.last) < jsonEvery {
		return
	}
	w.last = now
	printJSON(w.out, w.line())
}

func (w *jsonWatcher) line() progressLine {
	s := w.snapshot()
	line := progressLine{Event: "progress", Account: w.account, Phase: string(s.Phase), Mailbox: s.Mailbox, Messages: s.Seen, Total: s.Expected,
		Bytes: s.DownloadedBytes, BytesWanted: s.WantedBytes, Rate: float64(int64(s.rate)), QuotaLimit: s.QuotaLimit, Waiting: s.Waiting}
	if s.QuotaLimit > 0 {
		line.QuotaUsed = s.QuotaUsed
	}
	if s.leftKnown {
		seconds := int64(s.left.Seconds())
		line.ETA = &seconds
	}
	return line
}

func (w *jsonWatcher) Warn(warning backup.Warning) {
	w.lineMu.Lock()
	defer w.lineMu.Unlock()
	printJSON(w.out, warningLine{"warning", w.account, string(warning.Kind), warning.Mailbox, warning.UID, warning.Text})
}

func (w *jsonWatcher) Finish() {
	if !w.quiet {
		printJSON(w.out, w.line())
	}
}

// printJSON writes one value as a line. What is written are structs of plain fields, which cannot fail to encode; errors of writing
// are kept by resultWriter, and a closed pipe ends the program by its signal.
func printJSON(out io.Writer, value any) {
	line, err := json.Marshal(value)
	if err != nil {
		panic("mailkeep: encode a result: " + err.Error())
	}
	out.Write(append(line, '\n'))
}

// printable replaces what would steer a terminal in text that a server chose.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) {
			return '\ufffd'
		}
		return r
	}, s)
}

// barWatcher draws a bar on a terminal.
type barWatcher struct {
	*tracker
	bars *mpb.Progress
	bar  *mpb.Bar
}

func newBarWatcher(t *tracker, out io.Writer) *barWatcher {
	w := &barWatcher{tracker: t, bars: mpb.New(mpb.WithOutput(out), mpb.WithRefreshRate(150*time.Millisecond), mpb.WithWidth(30))}
	w.bar = w.bars.New(0, mpb.BarStyle(), // a total of 0 does not complete it
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return printable(t.account) + " " })),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + t.snapshot().barText() })),
	)
	return w
}

func (w *barWatcher) Update(s backup.Status) {
	w.take(s)
	w.bar.SetTotal(max(s.Expected, s.Seen+1), false) // never full before Finish
	w.bar.SetCurrent(s.Seen)
}

func (w *barWatcher) Warn(warning backup.Warning) {
	fmt.Fprintf(w.bars, "%s: warning: %s\n", printable(w.account), printable(warning.Text))
}

func (w *barWatcher) Finish() {
	w.bar.Abort(true)
	w.bars.Wait()
}
