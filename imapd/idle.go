package imapd

import (
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2/imapserver"
)

// idle answers IDLE (RFC 9051 section 6.3.13). The library would keep two goroutines for a client that waits; most clients do nothing else, so one has to do: another runs only
// while there is something to tell.
func (c *conn) idle(_, args string) error {
	if args != "" {
		return c.answer("BAD IDLE has no arguments")
	}
	if err := c.send([]byte("+ idling\r\n")); err != nil {
		return err
	}
	s := c.session
	w := &idler{session: s}
	s.srv.changes.subscribe(w)
	defer s.srv.changes.unsubscribe(w)
	if err := s.idles(true); err != nil { // what was seen before counts too
		return err
	}
	c.begun = time.Time{} // the client takes as long as it likes
	line, err := c.line(maxReply)
	if told := s.idles(false); err == nil {
		err = told
	}
	switch {
	case err != nil:
		return c.tooLong(err)
	case !strings.EqualFold(strings.TrimRight(string(line), "\r\n"), "DONE"):
		return c.answer("BAD IDLE ends with DONE")
	}
	return c.answer("OK IDLE completed")
}

// idles notes whether the client is in IDLE, and tells it what has changed.
func (s *session) idles(yes bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idling = yes
	return s.tell(true)
}

// Idle implements [imapserver.Session]. It is not called: conn answers IDLE.
func (s *session) Idle(_ *imapserver.UpdateWriter, stop <-chan struct{}) error {
	<-stop
	return nil
}

// idler tells one client in IDLE of changes, in a goroutine that runs while there are some: a client that does not read must not keep the others waiting.
type idler struct {
	session *session
	state   atomic.Int32
}

// States of an idler.
const (
	idlerRests = iota
	idlerRuns
	idlerRunsAgain // something has changed since it began
)

// begin reports whether run has to be called. When it is running already it will go round once more.
func (w *idler) begin() bool {
	for {
		if w.state.CompareAndSwap(idlerRests, idlerRuns) {
			return true
		}
		if w.state.CompareAndSwap(idlerRuns, idlerRunsAgain) || w.state.Load() == idlerRunsAgain {
			return false
		}
	}
}

func (w *idler) run() {
	defer func() {
		if what := recover(); what != nil { // that must cost one connection and not the server
			w.session.srv.log.Error("imap: tell a client in IDLE of changes", "panic", what, "stack", string(debug.Stack()))
			w.session.conn.base.Close()
		}
	}()
	for {
		w.session.tellIdle()
		if w.state.CompareAndSwap(idlerRuns, idlerRests) {
			return
		}
		w.state.Store(idlerRuns)
	}
}

// tellIdle is tell unless IDLE has ended: the client may have sent another command, whose responses must not be mixed with these. A connection that cannot be written to has been closed.
func (s *session) tellIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idling {
		s.tell(true)
	}
}
