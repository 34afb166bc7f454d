package imapd

import (
	"errors"
	"runtime"
	"sync"
)

// The responses of a long FETCH are put together in parts: runs of messages, by several goroutines at a time, and sent in order by the one that answers the command, so that on a machine
// with several processors making and sending take time at once. What is asked for again (assembled.go) is sent as it was. A short FETCH, and what is too large to be held back, is
// written by the command's goroutine alone.

const (
	aheadLeast   = 256       // messages in one FETCH from which on it is answered in parts
	aheadBodies  = 32        // the same when whole messages, or parts of them, have to be read
	aheadRows    = 128       // messages in a part: header lists of so many are worth a write of their own
	aheadBytes   = 64 << 10  // bytes of messages in a part, when they are asked for: with one more its responses fit into a block
	aheadMost    = 4         // processors
	aheadLarge   = 256 << 10 // bytes of responses in a part; more is not held back
	aheadAtATime = 8         // commands of all sessions that have helpers at a time
)

// errAhead ends a part that has to be put together by the command's own goroutine.
var errAhead = errors.New("not ahead")

// part is a run of messages whose responses are put together while those before it are sent.
type part struct {
	from, to int           // indexes in the snapshot, of rows in one block
	key      assembledKey  // what it is kept as; the zero key: not at all
	out      []byte        // its responses
	kept     bool          // out belongs to assembled
	alone    bool          // the command's goroutine has to do it: something in it is too large, or cannot be read
	done     chan struct{} // closed when a helper has finished with it; nil without one
}

// maxBlock is up to which size a block is used again.
const maxBlock = outputBuffer + wholeLimit + 4<<10

// blockBuffers keeps blocks that nobody uses: of the responses of a part, or of what a fetcher has not handed to the connection yet.
var blockBuffers = sync.Pool{New: func() any { b := make([]byte, 0, outputBuffer+4<<10); return &b }}

// newBlock returns an empty block.
func newBlock() []byte { return *blockBuffers.Get().(*[]byte) }

// releaseBlock gives a block back.
func releaseBlock(b []byte) {
	if cap(b) > 0 && cap(b) <= maxBlock {
		b = b[:0]
		blockBuffers.Put(&b)
	}
}

// inParts reports whether the command is answered in parts: it is long, and what is asked for comes from each message alone.
func (f *fetcher) inParts() bool {
	least := aheadLeast
	if f.readsBodies() {
		least = aheadBodies
	}
	return f.pos == nil && len(f.options.BinarySection) == 0 && count(f.spans) >= least
}

// readsBodies reports whether body sections are asked for that summaries do not have.
func (f *fetcher) readsBodies() bool {
	for k := range f.sections {
		if !f.sections[k].inFields {
			return true
		}
	}
	return false
}

// parts cuts what is asked for into runs of messages.
func (f *fetcher) parts(yield func(*part) bool) {
	bodies, kind := f.readsBodies(), f.assembledKind()
	for _, sp := range f.spans {
		for from := sp.from; from < sp.to; {
			p := f.cut(from, sp.to, bodies)
			p.key = f.snap.assembledKey(p, kind)
			if !yield(p) {
				return
			}
			from = p.to
		}
	}
}

// cut returns the part that begins at an index, and goes up to another at most. It lies in one block of the snapshot.
func (f *fetcher) cut(from, to int, bodies bool) *part {
	k := f.snap.block(from)
	block, start := f.snap.blocks[k], f.snap.starts[k]
	p := &part{from: from, to: min(to, start+len(block))}
	if !f.rowOnly {
		p.to = min(p.to, from+aheadRows)
	}
	bytes := int64(0)
	for i := from; bodies && i < p.to; i++ {
		size := block[i-start].size
		switch {
		case i > from && (size > wholeLimit || bytes > aheadBytes):
			p.to = i
		case size > wholeLimit:
			p.to, p.alone = i+1, true
		}
		bytes += size
	}
	return p
}

