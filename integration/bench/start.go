package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"mailkeep/integration/bench/load"
)

const (
	selectStarted = "SELECT largest mailbox, server just started"
	coldIndexed   = "server start, page cache dropped, to the whole header list"
	coldPlain     = "the same, Dovecot's index removed before"
)

// startup measures SELECT of the largest mailbox as the first thing that a client asks of a new server.
func (b *bed) startup(ctx context.Context) error {
	if !b.wants(b.corpus, selectStarted) {
		return nil
	}
	b.note("%s", selectStarted)
	x := b.newRow(selectStarted, "ms")
	x.AtMost = selectBound(b.tally.Messages)
	servers := b.all()
	if !b.full {
		servers = servers[:1]
	}
	took, err := b.inTurn(ctx, servers, rounds, firstSelect)
	x.fill(took, err)
	return ctx.Err()
}

func firstSelect(s *server) (load.Sample, error) {
	if err := s.restart(); err != nil {
		return load.Sample{}, err
	}
	return load.SelectLargest(s.Target)
}

// selectBound is the goal for opening a mailbox of n messages, in ms.
func selectBound(n int) float64 {
	if n > 100_000 {
		return 20
	}
	return 5
}

// inTurn runs f on servers in alternation.
func (b *bed) inTurn(ctx context.Context, servers []*server, n int, f func(*server) (load.Sample, error)) (map[string][]load.Sample, error) {
	took := map[string][]load.Sample{}
	for range n {
		for _, s := range servers {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			sample, err := f(s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			took[s.Name] = append(took[s.Name], sample)
		}
	}
	return took, nil
}

// fill puts samples into the row, or the error.
func (r *row) fill(took map[string][]load.Sample, err error) {
	if err != nil {
		r.Wrong = err.Error()
		return
	}
	r.set(took, func(all []load.Sample) float64 { return center(all, 0.5) })
	for _, samples := range took {
		r.Rounds = len(samples)
	}
}

// cold measures what a user waits for who starts everything after the machine has started: the server, login, the list of all headers.
func (b *bed) cold(ctx context.Context) error {
	if b.wants(b.corpus, coldIndexed) {
		b.note("%s", coldIndexed)
		x := b.newRow(coldIndexed, "ms")
		x.AtLeast = 2
		n := rounds
		if !b.full {
			n = 3
		}
		x.fill(b.inTurn(ctx, b.all(), n, func(s *server) (load.Sample, error) { return b.fromCold(s, nil) }))
	}
	if b.full && b.wants(b.corpus, coldPlain) && ctx.Err() == nil {
		b.note("%s", coldPlain)
		x := b.newRow(coldPlain, "ms")
		took, err := b.inTurn(ctx, b.peers, 1, func(s *server) (load.Sample, error) { return b.fromCold(s, removeIndex) })
		x.fill(took, err)
	}
	return ctx.Err()
}

// fromCold stops a server, drops the page cache and measures up to the last header.
func (b *bed) fromCold(s *server, prepare func(*server) error) (load.Sample, error) {
	if _, err := load.HeaderList(s.Target); err != nil { // the first time, this checks what the answer must be
		return load.Sample{}, err
	}
	if err := s.stop(); err != nil {
		return load.Sample{}, err
	}
	if prepare != nil {
		if err := prepare(s); err != nil {
			return load.Sample{}, err
		}
	}
	how, err := dropPageCache(s.mail)
	if err != nil {
		return load.Sample{}, fmt.Errorf("drop the page cache: %w", err)
	}
	b.report.Dropped = how
	begin := time.Now()
	if err := s.start(); err != nil {
		return load.Sample{}, err
	}
	_, err = load.HeaderList(s.Target)
	return load.Sample{Wall: time.Since(begin)}, err
}

// removeIndex deletes what Dovecot can derive again. An sdbox keeps flags in its index, so that only the cache of headers goes.
func removeIndex(s *server) error {
	beginning := "dovecot.index"
	if strings.HasSuffix(s.Name, "sdbox") {
		beginning = "dovecot.index.cache"
	}
	return filepath.WalkDir(s.mail, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), beginning) {
			err = os.Remove(path)
		}
		return err
	})
}
