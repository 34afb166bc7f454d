package backup

import (
	"context"
	"fmt"
	"math"
	"slices"

	"mailkeep/archive"
)

// changes brings copies that the archive has up to date: flags, and on Gmail labels. stay are UIDs that the server still lists. since is the mod-sequence from which the
// server tells changes; 0 asks about all of them. They are recorded as they come, in batches of their own: a change needs no download, and to repeat one does no harm.
func (r *run) changes(ctx context.Context, f *folder, stay uidSet, since uint64) error {
	c := &changer{run: r, f: f, want: wants{gmail: r.account.Kind == archive.Gmail}}
	c.gated = c.want.gmail && !r.o.AcceptChanges
	if err := c.ask(ctx, stay, since); err != nil {
		return err
	}
	if again, err := c.release(ctx); err != nil || !again {
		return err
	}
	if c.overflow {
		if err := c.ask(ctx, stay, since); err != nil {
			return err
		}
	}
	if len(f.untold) > 0 {
		// The second answer is taken as it is: what it leaves out stays as it was.
		again := f.untold
		f.untold = nil
		if err := c.ask(ctx, again, 0); err != nil {
			return err
		}
	}
	if len(f.untold) > 0 {
		r.warn(WarnNoLabels, f, f.untold[0].lo, fmt.Sprintf("the server does not tell the flags or labels of %d messages in %q; they keep what they had",
			f.untold.count(), f.plan.name))
	}
	return nil
}

// changer turns the server's answers about known copies into batches.
type changer struct {
	*run
	f     *folder
	want  wants
	batch []archive.Copy
	metas []*meta // Gmail: waiting to be looked up

	gated    bool // label changes wait until all are known: too many lost labels are not believed
	overflow bool // more changes than are held were met; they are counted only, and asked for again
	held     []archive.Copy
	lost     int64 // labels that messages would lose

	refusals int
}

func (c *changer) ask(ctx context.Context, set uidSet, since uint64) error {
	size := int64(chunkFlags)
	if since != 0 {
		size = set.count()
	}
	for len(set) > 0 {
		var head uidSet
		head, set = set.cutSpans(size, math.MaxInt)
		if err := c.askFor(ctx, head, since); err != nil {
			return err
		}
	}
	return nil
}

// maxRefusals bounds the search for the messages whose flags or labels the server refuses.
const maxRefusals = 200

// askFor asks about one set, and when the server refuses about each half of it: whatever is not the refused message's own fault is told then.
func (c *changer) askFor(ctx context.Context, set uidSet, since uint64) error {
	err := c.pool.do(ctx, c.f.plan.name, "read flags and labels", func(s *Session) error {
		if err := c.f.at(s, false); err != nil {
			return err
		}
		// With bounds a mailbox full of gaps needs no more commands than another; what is new in between is left to fetchNew.
		return s.fetchMeta(set.bounds(), c.want, since, func(m *meta) error { return c.take(ctx, m) })
	})
	no := refused(err)
	if err != nil && no == nil {
		return err
	}
	if err := c.flush(ctx); err != nil {
		return err
	}
	if no == nil {
		c.pool.progress()
		return nil
	}
	if c.refusals++; c.refusals == maxRefusals {
		c.f.unsure = true
		c.warn(WarnIncomplete, c.f, 0, fmt.Sprintf("the server refuses to tell the flags or labels of %q (%s); run the backup again later", c.f.plan.name, no.Text))
	}
	if c.refusals >= maxRefusals {
		return nil
	}
	n := set.count()
	if n == 1 {
		c.f.untold.add(set[0].lo)
		return nil
	}
	head, rest := set.cutSpans(n/2, math.MaxInt)
	if err := c.askFor(ctx, head, since); err != nil {
		return err
	}
	return c.askFor(ctx, rest, since)
}

