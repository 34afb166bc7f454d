package backup_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
	"mailkeep/backup"
	"mailkeep/integration/dovecot"
)

// dovecotRig is a rig whose server is a real one.
func dovecotRig(t testing.TB, o dovecot.Options) (*rig, *dovecot.Server) {
	t.Helper()
	o.NoFsync = true
	s := dovecot.New(t, o)
	r := &rig{t: t, addr: s.Addr, dir: filepath.Join(t.TempDir(), "MailStore")}
	r.w = archivetest.Open(t, r.dir)
	r.o = backup.Options{Account: account, Pause: time.Millisecond}
	r.o.Dial = func(ctx context.Context) (*backup.Session, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
		if err != nil {
			return nil, err
		}
		session, err := backup.NewSession(c, backup.SessionOptions{})
		if err != nil {
			return nil, err
		}
		if err := session.Login("user", "pass"); err != nil {
			session.Close()
			return nil, err
		}
		return session, nil
	}
	return r, s
}

// other is a second client of the account.
type other struct {
	*imapclient.Client
	t *testing.T
}

func (r *rig) other(t *testing.T) other {
	t.Helper()
	c, err := imapclient.DialInsecure(r.addr, nil)
	r.must(err)
	r.must(c.Login("user", "pass").Wait())
	t.Cleanup(func() { c.Close() })
	return other{c, t}
}

func (c other) open(name string) {
	c.t.Helper()
	if _, err := c.Select(name, nil).Wait(); err != nil {
		c.t.Fatal(err)
	}
}

