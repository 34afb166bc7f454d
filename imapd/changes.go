package imapd

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2/imapserver"

	"mailkeep/archive"
)

// changes notices what is written to the archive, by whatever process, and wakes those who wait for it. It looks when somebody asks, and every
// Options.PollInterval while somebody waits.
type changes struct {
	srv *Server

	mu      sync.Mutex // of what follows; held while the archive is asked for counters, but not while messages are read
	known   bool       // version has been read
	version int64
	looked  time.Time
	failed  []*view // could not be looked at

	untold     atomic.Bool  // a client could not be told of what has changed
	complained atomic.Int64 // when that was logged, in Unix nanoseconds; 0: never

	waitMu  sync.Mutex
	waiters map[*idler]struct{}
	stop    context.CancelFunc // of the poller; nil when it does not run
	ended   bool               // no goroutine may start any more
	running sync.WaitGroup     // the poller and idlers
}

// complainEvery is the least time between two lines of the log that say that a client cannot be told of changes.
const complainEvery = 10 * time.Second

func (c *changes) init(s *Server) {
	c.srv = s
	c.waiters = make(map[*idler]struct{})
}

// wait returns when all goroutines have ended; the server's context must have.
func (c *changes) wait() {
	c.waitMu.Lock()
	c.ended = true
	c.waitMu.Unlock()
	c.running.Wait()
}

// look tells the open views what has changed; sessions read it when they need it. Unless now is set, what was seen within the poll interval is good enough, or what another goroutine is
// just looking at. A view that cannot be looked at does not keep the others from it, and only it is looked at again.
func (c *changes) look(ctx context.Context, now bool) error {
	if now {
		c.mu.Lock()
	} else if !c.mu.TryLock() {
		return nil
	}
	defer c.mu.Unlock()
	if !now && time.Since(c.looked) < c.srv.options.PollInterval {
		return nil
	}
	version, err := c.srv.reader.Version(ctx)
	if err != nil {
		return err
	}
	c.looked = time.Now()
	same := c.known && version == c.version
	if again := c.untold.Swap(false); same && !again && len(c.failed) == 0 {
		return nil
	}
	views := c.srv.views.inUse()
	if same {
		views = slices.DeleteFunc(views, func(v *view) bool { return !slices.Contains(c.failed, v) })
	}
	c.known, c.version, c.failed = true, version, nil
	for _, v := range views {
		if failure := v.check(ctx); failure != nil {
			c.failed = append(c.failed, v)
			err = errors.Join(err, failure)
		}
	}
	c.wake()
	return err
}

func (c *changes) wake() {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	if c.ended {
		return
	}
	for w := range c.waiters {
		if w.begin() {
			c.running.Go(w.run)
		}
	}
}

// subscribe has w woken after each change. The poller runs until all have unsubscribed.
func (c *changes) subscribe(w *idler) {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	c.waiters[w] = struct{}{}
	if c.stop == nil && !c.ended {
		ctx, cancel := context.WithCancel(c.srv.ctx)
		c.stop = cancel
		c.running.Add(1)
		go c.poll(ctx)
	}
}

func (c *changes) unsubscribe(w *idler) {
	c.waitMu.Lock()
	defer c.waitMu.Unlock()
	delete(c.waiters, w)
	if len(c.waiters) == 0 && c.stop != nil {
		c.stop()
		c.stop = nil
	}
}

func (c *changes) poll(ctx context.Context) {
	defer c.running.Done()
	tick := time.NewTicker(c.srv.options.PollInterval)
	defer tick.Stop()
	broken := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := c.look(ctx, true)
		if err != nil && !broken && ctx.Err() == nil {
			c.srv.log.Error("imap: look for changes of the archive", "error", err)
		}
		broken = err != nil
	}
}

