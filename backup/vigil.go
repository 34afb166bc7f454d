package backup

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// How closely connections are watched.
const (
	watchEvery = 5 * time.Second
	slept      = 30 * time.Second // a jump of the wall clock that means the computer was asleep
	afterSleep = 20 * time.Second // what a server then gets to show that it is still there
)

// guard ends the connection when ctx is done or the server says nothing for limit, until the returned function is called: the client waits without limit otherwise.
func (s *Session) guard(ctx context.Context, limit time.Duration) (release func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(max(min(limit/4, watchEvery), time.Millisecond))
		defer tick.Stop()
		start := time.Now()
		v := newVigil(limit, start.Round(0), s.conn.BytesRead())
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				s.conn.Close()
				return
			case <-tick.C:
				now := time.Now()
				if err := v.look(now.Round(0), now.Sub(start), s.conn.BytesRead()); err != nil {
					s.socket.note(err)
					s.conn.Close()
					return
				}
			}
		}
	}()
	return sync.OnceFunc(func() { close(done) })
}

// vigil tells a silent server from a busy one. A computer that slept is told by its clocks: the wall clock went on and the monotonic one did not, on the systems where that
// one stands still meanwhile. Its connections are most often dead then without knowing it, since whoever stands between has forgotten them.
type vigil struct {
	limit    time.Duration
	patience time.Duration // limit, or less after a sleep
	wall     time.Time     // at the last look, as the next
	clock    time.Duration
	read     int64
	since    time.Duration // on the clock, when something came last
}

func newVigil(limit time.Duration, wall time.Time, read int64) *vigil {
	return &vigil{limit: limit, patience: limit, wall: wall, read: read}
}

// look is told the wall clock without its monotonic part, the monotonic clock, and the bytes received so far. An error says that the connection is dead.
func (v *vigil) look(wall time.Time, clock time.Duration, read int64) error {
	if read != v.read {
		v.read, v.since, v.patience = read, clock, v.limit
	}
	if wall.Sub(v.wall)-(clock-v.clock) >= slept {
		v.since, v.patience = clock, min(v.limit, afterSleep)
	}
	v.wall, v.clock = wall, clock
	switch silent := clock - v.since; {
	case silent < v.patience:
		return nil
	case v.patience < v.limit:
		return fmt.Errorf("nothing came after the computer slept: %w", os.ErrDeadlineExceeded)
	default:
		return fmt.Errorf("nothing came for %v: %w", v.limit, os.ErrDeadlineExceeded)
	}
}
