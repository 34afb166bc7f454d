package imapd

import (
	"bytes"
	"sync"
	"time"

	"mailkeep/archive"
)

const (
	recentBytes = 76 << 20 // of summaries kept in memory
	recentMany  = 25000    // messages in one command whose summaries are kept; more would only push one another out
	recentCost  = 120      // bytes that each takes besides its own
)

// recent keeps the summaries of messages that were lately asked for, unpacked: several connections, or a client that comes back, list the same mailbox. They are found by what
// the message is, so they are never out of date.
type recent struct{ aging[archive.Ref] }

// put keeps a copy of a summary.
func (c *recent) put(ref *archive.Ref, enc []byte) { c.keep(ref, enc, recentCost, recentBytes) }

// aging keeps what was lately asked for, within a bound, for as long as somebody goes on asking. The zero value is ready.
type aging[K comparable] struct {
	mu         sync.Mutex
	young, old map[K]aged // what is asked for goes to young; when that is full it becomes old, and what was old is dropped
	size       int        // bytes that young takes
	most       int        // bytes that both may take
	used       time.Time
	expiry     *time.Timer // nil while nothing is kept
}

// aged is a value with the bytes that keeping it takes.
type aged struct {
	value []byte
	cost  int
}

// get returns what is kept, or nil. It must not be changed.
func (c *aging[K]) get(key *K) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.young[*key]; ok {
		return found.value
	}
	found, ok := c.old[*key]
	if ok {
		delete(c.old, *key)
		c.add(key, found)
	}
	return found.value
}

// keep enters a copy of value, which takes cost bytes besides its own, and drops others so that most is not exceeded.
func (c *aging[K]) keep(key *K, value []byte, cost, most int) {
	value = bytes.Clone(value)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.most = most
	c.add(key, aged{value, len(value) + cost})
}

func (c *aging[K]) add(key *K, one aged) {
	if c.young == nil {
		c.young = make(map[K]aged)
	}
	if _, twice := c.young[*key]; !twice {
		c.size += one.cost
	}
	c.young[*key] = one
	if c.size > c.most/2 {
		c.old, c.young, c.size = c.young, nil, 0
	}
	c.used = time.Now()
	if c.expiry == nil {
		c.expiry = time.AfterFunc(keptFor, c.expire)
	}
}

// expire drops everything when nothing has been added or asked for a second time for a while.
func (c *aging[K]) expire() {
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

func (c *aging[K]) clear() {
	if c.expiry != nil {
		c.expiry.Stop()
	}
	c.young, c.old, c.size, c.expiry = nil, nil, 0, nil
}

// close drops everything.
func (c *aging[K]) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
}
