package backup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// selected leaves out of new messages what Options.MaxAge and MaxSize say. The server is asked, so that what is left out costs nothing however often it is met.
func (r *run) selected(ctx context.Context, f *folder, fresh uidSet) (uidSet, error) {
	if len(fresh) == 0 || r.o.MaxAge == 0 && r.o.MaxSize == 0 {
		return fresh, nil
	}
	var wanted uidSet
	err := r.pool.do(ctx, f.plan.name, "select messages by age and size", func(s *Session) error {
		err := f.at(s, false)
		if err == nil {
			wanted, err = s.search(r.o.selection(time.Now()))
		}
		return err
	})
	if refused(err) != nil {
		return fresh, nil // rather too much than nothing
	}
	if err != nil {
		return nil, err
	}
	some := fresh.and(wanted)
	if some.count() < fresh.count() {
		f.partial = true
		f.leftOut = union(f.leftOut, fresh.minus(wanted))
	}
	r.report.expect(some.count() - fresh.count())
	return some, nil
}

// selection is MaxAge and MaxSize as SEARCH has them: in whole days of INTERNALDATE, and without equality.
func (o Options) selection(now time.Time) *imap.SearchCriteria {
	c := &imap.SearchCriteria{}
	if o.MaxAge > 0 {
		c.Since = now.Add(-o.MaxAge)
	}
	if o.MaxSize > 0 {
		c.Smaller = o.MaxSize + 1
	}
	return c
}

func (s *Session) search(criteria *imap.SearchCriteria) (uidSet, error) {
	var o *imap.SearchOptions
	if s.caps.Has(imap.CapESearch) || s.caps.Has(imap.CapIMAP4rev2) {
		o = &imap.SearchOptions{ReturnAll: true}
	}
	s.commands++
	data, err := s.Client.UIDSearch(criteria, o).Wait()
	if err != nil {
		return nil, err
	}
	return uidSetOf(data.All), nil
}

// seekMoved records, of the messages that the selection left out, those that the archive has already: what vanished from one mailbox may have moved to where it is not
// selected. That costs the headers of all that was left out, so it is done only when something vanished that the selection would leave out elsewhere, too.
func (r *run) seekMoved(ctx context.Context) error {
	leaves := func(f *folder) bool { return len(f.leftOut) > 0 && !f.failed.Load() }
	if !slices.ContainsFunc(r.passed, leaves) {
		return nil
	}
	if any, err := r.vanishedOutside(ctx); err != nil || !any {
		return err
	}
	for _, f := range r.passed {
		if !leaves(f) {
			continue
		}
		left := f.leftOut
		f.leftOut, f.seeking = nil, true
		r.report.expect(left.count())
		err := r.survive(f, r.fetchNew(ctx, f, left))
		f.seeking = false
		if err != nil {
			return fmt.Errorf("look for moved messages in mailbox %q: %w", f.plan.name, err)
		}
	}
	return nil
}

// vanishedOutside tells whether something that the selection does not cover left its place at the server.
func (r *run) vanishedOutside(ctx context.Context) (bool, error) {
	gone := make(map[archive.FolderID]*folder)
	ids := r.dropped()
	for _, f := range r.passed {
		if stale, err := r.stale(ctx, f); err != nil || stale > 0 {
			return stale > 0, err
		}
		if len(f.gone) > 0 {
			gone[f.ID] = f
			ids = append(ids, f.ID)
		}
	}
	before, larger := r.o.outside(time.Now())
	for _, id := range ids {
		uids, err := r.w.Outside(ctx, id, before, larger)
		if err != nil {
			return false, archiveFailure(err)
		}
		if slices.ContainsFunc(uids, func(uid uint32) bool { return gone[id] == nil || gone[id].gone.has(uid) }) {
			return true, nil
		}
	}
	return false, nil
}

// outside bounds what the selection may leave out, with room for time zones and for servers that are not exact about sizes.
func (o Options) outside(now time.Time) (before time.Time, larger int64) {
	if o.MaxAge > 0 {
		before = now.Add(-o.MaxAge).AddDate(0, 0, 2)
	}
	return before, o.MaxSize - o.MaxSize/20
}

// sought tells whether the archive has a message that is looked for.
func sought(m *meta, refs map[string]archive.Ref) bool {
	if m.gmail.MsgID != 0 {
		_, ok := refs["gmail "+decimal(m.gmail.MsgID)]
		return ok
	}
	if _, ok := refs["email "+m.emailID]; ok {
		return true
	}
	_, ok := refs[printKey(m.fingerprint)]
	return ok
}