func (c other) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// shows returns what the server has, as rig.source does for the simulator.
func (c other) shows(delim string) map[string][]string {
	c.t.Helper()
	list, err := c.List("", "*", nil).Collect()
	c.ok(err)
	boxes := make(map[string][]string)
	section := &imap.FetchItemBodySection{Peek: true}
	for _, l := range list {
		if slices.Contains(l.Attrs, imap.MailboxAttrNoSelect) || slices.Contains(l.Attrs, imap.MailboxAttrNonExistent) {
			continue
		}
		name := strings.ReplaceAll(l.Mailbox, delim, "/")
		boxes[name] = []string{}
		data, err := c.Select(l.Mailbox, &imap.SelectOptions{ReadOnly: true}).Wait()
		c.ok(err)
		if data.NumMessages == 0 {
			continue
		}
		got, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{Flags: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
		c.ok(err)
		for _, m := range got {
			var flags []string
			for _, f := range m.Flags {
				if !strings.EqualFold(string(f), `\Recent`) {
					flags = append(flags, string(f))
				}
			}
			boxes[name] = append(boxes[name], row(archive.RefOf(m.FindBodySection(section)), m.InternalDate, flags))
		}
		slices.Sort(boxes[name])
	}
	return boxes
}

// during calls f once, when a run begins to read a mailbox.
type during struct {
	watcher
	mailbox string
	f       func()
	once    sync.Once
}

func (d *during) Update(s backup.Status) {
	if s.Phase == backup.PhaseRead && s.Mailbox == d.mailbox {
		d.once.Do(d.f)
	}
}

// An account on a real server that other programs change, between the runs and during them.
func TestDovecotChanges(t *testing.T) {
	for _, delim := range []string{"/", "."} {
		t.Run(delim, func(t *testing.T) { testDovecotChanges(t, delim) })
	}
}

func testDovecotChanges(t *testing.T, delim string) {
	r, s := dovecotRig(t, dovecot.Options{Separator: delim})
	f, err := s.Fill("user")
	r.must(err)
	var names []string
	for i := range 40 {
		names = append(names, []string{"INBOX", fmt.Sprintf("a%d", i), fmt.Sprintf("a%d/b%d", i%5, i), fmt.Sprintf("a%d/b%d/Ü & c%d", i%5, i%5, i)}[min(i, 1)*(1+i%3)])
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 2000 {
		m := mail(i)
		d := dovecot.Message{Raw: m.Body, Date: m.Date}
		if i%3 == 0 {
			d.Flags = []string{`\Seen`, "kw"}
		}
		r.must(f.Add(names[i%40], d))
		if i%10 == 0 {
			r.must(f.Add(names[(i+1+rng.IntN(39))%40], d))
		}
	}
	r.must(f.Close())
	c := r.other(t)
	at := func(name string) string { return strings.ReplaceAll(name, "/", delim) }
	same := func(what string) {
		t.Helper()
		r.sameAs(c.shows(delim))
		if t.Failed() {
			t.Fatalf("after %s", what)
		}
	}
	order := &readOrder{}
	r.o.Progress = order
	first := r.run()
	r.o.Progress = nil
	same("the first run")
	if first.NewMessages != 2000 || first.Downloaded != 2000 {
		t.Errorf("%+v", first)
	}
	if sum := r.run(); sum.Unchanged != sum.Mailboxes || sum.Commands > 10 {
		t.Errorf("nothing changed: %+v", sum)
	}
	c.open(at(names[3]))
	c.ok(c.Store(imap.UIDSet{{Start: 1, Stop: 5}}, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close())
	c.ok(c.UIDExpunge(imap.UIDSet{{Start: 1, Stop: 5}}).Close())
	c.ok(c.Store(imap.UIDSet{{Start: 7, Stop: 9}}, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{imap.FlagFlagged, "new"}}, nil).Close())
	_, err = c.Move(imap.UIDSet{{Start: 10, Stop: 12}}, at(names[4])).Wait()
	c.ok(err)
	c.ok(c.Rename(at(names[7]), at("renamed/é"), nil).Wait())
	c.ok(c.Create(at("new/one"), nil).Wait())
	sum := r.run()
	same("changes")
	if sum.Renamed != 1 || sum.Downloaded != 0 {
		t.Errorf("%+v", sum)
	}

	// Mail that another program moves while the run is under way: out of a mailbox that is about to be read into one that was read before.
	from, to := order.names[len(order.names)-1], order.names[0]
	for _, name := range []string{from, to} {
		c.open(name)
		c.ok(c.Store(imap.SeqSet{{Start: 1, Stop: 1}}, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Flags: []imap.Flag{"touched"}}, nil).Close())
	}
	c.open(from)
	r.o.Progress = &during{mailbox: from, f: func() {
		if _, err := c.Move(imap.SeqSet{{Start: 1, Stop: 8}}, to).Wait(); err != nil {
			t.Error(err)
		}
	}}
	sum = r.run()
	if sum.Gone != 0 || sum.Downloaded != 0 {
		t.Errorf("moved during the run: %+v", sum)
	}
	same("a move during the run")
	r.o.Progress = nil
	if sum = r.run(); sum.Gone+sum.Returned+sum.Downloaded+sum.Entered != 0 {
		t.Errorf("after the move: %+v", sum)
	}
	same("the run after")
}

// readOrder notes the mailboxes in the order in which a run reads them.
type readOrder struct {
	watcher
	names []string
}

func (o *readOrder) Update(s backup.Status) {
	if s.Phase == backup.PhaseRead && !slices.Contains(o.names, s.Mailbox) {
		o.names = append(o.names, s.Mailbox)
	}
}

const benchMessages = 5000

// fillBench fills an account with messages of 10 kB, each in two or three folders, and returns their bytes.
func (r *rig) fillBench(s *dovecot.Server) int {
	f, err := s.Fill("user")
	r.must(err)
	rng := rand.New(rand.NewPCG(5, 6))
	size := 0
	for i := range benchMessages {
		m := mail(i)
		head, _, _ := strings.Cut(string(m.Body), "\r\n\r\n")
		for n := range 40 {
			head += fmt.Sprintf("\r\nX-Header-%d: %032x", n, rng.Uint64())
		}
		raw := []byte(head + "\r\n\r\n" + strings.Repeat(fmt.Sprintf("%076x\r\n", rng.Uint64()), 100))
		size += len(raw)
		for n := range 2 + i%2 {
			r.must(f.Add(fmt.Sprintf("folder %d", (i+n*7)%20), dovecot.Message{Raw: raw, Same: i + 1, Date: m.Date}))
		}
	}
	r.must(f.Close())
	return size
}

// The first backup from a real server, and the next one.
func BenchmarkDovecot(b *testing.B) {
	r, s := dovecotRig(b, dovecot.Options{})
	size := r.fillBench(s)
	b.SetBytes(int64(size))
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		r.must(r.w.Close())
		r.w = archivetest.Open(b, filepath.Join(b.TempDir(), fmt.Sprint(n)))
		b.StartTimer()
		sum := r.run()
		b.ReportMetric(benchMessages/sum.Elapsed.Seconds(), "msg/s")
		b.ReportMetric(float64(sum.BytesRead)/float64(size), "wire/size")
		b.ReportMetric(float64(sum.Commands), "commands")
		b.StopTimer()
		start := time.Now()
		again := r.run()
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "again-ms")
		b.ReportMetric(float64(again.BytesRead), "again-bytes")
		b.StartTimer()
	}
}
