package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailkeep/archive"
)

// maxRounds is how often a run looks again at what it has read because other programs move messages about meanwhile.
const maxRounds = 3

// catchUp makes sure that what vanished from one mailbox did not move to another one that was read, or skipped, before: it asks for the state of all mailboxes once more
// and reads what arrived since. A run in which nothing vanished needs none of this.
func (r *run) catchUp(ctx context.Context) error {
	lost := false
	for _, f := range r.passed {
		var err error
		if lost, err = r.lost(ctx, f); err != nil {
			return err
		}
		if lost {
			break
		}
	}
	if !lost || r.plan.visible {
		return nil
	}
	for range maxRounds {
		passed := len(r.passed)
		if err := r.lookAgain(ctx); err != nil {
			return err
		}
		if len(r.passed) == passed {
			return nil
		}
		// Whole mailboxes were read: what is missing there may have moved meanwhile, too.
	}
	r.keepGone = true
	return nil
}

func (r *run) lookAgain(ctx context.Context) error {
	var boxes []listing
	err := r.pool.do(ctx, "", "list mailboxes again", func(s *Session) error {
		var err error
		boxes, err = s.list()
		return err
	})
	if refused(err) != nil {
		r.keepGone = true
		return nil
	}
	if err != nil {
		return err
	}
	for _, b := range boxes {
		if err := r.lookAgainAt(ctx, b); err != nil {
			return fmt.Errorf("back up mailbox %q: %w", b.name, err)
		}
	}
	return nil
}

func (r *run) lookAgainAt(ctx context.Context, b listing) error {
	at := slices.IndexFunc(r.plan.folders, func(f planned) bool { return f.name == b.name })
	if at < 0 {
		// Created meanwhile, and messages may have moved there; or left out on purpose.
		r.keepGone = r.keepGone || r.account.Kind == archive.IMAP && !r.o.excludes(b)
		return nil
	}
	p := &r.plan.folders[at]
	if !p.source {
		return nil
	}
	i := slices.IndexFunc(r.passed, func(f *folder) bool { return f.plan == p })
	switch {
	case i < 0 && (!b.hasStatus || b.status == p.status):
		return nil
	case i < 0:
		p.status, p.hasStatus = b.status, true
		r.report.expect(p.expected())
		return r.pass(ctx, p)
	case b.hasStatus && b.status.UIDNext != 0 && b.status.UIDNext <= r.passed[i].upTo:
		return nil
	}
	return r.survive(r.passed[i], r.passTail(ctx, r.passed[i], b.status.UIDNext))
}

// passTail reads what arrived in a mailbox after its pass. Its state stays the one before: the next run sees that it changed.
func (r *run) passTail(ctx context.Context, f *folder, upTo uint32) error {
	var late uidSet
	err := r.pool.do(ctx, f.plan.name, "list new messages", func(s *Session) error {
		err := f.at(s, true)
		if err == nil {
			late, err = s.listUIDs(max(f.state.UIDNext, 1))
		}
		return err
	})
	if refused(err) != nil {
		r.keepGone = true
		return nil
	}
	if err != nil {
		return err
	}
	late = late.minus(f.fresh).minus(f.known)
	if late, err = r.selected(ctx, f, late); err != nil {
		return err
	}
	f.fresh = union(f.fresh, late)
	f.upTo = max(f.upTo, upTo)
	r.report.expect(late.count())
	return r.fetchNew(ctx, f, late)
}

// survive turns errors that are of one mailbox alone into a warning.
func (r *run) survive(f *folder, err error) error {
	if !errors.Is(err, errAbandoned) {
		return err
	}
	f.failed.Store(true)
	r.warn(WarnUnreadable, f, 0, fmt.Sprintf("mailbox %q changed while it was read (%v); run the backup again", f.plan.name, err))
	return nil
}

// unlisted asks for each known mailbox that the server does not list any more. One that answers all the same was left out of the list by mistake: it is read like the others.
func (r *run) unlisted(ctx context.Context) ([]planned, error) {
	if r.account.Kind == archive.Gmail || len(r.plan.missing) == 0 {
		return nil, nil // Gmail hides folders on purpose, and All Mail holds what is in them
	}
	var found []planned
	err := r.pool.do(ctx, "", "ask for missing mailboxes", func(s *Session) error {
		found = nil
		boxes := make([]listing, len(r.plan.missing))
		for i, k := range r.plan.missing {
			boxes[i] = listing{name: k.Name, delim: k.Delimiter, use: k.SpecialUse}
		}
		if err := s.fillStatus(boxes); err != nil {
			return err
		}
		for i, b := range boxes {
			if b.hasStatus {
				found = append(found, planned{listing: b, mailbox: mailboxName(b.name, b.delim), source: true, known: r.plan.missing[i]})
			}
		}
		return nil
	})
	if err != nil {
		return nil, classify(err, "ask for missing mailboxes")
	}
	for _, f := range found {
		r.report.warn(Warning{Kind: WarnIncomplete, Mailbox: f.name, Text: fmt.Sprintf("the server does not list mailbox %q, and knows it when asked; it is backed up as before", f.name)})
		r.plan.missing = slices.DeleteFunc(r.plan.missing, func(k archive.Folder) bool { return k.Name == f.name })
	}
	return slices.DeleteFunc(found, func(f planned) bool { return r.o.excludes(f.listing) }), nil
}
