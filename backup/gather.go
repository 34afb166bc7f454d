package backup

import (
	"context"
	"sync"

	"github.com/emersion/go-imap/v2/imapclient"
	"golang.org/x/sync/errgroup"

	"mailkeep/archive"
)

// gathered is what the server told of a whole mailbox at once.
type gathered struct {
	state archive.FolderState
	told  *asked
}

// everything is the set of all messages of a mailbox, for commands alone.
var everything = uidSet{{1, 0}}

// maxGathered is of how many mailboxes is asked at once.
const maxGathered = 32

// gatherable tells whether a mailbox is small and new to the archive, so that all there is to know of it can be asked for before anything is known of it.
func (r *run) gatherable(p *planned) bool {
	return r.account.Kind == archive.IMAP && p.hasStatus && p.status.Messages <= chunkHeaders && p.known.Current == 0 && len(r.holes[p.known.ID]) == 0 &&
		r.o.MaxAge == 0 && r.o.MaxSize == 0 && plainName(p.name)
}

// gather reads about the new messages of the first mailbox in todo, and at the same time of some behind it that it is possible for too, with all connections and one round trip for
// each: the first backup of an account with many mailboxes far away would wait most of the time otherwise. What contradicts itself or is refused is left to the pass over that
// mailbox.
func (r *run) gather(ctx context.Context, todo []*planned) error {
	clear(r.gathered)
	var mu sync.Mutex
	messages, some := 0, 0
	all, ctx := errgroup.WithContext(ctx)
	for _, p := range todo {
		if !r.gatherable(p) {
			continue
		}
		messages += int(p.status.Messages)
		if some++; some > maxGathered || some > 1 && messages > chunkHeaders {
			break
		}
		cost := r.tellable().cost(int64(p.status.Messages))
		if err := r.pool.quota.reserve(cost); err != nil {
			if some == 1 {
				return err
			}
			break // what was asked for is of use
		}
		all.Go(func() error {
			defer r.pool.quota.spend(0, cost)
			var g *gathered
			err := r.pool.do(ctx, p.name, "read about new messages", func(s *Session) (err error) {
				g, err = r.gatherFrom(s, p)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			r.gathered[p] = g
			return err
		})
	}
	err := all.Wait()
	if err == nil {
		r.pool.progress()
	}
	return err
}

// gatherFrom returns nil when the answer is of no use.
func (r *run) gatherFrom(s *Session, p *planned) (*gathered, error) {
	w := r.tellable()
	o := s.startExamine(p.name)
	var fetch *imapclient.FetchCommand
	if p.status.Messages > 0 {
		fetch = s.startMeta(everything, w, 0)
	}
	g := &gathered{told: newAsked()}
	opened, err := g.read(s, o, fetch, w)
	if err != nil || !opened || !g.whole() {
		return nil, err
	}
	return g, nil
}

// read takes the answers about one mailbox. A refusal is no error: opened is false then.
func (g *gathered) read(s *Session, o *opening, fetch *imapclient.FetchCommand, w wants) (opened bool, err error) {
	data, err := o.wait()
	s.settle(o)
	opened = err == nil
	if opened {
		g.state = stateOf(data)
	}
	if fetch == nil {
		return opened, unlessRefused(err)
	}
	told := s.takeMeta(fetch, w, func(m *meta) error { g.told.add(m); return nil })
	if unlessRefused(err) == nil {
		err = told
	}
	return opened && told == nil, unlessRefused(err)
}

// unlessRefused forgets an error that is a refusal by the server.
func unlessRefused(err error) error {
	if refused(err) != nil {
		return nil
	}
	return err
}

// whole tells whether the answer is complete and fits what the server counts.
func (g *gathered) whole() bool {
	lacks := g.told.lacking(func(m *meta) bool { return !m.hasFlags || m.date.IsZero() || m.size < 0 })
	return g.state.UIDValidity != 0 && len(lacks) == 0 && len(g.told.got) == int(g.state.Messages) && !falls(g.told.uids(), g.state)
}

// part returns what is known of a set, or nil when something is missing.
func (a *asked) part(set uidSet) *asked {
	if a == nil {
		return nil
	}
	part := newAsked()
	_ = set.all(func(uid uint32) error { // a collector that never fails
		if m := a.got[uid]; m != nil {
			part.got[uid] = m
		}
		return nil
	})
	if int64(len(part.got)) < set.count() {
		return nil
	}
	return part
}

// begin examines a mailbox, unless what was gathered tells its state.
func (r *run) begin(ctx context.Context, f *folder) error {
	if g := r.gathered[f.plan]; g != nil {
		delete(r.gathered, f.plan)
		f.state, f.told = g.state, g.told
		return nil
	}
	return r.pool.do(ctx, f.plan.name, "open a mailbox", func(s *Session) error {
		data, err := s.examine(f.plan.name, true)
		if err == nil {
			f.state = stateOf(data)
		}
		return err
	})
}
