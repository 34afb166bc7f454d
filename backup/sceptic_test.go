package backup_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/backup"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/gmailsim"
)

// edit changes the lines that a server sends.
type edit struct {
	net.Conn
	in   *bufio.Reader
	rest []byte
	f    func(string) string
}

func (e *edit) Read(p []byte) (int, error) {
	for len(e.rest) == 0 {
		line, err := e.in.ReadString('\n')
		e.rest = []byte(e.f(line))
		if err != nil && len(e.rest) == 0 {
			return 0, err
		}
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// editing makes f change what the server says, line by line.
func (r *rig) editing(f func(string) string) {
	r.o.Dial = func(ctx context.Context) (*backup.Session, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", r.addr)
		if err != nil {
			return nil, err
		}
		s, err := backup.NewSession(&edit{Conn: c, in: bufio.NewReader(c), f: f}, backup.SessionOptions{})
		if err != nil {
			return nil, err
		}
		return s, s.Login("user@example.com", "password")
	}
}

// A server that answers several commands at once: the client library reads on only when every answer is taken.
func TestDovecotAnswersTogether(t *testing.T) {
	r, s := dovecotRig(t, dovecot.Options{})
	f, err := s.Fill("user")
	r.must(err)
	for i := range 1200 {
		m := mail(i)
		m.Body = append(m.Body, strings.Repeat("0123456789abcdef\r\n", 600)...)
		r.must(f.Add("big", dovecot.Message{Raw: m.Body, Date: m.Date}))
	}
	r.must(f.Close())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if sum, err := backup.Run(ctx, r.w, r.o); err != nil || sum.NewMessages != 1200 {
		t.Fatalf("%v: %+v", err, sum)
	}
}

// A mailbox that the server forgets to list is no deleted mailbox.
func TestShortList(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/", ListStatus: true}})
	r.must(r.srv.CreateMailbox("victim"))
	for i := range 20 {
		r.appendTo("victim", mail(i))
	}
	r.run()
	r.appendTo("victim", mail(100))
	r.editing(func(line string) string {
		if strings.HasPrefix(line, "* LIST ") && strings.Contains(line, "victim") {
			return ""
		}
		return line
	})
	sum := r.run()
	if sum.Gone != 0 || sum.Downloaded != 1 || !warned(sum, backup.WarnIncomplete) {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}

// SEARCH leaves messages out, and ones that arrived meanwhile make the count look right.
func TestShortSearch(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	for i := range 20 {
		r.appendTo("INBOX", mail(i))
	}
	r.run()
	r.appendTo("INBOX", mail(50))
	r.srv.AddFault(gmailsim.Fault{Name: "late", When: gmailsim.When{Command: "UID SEARCH"}, Do: gmailsim.Action{Run: func() { r.appendTo("INBOX", mail(51)) }}})
	r.editing(func(line string) string {
		if rest, ok := strings.CutPrefix(line, "* SEARCH 1 2 3 "); ok {
			return "* SEARCH 1 3 " + strings.TrimSpace(rest) + " 22\r\n"
		}
		return line
	})
	if sum := r.run(); sum.Gone != 0 || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}

// Messages that leave while a mailbox is listed are no contradiction.
func TestExpungedWhileListed(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/", ESearch: true}})
	var ids []gmailsim.MsgID
	for i := range 20 {
		ids = append(ids, r.appendTo("INBOX", mail(i)))
	}
	r.run()
	r.srv.AddFault(gmailsim.Fault{Name: "late", When: gmailsim.When{Command: "UID SEARCH"}, Do: gmailsim.Action{Run: func() { r.must(r.srv.Expunge(ids[4])) }}})
	if sum := r.run(); sum.Gone != 1 || sum.Unfinished || sum.WarningCount != 0 {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}

// What left a mailbox may be in one that could not be read to its end.
func TestMovedIntoTrouble(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	r.must(r.srv.CreateMailbox("target"))
	id := r.appendTo("INBOX", mail(1))
	r.appendTo("INBOX", mail(2))
	r.appendTo("target", mail(3))
	r.run()
	r.appendTo("target", mail(1))
	r.must(r.srv.Expunge(id))
	remove := r.srv.AddFault(gmailsim.Fault{Name: "no", Times: -1, When: gmailsim.When{Command: "UID SEARCH", Mailbox: "target"}, Do: gmailsim.Action{Close: true, Run: func() {
		r.must(r.srv.ChangeUIDValidity("target"))
	}}})
	sum := r.run()
	if sum.Gone != 0 || !sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	remove()
	r.run()
	r.same("/")
}

// A server that was restored from a backup counts UIDs and mod-sequences anew: the same UIDs are other messages.
func TestServerWentBack(t *testing.T) {
	for name, stopped := range map[string]bool{"through": false, "stopped": true} {
		t.Run(name, func(t *testing.T) { testServerWentBack(t, stopped) })
	}
}

func testServerWentBack(t *testing.T, stopped bool) {
	opt := gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/", Condstore: true, ListStatus: true}}
	r := newRig(t, opt)
	for i := range 20 {
		r.appendTo("INBOX", mail(i))
	}
	r.run()
	before := r.srv.Snapshot()
	validity := before.Mailboxes[0].UIDValidity
	again := gmailsim.New(opt)
	r.srv, r.addr = again, again.Start(t)
	for i := range 15 {
		m := mail(i)
		if i >= 10 {
			m = mail(100 + i)
		}
		if i == 3 {
			m.Flags = []string{`\Flagged`}
		}
		r.appendTo("INBOX", m)
	}
	now := r.srv.Snapshot().Mailboxes[0].UIDValidity
	r.editing(func(line string) string {
		return strings.ReplaceAll(line, fmt.Sprint("UIDVALIDITY ", now), fmt.Sprint("UIDVALIDITY ", validity))
	})
	if stopped {
		// What arrives until the next run hides that the server ever went back.
		ctx, cancel := context.WithCancel(t.Context())
		remove := r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH"}, Do: gmailsim.Action{Run: cancel, Latency: 20 * time.Millisecond}})
		if _, err := backup.Run(ctx, r.w, r.o); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		remove()
		for i := range 10 {
			r.appendTo("INBOX", mail(200+i))
		}
	}
	sum := r.run()
	if want := len(r.srv.Snapshot().Messages) - 10; sum.Downloaded != want || sum.Gone != 10 || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.same("/")
	if sum := r.run(); sum.Unchanged != 1 || sum.WarningCount != 0 {
		t.Errorf("the doubt stays: %+v", sum)
	}
}

// Two messages with the same header and size in one mailbox are two messages until their bytes are seen.
func TestSameHeaderOtherBytes(t *testing.T) {
	twins := func(n int) (a, b gmailsim.Message) {
		a, b = mail(n), mail(n)
		b.Body = bytes.Replace(bytes.Clone(b.Body), []byte("This is"), []byte("That is"), 1)
		return a, b
	}
	for _, later := range []bool{false, true} {
		r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/", SpecialUse: true}})
		r.must(r.srv.CreateMailbox("Drafts"))
		r.must(r.srv.SetSpecialUse("Drafts", `\Drafts`))
		a, b := twins(1)
		r.appendTo("INBOX", a)
		draft, corrected := twins(2)
		id := r.appendTo("Drafts", draft)
		if later {
			r.run()
			r.must(r.srv.Expunge(id))
		}
		r.appendTo("INBOX", b)
		r.appendTo("Drafts", corrected)
		r.run()
		r.same("/")
	}
}

// A label called NIL is a label.
func TestLabelNIL(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, "NIL"))
	r.deliver(labelled(2, "other"))
	r.run()
	r.same("/")
}

// A server that cannot deliver any body ends the run instead of being asked about each message.
func TestNoBodyAtAll(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 100 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.srv.AddFault(gmailsim.Fault{Name: "it", Times: -1, When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{CloseMidLiteral: 10}})
	sum, err := backup.Run(context.Background(), r.w, r.o)
	if !errors.Is(err, backup.ErrConnection) || sum.Connections > 50 {
		t.Errorf("%v: %+v", err, sum)
	}
}

// Holes and wrong sizes leave no numbers behind that never meet.
func TestProgressWithHoles(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 50 {
		r.deliver(labelled(i, `\Inbox`))
	}
	w := &watcher{}
	r.o.Progress = w
	r.srv.AddFault(gmailsim.Fault{Name: "it", Times: -1, When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{FailUIDs: []uint32{3, 4}}})
	r.srv.AddFault(gmailsim.Fault{Name: "size", Times: -1, When: gmailsim.When{Command: "UID FETCH"}, Do: gmailsim.Action{WrongSize: -20}})
	r.run()
	if s := w.last; s.Wanted != s.Downloaded || s.WantedBytes != s.DownloadedBytes || s.Seen != 50 || s.Expected != 50 {
		t.Errorf("%+v", s)
	}
}

// A throttled run waits longer and longer, and gets there.
func TestThrottled(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 600 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.o.Pause, r.o.Connections = 400*time.Millisecond, 1
	r.srv.AddFault(gmailsim.Fault{Name: "it", Times: 4, When: gmailsim.When{Command: "UID FETCH"}, Do: gmailsim.Action{Throttled: true}})
	if took := r.run().Elapsed; took < 1500*time.Millisecond {
		t.Errorf("a run that was throttled four times took %v", took)
	}
	r.same("/")
}

// When the archive cannot be written, the run ends at once with a clear error, and nothing stays behind.
func TestArchiveBreaks(t *testing.T) {
	before := runtime.NumGoroutine()
	r := newRig(t, gmailsim.Options{})
	for i := range 400 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.o.BatchMessages = 50
	r.o.Progress = &breaking{at: 120, f: func() { r.must(os.Rename(filepath.Join(r.dir, "tmp"), filepath.Join(r.dir, "tmp2"))) }}
	start := time.Now()
	_, err := backup.Run(context.Background(), r.w, r.o)
	if !errors.Is(err, backup.ErrArchive) || time.Since(start) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	r.must(os.Rename(filepath.Join(r.dir, "tmp2"), filepath.Join(r.dir, "tmp")))
	r.must(r.w.Close())
	r.w, err = archive.OpenWriter(r.dir)
	r.must(err)
	r.o.Progress = nil
	r.run()
	r.same("/")
	r.must(r.w.Close())
	r.must(r.srv.Close())
	settled(t, before)
}

type breaking struct {
	watcher
	at   int64
	f    func()
	done bool
}

func (b *breaking) Update(s backup.Status) {
	if s.Downloaded >= b.at && !b.done {
		b.done = true
		b.f()
	}
}

// settled fails the test unless all goroutines that it started end.
func settled(t *testing.T, before int) {
	t.Helper()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
}

// No goroutine outlives a run, however it ends.
func TestNoGoroutineStays(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 300 {
		r.deliver(labelled(i, `\Inbox`))
	}
	before := runtime.NumGoroutine()
	bodies := gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}
	for i, do := range []gmailsim.Action{{CloseMidLiteral: 20}, {Close: true}, {CutAfter: 3000}, {WrongLiteral: 5}, {WrongLiteral: -5}, {Raw: "* nonsense (\r\n"}, {Bye: "go away"}} {
		r.srv.AddFault(gmailsim.Fault{Name: fmt.Sprint(i), When: bodies, Do: do, Times: 2})
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(50+i*20)*time.Millisecond)
		_, _ = backup.Run(ctx, r.w, r.o)
		cancel()
		r.srv.ClearFaults()
	}
	settled(t, before+2)
}

