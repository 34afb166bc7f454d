package backup

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// piece is a copy that the archive does not have yet. It is complete but for the message's bytes.
type piece struct {
	f      *folder
	seq    uint64
	copy   archive.Copy
	size   int64  // as the server says; -1 when it does not
	key    string // stands for the bytes, see flights; "" when nothing does
	wanted int64  // bytes counted in Status.WantedBytes
	cuts   int    // connections that broke while the message alone was asked for
}

// asked is what an answer lacked.
type asked struct {
	got    map[uint32]*meta
	reason map[uint32]string // why a listed message could not be had
}

// fetchNew reads about new messages and sends those to be downloaded whose bytes the archive lacks: the newest block first, so that a first backup which takes days is
// of use in minutes, and within a block the oldest first. Blocks are counted from the oldest message of the mailbox, recorded or not: a run that goes on where
// another was killed has the same blocks, and so records in the same order.
func (r *run) fetchNew(ctx context.Context, f *folder, fresh uidSet) error {
	older := union(f.known, fresh)
	for len(fresh) > 0 {
		var block uidSet
		older, block = older.cutSpans((older.count()-1)/r.o.Block*r.o.Block, math.MaxInt)
		if err := r.fetchBlock(ctx, f, fresh.and(block)); err != nil {
			return err
		}
		fresh = fresh.minus(block)
	}
	return nil
}

// fetchBlock works through a block chunk by chunk.
func (r *run) fetchBlock(ctx context.Context, f *folder, fresh uidSet) error {
	size := int64(chunkMeta)
	if r.account.Kind == archive.IMAP {
		size = chunkHeaders
	}
	for len(fresh) > 0 {
		var head uidSet
		head, fresh = fresh.cut(size)
		cost := r.tellable().cost(head.count())
		if err := r.pool.quota.reserve(cost); err != nil {
			return err
		}
		a, err := r.describe(ctx, f, head)
		r.pool.quota.spend(0, cost)
		if err != nil {
			return err
		}
		if err := r.sort(ctx, f, head, a); err != nil {
			return err
		}
	}
	return nil
}

func newAsked() *asked {
	return &asked{got: make(map[uint32]*meta), reason: make(map[uint32]string)}
}

// retells is how often an incomplete answer is asked for again.
const retells = 2

// tellable is what to ask about new messages.
func (r *run) tellable() wants {
	w := wants{fixed: true, gmail: r.account.Kind == archive.Gmail}
	if !w.gmail {
		w.object, w.header = r.objectIDs, !r.objectIDs
	}
	return w
}

// describe reads everything short of the bytes about new messages.
func (r *run) describe(ctx context.Context, f *folder, set uidSet) (*asked, error) {
	w := r.tellable()
	a := f.told.part(set)
	if a == nil {
		a = newAsked()
		if err := r.chase(ctx, f, set, w, a, false); err != nil {
			return nil, err
		}
	}
	// What a server tells unasked about a message may be taken for the answer, which then lacks something.
	for range retells {
		again := a.lacking(func(m *meta) bool {
			return !m.hasFlags || m.date.IsZero() || w.gmail && (m.gmail.MsgID == 0 || !m.gmail.HasLabels)
		})
		if len(again) == 0 {
			break
		}
		if err := r.ask(ctx, f, again, w, a, true); err != nil {
			return nil, err
		}
	}
	if w.object {
		return a, r.describeHeaders(ctx, f, a)
	}
	return a, nil
}

// describeHeaders asks for the headers of messages whose EMAILID the server does not tell, or the archive does not know: a message that was here before may have
// come back under another id, with a move or after the server was replaced. An empty archive needs no such proof.
func (r *run) describeHeaders(ctx context.Context, f *folder, a *asked) error {
	var ids []string
	for _, m := range a.got {
		if m.emailID != "" {
			ids = append(ids, m.emailID)
		}
	}
	known, err := r.w.BySourceID(ctx, r.account.ID, ids)
	if err != nil {
		return archiveFailure(err)
	}
	unknown := a.lacking(func(m *meta) bool {
		_, ok := known[m.emailID]
		return m.emailID == "" || !ok && r.stocked
	})
	if len(unknown) == 0 {
		return nil
	}
	return r.ask(ctx, f, unknown, wants{header: true}, a, false)
}

// lacking returns the UIDs of metas for which f holds.
func (a *asked) lacking(f func(*meta) bool) uidSet {
	var set uidSet
	for _, uid := range slices.Sorted(maps.Keys(a.got)) {
		if f(a.got[uid]) {
			set.add(uid)
		}
	}
	return set
}

