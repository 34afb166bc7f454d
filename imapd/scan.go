package imapd

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"mailkeep/archive"
)

const (
	scanChunk   = 64 // messages that a worker takes at a time
	scanWorkers = 4  // at most, for one search
)

// scanner looks through a part of the messages of a snapshot, for one goroutine: a query is not safe for concurrent use.
type scanner struct {
	s    *session
	ctx  context.Context
	snap *snapshot
	q    *query

	sums    summaries
	m       candidate
	damaged int     // messages
	told    []error // of the first of them
}

func newScanner(ctx context.Context, s *session, snap *snapshot, q *query) *scanner {
	sc := &scanner{s: s, ctx: ctx, snap: snap, q: q, sums: summaries{bodies: &s.srv.bodies, many: snap.len() > recentMany}}
	sc.m.src = source{bodies: &s.srv.bodies, summaries: &sc.sums, snap: snap}
	return sc
}

func (sc *scanner) close() {
	sc.m.src.close()
	sc.sums.close()
}

// scan returns the indexes of the messages that q finds, ascending. It ends early when ctx does. Messages whose file is missing or damaged are not found by what is in them: one of them
// must not make a whole mailbox unsearchable. Where messages have to be looked into, several processors do it; another gives each of them the same query.
func (s *session) scan(ctx context.Context, snap *snapshot, q *query, another func() *query) ([]int, error) {
	scanners := []*scanner{newScanner(ctx, s, snap, q)}
	if q.cost > 0 || len(q.tests) > 0 {
		for len(scanners) < min(scanWorkers, runtime.GOMAXPROCS(0), snap.len()/scanChunk) {
			scanners = append(scanners, newScanner(ctx, s, snap, another()))
		}
	}
	defer func() {
		for _, sc := range scanners {
			sc.close()
		}
	}()
	found, err := scanAll(scanners, snap.len())
	if err != nil {
		return nil, err
	}
	damaged := 0
	for _, sc := range scanners {
		damaged += sc.damaged
		for _, err := range sc.told {
			s.srv.log.Error("imap: message cannot be searched", "error", err)
		}
	}
	if damaged > 0 {
		return found, s.conn.send([]byte("* NO messages that are damaged in the archive were not searched: " + strconv.Itoa(damaged) + "\r\n"))
	}
	return found, nil
}

// scanAll lets scanners share n messages, chunk by chunk.
func scanAll(scanners []*scanner, n int) ([]int, error) {
	chunks := make([][]int, (n+scanChunk-1)/scanChunk)
	errs := make([]error, len(scanners))
	var next atomic.Int64
	var failed atomic.Bool
	work := func(k int) {
		defer func() {
			if what := recover(); what != nil { // that must cost one command and not the server
				errs[k] = fmt.Errorf("search messages: %v\n%s", what, debug.Stack())
				failed.Store(true)
			}
		}()
		for !failed.Load() {
			c := int(next.Add(1)) - 1
			if c >= len(chunks) {
				return
			}
			if chunks[c], errs[k] = scanners[k].chunk(c*scanChunk, min(n, (c+1)*scanChunk)); errs[k] != nil {
				failed.Store(true)
			}
		}
	}
	var all sync.WaitGroup
	for k := 1; k < len(scanners); k++ {
		all.Go(func() { work(k) })
	}
	work(0)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.Concat(chunks...), nil
}

// chunk returns the indexes from one up to another of messages that are found.
func (sc *scanner) chunk(from, to int) (found []int, err error) {
	if sc.ctx.Err() != nil {
		return nil, sc.ctx.Err()
	}
	for i, r := range sc.snap.rows(from, to) {
		if r.ref.IsZero() || !sc.q.matchesRow(i, r) { // the first were taken out since, the client will be told
			continue
		}
		if sc.q.simple {
			found = append(found, i)
			continue
		}
		m := &sc.m
		m.next(i, r)
		match := sc.q.matches(sc.ctx, m)
		m.src.close() // other scanners may wait for the memory
		switch {
		case sc.ctx.Err() != nil:
			return nil, sc.ctx.Err()
		case errors.Is(m.err, errDamaged):
			if sc.damaged++; sc.damaged <= maxTold {
				sc.told = append(sc.told, m.err)
			}
		case m.err != nil && !errors.Is(m.err, archive.ErrNotFound):
			return nil, m.err
		case m.err == nil && match:
			found = append(found, i)
		}
	}
	return found, nil
}
