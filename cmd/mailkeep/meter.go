package main

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// tally is how far a backup has come.
type tally struct {
	Messages, TotalMessages int64 // messages looked at and stored, of how many; a zero total is unknown
	Bytes, TotalBytes       int64 // bytes received, of how many
}

// meter turns tallies into a rate and the time left. The rate forgets with a half-life, so that it follows a server that slows down, and ignores what happened
// before the first tally.
type meter struct {
	start, last time.Time
	first, now  tally
	rate        float64 // bytes a second
	pace        float64 // messages a second
}

const meterHalfLife = 10 * time.Second

// update takes the newest tally.
func (m *meter) update(t tally, at time.Time) {
	if m.start.IsZero() {
		m.start, m.last, m.first, m.now = at, at, t, t
		return
	}
	passed := at.Sub(m.last)
	if passed < 50*time.Millisecond { // too short to say anything
		t.Messages, t.Bytes = max(t.Messages, m.now.Messages), max(t.Bytes, m.now.Bytes)
		m.now.TotalMessages, m.now.TotalBytes = t.TotalMessages, t.TotalBytes
		return
	}
	keep := halved(passed)
	if elapsed := at.Sub(m.start); elapsed < meterHalfLife {
		keep = min(keep, 1-float64(passed)/float64(elapsed)) // the plain average at first
	}
	m.rate = keep*m.rate + (1-keep)*float64(t.Bytes-m.now.Bytes)/passed.Seconds()
	m.pace = keep*m.pace + (1-keep)*float64(t.Messages-m.now.Messages)/passed.Seconds()
	m.last, m.now = at, t
}

// halved is how much of the old rate counts after a while: half of it per half-life, approximated to first order below and exact at its multiples.
func halved(passed time.Duration) float64 {
	keep := 1.0
	for ; passed >= meterHalfLife && keep > 1e-6; passed -= meterHalfLife {
		keep /= 2
	}
	return keep * (1 - 0.5*min(float64(passed)/float64(meterHalfLife), 1))
}

// left is the time to the end as it looks now; ok is false while nothing can be said.
func (m *meter) left() (d time.Duration, ok bool) {
	var seconds float64
	switch {
	case m.now.TotalBytes > 0 && m.rate > 0:
		seconds = float64(max(m.now.TotalBytes-m.now.Bytes, 0)) / m.rate
	case m.now.TotalMessages > 0 && m.pace > 0:
		seconds = float64(max(m.now.TotalMessages-m.now.Messages, 0)) / m.pace
	default:
		return 0, false
	}
	const most = 1000 * time.Hour
	if seconds > most.Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)).Round(time.Second), true
}

// bytesLeft estimates how much is to come: what is known, or, while mailboxes are being read, as much for each message to come as for those that came.
func (m *meter) bytesLeft() int64 {
	if m.now.TotalBytes > 0 {
		return max(m.now.TotalBytes-m.now.Bytes, 0)
	}
	came := m.now.Messages - m.first.Messages
	if came <= 0 {
		return 0
	}
	return (m.now.Bytes - m.first.Bytes) / came * max(m.now.TotalMessages-m.now.Messages, 0)
}

// duration prints a time span in its two largest units.
func duration(d time.Duration) string {
	if d < 9950*time.Millisecond && d%time.Second != 0 {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case h >= 48:
		return fmt.Sprintf("%dd %dh", h/24, h%24)
	case h > 0:
		return fmt.Sprintf("%dh %02dm", h, m)
	case m > 0:
		return fmt.Sprintf("%dm %02ds", m, s)
	}
	return fmt.Sprintf("%ds", s)
}

// size prints bytes for people.
func size(n int64) string {
	if n < 0 {
		return "-" + size(-n)
	}
	return humanize.Bytes(uint64(n))
}

// commas prints a number in groups of three digits.
func commas(n int64) string { return humanize.Comma(n) }

// count prints a number with its noun: "1 message", "12,345 messages".
func count(n int64, noun string) string {
	s := humanize.Comma(n) + " " + noun
	if n == 1 {
		return s
	}
	if noun[len(noun)-1] == 'x' {
		return s + "es"
	}
	return s + "s"
}
