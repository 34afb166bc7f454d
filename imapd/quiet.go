package imapd

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// quietAfter is how long no command must have come until the server counts as quiet.
const quietAfter = time.Second

// quietEvery is the least time between two collections: they cost processor time, which a client that asks now and then must not be able to spend.
const quietEvery = 20 * time.Second

// quiet gives memory back to the system when clients have stopped asking. Go's collector runs when the heap has doubled, which an archive that is read now and then does not
// see for minutes; until then it keeps what the last answers took, and the stacks of a thousand connections that only wait stay as large as their last command made them.
type quiet struct {
	asked atomic.Int64 // commands so far
	armed atomic.Bool  // the timer runs

	mu    sync.Mutex
	timer *time.Timer
	last  time.Time // of a collection
	ended bool
}

// touch notes a command.
func (q *quiet) touch() {
	q.asked.Add(1)
	if !q.armed.Load() && q.armed.CompareAndSwap(false, true) {
		q.arm(q.asked.Load(), quietAfter)
	}
}

// arm has the server looked at after a while, when so many commands had been asked now.
func (q *quiet) arm(asked int64, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.timer = time.AfterFunc(after, func() { q.look(asked) })
	}
}

func (q *quiet) look(before int64) {
	now, early := q.asked.Load(), q.early()
	if early > 0 || now != before {
		q.arm(now, max(early, quietAfter))
		return
	}
	// Each collection halves stacks of which less than a quarter is in use, and those of waiting connections are four times too large.
	for range 2 {
		debug.FreeOSMemory()
	}
	q.collected(time.Now())
	q.armed.Store(false)
	if now := q.asked.Load(); now != before && q.armed.CompareAndSwap(false, true) {
		q.arm(now, quietAfter)
	}
}

// early is how long it is until the next collection may be; not positive when it may be now.
func (q *quiet) early() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return quietEvery - time.Since(q.last)
}

func (q *quiet) collected(when time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last = when
}

// close ends the timer.
func (q *quiet) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = true
	if q.timer != nil {
		q.timer.Stop()
	}
}
