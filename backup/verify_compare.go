package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"mailkeep/archive"
)

// portion compares the server's messages of a range of UIDs with the archive's.
func (v *verifier) portion(ctx context.Context, f *verified, set uidSet, first, last uint32) error {
	var server []*meta
	var held []archive.Held
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		server, err = v.ask(bothCtx, f, set)
		return err
	})
	both.Go(func() (err error) {
		if f.ID != 0 {
			held, err = v.archive.Held(bothCtx, f.ID, f.state.UIDValidity, first, last)
		}
		return archiveFailure(err)
	})
	if err := both.Wait(); err != nil {
		return err
	}
	pairs, unmatched := v.merge(f, server, held)
	more, err := v.lookUp(ctx, f, unmatched)
	if err != nil {
		return err
	}
	for _, p := range append(pairs, more...) {
		v.compare(f, p)
	}
	v.report.seen(len(server))
	if v.sample.most == VerifyAll {
		return v.fetchAll(ctx, f, append(pairs, more...))
	}
	return nil
}

// ask returns what the server says of a set, ascending by UID. What it lists and does not describe comes with the UID alone.
func (v *verifier) ask(ctx context.Context, f *verified, set uidSet) ([]*meta, error) {
	got := make(map[uint32]*meta, set.count())
	rest := set
	for attempt := 0; len(rest) > 0 && attempt < 2; attempt++ {
		err := v.pool.do(ctx, f.plan.name, "compare messages", func(s *Session) error {
			if err := f.at(s, attempt > 0); err != nil {
				return err
			}
			if attempt > 0 {
				listed, err := s.listUIDs(1)
				if err != nil {
					return err
				}
				rest = rest.and(listed) // others were expunged meanwhile
			}
			if len(rest) == 0 {
				return nil
			}
			return s.fetchMeta(rest, wants{fixed: true, gmail: v.kind == archive.Gmail}, 0, func(m *meta) error {
				if rest.has(m.uid) && (got[m.uid] == nil || m.hasFlags) {
					got[m.uid] = m
				}
				return nil
			})
		})
		if err != nil && refused(err) == nil {
			return nil, err
		}
		var told uidSet
		for uid, m := range got {
			if v.kind == archive.IMAP || m.gmail.MsgID != 0 {
				told.add(uid)
			}
		}
		rest = rest.minus(told)
	}
	_ = rest.all(func(uid uint32) error {
		if got[uid] == nil {
			got[uid] = &meta{uid: uid, size: -1}
		}
		return nil
	})
	all := make([]*meta, 0, len(got))
	for _, m := range got {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *meta) int { return cmp.Compare(a.uid, b.uid) })
	return all, nil
}

// pair is a message of the server and what the archive has of it; held is nil when it has nothing.
type pair struct {
	*meta
	held *archive.Held
}

// merge joins both sides by UID; both are sorted. What only the archive has left the mailbox since the last backup.
func (v *verifier) merge(f *verified, server []*meta, held []archive.Held) (pairs []pair, unmatched []*meta) {
	i := 0
	for _, m := range server {
		for i < len(held) && held[i].UID < m.uid {
			v.extra(f, &held[i])
			i++
		}
		if i < len(held) && held[i].UID == m.uid && v.sameMessage(m, &held[i]) {
			pairs = append(pairs, pair{m, &held[i]})
			i++
			continue
		}
		unmatched = append(unmatched, m)
	}
	for ; i < len(held); i++ {
		v.extra(f, &held[i])
	}
	return pairs, unmatched
}

// sameMessage tells whether a UID means the same to both sides, as far as ids can tell.
func (v *verifier) sameMessage(m *meta, h *archive.Held) bool {
	return v.kind == archive.IMAP || m.gmail.MsgID == 0 || decimal(m.gmail.MsgID) == h.SourceID
}

func (v *verifier) extra(f *verified, h *archive.Held) {
	v.result.Gone++
	v.problem(Problem{Kind: ProblemExtra, Mailbox: f.plan.name, UID: h.UID, SourceID: h.SourceID, Ref: h.Ref, Reason: "it left the mailbox at the server after the last backup"})
}

