package imapd

import (
	"runtime"
	"testing"
	"time"
)

// A client in IDLE costs what any connection does: no goroutine of its own besides that which reads from it.
func TestIdleTakesNoGoroutine(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	addr := serve(t, s.w.Reader, testOptions())
	const n = 20
	var clients []*client
	for range n {
		c := login(t, addr)
		c.ok("SELECT INBOX")
		clients = append(clients, c)
	}
	before := runtime.NumGoroutine()
	for _, c := range clients {
		c.talk("C: i IDLE\nS: + idling")
	}
	after := runtime.NumGoroutine()
	for deadline := time.Now().Add(5 * time.Second); after > before+1 && time.Now().Before(deadline); after = runtime.NumGoroutine() {
		time.Sleep(10 * time.Millisecond)
	}
	if after > before+1 { // the poller
		t.Errorf("%d goroutines more for %d clients in IDLE", after-before, n)
	}
	s.add("2"+simple, "INBOX")
	for _, c := range clients {
		c.expect("* 2 EXISTS")
		c.talk("C: DONE\nS: i OK IDLE completed")
	}
}

func TestIdleEndsBadly(t *testing.T) {
	s := newArchive(t)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.talk(`
		C: a IDLE now
		S: a BAD ~
		C: b IDLE
		S: + idling
		C: c NOOP
		S: b BAD ~
		C: d NOOP
		S: d OK NOOP completed
	`)
}
