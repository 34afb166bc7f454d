package imapd

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailkeep/archive"
)

// discard is a client that takes everything and counts lines.
type discard struct {
	net.Conn
	lines, most int
}

func (d *discard) Write(p []byte) (int, error) {
	d.lines += bytes.Count(p, []byte("\n"))
	d.most = max(d.most, len(p))
	return len(p), nil
}
func (*discard) SetWriteDeadline(time.Time) error { return nil }
func (*discard) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*discard) SetReadDeadline(time.Time) error  { return nil }

// However much has changed in a mailbox, telling a client takes little memory: many clients are told at the same time.
func TestManyNoticesTakeLittleMemory(t *testing.T) {
	const many = 60_000
	tables := newTables()
	var b snapshotBuilder
	for uid := archive.UID(1); uid <= many; uid++ {
		r := tables.row(&archive.Entry{UID: uid, Ref: archive.Ref{1}, Date: testDate})
		b.add(&r)
	}
	old := b.snapshot(tables)
	var c archive.Changes
	for uid := archive.UID(1); uid <= many; uid += 2 {
		c.Vanished = append(c.Vanished, uid)
		c.Changed = append(c.Changed, archive.Entry{UID: uid + 1, Ref: archive.Ref{1}, Date: testDate, Flags: `\Seen`, ModSeq: 7})
	}
	now := old.apply(&c, tables)
	for name, test := range map[string]struct {
		mode  syncMode
		lines int
	}{
		"plain":     {syncMode{}, many},
		"condstore": {syncMode{condstore: true}, many},
		"qresync":   {syncMode{condstore: true, qresync: true}, many/2 + many/2/uidsInVanished},
	} {
		client := &discard{}
		conn := &conn{srv: &Server{}, raw: client}
		p := &position{snap: now, limit: allModSeqs}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := notices{conn: conn}
		if err := p.announce(&n, old, test.mode); err != nil {
			t.Fatal(err)
		}
		if err := n.flush(); err != nil {
			t.Fatal(err)
		}
		conn.flush()
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 { // under the race detector pools lose what they are given now and then
			t.Errorf("%s: %d KB were allocated", name, took>>10)
		}
		if client.lines != test.lines || client.most > 2*outputBuffer {
			t.Errorf("%s: %d lines, want %d, at most %d bytes at a time", name, client.lines, test.lines, client.most)
		}
	}
}

