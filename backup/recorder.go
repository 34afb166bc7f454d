package backup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"mailkeep/archive"
)

// recorder collects what is found about copies and records it in batches, in the order in which the run met them: within a folder by the source's UID, so
// that the archive's UIDs grow the same way however the downloads overtake each other. Its memory is bounded by window.
type recorder struct {
	w       *archive.Writer
	account archive.AccountID
	o       Options
	flights *flights
	report  *report

	window  chan struct{} // one token per outcome that is expected or not yet recorded
	results chan outcome
	next    uint64        // number of the next outcome to hand out
	reached atomic.Uint64 // number of the oldest outcome that is not recorded
	taken   uint64        // outcomes that were put; to be read after finish

	batches chan batch              // to the goroutine that records
	failed  context.CancelCauseFunc // ends the run when recording fails
	exited  chan struct{}
	err     error
}

// windowSize bounds how far reading may run ahead of the oldest message that is still missing.
const windowSize = 4096

// maxAhead is how far downloads should run ahead of what is recorded, with a batch that is being recorded and one that is being collected: what has arrived and is not recorded is
// downloaded again after a kill.
const maxAhead = 400

// outcome is what became of one copy: a Copy to record, a hole, or nothing (it vanished meanwhile).
type outcome struct {
	seq   uint64
	copy  *archive.Copy
	hole  *archive.HoleReport
	key   string // of the flight to end once this is recorded
	bytes int64  // downloaded for it
}

// startRecorder begins goroutines that end when finish is called. What is complete is recorded even after a cancellation.
func startRecorder(w *archive.Writer, account archive.AccountID, o Options, fl *flights, rep *report, failed context.CancelCauseFunc) *recorder {
	r := &recorder{w: w, account: account, o: o, flights: fl, report: rep, failed: failed,
		window: make(chan struct{}, windowSize), results: make(chan outcome, 64), batches: make(chan batch), exited: make(chan struct{})}
	go r.run()
	go r.record()
	return r
}

// expect reserves the place of the next outcome. It waits while too many are outstanding. One goroutine calls it.
func (r *recorder) expect(ctx context.Context) (seq uint64, err error) {
	select {
	case r.window <- struct{}{}:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	seq = r.next
	r.next++
	return seq, nil
}

// near tells whether an outcome is not too far ahead to begin with its download.
func (r *recorder) near(seq uint64) bool { return seq <= r.reached.Load()+maxAhead }

// waitNear waits until it is, but not for long: the bound is a courtesy and must never stop a run.
func (r *recorder) waitNear(ctx context.Context, seq uint64) {
	const patience, look = 30 * time.Second, time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !r.near(seq) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(look):
		}
	}
}

// put hands over an outcome, whose place expect gave. It never blocks for long: the recorder always takes.
func (r *recorder) put(out outcome) { r.results <- out }

// finish records everything handed over and returns the first error. No call of put may follow or be under way.
func (r *recorder) finish() error {
	close(r.results)
	<-r.exited
	return r.err
}

// complete tells, after finish, whether each outcome that was expected has come. A run that goes through to its end without one of them has lost sight of a message: the states of
// its mailboxes must not say that everything is recorded (A6).
func (r *recorder) complete() error {
	if lost := r.next - r.taken; lost > 0 {
		return fmt.Errorf("%d messages were to be fetched, and neither came nor failed, which is a mistake of this program: please report it. "+
			"What came is kept; run the backup again, it looks for the others", lost)
	}
	return nil
}

// batch is what will be recorded together.
type batch struct {
	archive.Batch
	count int // outcomes in it
	bytes int64
	keys  []string
	since time.Time
}

// run collects the next batch while one is recorded. When that takes longer, nothing is taken any more until it is done.
func (r *recorder) run() {
	defer close(r.batches)
	waiting := make(map[uint64]outcome)
	var next uint64
	var b batch
	tick := time.NewTicker(max(r.o.BatchAge/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case out, ok := <-r.results:
			if !ok {
				r.drain(&b, waiting)
				return
			}
			r.taken++
			waiting[out.seq] = out
			for ready, ok := waiting[next]; ok; ready, ok = waiting[next] {
				delete(waiting, next)
				next++
				r.add(&b, ready)
			}
		case now := <-tick.C:
			if b.count > 0 && now.Sub(b.since) >= r.o.BatchAge {
				select {
				case r.batches <- b:
					b = batch{}
				default: // one is being recorded
				}
			}
		}
	}
}

// drain records what is left when the run ends: after a cancellation some outcomes before it never came.
func (r *recorder) drain(b *batch, waiting map[uint64]outcome) {
	for _, seq := range slices.Sorted(maps.Keys(waiting)) {
		r.add(b, waiting[seq])
	}
	r.hand(b)
}

// hand gives a batch to be recorded, and waits until that begins.
func (r *recorder) hand(b *batch) {
	if b.count > 0 {
		r.batches <- *b
		*b = batch{}
	}
}

func (r *recorder) add(b *batch, out outcome) {
	if b.count == 0 {
		b.since = time.Now()
	}
	b.count++
	b.bytes += out.bytes
	if out.copy != nil {
		b.Copies = append(b.Copies, *out.copy)
	}
	if out.hole != nil {
		b.Holes = append(b.Holes, *out.hole)
	}
	if out.key != "" {
		b.keys = append(b.keys, out.key)
	}
	if b.count >= r.o.BatchMessages || b.bytes >= r.o.BatchBytes {
		r.hand(b)
	}
}

// record records the batches as they come.
func (r *recorder) record() {
	defer close(r.exited)
	for b := range r.batches {
		r.flush(&b)
	}
}

func (r *recorder) flush(b *batch) {
	if r.err == nil && len(b.Copies)+len(b.Holes) > 0 {
		b.Account = r.account
		done, err := r.w.Record(context.Background(), b.Batch)
		if err != nil {
			r.err = archiveFailure(err)
			r.failed(r.err)
		} else {
			r.report.recorded(done)
		}
	}
	if r.err == nil {
		r.report.seen(b.count)
	}
	r.flights.land(b.keys)
	r.reached.Add(uint64(b.count))
	for range b.count {
		<-r.window
	}
}
