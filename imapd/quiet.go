package imapd

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// quietAfter is how long no command must have come until the server counts as quiet.
const quietAfter = time.Second

// quiet gives memory back to the system when clients have stopped asking. Go's collector runs when the heap has doubled, which an archive that is read now and then does not
// see for minutes; until then it keeps what the last answers took, and the stacks of a thousand connections that only wait stay as large as their last command made them.
type quiet struct {
	asked atomic.Int64 // commands so far
	armed atomic.Bool  // the timer runs

	mu    sync.Mutex
	timer *time.Timer
	ended bool
}

// touch notes a command.
func (q *quiet) touch() {
	q.asked.Add(1)
	if !q.armed.Load() && q.armed.CompareAndSwap(false, true) {
		q.arm(q.asked.Load())
	}
}

// arm has the server looked at after a while, when so many commands had been asked now.
func (q *quiet) arm(asked int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ended {
		q.timer = time.AfterFunc(quietAfter, func() { q.look(asked) })
	}
}

func (q *quiet) look(before int64) {
	if now := q.asked.Load(); now != before {
		q.arm(now)
		return
	}
	// Each collection halves stacks of which less than a quarter is in use, and those of waiting connections are four times too large.
	for range 2 {
		debug.FreeOSMemory()
	}
	q.armed.Store(false)
	if now := q.asked.Load(); now != before && q.armed.CompareAndSwap(false, true) {
		q.arm(now)
	}
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
