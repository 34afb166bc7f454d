package imapd

import (
	"bytes"
	"sync"
	"time"

	"mailkeep/archive"
)

const (
	recentBytes = 112 << 20 // of summaries kept in memory; half of it has room for recentMany of them
	recentMany  = 25000     // messages in one command whose summaries are kept; more would only push one another out
	recentCost  = 120       // bytes that each takes besides its own
)

// recent keeps the summaries of messages that were lately asked for, unpacked: several connections, or a client that comes back, list the same mailbox. They are found by what
// the message is, so they are never out of date.
type recent struct {
	mu         sync.Mutex
	young, old map[archive.Ref][]byte // what is asked for goes to young; when that is full it becomes old, and what was old is dropped
	size       int                    // bytes in young
	used       time.Time
	expiry     *time.Timer // nil while nothing is kept
}

// get returns the summary of a message, or nil.
func (c *recent) get(ref *archive.Ref) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if enc := c.young[*ref]; enc != nil {
		return enc
	}
	enc := c.old[*ref]
	if enc != nil {
		delete(c.old, *ref)
		c.add(ref, enc)
	}
	return enc
}

// put keeps a copy of a summary.
func (c *recent) put(ref *archive.Ref, enc []byte) {
	enc = bytes.Clone(enc)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(ref, enc)
}

func (c *recent) add(ref *archive.Ref, enc []byte) {
	if c.young == nil {
		c.young = make(map[archive.Ref][]byte)
	}
	if c.young[*ref] == nil {
		c.size += len(enc) + recentCost
	}
	c.young[*ref] = enc
	if c.size > recentBytes/2 {
		c.old, c.young, c.size = c.young, nil, 0
	}
	c.used = time.Now()
	if c.expiry == nil {
		c.expiry = time.AfterFunc(keptFor, c.expire)
	}
}

// expire drops everything when nothing has been added or asked for a second time for a while.
func (c *recent) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.expiry == nil {
		return
	}
	if rest := keptFor - time.Since(c.used); rest > 0 {
		c.expiry.Reset(rest)
		return
	}
	c.clear()
}

func (c *recent) clear() {
	if c.expiry != nil {
		c.expiry.Stop()
	}
	c.young, c.old, c.size, c.expiry = nil, nil, 0, nil
}

// close drops everything.
func (c *recent) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
}
