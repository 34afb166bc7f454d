package backup

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// Refetched is what Refetch got.
type Refetched struct {
	Fetched []archive.Ref // put in place again, byte for byte what they were
	Differ  []archive.Ref // the server has other bytes at the message's place or under its id: not accepted
	Absent  []archive.Ref // the account does not have the message, or does not deliver it
}

// Refetch downloads messages again whose files were lost or damaged, and puts those in place whose digest is right. They are found by the place where they were last seen,
// or else by X-GM-MSGID or EMAILID. Nothing is recorded: the archive knows these messages.
func Refetch(ctx context.Context, w *archive.Writer, o Options, refs []archive.Ref) (Refetched, error) {
	o = o.withDefaults()
	o.Connections = 1
	r := newRun(w, o)
	r.pool.quota = newQuota(w, o.Account, o.DailyBytes, r.report)
	f := &refetch{run: r, left: make(map[archive.Ref]bool), differ: make(map[archive.Ref]bool)}
	for _, ref := range refs {
		f.left[ref] = true
	}
	err := f.fetchMissing(ctx)
	r.pool.close()
	r.pool.quota.close()
	r.pool.quota.settle(err)
	return f.result(refs), err
}

// refetch is one call of Refetch.
type refetch struct {
	*run
	left   map[archive.Ref]bool
	differ map[archive.Ref]bool
	got    []archive.Ref
}

func (f *refetch) result(refs []archive.Ref) Refetched {
	out := Refetched{Fetched: f.got}
	for _, ref := range refs {
		switch {
		case !f.left[ref]:
		case f.differ[ref]:
			out.Differ = append(out.Differ, ref)
		default:
			out.Absent = append(out.Absent, ref)
		}
	}
	return out
}

func (f *refetch) fetchMissing(ctx context.Context) error {
	var err error
	if f.account, err = f.w.AccountByName(ctx, f.o.Account); errors.Is(err, archive.ErrNotFound) {
		return nil
	} else if err != nil {
		return archiveFailure(err)
	}
	refs := make([]archive.Ref, 0, len(f.left))
	for ref := range f.left {
		refs = append(refs, ref)
	}
	places, err := f.w.Places(ctx, f.account.ID, refs)
	if err != nil {
		return archiveFailure(err)
	}
	if len(places) == 0 {
		return nil
	}
	if err := f.byPlace(ctx, places); err != nil {
		return err
	}
	return f.byID(ctx, places)
}

// byPlace asks for messages where they were last seen.
func (f *refetch) byPlace(ctx context.Context, places []archive.Place) error {
	var todo []target
	for _, p := range places {
		if p.UID != 0 {
			todo = append(todo, target{p.Folder, p.Validity, p.UID, p.Ref, p.Size})
		}
	}
	slices.SortFunc(todo, func(a, b target) int {
		return cmp.Or(cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.validity, b.validity), cmp.Compare(a.uid, b.uid))
	})
	return f.fetchAll(ctx, todo)
}

// fetchAll fetches what is still missing of todo, which is sorted by mailbox and UID.
func (f *refetch) fetchAll(ctx context.Context, todo []target) error {
	for len(todo) > 0 {
		n, bytes := 0, int64(0)
		for n < len(todo) && n < deepMessages && bytes < deepBytes && todo[n].mailbox == todo[0].mailbox && todo[n].validity == todo[0].validity {
			bytes += todo[n].size
			n++
		}
		some := slices.DeleteFunc(slices.Clone(todo[:n]), func(t target) bool { return !f.left[t.ref] })
		todo = todo[n:]
		if len(some) == 0 {
			continue
		}
		if err := f.pool.quota.reserve(bytes); err != nil {
			return err
		}
		err := f.fetchSome(ctx, some)
		f.pool.quota.spend(0, bytes)
		if err != nil {
			return err
		}
	}
	return nil
}

