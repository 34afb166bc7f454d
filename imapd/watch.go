package imapd

import (
	"context"
	"errors"
	"os"
	"time"
)

// maxAhead bounds what is read of the client's next commands while one is being answered.
const maxAhead = 64 << 10

// watch returns a context that ends when the client goes away, for commands that take long: the library does not look at the connection while it waits for an
// answer. It reads what the client sends meanwhile and keeps it for later. stop must be called before the answer is sent.
func (c *conn) watch(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	c.mu.Lock()
	raw := c.raw
	c.mu.Unlock()
	if c.readErr != nil {
		return ctx, cancel
	}
	raw.SetReadDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for len(c.in) < maxAhead {
			err := c.receive(raw)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return // stop
			}
			if err != nil {
				c.readErr = err
				if len(c.in) == 0 { // else it may have closed only its sending side, after its last commands
					cancel()
				}
				return
			}
		}
	}()
	return ctx, func() {
		raw.SetReadDeadline(time.Unix(1, 0))
		<-done
		cancel()
	}
}