func (c *changer) take(ctx context.Context, m *meta) error {
	if !m.hasFlags || c.want.gmail && (m.gmail.MsgID == 0 || !m.gmail.HasLabels) {
		c.f.untold.add(m.uid)
		return nil
	}
	if c.want.gmail {
		c.metas = append(c.metas, m)
		if len(c.metas) < chunkRecord {
			return nil
		}
		return c.lookUp(ctx)
	}
	if err := c.load(ctx, c.f); err != nil {
		return err
	}
	if !c.f.known.has(m.uid) || c.f.flags.same(m.uid, m.flags) {
		return nil
	}
	c.batch = append(c.batch, archive.Copy{Folder: c.f.ID, UID: m.uid, Flags: m.flags})
	if len(c.batch) < chunkRecord {
		return nil
	}
	return c.record(ctx)
}

// lookUp keeps of the waiting metas those that the archive has; others belong to the new ones, and the failure ledger's are tried there.
func (c *changer) lookUp(ctx context.Context) error {
	ids := make([]string, len(c.metas))
	for i, m := range c.metas {
		ids[i] = decimal(m.gmail.MsgID)
	}
	known, err := c.w.BySourceID(ctx, c.account.ID, ids)
	if err != nil {
		return archiveFailure(err)
	}
	for i, m := range c.metas {
		if _, ok := known[ids[i]]; ok {
			copied := c.plan.labels.gmailCopy(c.f, m)
			c.used(copied.Mailboxes)
			c.batch = append(c.batch, copied)
		}
	}
	c.metas = c.metas[:0]
	if c.gated {
		return c.hold(ctx, ids)
	}
	return c.record(ctx)
}

// maxHeld bounds the changes that wait, for memory.
const maxHeld = 20000

// hold counts the labels that the batch takes off, and keeps it for later.
func (c *changer) hold(ctx context.Context, ids []string) error {
	shown, err := c.w.EntryCounts(ctx, c.account.ID, ids)
	if err != nil {
		return archiveFailure(err)
	}
	for _, copied := range c.batch {
		if copied.Mailboxes != nil {
			c.lost += int64(max(shown[copied.SourceID]-len(copied.Mailboxes), 0))
		}
	}
	if c.overflow = c.overflow || len(c.held)+len(c.batch) > maxHeld; c.overflow {
		c.held = nil
	} else {
		c.held = append(c.held, c.batch...)
	}
	c.batch = c.batch[:0]
	return nil
}

// release records what was held, unless more than a tenth of all labels would go: then none does, and the mailbox stays open for the next run. It tells whether to go on.
func (c *changer) release(ctx context.Context) (bool, error) {
	if !c.gated {
		return true, nil
	}
	c.gated = false
	if manyGone(c.lost, 0) {
		totals, err := c.w.Totals(ctx, c.account.ID)
		if err != nil {
			return false, archiveFailure(err)
		}
		if manyGone(c.lost, totals.Entries) {
			c.f.unsure = true
			c.warn(WarnManyGone, c.f, 0, fmt.Sprintf("%d of %d labels were taken off messages at once; no change of labels was recorded and nothing marked as gone: "+
				"look at the account in a mail program, and if this is what you want, run the backup again and accept the changes", c.lost, totals.Entries))
			return false, nil
		}
	}
	for chunk := range slices.Chunk(c.held, chunkRecord) {
		c.batch = append(c.batch[:0], chunk...)
		if err := c.record(ctx); err != nil {
			return false, err
		}
	}
	c.held = nil
	return true, nil
}

func (c *changer) flush(ctx context.Context) error {
	if len(c.metas) > 0 {
		return c.lookUp(ctx)
	}
	return c.record(ctx)
}

func (c *changer) record(ctx context.Context) error {
	if len(c.batch) == 0 {
		return nil
	}
	err := c.run.record(ctx, archive.Batch{Account: c.account.ID, Copies: c.batch})
	c.batch = c.batch[:0]
	return err
}