// fetchSome fetches messages of one mailbox with one command. When the server refuses it, they are asked for one by one.
func (f *refetch) fetchSome(ctx context.Context, some []target) error {
	var set uidSet
	for _, t := range some {
		set.add(t.uid)
	}
	box := &folder{plan: &planned{listing: listing{name: some[0].mailbox}}, state: archive.FolderState{UIDValidity: some[0].validity}}
	arrivals := make(map[uint32]archive.Ref)
	err := f.pool.do(ctx, some[0].mailbox, "fetch damaged messages again", func(s *Session) error {
		if err := box.at(s, false); err != nil {
			return err
		}
		return s.readBodies(s.startBodies(set), f.w, func(one arrived) { arrivals[one.uid] = one.ref })
	})
	if errors.Is(err, errAbandoned) {
		return nil // another UIDVALIDITY, or no such mailbox: only ids help
	}
	if err != nil && refused(err) == nil {
		return err
	}
	if err := f.accept(ctx, some, arrivals); err != nil {
		return err
	}
	if err == nil || len(some) == 1 {
		return nil
	}
	for _, t := range some {
		if f.left[t.ref] && !f.differ[t.ref] {
			if err := f.fetchSome(ctx, []target{t}); err != nil {
				return err
			}
		}
	}
	return nil
}

// accept puts what arrived in place if it is what was asked for.
func (f *refetch) accept(ctx context.Context, some []target, arrivals map[uint32]archive.Ref) error {
	var right []archive.Ref
	for _, t := range some {
		switch ref := arrivals[t.uid]; {
		case ref.IsZero() || !f.left[t.ref]:
		case ref == t.ref:
			right = append(right, ref)
			delete(f.left, ref)
		default:
			f.differ[t.ref] = true
		}
	}
	if len(right) == 0 {
		return nil
	}
	if err := f.w.PutBack(ctx, right); err != nil {
		return archiveFailure(err)
	}
	f.got = append(f.got, right...)
	return nil
}

// byID looks through the mailboxes for the ids of messages that are still missing.
func (f *refetch) byID(ctx context.Context, places []archive.Place) error {
	wanted := make(map[string]archive.Place)
	for _, p := range places {
		if p.SourceID != "" && f.left[p.Ref] {
			wanted[p.SourceID] = p
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	var boxes []listing
	objectIDs := false
	err := f.pool.do(ctx, "", "list mailboxes", func(s *Session) (err error) {
		objectIDs = s.caps.Has(imap.CapObjectID)
		boxes, err = s.list()
		return err
	})
	if err != nil {
		return classify(err, "list mailboxes")
	}
	gmail := f.account.Kind == archive.Gmail
	if !gmail && !objectIDs {
		return nil
	}
	for _, box := range boxes {
		if gmail && !slices.Contains([]string{`\All`, `\Junk`, `\Trash`}, box.use) {
			continue
		}
		if err := f.search(ctx, box.name, wanted, wants{gmail: gmail, object: !gmail}); err != nil {
			return err
		}
	}
	return nil
}

// search fetches the wanted messages of one mailbox. One that cannot be opened is passed over.
func (f *refetch) search(ctx context.Context, mailbox string, wanted map[string]archive.Place, w wants) error {
	var todo []target
	err := f.pool.do(ctx, mailbox, "look for damaged messages", func(s *Session) error {
		todo = todo[:0]
		data, err := s.examine(mailbox, true)
		if err != nil || data.NumMessages == 0 {
			return err
		}
		return s.fetchMeta(uidSet{{1, 1<<32 - 1}}, w, 0, func(m *meta) error {
			id := m.emailID
			if w.gmail {
				id = strconv.FormatUint(m.gmail.MsgID, 10)
			}
			if p, ok := wanted[id]; ok && f.left[p.Ref] {
				todo = append(todo, target{mailbox, data.UIDValidity, m.uid, p.Ref, p.Size})
			}
			return nil
		})
	})
	if err != nil && refused(err) == nil {
		return err
	}
	return f.fetchAll(ctx, todo)
}
