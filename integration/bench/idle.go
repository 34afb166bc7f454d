package main

import (
	"context"
	"fmt"
	"time"

	"mailkeep/integration/bench/load"
	"mailkeep/integration/program"
)

const (
	idleClients = 1000
	idleMemory  = "1,000 idle connections with INBOX selected, memory of all processes"
)

// idle measures what a thousand clients that wait cost: the memory of new servers, 10 seconds after the last client began to wait.
func (b *bed) idle(ctx context.Context) error {
	if !b.wants(b.corpus, idleMemory) {
		return nil
	}
	b.note("%s", idleMemory)
	x := b.newRow(idleMemory, "MB")
	x.AtMost = 30
	if err := b.idlers(ctx, x); err != nil {
		x.Wrong = err.Error()
	}
	return ctx.Err()
}

func (b *bed) idlers(ctx context.Context, x *row) (err error) {
	if x.Ours, err = b.idleOn(b.ours, b.ours.restart, 0); err != nil || !b.full {
		return err
	}
	for _, p := range b.peers {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if x.Theirs[p.Name], err = b.idleOn(p, p.restart, 0); err != nil {
			return err
		}
	}
	return b.hibernating(x)
}

// hibernating adds Dovecot with imap_hibernate_timeout, which is not how it comes. Each IDLE takes it an inotify instance.
func (b *bed) hibernating(x *row) error {
	restore, err := allowInotify(2 * idleClients)
	if err != nil {
		b.report.Notes = append(b.report.Notes, fmt.Sprintf("Dovecot with imap_hibernate_timeout was left out: %v.", err))
		return nil
	}
	p, after := b.peers[0], 2*time.Second
	x.Theirs["Dovecot hibernating"], err = b.idleOn(p, func() error { return b.peer.Restart(after) }, after)
	return firstError(firstError(err, restore()), p.restart())
}

// idleOn gives the megabytes that a server needs.
func (b *bed) idleOn(s *server, restart func() error, more time.Duration) (float64, error) {
	if err := restart(); err != nil {
		return 0, err
	}
	before, _ := program.SharedMemory(s.pid())
	clients, err := load.Idle(s.Target, idleClients)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", s.Name, err)
	}
	defer clients.Close()
	time.Sleep(b.idleWait() + more)
	after, processes := program.SharedMemory(s.pid())
	b.note("%s: %.1f MB before, %.1f MB with %d clients, in %d processes", s.Name, float64(before)/1e6, float64(after)/1e6, idleClients, processes)
	if err := clients.Check(); err != nil {
		return 0, fmt.Errorf("%s: %w", s.Name, err)
	}
	return float64(after) / 1e6, nil
}

func (b *bed) idleWait() time.Duration {
	if b.full {
		return 10 * time.Second
	}
	return 3 * time.Second
}
