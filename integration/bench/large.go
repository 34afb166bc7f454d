package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"mailkeep/integration/gmailsim"
	"mailkeep/integration/program"
)

// Sizes of the account of benchLarge, and of each of its messages.
const (
	largeSmall   = 20_000
	largeFull    = 1_000_000
	largeMessage = 2048 // bytes
)

// benchLarge backs a large account up from the simulated Gmail: memory must stay flat, and the last messages must come as fast as the first ones.
func benchLarge(ctx context.Context, e *env) error {
	n := largeSmall
	if e.full {
		n = largeFull
	}
	if e.messages > 0 {
		n = e.messages
	}
	e.note("make an account of %d messages", n)
	srv, err := largeAccount(n)
	if err != nil {
		return err
	}
	defer srv.Close()
	addr, err := srv.Listen(ctx)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("First backup of %s messages of %.1f KB, from the simulated Gmail", thousands(n), largeMessage/1e3)
	defer e.report.begin("large", title).finish()
	e.note("build mailkeep")
	binary, err := program.Build(ctx, e.dir)
	if err != nil {
		return err
	}
	dir, err := e.folder("large")
	if err != nil {
		return err
	}
	k, err := program.New(binary, dir, program.Account{Name: "bench", Addr: addr, User: "user@example.com", Password: "password"})
	if err != nil {
		return err
	}
	p := watchPace(srv, n)
	whole, err := e.watchBackup(ctx, k, "first backup")
	p.stop()
	if err != nil {
		return err
	}
	again, err := e.watchBackup(ctx, k, "second run, nothing changed")
	if err != nil {
		return err
	}
	if _, err := changeLabels(srv, n); err != nil {
		return fmt.Errorf("change the account: %w", err)
	}
	changed, err := e.watchBackup(ctx, k, fmt.Sprintf("third run, %d new, %[1]d relabelled, %[1]d deleted", dailyChanges))
	if err != nil {
		return err
	}
	first, last := p.per(5, 15), p.per(85, 95)
	e.note("%.0f messages a second in the beginning, %.0f at the end", 1/first.Seconds(), 1/last.Seconds())
	e.report.add(&row{Scenario: "first backup", Unit: "ms", Ours: ms(whole.wall)})
	e.report.add(&row{Scenario: "a message in the beginning", Unit: "ms", Ours: ms(first)})
	e.report.add(&row{Scenario: "a message at the end / in the beginning", Unit: "x", Ours: float64(last) / float64(first), AtMost: 1 / 0.8})
	e.report.add(&row{Scenario: "peak memory", Unit: "MB", Ours: float64(whole.peak) / 1e6, AtMost: 100})
	e.report.add(&row{Scenario: "second run, nothing changed", Unit: "ms", Ours: ms(again.wall), AtMost: 3000})
	e.report.add(&row{Scenario: "second run, peak memory", Unit: "MB", Ours: float64(again.peak) / 1e6, AtMost: 100})
	e.report.add(&row{Scenario: fmt.Sprintf("third run, %d new, %[1]d relabelled, %[1]d deleted", dailyChanges), Unit: "ms", Ours: ms(changed.wall), AtMost: 3000})
	return batchingRows(ctx, e)
}

// largeAccount makes messages when they are asked for: a million of them would not fit into memory.
func largeAccount(n int) (*gmailsim.Server, error) {
	srv := gmailsim.New(gmailsim.Options{MaxConns: -1})
	for i := range n {
		m := gmailsim.Message{
			Size: largeMessage, MessageID: fmt.Sprintf("<%d@large.example>", i), Labels: []string{`\Inbox`, fmt.Sprint("label ", i%60)},
			Date:     time.Date(2010, 1, 1, 0, 0, i*400, 0, time.UTC),
			Generate: func() []byte { return largeBody(i) },
		}
		if _, err := srv.Deliver(m); err != nil {
			return nil, err
		}
	}
	return srv, nil
}

var largeText = strings.Repeat("The quick brown fox jumps over the lazy dog, and then again.\r\n", largeMessage/60)

func largeBody(i int) []byte {
	b := make([]byte, 0, largeMessage)
	b = fmt.Appendf(b, "From: sender%d@example.com\r\nTo: user@example.com\r\nSubject: message %08d\r\nMessage-ID: <%d@large.example>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n", i%997, i, i)
	return append(b, largeText[:largeMessage-len(b)]...)
}

// pace notes when each hundredth part of the messages had been fetched.
type pace struct {
	n    int
	at   [101]time.Time
	over atomic.Bool
	done chan struct{}
}

func watchPace(srv *gmailsim.Server, n int) *pace {
	p := &pace{n: n, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		part := 0
		for !p.over.Load() && part <= 100 {
			now, fetched := time.Now(), srv.Counters().Bodies
			for ; part <= 100 && fetched >= part*n/100; part++ {
				p.at[part] = now
			}
			time.Sleep(2 * time.Millisecond)
		}
	}()
	return p
}

func (p *pace) stop() {
	p.over.Store(true)
	<-p.done
}

// per is how long a message took between two hundredths.
func (p *pace) per(from, to int) time.Duration {
	return p.at[to].Sub(p.at[from]) / time.Duration(max((to-from)*p.n/100, 1))
}