// Poll tells the client what has changed, between commands. NOOP and CHECK are how clients ask for it.
func (s *session) Poll(_ *imapserver.UpdateWriter, allowExpunge bool) error {
	name := s.conn.cmd.name
	if err := s.srv.changes.look(s.ctx(), name == "NOOP" || name == "CHECK"); err != nil {
		s.untold(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tell(allowExpunge)
}

// tell sends EXPUNGE, EXISTS and FETCH for what has changed, and moves the session on. The caller holds s.mu.
func (s *session) tell(allowExpunge bool) error {
	p := s.box
	if p == nil || s.closed || p.snap == nil && p.view.modSeq() <= p.row.ModSeq {
		return nil
	}
	if err := p.load(s.ctx()); err != nil {
		return s.untold(err)
	}
	now, err := p.view.latest(s.ctx(), 0)
	if err != nil {
		return s.untold(err)
	}
	old := p.snap
	if now == old && !(p.fresh && s.sync.condstore) || !allowExpunge && lacks(now, old) {
		return nil
	}
	p.snap = now
	n := notices{conn: s.conn}
	n.b = p.appendFlagsResponse(nil)
	if err := p.announce(&n, old, s.sync); err != nil {
		return err
	}
	return n.flush()
}

// untold notes that the client cannot be told of changes now. It will be when the archive can be read again.
func (s *session) untold(err error) error {
	c := &s.srv.changes
	c.untold.Store(true)
	if s.ctx().Err() == nil && c.mayComplain() {
		s.srv.log.Error("imap: read the changes of a mailbox", "error", err)
	}
	return nil
}

// mayComplain reports whether it is time to log once more what concerns every client of a mailbox, and would be tried again and again.
func (c *changes) mayComplain() bool {
	now, last := time.Now().UnixNano(), c.complained.Load()
	return (last == 0 || now-last > int64(complainEvery)) && c.complained.CompareAndSwap(last, now)
}

// announce writes the responses that lead a client from old, which it knows, to p.snap. EXPUNGE comes first, from the highest number down, so that the numbers of before hold. The client
// may have enabled VANISHED instead, and MODSEQ.
func (p *position) announce(n *notices, old *snapshot, mode syncMode) error {
	taken, err := p.announceGone(n, old, mode)
	if err != nil {
		return err
	}
	now := p.snap
	if now.len() > old.len()-taken {
		n.b = append(strconv.AppendInt(append(n.b, "* "...), int64(now.len()), 10), " EXISTS\r\n"...)
	}
	p.limit = allModSeqs
	changed := altered(old, now, mode.condstore)
	if mode.condstore && p.fresh { // the client knows the flags of before SELECT
		changed = now.changedSince(p.row.ModSeq, old.next())
	}
	p.fresh = false
	for j := range changed {
		n.b = p.appendFlagsOf(n.b, now, j, mode.condstore)
		if err := n.next(); err != nil {
			return err
		}
	}
	return nil
}

// announceGone writes what has been taken out, and returns how many messages those are.
func (p *position) announceGone(n *notices, old *snapshot, mode syncMode) (taken int, err error) {
	var uids []archive.UID
	vanished := func() error {
		slices.Reverse(uids)
		err := n.vanished("", uids)
		uids = uids[:0]
		return err
	}
	for i := range gone(old, p.snap) {
		taken++
		if !mode.qresync {
			n.b = append(strconv.AppendInt(append(n.b, "* "...), int64(i+1), 10), " EXPUNGE\r\n"...)
			err = n.next()
		} else if uids = append(uids, old.at(i).uid); len(uids) == uidsInVanished {
			err = vanished()
		}
		if err != nil {
			return taken, err
		}
	}
	return taken, vanished()
}

// changedSince yields the indexes of the messages below a UID that have a later mod-sequence.
func (s *snapshot) changedSince(since archive.ModSeq, below archive.UID) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, r := range s.rows(0, s.index(below)) {
			if r.modSeq > since && !yield(i) {
				return
			}
		}
	}
}

// lacks reports whether a message of old is not in now.
func lacks(now, old *snapshot) bool {
	for range gone(old, now) {
		return true
	}
	return false
}

// gone yields the indexes in old of the messages that are not in now, from the highest down. Blocks that both share are passed over at once, here and in altered: of a large mailbox
// little changes at a time.
func gone(old, now *snapshot) iter.Seq[int] {
	return func(yield func(int) bool) {
		j := now.len() - 1
		for i := old.len() - 1; i >= 0; i-- {
			if n, _ := sharedRows(old, now, i, j); n > 0 {
				i, j = i-n+1, j-n
				continue
			}
			uid := old.at(i).uid
			for j >= 0 && now.at(j).uid > uid {
				j--
			}
			if (j < 0 || now.at(j).uid != uid) && !yield(i) {
				return
			}
		}
	}
}

// altered yields the indexes in now of the messages that have other flags than in old; with modSeqs, or only a later mod-sequence.
func altered(old, now *snapshot, modSeqs bool) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, j := 0, 0; i < old.len(); i++ {
			if _, n := sharedRows(old, now, i, j); n > 0 {
				i, j = i+n-1, j+n
				continue
			}
			was := old.at(i)
			for j < now.len() && now.at(j).uid < was.uid {
				j++
			}
			if j == now.len() {
				return
			}
			if is := now.at(j); is.uid == was.uid && (is.flags != was.flags || modSeqs && is.modSeq != was.modSeq) && !yield(j) {
				return
			}
		}
	}
}

// sharedRows returns how many rows of a block that both share end, and how many begin, at index i of old and at index j of now; 0 when these are not the same row of one block.
func sharedRows(old, now *snapshot, i, j int) (before, after int) {
	if i < 0 || j < 0 || i >= old.len() || j >= now.len() || old.at(i) != now.at(j) {
		return 0, 0
	}
	k := old.block(i)
	place := i - old.starts[k]
	return place + 1, len(old.blocks[k]) - place
}