// ask sends one FETCH and adds what it tells. A refusal is noted for each message it left out.
func (r *run) ask(ctx context.Context, f *folder, set uidSet, w wants, a *asked, fresh bool) error {
	err := r.pool.do(ctx, f.plan.name, "read about new messages", func(s *Session) error {
		if err := f.at(s, fresh); err != nil {
			return err
		}
		return s.fetchMeta(set, w, 0, func(m *meta) error {
			a.add(m)
			return nil
		})
	})
	if no := refused(err); no != nil {
		return set.all(func(uid uint32) error {
			a.reason[uid] = refusal(no)
			return nil
		})
	}
	if err == nil {
		r.pool.progress()
	}
	return err
}

func refusal(no *imap.Error) string {
	return fmt.Sprintf("the server refuses it: %s %s", no.Type, no.Text)
}

// add joins two answers about one message.
func (a *asked) add(m *meta) {
	have := a.got[m.uid]
	if have == nil {
		a.got[m.uid] = m
		return
	}
	if m.hasFlags {
		have.hasFlags, have.flags = true, m.flags
	}
	if m.gmail.MsgID != 0 {
		have.gmail.MsgID, have.gmail.ThreadID = m.gmail.MsgID, m.gmail.ThreadID
	}
	if m.gmail.HasLabels {
		have.gmail.Labels, have.gmail.HasLabels, have.gmail.BareNIL = m.gmail.Labels, true, m.gmail.BareNIL
	}
	if have.date.IsZero() {
		have.date = m.date
	}
	have.size = max(have.size, m.size)
	if have.fingerprint.IsZero() {
		have.fingerprint = m.fingerprint
	}
}

// chase asks about a set, and about each half of what the answer left out, down to single messages: those are expunged meanwhile, or a hole.
func (r *run) chase(ctx context.Context, f *folder, set uidSet, w wants, a *asked, fresh bool) error {
	if err := r.ask(ctx, f, set, w, a, fresh); err != nil {
		return err
	}
	rest := set.minus(a.uids())
	switch n := rest.count(); {
	case n == 0:
		return nil
	case n == 1 && set.count() == 1:
		return r.confirm(ctx, f, rest[0].lo, a.reason)
	case n == 1:
		return r.chase(ctx, f, rest, w, a, true)
	default:
		head, tail := rest.cut(n / 2)
		if err := r.chase(ctx, f, head, w, a, true); err != nil {
			return err
		}
		return r.chase(ctx, f, tail, w, a, false)
	}
}

func (a *asked) uids() uidSet { return a.lacking(func(*meta) bool { return true }) }

// confirm decides what a message is that the server did not deliver: no reason remains when the server does not list it either.
func (r *run) confirm(ctx context.Context, f *folder, uid uint32, reason map[uint32]string) error {
	listed := false
	err := r.pool.do(ctx, f.plan.name, "look for a message", func(s *Session) error {
		err := f.at(s, false)
		if err == nil {
			listed, err = s.listed(uid)
		}
		return err
	})
	if err != nil && refused(err) == nil {
		return err
	}
	if err == nil && !listed {
		delete(reason, uid)
		return nil
	}
	if reason[uid] == "" {
		reason[uid] = "the server lists it and does not deliver it"
	}
	return nil
}

// sort gives every UID of set its outcome or sends it to be downloaded, in ascending order.
func (r *run) sort(ctx context.Context, f *folder, set uidSet, a *asked) error {
	refs, err := r.lookUp(ctx, a)
	if err != nil {
		return err
	}
	jobs := jobBuilder{r: r}
	err = set.all(func(uid uint32) error {
		m := a.got[uid]
		seq, err := r.rec.expect(ctx)
		switch {
		case err != nil:
			return err
		case f.seeking && (m == nil || !sought(m, refs)):
			r.keepGone = r.keepGone || m == nil && a.reason[uid] != "" // it may be what moved
			r.rec.put(outcome{seq: seq})
			return nil
		case m == nil && a.reason[uid] != "":
			r.hole(f, seq, uid, a.reason[uid])
			return nil
		case m == nil: // expunged meanwhile
			r.rec.put(outcome{seq: seq})
			return nil
		case r.account.Kind == archive.Gmail && m.gmail.MsgID == 0:
			r.hole(f, seq, uid, "Gmail does not tell its X-GM-MSGID")
			return nil
		}
		p := r.piece(f, m)
		p.seq = seq
		if r.account.Kind == archive.Gmail && !r.plan.labels.wants(p.copy.Mailboxes) {
			f.partial = true
			r.rec.put(outcome{seq: seq})
			return nil
		}
		return r.place(ctx, p, refs, &jobs)
	})
	if err != nil {
		return err
	}
	return jobs.send(ctx)
}