// What was received cannot be noted: a warning, and the backup goes through.
func TestTrafficNotNoted(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 20 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.must(os.MkdirAll(filepath.Join(r.dir, "traffic.json", "in the way"), 0o700))
	if sum := r.run(); sum.WarningCount != 1 || !warned(sum, backup.WarnTraffic) || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}

// A server that refuses because enough was downloaded ends the run; no message is given up for it.
func TestRefusedForQuota(t *testing.T) {
	for _, command := range []gmailsim.When{{Command: "LIST"}, {Command: "EXAMINE"}, {Command: "UID SEARCH"}, {Command: "UID FETCH"}, {Command: "UID FETCH", Contains: "BODY.PEEK[]"}} {
		for _, text := range []string{"[OVERQUOTA] Account exceeded limits", "Account exceeded command or bandwidth limits. (Failure)"} {
			r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
			for i := range 120 {
				r.appendTo("INBOX", mail(i))
			}
			if command.Command == "UID SEARCH" { // which a small mailbox needs when it is known already
				r.run()
				for i := range 30 {
					r.appendTo("INBOX", mail(1000+i))
				}
			}
			remove := r.srv.AddFault(gmailsim.Fault{Name: "it", Times: -1, When: command, Do: gmailsim.Action{No: text}})
			sum, err := backup.Run(context.Background(), r.w, r.o)
			var full *backup.QuotaError
			if !errors.As(err, &full) || sum.Holes != 0 || r.srv.Counters().FaultsHit["it"] > 8 {
				t.Errorf("%+v, %q: %v after %d times: %+v", command, text, err, r.srv.Counters().FaultsHit["it"], sum)
			}
			remove()
			if sum := r.run(); sum.Holes != 0 || sum.Unfinished {
				t.Errorf("%+v: %+v", command, sum)
			}
			r.same("/")
		}
	}
}
