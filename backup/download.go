package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/emersion/go-imap/v2/imapclient"
)

// A job is what one FETCH of bodies asks for. Two are under way per connection, so that the server never waits for the next command; with these limits no
// more than 8 MiB are asked for ahead, unless a single message is larger.
const (
	jobMessages = 50
	jobBytes    = 4 << 20
	pipelined   = 2

	pipelinedSmall = 8        // commands under way at most, while they ask for little
	unknownSize    = 64 << 10 // counted for a message whose size the server does not tell
	aroundMessage  = 128      // bytes of an answer beside the message's own, at most
	aroundAnswer   = 2 << 10  // bytes of the answers that a command gets beside messages: opening the mailbox, what changed meanwhile
)

type job struct {
	f      *folder
	first  uint64            // number of its first outcome
	bytes  int64             // that the answer will have: its messages, as the server says their sizes, and what is around them
	pieces map[uint32]*piece // still to come, by UID
}

// answerBytes is what the answer has for n messages of so many bytes together.
func answerBytes(messages int64, n int) int64 {
	return messages + int64(n)*aroundMessage + aroundAnswer
}

// jobBuilder puts pieces of one folder together.
type jobBuilder struct {
	r     *run
	next  *job
	bytes int64
}

func (b *jobBuilder) add(ctx context.Context, p *piece) error {
	size := p.size
	if size < 0 {
		size = unknownSize
	}
	if b.next != nil && (len(b.next.pieces) >= jobMessages || b.bytes+size > b.r.pool.quota.portion(jobBytes)) {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	if b.next == nil {
		b.next = &job{f: p.f, first: p.seq, pieces: make(map[uint32]*piece)}
	}
	b.next.pieces[p.copy.UID] = p
	b.bytes += size
	p.wanted = size
	return nil
}

func (b *jobBuilder) send(ctx context.Context) error {
	j := b.next
	if j == nil {
		return nil
	}
	b.r.report.want(len(j.pieces), b.bytes)
	j.bytes = answerBytes(b.bytes, len(j.pieces))
	b.next, b.bytes = nil, 0
	select {
	case b.r.jobs <- j:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// worker is one goroutine that downloads. Its jobs outlive a connection.
type worker struct {
	*run
	queue []*job // begun or taken
	rest  []*job // asked for; what is left of them is asked for one by one
}

// work downloads until there are no more jobs. When reading has ended, because the run shall, it waits for nothing more.
func (r *run) work(ctx, reading context.Context) error {
	w := &worker{run: r}
	for {
		if len(w.queue)+len(w.rest) == 0 {
			select {
			case j, ok := <-r.jobs:
				if !ok {
					return nil
				}
				if w.ending.why() != nil {
					continue
				}
				w.queue = append(w.queue, j)
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if len(w.rest) == 0 {
			w.rec.waitNear(reading, w.queue[0].first)
		}
		f := w.folder()
		err := r.pool.do(ctx, f.plan.name, "download messages", func(s *Session) error { return w.download(ctx, s, f) })
		if err != nil {
			return fmt.Errorf("download messages of mailbox %q: %w", f.plan.name, err)
		}
	}
}

// folder is the one to go on with.
func (w *worker) folder() *folder {
	if len(w.rest) > 0 {
		return w.rest[0].f
	}
	return w.queue[0].f
}

// sent is a job whose command is under way.
type sent struct {
	*job
	opening *opening
	done    chan error // gets the result once, when the answer is read
}

// start sends a job's command and reads the answer in a goroutine of its own: a server may answer two commands at once, message by message (RFC 9051 section 5.5;
// Dovecot does), and the client reads on only when what it has is taken, whichever command it belongs to.
func (w *worker) start(s *Session, j *job) sent {
	one := sent{j, s.startExamine(j.f.plan.name), make(chan error, 1)}
	cmd := s.startBodies(j.left())
	go func() { one.done <- w.receive(s, one, cmd) }()
	return one
}

// receive reads the answer to a job's command. When its mailbox is not what it was, nothing of that is kept.
func (w *worker) receive(s *Session, one sent, cmd *imapclient.FetchCommand) error {
	opened := one.opening.of(one.f)
	var to putter = w.w
	if opened != nil {
		to = nowhere{}
	}
	err := s.readBodies(cmd, to, func(a arrived) { w.deliver(one.job, a) })
	if opened != nil && unlessRefused(err) == nil {
		return opened
	}
	return err
}

// download works off the jobs of one folder, and takes more of them while it has the connection. After an error, or when the login has expired, it can be called again
// with another connection. Never are there commands for two mailboxes on the way: an answer that the client library does not expect, because the server told something else of
// that message before, would be taken for one about the same UID in the other mailbox.
func (w *worker) download(ctx context.Context, s *Session, f *folder) error {
	var line []sent
	for begun := false; ; {
		// Something is done with each session, so that a server that gives out expired ones does not make a run go in circles.
		for len(line) < pipelined && len(w.rest) == 0 && !(begun && s.expired()) {
			j := w.next(f)
			if j == nil {
				break
			}
			if begun && !w.rec.near(j.first) {
				// After the ones under way, and without a connection: what it waits for may have none.
				w.queue = slices.Insert(w.queue, 0, j)
				break
			}
			if !w.admit(j) {
				break
			}
			line = append(line, w.start(s, j))
			begun = true
		}
		if len(line) == 0 {
			if begun && s.expired() {
				return nil
			}
			return w.oneByOne(s, f)
		}
		head := line[0]
		line = line[1:]
		if err := w.finish(ctx, s, head); err != nil {
			for _, later := range line {
				<-later.done // it ends with the connection
				w.pool.charge(s, later.bytes)
				w.queue = append(w.queue, later.job)
			}
			return err
		}
	}
}

// finish waits for the answer to a job's command. What did not arrive is asked for again, one by one; the error is one of the connection.
func (w *worker) finish(ctx context.Context, s *Session, head sent) error {
	err := <-head.done
	s.settle(head.opening)
	w.pool.charge(s, head.bytes)
	if slow := w.pool.slow(ctx, s); slow != nil && err == nil {
		err = s.broken(slow)
	}
	if len(head.pieces) > 0 {
		w.rest = append(w.rest, head.job)
	}
	if errors.Is(err, errAbandoned) {
		w.abandon(head.f, err)
		return nil
	}
	return unlessRefused(err)
}

// admit asks the quota whether a job may be begun. If not the run ends, and the job and all others are forgotten: the next run finds what they were for.
func (w *worker) admit(j *job) bool {
	err := w.ending.why()
	if err == nil {
		err = w.pool.quota.reserve(j.bytes)
	}
	if err != nil {
		w.ending.begin(err)
		w.queue = nil
	}
	return err == nil
}

// next takes a job of the folder out of the queue, or a new one. It does not wait.
func (w *worker) next(f *folder) *job {
	if i := slices.IndexFunc(w.queue, func(j *job) bool { return j.f == f }); i >= 0 {
		j := w.queue[i]
		w.queue = slices.Delete(w.queue, i, i+1)
		return j
	}
	if len(w.queue) > 0 {
		return nil
	}
	select {
	case j, ok := <-w.jobs:
		switch {
		case !ok:
			return nil
		case j.f == f:
			return j
		}
		w.queue = append(w.queue, j)
		return nil
	default:
		return nil
	}
}

// left returns the UIDs that did not arrive yet.
func (j *job) left() uidSet {
	var set uidSet
	for _, uid := range slices.Sorted(maps.Keys(j.pieces)) {
		set.add(uid)
	}
	return set
}

// deliver takes a message that arrived.
func (w *worker) deliver(j *job, a arrived) {
	p := j.pieces[a.uid]
	if p == nil || a.size == 0 && p.size > 0 {
		return // not asked for; or empty although it has a size: it is asked for again
	}
	delete(j.pieces, a.uid)
	w.pool.progress()
	w.poisoned.Store(0)
	w.report.want(0, a.size-p.wanted)
	w.report.downloaded(a.size)
	if p.size >= 0 && p.size != a.size {
		w.report.wrongSize(j.f.plan.name, a.uid, p.size, a.size)
	}
	// Before it is handed over: once that is recorded the flight ends, and nobody knows of those who wait for it.
	waited := w.flights.arrive(p.key, a.ref)
	w.land(p, a)
	for _, waiting := range waited {
		waiting.copy.Ref = a.ref
		w.rec.put(outcome{seq: waiting.seq, copy: &waiting.copy})
	}
}

func (w *worker) land(p *piece, a arrived) {
	p.copy.Ref = a.ref
	if p.copy.Fingerprint.IsZero() && !p.f.drafts() {
		p.copy.Fingerprint = a.fingerprint
	}
	w.rec.put(outcome{seq: p.seq, copy: &p.copy, key: p.key, bytes: a.size})
}

// oneByOne asks again for what did not arrive, each message alone, and gives up on those that do not come then either.
func (w *worker) oneByOne(s *Session, f *folder) error {
	fresh := true
	for len(w.rest) > 0 && w.rest[0].f == f {
		j := w.rest[0]
		err := j.left().all(func(uid uint32) error {
			if err := f.at(s, fresh); err != nil {
				return err
			}
			fresh = false
			cost := answerBytes(j.pieces[uid].wanted, 1)
			if err := w.pool.quota.reserve(cost); err != nil {
				return err
			}
			defer w.pool.charge(s, cost)
			return w.alone(s, j, uid)
		})
		if errors.Is(err, errAbandoned) {
			w.abandon(f, err)
			return nil
		}
		if err != nil {
			return err
		}
		w.rest = w.rest[1:]
	}
	return nil
}

// maxCuts is how many connections may break over one message, and maxPoisoned over how many messages in a row: then it is the server, not the messages.
const (
	maxCuts     = 2
	maxPoisoned = 10
)

// alone asks for one message.
func (w *worker) alone(s *Session, j *job, uid uint32) error {
	p := j.pieces[uid]
	err := s.readBodies(s.startBodies(uidSet{{uid, uid}}), w.w, func(a arrived) { w.deliver(j, a) })
	no := refused(err)
	if err != nil && no == nil {
		if p.cuts++; p.cuts >= maxCuts && !errors.Is(err, ErrArchive) && j.pieces[uid] != nil {
			w.giveUp(j, p, "the connection breaks whenever it is asked for: "+err.Error())
			if w.poisoned.Add(1) <= maxPoisoned {
				w.pool.progress()
			}
		}
		return err
	}
	if j.pieces[uid] == nil {
		return nil
	}
	listed, err := s.listed(uid)
	if err == nil || refused(err) != nil {
		w.pool.progress()
	}
	switch {
	case err != nil && refused(err) == nil:
		return err
	case err == nil && !listed:
		w.giveUp(j, p, "")
	case no != nil:
		w.giveUp(j, p, refusal(no))
	default:
		w.giveUp(j, p, fmt.Sprintf("the server lists it with %d bytes and delivers none", max(p.size, 0)))
	}
	return nil
}

// giveUp ends a piece without its message; without a reason it is not at the server any more. Copies that waited for it are fetched themselves.
func (w *worker) giveUp(j *job, p *piece, reason string) {
	delete(j.pieces, p.copy.UID)
	w.report.want(-1, -p.wanted)
	for _, waiting := range w.flights.crash(p.key) {
		waiting.key, waiting.wanted = "", max(waiting.size, 0)
		w.report.want(1, waiting.wanted)
		w.queue = append(w.queue, &job{f: waiting.f, bytes: answerBytes(waiting.wanted, 1), pieces: map[uint32]*piece{waiting.copy.UID: waiting}})
	}
	if reason == "" {
		w.rec.put(outcome{seq: p.seq})
		return
	}
	w.hole(p.f, p.seq, p.copy.UID, reason)
}

// abandon ends all jobs of a folder that is not what it was.
func (w *worker) abandon(f *folder, why error) {
	if !f.failed.Swap(true) {
		w.warn(WarnUnreadable, f, 0, fmt.Sprintf("mailbox %q changed while it was read (%v); run the backup again", f.plan.name, why))
	}
	jobs := append(w.queue, w.rest...)
	w.queue, w.rest = nil, nil
	for _, j := range jobs {
		if j.f != f {
			w.queue = append(w.queue, j)
			continue
		}
		for _, uid := range slices.Sorted(maps.Keys(j.pieces)) {
			w.giveUp(j, j.pieces[uid], "")
		}
	}
}
