package gmailsim

import (
	"maps"
	"sync"
)

// Counters tell what clients did since New or ResetCounters.
type Counters struct {
	// Connections accepted, and logins that succeeded.
	Connections, Logins int
	// BytesIn and BytesOut are protocol bytes, before TLS and before COMPRESS.
	BytesIn, BytesOut int64
	// Commands by upper-case name; UID commands as "UID FETCH" and so on.
	Commands map[string]int
	// Bodies is how often whole messages (BODY[], RFC822, or a first part of
	// BODY[]) were sent, in all.
	Bodies int
	// BodyBytes is the size of the literals of these.
	BodyBytes int64
	// FaultsHit counts faults that took place, by their name.
	FaultsHit map[string]int
}

type stats struct {
	mu sync.Mutex
	c  Counters
}

func (s *stats) update(f func(*Counters)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c.Commands == nil {
		s.c.Commands, s.c.FaultsHit = map[string]int{}, map[string]int{}
	}
	f(&s.c)
}

// Counters returns a copy.
func (s *Server) Counters() Counters {
	var c Counters
	s.stats.update(func(now *Counters) {
		c = *now
		c.Commands, c.FaultsHit = maps.Clone(now.Commands), maps.Clone(now.FaultsHit)
	})
	return c
}

// ResetCounters starts counting anew, BodiesServed included.
func (s *Server) ResetCounters() {
	s.stats.update(func(c *Counters) {
		*c = Counters{Commands: map[string]int{}, FaultsHit: map[string]int{}}
	})
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	for _, m := range s.st.msgs {
		m.served = 0
	}
}

// BodiesServed is how often each message's whole body was sent; messages
// never sent are left out.
func (s *Server) BodiesServed() map[MsgID]int {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	served := map[MsgID]int{}
	for id, m := range s.st.msgs {
		if m.served > 0 {
			served[id] = m.served
		}
	}
	return served
}
