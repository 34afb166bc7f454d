package imapd

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

// SORT and THREAD of all sessions share a bound: what does not fit waits, gets the same answer, and gives its room back, also when the client goes away.
func TestSortsWaitForTheirTurn(t *testing.T) {
	s := newArchive(t)
	var b archive.Batch
	for i := range arrangingFew + 50 {
		b.Copies = append(b.Copies, s.copyOf(fmt.Sprintf("Subject: %d\r\n\r\n", i%7), "INBOX"))
	}
	s.record(b)
	s.add(simple, "Small")
	ln := listen(t)
	srv := serveOn(t, s.w.Reader, testOptions(), ln)
	open := func(mailbox string) *client {
		c := login(t, ln.Addr().String())
		c.ok("SELECT " + mailbox)
		return c
	}
	large, small, leaving := open("INBOX"), open("Small"), open("INBOX")
	commands := []string{"SORT (SUBJECT) UTF-8 ALL", "UID SORT RETURN (ALL COUNT) (REVERSE SUBJECT) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 1:300"}
	want := make(map[string]string)
	for _, command := range commands {
		want[command] = large.ok(command)
	}
	all := context.Background()
	for _, command := range commands {
		if err := srv.arranging.Acquire(all, arrangingBytes); err != nil {
			t.Fatal(err)
		}
		answered := make(chan string, 1)
		go func() {
			large.send("t0 " + command + "\r\n")
			got, _ := large.until("t0")
			answered <- got
		}()
		if got := small.within(5*time.Second, "SORT (SUBJECT) UTF-8 ALL"); got != "* SORT 1\r\n" {
			t.Errorf("a small mailbox: %q", got)
		}
		select {
		case got := <-answered:
			t.Errorf("%s did not wait: %.100q", command, got)
		case <-time.After(50 * time.Millisecond):
		}
		srv.arranging.Release(arrangingBytes)
		_, wanted, _ := strings.Cut(want[command], ")") // behind the tag
		if _, got, _ := strings.Cut(<-answered, ")"); got != wanted {
			t.Errorf("%s: %.100q, want %.100q", command, got, wanted)
		}
	}
	if err := srv.arranging.Acquire(all, arrangingBytes); err != nil { // waits until the last one has given back what it had
		t.Fatal(err)
	}
	leaving.send("a " + commands[0] + "\r\n")
	time.Sleep(20 * time.Millisecond)
	before := srv.gate.count()
	leaving.conn.Close()
	for end := time.Now().Add(10 * time.Second); srv.gate.count() >= before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the session of a client that has gone away still waits")
		}
	}
	srv.arranging.Release(arrangingBytes)
	if got := large.ok(commands[0]); got != want[commands[0]] {
		t.Errorf("afterwards %.100q", got)
	}
}

// A mailbox that is larger than the bound can still be sorted, alone.
func TestTurnOfTheLargest(t *testing.T) {
	srv := New(newArchive(t).w.Reader, testOptions())
	defer srv.Close()
	s := &session{srv: srv}
	turn, err := s.waitForTurn(context.Background(), 100_000_000)
	if err != nil || turn.held != arrangingBytes {
		t.Fatalf("%+v, %v", turn, err)
	}
	turn.keep(2 * arrangingBytes)
	if turn.held != arrangingBytes {
		t.Errorf("%d bytes are kept of %d", turn.held, arrangingBytes)
	}
	turn.keep(1000)
	other, err := s.waitForTurn(context.Background(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	other.release()
	turn.release()
	if !srv.arranging.TryAcquire(arrangingBytes) {
		t.Error("something has not been given back")
	}
}

// However often one SEARCH asks for labels, the archive is asked for them once.
func TestManyLabelKeys(t *testing.T) {
	s := newArchive(t)
	var b archive.Batch
	for i := range 900 {
		b.Copies = append(b.Copies, s.copyOf(simple, fmt.Sprintf("INBOX,L%d", i%5)))
	}
	s.record(b)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	if got := c.ok("UID SEARCH RETURN (COUNT) X-GM-LABELS L1"); !strings.Contains(got, "COUNT 180") {
		t.Error(got)
	}
	if got := c.within(3*time.Second, "UID SEARCH RETURN (COUNT) "+strings.Repeat("X-GM-LABELS L1 ", 1500)+"ALL"); !strings.Contains(got, "COUNT 180") {
		t.Error(got)
	}
	if _, tagged := c.do("SEARCH " + strings.Repeat("X-GM-LABELS L1 ", 3000) + "ALL"); !strings.HasPrefix(tagged, "BAD ") { // more than the library takes when it is translated
		t.Error(tagged)
	}
	s.add(simple+"2", "INBOX,L1")
	c.ok("NOOP")
	if got := c.ok("UID SEARCH RETURN (COUNT) X-GM-LABELS L1"); !strings.Contains(got, "COUNT 181") {
		t.Error(got)
	}
}
