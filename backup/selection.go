package backup

import (
	"context"
	"time"

	"github.com/emersion/go-imap/v2"
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
