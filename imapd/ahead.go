package imapd

import (
	"errors"
	"runtime"
	"sync"
)

const (
	aheadLeast   = 256       // messages in one FETCH from which on several processors work on it
	aheadRows    = 64        // messages in a part
	aheadBytes   = 64 << 10  // bytes of messages in a part, when they are asked for: with one more its responses fit into a block
	aheadMost    = 4         // processors
	aheadLarge   = 256 << 10 // bytes of responses in a part; more is not held back
	aheadAtATime = 8         // commands of all sessions
)

// errAhead ends a part that has to be put together by the fetcher itself.
var errAhead = errors.New("not ahead")

// part is a run of messages whose responses are put together while those before it are sent.
type part struct {
	from, to int // indexes in the snapshot
	out      []byte
	alone    bool // the fetcher has to do it: something in it is too large, or cannot be read
	done     chan struct{}
}

// inParts reports whether several processors may work on the command: it is long, and what is asked for comes from each message alone.
func (f *fetcher) inParts() bool {
	return !f.rowOnly && f.pos == nil && len(f.options.BinarySection) == 0 && count(f.spans) >= aheadLeast && runtime.GOMAXPROCS(0) > 1
}

// parts cuts what is asked for into runs of messages.
func (f *fetcher) parts(yield func(*part) bool) {
	bodies := len(f.options.BodySection) > 0 && !f.fromSummaries()
	for _, sp := range f.spans {
		p, bytes := &part{from: sp.from}, int64(0)
		for i, r := range f.snap.rows(sp.from, sp.to) {
			large := bodies && r.size > wholeLimit
			if i > p.from && (i-p.from >= aheadRows || bytes > aheadBytes || large || p.alone) {
				p.to = i
				if !yield(p) {
					return
				}
				p, bytes = &part{from: i}, 0
			}
			p.alone = large
			if bodies {
				bytes += r.size
			}
		}
		if p.to = sp.to; p.from < p.to && !yield(p) {
			return
		}
	}
}

// fromSummaries reports whether all body sections are header fields that summaries have.
func (f *fetcher) fromSummaries() bool {
	for k := range f.sections {
		if !f.sections[k].inFields {
			return false
		}
	}
	return true
}

// ahead answers the command with the help of other goroutines: they put parts together, of which so many are under way that each has one to do and one waits, and this one
// sends them in order.
func (f *fetcher) ahead() error {
	workers := min(runtime.GOMAXPROCS(0), aheadMost)
	if err := f.prepareLabels(); err != nil {
		return err
	}
	jobs := make(chan *part, 2*workers)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() { f.work(jobs) })
	}
	defer running.Wait()
	defer close(jobs)
	var queue []*part
	for p := range f.parts {
		p.done = make(chan struct{})
		queue = append(queue, p)
		jobs <- p
		if len(queue) < 2*workers {
			continue
		}
		if err := f.finish(queue[0]); err != nil {
			return err
		}
		queue = queue[1:]
	}
	for _, p := range queue {
		if err := f.finish(p); err != nil {
			return err
		}
	}
	return nil
}

// prepareLabels reads the labels once for all.
func (f *fetcher) prepareLabels() (err error) {
	for _, name := range f.items.extra {
		if name == "X-GM-LABELS" && f.labels == nil {
			f.labels, err = f.s.labelWriter(f.snap, f.spans)
		}
	}
	return err
}

// work puts parts together.
func (f *fetcher) work(jobs <-chan *part) {
	w := f.s.newFetcher(f.snap, f.spans, f.options)
	w.byUID, w.apart = f.byUID, true
	if f.labels != nil {
		w.labels = f.labels.clone()
	}
	defer w.close()
	for p := range jobs {
		if !p.alone && f.s.conn.failure() == nil {
			w.makePart(p)
		}
		close(p.done)
	}
}

// makePart puts the responses of a part together. What panics is done again by the fetcher, whose panics cost one connection and not the server.
func (f *fetcher) makePart(p *part) {
	defer func() {
		if recover() != nil {
			f.out, f.pieces, f.data, p.out, p.alone = nil, nil, 0, nil, true
		}
	}()
	for i, r := range f.snap.rows(p.from, p.to) {
		if err := f.message(i, r); err != nil {
			f.out, p.alone = f.out[:0], true
			return
		}
	}
	p.out, f.out = f.out, f.blocks.buffer()
}

// finish sends a part once it is ready. One that has to be done by f is done now.
func (f *fetcher) finish(p *part) error {
	<-p.done
	if !p.alone {
		defer f.blocks.release(p.out)
		return f.s.conn.send(p.out)
	}
	for i, r := range f.snap.rows(p.from, p.to) {
		if err := f.message(i, r); err != nil {
			return err
		}
	}
	if err := f.flush(); err != nil {
		return err
	}
	return f.blocks.wait()
}