func (r *run) piece(f *folder, m *meta) *piece {
	p := &piece{f: f, size: m.size}
	switch {
	case r.account.Kind == archive.Gmail:
		p.copy = r.plan.labels.gmailCopy(f, m)
		p.key = "gmail " + p.copy.SourceID
		r.used(p.copy.Mailboxes)
		if !m.gmail.HasLabels {
			r.warn(WarnNoLabels, f, m.uid, fmt.Sprintf("Gmail does not tell the labels of message %d in %q; it is kept in that mailbox", m.uid, f.plan.name))
		}
		return p
	case !m.fingerprint.IsZero() && !f.drafts():
		p.key = printKey(m.fingerprint)
		p.copy.Fingerprint = m.fingerprint
	case m.emailID != "":
		p.key = "email " + m.emailID
	}
	p.copy = archive.Copy{Folder: f.ID, UID: m.uid, Fingerprint: p.copy.Fingerprint, SourceID: m.emailID, ThreadID: m.threadID, Date: m.date, Flags: m.flags}
	return p
}

func printKey(f archive.Fingerprint) string { return "print " + string(f[:]) }

// lookUp finds which messages the archive has, by their keys. A message in flight is not looked up: place asks for it.
func (r *run) lookUp(ctx context.Context, a *asked) (map[string]archive.Ref, error) {
	var ids []string
	var prints []archive.Fingerprint
	for _, m := range a.got {
		switch {
		case m.gmail.MsgID != 0:
			ids = append(ids, decimal(m.gmail.MsgID))
			continue
		case m.emailID != "":
			ids = append(ids, m.emailID)
		}
		if !m.fingerprint.IsZero() {
			prints = append(prints, m.fingerprint)
		}
	}
	r.flights.mark()
	refs := make(map[string]archive.Ref)
	byID, err := r.w.BySourceID(ctx, r.account.ID, ids)
	if err != nil {
		return nil, archiveFailure(err)
	}
	prefix := "email "
	if r.account.Kind == archive.Gmail {
		prefix = "gmail "
	}
	for id, ref := range byID {
		refs[prefix+id] = ref
	}
	byPrint, err := r.w.ByFingerprint(ctx, prints)
	if err != nil {
		return nil, archiveFailure(err)
	}
	// What was pruned needs no download: the archive knows its tombstone.
	prunedByID, prunedByPrint, err := r.w.Tombstoned(ctx, r.account.ID, ids, prints)
	if err != nil {
		return nil, archiveFailure(err)
	}
	for id, ref := range prunedByID {
		if _, here := refs[prefix+id]; !here {
			refs[prefix+id] = ref
		}
	}
	for print, ref := range prunedByPrint {
		refs[printKey(print)] = ref // unless a live message has it, below
	}
	for print, ref := range byPrint {
		refs[printKey(print)] = ref
	}
	return refs, nil
}

// place finds the bytes of a piece: in the archive, in a download under way, or at the server.
func (r *run) place(ctx context.Context, p *piece, refs map[string]archive.Ref, jobs *jobBuilder) error {
	if ref, ok := refs["email "+p.copy.SourceID]; ok {
		r.here(p, ref)
		return nil
	}
	if !p.copy.Fingerprint.IsZero() && p.f.met(p.copy.Fingerprint, refs[p.key]) {
		p.key = "" // a double, or another message with the same header and size: only its bytes can tell
	}
	if p.key != "" {
		if ref, ok := refs[p.key]; ok {
			r.here(p, ref)
			return nil
		}
	}
	if p.key != "" {
		switch ref, ok := r.flights.join(p.key, p); {
		case ok && !ref.IsZero():
			p.copy.Ref = ref
			r.rec.put(outcome{seq: p.seq, copy: &p.copy})
			return nil
		case ok:
			return nil
		}
		r.flights.start(p.key)
	}
	return jobs.add(ctx, p)
}

// here completes a piece whose message the archive has. On Gmail the id says all.
func (r *run) here(p *piece, ref archive.Ref) {
	if r.account.Kind == archive.IMAP {
		p.copy.Ref = ref
	}
	if p.f.withhold {
		p.copy.Mailboxes = nil
	}
	r.rec.put(outcome{seq: p.seq, copy: &p.copy})
}

func (r *run) hole(f *folder, seq uint64, uid uint32, reason string) {
	at := archive.Location{Folder: f.ID, UID: uid}
	r.rec.put(outcome{seq: seq, hole: &archive.HoleReport{Location: at, Reason: reason}})
	r.report.summary(func(s *Summary) { s.Holes++ })
	r.warn(WarnHole, f, uid, fmt.Sprintf("message %d of %q could not be fetched: %s; the next backup tries again", uid, f.plan.name, reason))
}