// assembly answers one FETCH in parts.
type assembly struct {
	f       *fetcher
	helpers int // that run; 0: none are needed yet, or allowed
	asked   bool
	jobs    chan *part // closed in the end
	running sync.WaitGroup
	own     *fetcher // makes parts where there are no helpers; nil until needed
	queue   []*part  // under way, in order
}

// assemble answers the command in parts, of which so many are under way that each helper has one to do and one waits.
func (f *fetcher) assemble() error {
	if err := f.prepareLabels(); err != nil {
		return err
	}
	a := &assembly{f: f}
	defer a.close()
	for p := range f.parts {
		a.begin(p)
		if a.queue = append(a.queue, p); len(a.queue) < max(1, 2*a.helpers) {
			continue
		}
		if err := a.finish(); err != nil {
			return err
		}
	}
	for len(a.queue) > 0 {
		if err := a.finish(); err != nil {
			return err
		}
	}
	return nil
}

// begin has a part made, unless it was before.
func (a *assembly) begin(p *part) {
	if p.alone {
		return
	}
	if p.out = a.f.assembled().get(&p.key); p.out != nil {
		p.kept = true
		return
	}
	if !a.asked {
		a.asked = true
		a.help()
	}
	if a.helpers > 0 {
		p.done = make(chan struct{})
		a.jobs <- p
		return
	}
	if a.own == nil {
		a.own = a.f.maker()
	}
	a.own.makePart(p)
}

// help starts helpers, if there are processors for them and not too many commands have some already: each takes memory.
func (a *assembly) help() {
	procs := min(runtime.GOMAXPROCS(0), aheadMost)
	if procs == 1 {
		return
	}
	select {
	case a.f.s.srv.helped <- struct{}{}:
	default:
		return
	}
	a.helpers, a.jobs = procs, make(chan *part, 2*procs)
	for range procs {
		a.running.Go(func() {
			w := a.f.maker()
			defer w.close()
			for p := range a.jobs {
				if a.f.s.conn.failure() == nil {
					w.makePart(p)
				}
				close(p.done)
			}
		})
	}
}

// finish sends the first part of the queue, once it is ready. One that has to be done alone is done now.
func (a *assembly) finish() error {
	p := a.queue[0]
	a.queue = a.queue[1:]
	if p.done != nil {
		<-p.done
	}
	if p.alone {
		return a.f.alone(p)
	}
	err := a.f.s.conn.send(p.out)
	a.release(p)
	return err
}

func (a *assembly) release(p *part) {
	if !p.kept {
		releaseBlock(p.out)
	}
}

// close waits for the helpers and gives back what they made and nobody has sent.
func (a *assembly) close() {
	if a.helpers > 0 {
		close(a.jobs)
		a.running.Wait()
		<-a.f.s.srv.helped
	}
	for _, p := range a.queue {
		a.release(p)
	}
	if a.own != nil {
		a.own.close()
	}
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

// maker returns a fetcher that works on parts for f, and sends nothing. The caller closes it.
func (f *fetcher) maker() *fetcher {
	w := f.s.newFetcher(f.snap, f.spans, f.options)
	w.byUID, w.apart = f.byUID, true
	if f.labels != nil {
		w.labels = f.labels.clone()
	}
	return w
}

// makePart puts the responses of a part together.
func (f *fetcher) makePart(p *part) {
	for i, r := range f.snap.rows(p.from, p.to) {
		if err := f.message(i, r); err != nil {
			f.out, p.alone = f.out[:0], true
			return
		}
	}
	p.out, f.out = f.out, newBlock()
	f.assembled().put(&p.key, p.out)
}

// alone writes the responses of a part, one after the other.
func (f *fetcher) alone(p *part) error {
	for i, r := range f.snap.rows(p.from, p.to) {
		if err := f.message(i, r); err != nil {
			return err
		}
	}
	return f.flush()
}