// lookUp finds messages that the archive does not have under their UIDs: by X-GM-MSGID, or, where a server gave its messages new UIDs, by EMAILID or fingerprint.
func (v *verifier) lookUp(ctx context.Context, f *verified, unmatched []*meta) ([]pair, error) {
	if len(unmatched) == 0 {
		return nil, nil
	}
	if v.kind == archive.IMAP && f.plan.known.Current != 0 && f.plan.known.Current != f.state.UIDValidity {
		return v.lookUpRenumbered(ctx, f, unmatched)
	}
	var ids []string
	for _, m := range unmatched {
		if m.gmail.MsgID != 0 {
			ids = append(ids, decimal(m.gmail.MsgID))
		}
	}
	byID, err := v.archive.HeldBySourceID(ctx, v.account.ID, ids)
	if err != nil {
		return nil, archiveFailure(err)
	}
	pairs := make([]pair, len(unmatched))
	for i, m := range unmatched {
		pairs[i].meta = m
		if found := byID[decimal(m.gmail.MsgID)]; len(found) > 0 && m.gmail.MsgID != 0 {
			pairs[i].held = &found[0]
		}
	}
	return pairs, nil
}

// lookUpRenumbered asks for ids or headers. Each item of the archive stands for one message of the server only.
func (v *verifier) lookUpRenumbered(ctx context.Context, f *verified, unmatched []*meta) ([]pair, error) {
	a := &asked{got: make(map[uint32]*meta)}
	var ids []string
	var prints []archive.Fingerprint
	for portion := range slices.Chunk(unmatched, chunkHeaders) {
		var set uidSet
		for _, m := range portion {
			set.add(m.uid)
			a.add(m)
		}
		err := v.pool.do(ctx, f.plan.name, "read headers", func(s *Session) error {
			if err := f.at(s, false); err != nil {
				return err
			}
			return s.fetchMeta(set, wants{object: v.objectIDs, header: true}, 0, func(m *meta) error { a.add(m); return nil })
		})
		if err != nil && refused(err) == nil {
			return nil, err
		}
	}
	for _, m := range unmatched {
		if m.emailID != "" {
			ids = append(ids, m.emailID)
		}
		if !m.fingerprint.IsZero() {
			prints = append(prints, m.fingerprint)
		}
	}
	byID, err := v.archive.HeldBySourceID(ctx, v.account.ID, ids)
	if err != nil {
		return nil, archiveFailure(err)
	}
	byPrint, err := v.archive.HeldByFingerprint(ctx, v.account.ID, prints)
	if err != nil {
		return nil, archiveFailure(err)
	}
	if f.used == nil {
		f.used = make(map[archive.ItemID]bool)
	}
	pairs := make([]pair, len(unmatched))
	for i, m := range unmatched {
		pairs[i] = pair{m, f.take(byID[m.emailID])}
		if pairs[i].held == nil {
			pairs[i].held = f.take(byPrint[m.fingerprint])
		}
	}
	return pairs, nil
}

// take returns the first item of this mailbox that no other message was found to be, or nil.
func (f *verified) take(found []archive.Held) *archive.Held {
	for i, h := range found {
		if !f.used[h.Item] && slices.Contains(h.Mailboxes, f.plan.known.Mailbox) {
			f.used[h.Item] = true
			return &found[i]
		}
	}
	return nil
}

