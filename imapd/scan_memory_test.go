package imapd

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

// Large messages wait for memory that others hold. Whoever is done with one gives it back before waiting for anything else: no command stops another, or itself, for ever.
func TestLargeMessagesDoNotWaitForEver(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	s := newArchive(t)
	var b archive.Batch
	large := strings.Repeat("a line of a large message\r\n", loadedBytes*47/100/27)
	for i := range 5 * scanChunk {
		text := fmt.Sprintf("Subject: %d\r\n\r\n", i)
		if i%scanChunk == 1 && i < 4*scanChunk {
			text += large
		}
		b.Copies = append(b.Copies, s.copyOf(text, "INBOX"))
	}
	s.record(b)
	addr := serve(t, s.w.Reader, testOptions())
	done := make(chan string, 3)
	for _, command := range []string{"SEARCH LARGER 1000000 BODY nowhere", "FETCH 1:* (PREVIEW BODY.PEEK[HEADER])", "FETCH 1:* BODY.PEEK[1.MIME]"} {
		c := login(t, addr)
		c.conn.SetDeadline(time.Now().Add(2 * time.Minute))
		c.ok("SELECT INBOX")
		go func() {
			c.send("x " + command + "\r\n")
			_, tagged := c.until("x")
			done <- tagged
		}()
	}
	for range 3 {
		if tagged := <-done; !strings.HasPrefix(tagged, "OK") {
			t.Error(tagged)
		}
	}
}
