package imapd

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2/imapserver"

	"mailkeep/archive"
)

// changes notices what is written to the archive, by whatever process, and wakes those who wait for it. It looks when somebody asks, and every
// Options.PollInterval while somebody waits.
type changes struct {
	srv *Server

	mu      sync.Mutex // of what follows; held while the archive is asked
	known   bool       // version has been read
	version int64
	looked  time.Time

	waitMu  sync.Mutex
	waiters map[*idler]struct{}
	stop    context.CancelFunc // of the poller; nil when it does not run
	ended   bool               // no goroutine may start any more
	running sync.WaitGroup     // the poller and idlers
}

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

// look brings the open views up to date. Unless now is set, what was seen within the poll interval is good enough, or what another goroutine is just looking at. A view that
// cannot be read does not keep the others from it.
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
	if c.known && version == c.version {
		return nil
	}
	for _, v := range c.srv.views.inUse() {
		err = errors.Join(err, v.check(ctx))
	}
	if err == nil {
		c.known, c.version = true, version
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
	if now == p.snap && !(p.fresh && s.sync.condstore) {
		return nil
	}
	b, ok := p.appendDifference(nil, now, allowExpunge, s.sync)
	if !ok {
		return nil
	}
	p.snap = now
	return s.conn.send(append(p.appendFlagsResponse(nil), b...))
}

// untold notes that the client cannot be told of changes now. It will be when the archive can be read again.
func (s *session) untold(err error) error {
	if s.ctx().Err() == nil {
		s.srv.log.Error("imap: read the changes of a mailbox", "error", err)
	}
	return nil
}

// appendDifference appends the responses that lead a client from what it knows to now. EXPUNGE comes first, from the highest number down, so that the numbers of before hold; ok is false
// when it would be needed and is not allowed (RFC 9051 section 7.5.1). The client may have enabled VANISHED instead, and MODSEQ.
func (p *position) appendDifference(dst []byte, now *snapshot, allowExpunge bool, mode syncMode) (b []byte, ok bool) {
	d := compare(p.snap, now)
	if len(d.gone) > 0 && !allowExpunge {
		return dst, false
	}
	if mode.qresync {
		var uids []archive.UID
		for _, i := range d.gone {
			uids = append(uids, p.snap.at(i).uid)
		}
		dst = appendVanished(dst, "", uids)
	} else {
		for _, i := range slices.Backward(d.gone) {
			dst = append(strconv.AppendInt(append(dst, "* "...), int64(i+1), 10), " EXPUNGE\r\n"...)
		}
	}
	if now.len() > p.snap.len()-len(d.gone) {
		dst = append(strconv.AppendInt(append(dst, "* "...), int64(now.len()), 10), " EXISTS\r\n"...)
	}
	p.limit = allModSeqs
	changed := d.reflagged
	switch {
	case mode.condstore && p.fresh: // the client knows the flags of before SELECT
		changed = now.changedSince(p.row.ModSeq, p.snap.next())
	case mode.condstore:
		changed = append(changed, d.relabelled...)
	}
	p.fresh = false
	for _, j := range changed {
		dst = p.appendFlagsOf(dst, now, j, mode.condstore)
	}
	return dst, true
}

// changedSince returns the indexes of the messages below a UID that have a later mod-sequence.
func (s *snapshot) changedSince(since archive.ModSeq, below archive.UID) []int {
	var changed []int
	for i, r := range s.rows(0, s.index(below)) {
		if r.modSeq > since {
			changed = append(changed, i)
		}
	}
	return changed
}

// difference is what happened between two snapshots of a mailbox, apart from what was added at the end.
type difference struct {
	gone       []int // indexes in the old one
	reflagged  []int // indexes in the new one
	relabelled []int // indexes in the new one, of messages with the same flags but a later mod-sequence
}

// compare finds the difference. Blocks that both share are passed over at once: of a large mailbox little changes at a time.
func compare(old, now *snapshot) (d difference) {
	for i, j := 0, 0; i < old.len(); {
		if n := sharedRows(old, now, i, j); n > 0 {
			i, j = i+n, j+n
			continue
		}
		was := old.at(i)
		for j < now.len() && now.at(j).uid < was.uid {
			j++
		}
		switch {
		case j == now.len() || now.at(j).uid != was.uid:
			d.gone = append(d.gone, i)
		case now.at(j).flags != was.flags:
			d.reflagged = append(d.reflagged, j)
		case now.at(j).modSeq != was.modSeq:
			d.relabelled = append(d.relabelled, j)
		}
		i++
	}
	return d
}

// sharedRows returns the length of the block that begins at index i of old and at index j of now; 0 when none does at both.
func sharedRows(old, now *snapshot, i, j int) int {
	if i >= old.len() || j >= now.len() || old.at(i) != now.at(j) {
		return 0
	}
	return len(old.blocks[old.block(i)]) - (i - old.starts[old.block(i)])
}