// compare counts one message of the server.
func (v *verifier) compare(f *verified, p pair) {
	labels := []string{f.plan.mailbox}
	told := true
	if v.kind == archive.Gmail && !v.plan.visible {
		labels = v.plan.labels.mailboxes(p.gmail, f.plan.mailbox)
		told = labels != nil
		if told && p.held == nil && !v.plan.labels.wants(labels) {
			v.result.LeftOut++
			return
		}
	}
	if p.held == nil {
		v.missing(f, p.meta, labels)
		return
	}
	v.result.Server++
	v.result.Held++
	if p.held.GoneAt != 0 {
		v.result.Returned++
		v.problem(Problem{Kind: ProblemReturned, Mailbox: f.plan.name, UID: p.uid, SourceID: p.held.SourceID, Ref: p.held.Ref,
			Reason: "it is marked as gone, and at the server"})
	}
	if !told { // the server does not describe it; it is here
		labels = v.namesOf(p.held)
	}
	v.compareLabels(f, p, labels)
	if p.hasFlags && !sameFlags(p.held.Flags, p.flags) {
		v.result.Flags++
		v.problem(p.differs(f, ProblemFlags, fmt.Sprintf("the server has (%s), the archive (%s)", strings.Join(p.flags, " "), p.held.Flags)))
	}
	if p.size >= 0 && p.size != p.held.Size {
		v.result.Sizes++
		v.problem(p.differs(f, ProblemSize, fmt.Sprintf("the server tells %d bytes, the archive has %d; --deep compares the bytes", p.size, p.held.Size)))
	}
	v.sample.offer(target{f.plan.name, f.state.UIDValidity, p.uid, p.held.Ref, p.held.Size})
}

func (p pair) differs(f *verified, kind ProblemKind, reason string) Problem {
	return Problem{Kind: kind, Mailbox: f.plan.name, UID: p.uid, SourceID: p.held.SourceID, Ref: p.held.Ref, Reason: reason}
}

func (v *verifier) namesOf(h *archive.Held) []string {
	names := make([]string, 0, len(h.Mailboxes))
	for _, id := range h.Mailboxes {
		if name := v.names[id]; name != archive.GoneMailbox {
			names = append(names, name)
		}
	}
	return names
}

// compareLabels counts a message in each mailbox that its labels stand for.
func (v *verifier) compareLabels(f *verified, p pair, labels []string) {
	var lacking []string
	for _, name := range labels {
		t := v.mailbox(name)
		t.server++
		if slices.ContainsFunc(p.held.Mailboxes, func(id archive.MailboxID) bool { return v.names[id] == name }) {
			t.matched++
			continue
		}
		t.missing++
		v.result.Labels++
		lacking = append(lacking, name)
	}
	if len(lacking) > 0 {
		v.problem(p.differs(f, ProblemLabels, "the archive does not show it in "+strings.Join(lacking, ", ")))
	}
}

// missing counts a message that the archive does not have, with the reason.
func (v *verifier) missing(f *verified, m *meta, labels []string) {
	if f.pruned.has(m.uid) || f.selecting && !f.wanted.has(m.uid) {
		v.result.LeftOut++
		return
	}
	v.result.Server++
	v.result.Missing++
	for _, name := range labels {
		t := v.mailbox(name)
		t.server++
		t.missing++
	}
	reason := "no backup has recorded it; run \"mailkeep backup\", and report it if that does not help"
	hole, failed := v.holes[f.ID][m.uid]
	switch {
	case failed && hole.Validity == f.state.UIDValidity:
		v.result.Failed++
		reason = "in the failure ledger: " + hole.Reason
	case f.plan.known.ID == 0 || f.plan.known.UIDValidity == 0:
		v.result.Fresh++
		reason = "the mailbox was never backed up to its end"
	case m.uid >= f.plan.known.UIDNext && f.plan.known.UIDNext > 0 && f.plan.known.UIDValidity == f.state.UIDValidity:
		v.result.Fresh++
		reason = "it arrived after the last backup"
	}
	v.problem(Problem{Kind: ProblemMissing, Mailbox: f.plan.name, UID: m.uid, SourceID: cmp.Or(decimal(m.gmail.MsgID), m.emailID), Reason: reason})
}

// sameFlags compares a canonical list with the server's; the order and \Recent do not count.
func sameFlags(have string, flags []string) bool {
	if len(flags) == 0 {
		return have == ""
	}
	var t flagTable
	t.add(1, have)
	return t.same(1, flags)
}
