package imapd

import (
	"net"
	"runtime"
	"testing"
	"time"
)

// When clients stop asking, what their answers took goes back to the system, and later commands are noticed again.
func TestQuietServerGivesMemoryBack(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := serveOn(t, s.w.Reader, testOptions(), ln)
	for range 2 {
		c := login(t, ln.Addr().String())
		garbage := make([]byte, 64<<20)
		for i := 0; i < len(garbage); i += 4096 {
			garbage[i] = 1
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		runtime.KeepAlive(garbage)
		c.ok("NOOP")
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			runtime.ReadMemStats(&after)
			if after.NumForcedGC > before.NumForcedGC && after.HeapInuse+48<<20 < before.HeapInuse && !srv.quiet.armed.Load() {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("forced collections %d, before %d; %d MB of heap in use, before %d", after.NumForcedGC, before.NumForcedGC, after.HeapInuse>>20, before.HeapInuse>>20)
			}
		}
		srv.quiet.collected(time.Time{}) // as though that had been long ago
		c.ok("LOGOUT")
		for srv.quiet.armed.Load() {
			time.Sleep(50 * time.Millisecond)
		}
		srv.quiet.collected(time.Time{}) // LOGOUT is a command, too, and has had another one made
	}
}