// What has changed in a large mailbox while a client was away: it gets all of it, in whatever steps it is read and sent.
func TestResyncOfManyChanges(t *testing.T) {
	s := newArchive(t)
	const many = 2_500
	var put, changed archive.Batch
	for i := range many {
		put.Copies = append(put.Copies, s.copyOf(simple, "INBOX"))
		change := archive.Copy{Folder: s.folder, UID: s.uid, SourceID: put.Copies[i].SourceID, Mailboxes: []string{"Elsewhere"}}
		if i%10 == 0 {
			change.Mailboxes, change.Flags = []string{"INBOX"}, []string{`\Flagged`}
		}
		changed.Copies = append(changed.Copies, change)
	}
	s.record(put)
	addr := serve(t, s.w.Reader, testOptions())
	c := login(t, addr)
	c.ok("ENABLE QRESYNC")
	selected := c.ok("SELECT INBOX")
	was, validity := number(t, highestPattern, selected), number(t, `UIDVALIDITY (\d+)`, selected)
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(many, func(i, j int) { changed.Copies[i], changed.Copies[j] = changed.Copies[j], changed.Copies[i] })
	for half := range slices.Chunk(changed.Copies, many/3) {
		s.record(archive.Batch{Copies: half})
	}
	check := func(name, got, earlier string) {
		t.Helper()
		gone := 0
		for _, m := range regexp.MustCompile(`(?m)^\* VANISHED`+earlier+` (.*)\r$`).FindAllStringSubmatch(got, -1) {
			set, ok := parseSet(m[1])
			if !ok {
				t.Fatalf("%s: %.100s", name, m[0])
			}
			for _, sp := range set {
				gone += sp.to - sp.from
			}
			if contains(set, 1) || contains(set, 11) || contains(set, many+1) {
				t.Errorf("%s: %.100s has what is there", name, m[0])
			}
		}
		if flagged := strings.Count(got, `FLAGS (\Flagged)`); gone != many-many/10 || flagged != many/10 {
			t.Errorf("%s: %d gone, %d flagged", name, gone, flagged)
		}
	}
	check("NOOP", c.ok("NOOP"), "")
	check("FETCH", c.ok(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)", was)), ` \(EARLIER\)`)
	again := login(t, addr)
	again.ok("ENABLE QRESYNC")
	got := again.ok(fmt.Sprintf("SELECT INBOX (QRESYNC (%d %d))", validity, was))
	check("SELECT", got, ` \(EARLIER\)`)
	if first, rest, _ := strings.Cut(got, "VANISHED"); !strings.Contains(first, "MAILBOXID") || strings.Contains(rest, "HIGHESTMODSEQ") {
		t.Errorf("%.1000s", got)
	}
	again.ok("NOOP")
}

// A view that is being loaded keeps nobody waiting who does not need it.
func TestLoadingKeepsNobodyWaiting(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX,Large")
	ln := listen(t)
	srv := serveOn(t, s.w.Reader, testOptions(), ln)
	slow, quick := login(t, ln.Addr().String()), login(t, ln.Addr().String())
	slow.ok("SELECT Large")
	slow.ok("FETCH 1 FLAGS")
	quick.ok("SELECT INBOX")
	quick.ok("FETCH 1 FLAGS")
	var large *view
	for _, v := range srv.views.inUse() {
		if row, err := s.w.Reader.Mailbox(context.Background(), v.id); err != nil {
			t.Fatal(err)
		} else if row.Name == "Large" {
			large = v
		}
	}
	large.work.Lock() // as if it were being read
	s.add(simple+"2", "INBOX,Large")
	answered := make(chan string, 1)
	go func() {
		slow.send("a NOOP\r\n")
		got, _ := slow.until("a")
		answered <- got
	}()
	time.Sleep(20 * time.Millisecond)
	if got := quick.within(5*time.Second, "NOOP"); got != "* 2 EXISTS\r\n" {
		t.Errorf("got %q", got)
	}
	large.work.Unlock()
	if got := <-answered; got != "* 2 EXISTS\r\n" {
		t.Errorf("after loading: %q", got)
	}
}

// One view that cannot be looked at does not have all others looked at again and again.
func TestFailedViewIsLookedAtAlone(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	ln := listen(t)
	srv := serveOn(t, s.w.Reader, testOptions(), ln)
	c := login(t, ln.Addr().String())
	c.ok("SELECT INBOX")
	broken := &position{view: &view{views: &srv.views, id: 1000, users: 1}}
	srv.views.byID[1000] = broken.view
	defer broken.close()
	look := func() {
		t.Helper()
		if err := srv.changes.look(context.Background(), true); err == nil {
			t.Error("no error")
		}
	}
	look()
	boxes, err := s.w.Mailboxes(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	healthy := srv.views.byID[boxes[0].ID]
	healthy.mu.Lock()
	healthy.row.ModSeq = 0 // a look at it would mend that
	healthy.mu.Unlock()
	look()
	if healthy.modSeq() != 0 {
		t.Error("a view that was looked at before is looked at again")
	}
	s.add(simple+"2", "INBOX")
	if got := c.ok("NOOP"); got != "* 2 EXISTS\r\n" {
		t.Errorf("got %q", got)
	}
}

// A client in IDLE that could not be told of a change is told when that can be read again.
func TestIdleIsToldLater(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	ln := listen(t)
	var logged lines
	o := testOptions()
	o.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError}))
	srv := serveOn(t, s.w.Reader, o, ln)
	c := login(t, ln.Addr().String())
	c.ok("SELECT INBOX")
	c.ok("FETCH 1 FLAGS")
	v := srv.views.inUse()[0]
	v.mu.Lock()
	v.err, v.retry = fmt.Errorf("broken"), time.Now().Add(time.Hour)
	v.mu.Unlock()
	c.talk(`
		C: a IDLE
		S: + idling
	`)
	s.add(simple+"2", "INBOX")
	time.Sleep(50 * time.Millisecond)
	v.mu.Lock()
	v.retry = time.Now()
	v.mu.Unlock()
	c.expect("* 2 EXISTS")
	if n := logged.n.Load(); n != 1 {
		t.Errorf("%d lines in the log, which was tried again and again", n)
	}
}

// lines counts what is written to it, a line at a time.
type lines struct{ n atomic.Int32 }

func (l *lines) Write(p []byte) (int, error) {
	l.n.Add(1)
	return len(p), nil
}
