package imapd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"mailkeep/archive"
)

// plainView is a mailbox as a list, for comparison.
type plainView []archive.Entry

func (p plainView) apply(c *archive.Changes) plainView {
	vanished, changed := uids(c.Vanished), make(map[archive.UID]archive.Entry)
	for _, e := range c.Changed {
		changed[e.UID] = e
	}
	var out plainView
	for _, e := range p {
		if vanished[e.UID] {
			continue
		}
		if now, ok := changed[e.UID]; ok {
			e = now
		}
		out = append(out, e)
	}
	return append(out, c.Added...)
}

func uids(list []archive.UID) map[archive.UID]bool {
	set := make(map[archive.UID]bool)
	for _, uid := range list {
		set[uid] = true
	}
	return set
}

func (p plainView) check(t *testing.T, s *snapshot) {
	t.Helper()
	if s.len() != len(p) {
		t.Fatalf("%d rows, want %d", s.len(), len(p))
	}
	seen := 0
	for i, r := range s.all() {
		if i != seen || s.at(i) != r || r.uid != p[i].UID || s.flagsOf(r).text != p[i].Flags || s.sourceID(r) != p[i].SourceID || s.threadID(r) != p[i].ThreadID || !r.internalDate().Equal(p[i].Date) {
			t.Fatalf("row %d is %+v, want %+v", i, r, p[i])
		}
		if s.index(r.uid) != i || !s.has(r.uid) {
			t.Fatalf("UID %d is found at %d, not %d", r.uid, s.index(r.uid), i)
		}
		seen++
	}
	if seen != len(p) {
		t.Fatalf("all yields %d rows, want %d", seen, len(p))
	}
	for _, b := range s.blocks {
		if len(b) == 0 || len(b) > blockRows {
			t.Fatalf("a block of %d rows", len(b))
		}
	}
}

func randomEntry(random *rand.Rand, uid archive.UID) archive.Entry {
	flags := []string{"", `\Seen`, `\Flagged \Seen`, "$Label1"}
	ids := []string{"", "1", "18446744073709551615", "18446744073709551616", "007", "M123", fmt.Sprint(uid)}
	return archive.Entry{
		UID: uid, Ref: archive.Ref{1}, Date: testDate.AddDate(0, 0, random.IntN(1000)), Flags: flags[random.IntN(len(flags))], ModSeq: archive.ModSeq(random.IntN(5)),
		SourceID: ids[random.IntN(len(ids))], ThreadID: ids[random.IntN(len(ids))],
	}
}

// randomChanges takes out, changes and adds some entries.
func randomChanges(random *rand.Rand, p plainView, next *archive.UID, much int) archive.Changes {
	var c archive.Changes
	for _, e := range p {
		switch n := random.IntN(1000); {
		case n < much:
			c.Vanished = append(c.Vanished, e.UID)
		case n < 2*much:
			c.Changed = append(c.Changed, randomEntry(random, e.UID))
		}
	}
	for range random.IntN(300) {
		c.Added = append(c.Added, randomEntry(random, *next))
		*next += archive.UID(1 + random.IntN(3))
	}
	return c
}

func TestSnapshotFollowsChanges(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		tables, next := newTables(), archive.UID(1)
		var b snapshotBuilder
		now, plain := b.snapshot(tables), plainView(nil)
		for step := range 30 {
			c := randomChanges(random, plain, &next, []int{0, 2, 300}[random.IntN(3)])
			before, list := now, plain
			now, plain = now.apply(&c, tables), plain.apply(&c)
			plain.check(t, now)
			list.check(t, before)
			checkDifference(t, before, now, list, plain)
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, step)
			}
		}
	}
}

func checkDifference(t *testing.T, before, after *snapshot, old, now plainView) {
	t.Helper()
	at := make(map[archive.UID]int)
	for j, e := range now {
		at[e.UID] = j
	}
	var taken, reflagged, relabelled []int
	for i, e := range old {
		j, ok := at[e.UID]
		switch {
		case !ok:
			taken = append(taken, i)
			continue
		case now[j].Flags != e.Flags:
			reflagged = append(reflagged, j)
		}
		if now[j].Flags != e.Flags || now[j].ModSeq != e.ModSeq {
			relabelled = append(relabelled, j)
		}
	}
	slices.Reverse(taken)
	if got := slices.Collect(gone(before, after)); !slices.Equal(got, taken) {
		t.Errorf("gone are %v, want %v", got, taken)
	}
	if lacks(after, before) != (len(taken) > 0) {
		t.Errorf("%d are lacking: %v", len(taken), lacks(after, before))
	}
	if got := slices.Collect(altered(before, after, false)); !slices.Equal(got, reflagged) {
		t.Errorf("other flags have %v, want %v", got, reflagged)
	}
	if got := slices.Collect(altered(before, after, true)); !slices.Equal(got, relabelled) {
		t.Errorf("other flags or mod-sequences have %v, want %v", got, relabelled)
	}
}

// A mailbox as it was is what plainly putting it together gives, and shares what it can with the mailbox as it is.
func TestPlaceholders(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 2))
		tables, next := newTables(), archive.UID(1)
		was := plainView(nil)
		var b snapshotBuilder
		snap := b.snapshot(tables)
		step := func(much int) archive.Changes {
			c := randomChanges(random, was, &next, much)
			was, snap = was.apply(&c), snap.apply(&c, tables)
			return c
		}
		for range 20 {
			step(0)
		}
		counted, uidNext := was, next
		c := step([]int{0, 1, 300}[seed%3])
		got := snap.withPlaceholders(uidNext, c.Vanished, tables)
		if got.len() != len(counted) {
			t.Fatalf("seed %d: %d rows, want %d", seed, got.len(), len(counted))
		}
		vanished := uids(c.Vanished)
		for i, r := range got.all() {
			if r.uid != counted[i].UID || r.ref.IsZero() != vanished[r.uid] {
				t.Fatalf("seed %d: row %d is UID %d, want %d", seed, i, r.uid, counted[i].UID)
			}
		}
		if len(c.Vanished) > 0 || len(got.blocks) < 3 {
			continue
		}
		if &got.blocks[1][0] != &snap.blocks[1][0] {
			t.Errorf("seed %d: nothing is shared", seed)
		}
		if len(slices.Collect(gone(got, snap))) > 0 {
			t.Errorf("seed %d: something is gone", seed)
		}
	}
}

// One message more in a large mailbox must not cost a copy of it.
func TestSnapshotsShareBlocks(t *testing.T) {
	tables := newTables()
	var b snapshotBuilder
	for uid := range archive.UID(10 * blockRows) {
		b.add(&row{uid: uid + 1, ref: archive.Ref{1}})
	}
	tables.flagsNumber("")
	old := b.snapshot(tables)
	now := old.apply(&archive.Changes{
		Vanished: []archive.UID{3 * blockRows},
		Changed:  []archive.Entry{{UID: 5*blockRows + 7, Flags: `\Seen`}},
		Added:    []archive.Entry{{UID: 10*blockRows + 1}},
	}, tables)
	shared := 0
	for _, block := range now.blocks {
		if slices.ContainsFunc(old.blocks, func(b []row) bool { return unsafe.SliceData(b) == unsafe.SliceData(block) }) {
			shared++
		}
	}
	if shared != 8 {
		t.Errorf("%d blocks are shared, want 8 of 10", shared)
	}
}

func TestViewsAreKeptForAWhile(t *testing.T) {
	s := newArchive(t)
	for i := range 3 {
		s.add(simple+fmt.Sprint(i), "A,B", `\Seen`)
	}
	boxes, err := s.w.Mailboxes(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	var vs views
	var ts trees
	ts.init(s.w.Reader)
	vs.init(s.w.Reader, &ts, time.Second)
	open := func(id archive.MailboxID) *view {
		t.Helper()
		p, err := vs.open(context.Background(), id)
		if err == nil {
			err = p.load(context.Background())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		return p.view
	}
	a, b := open(boxes[0].ID), open(boxes[1].ID)
	if open(boxes[0].ID) != a || open(boxes[1].ID) != b {
		t.Error("a view was not kept")
	}
	if want := a.cost() + b.cost(); vs.size != want || vs.kept.Len() != 2 {
		t.Errorf("%d bytes of %d views are counted, want %d", vs.size, vs.kept.Len(), want)
	}
	vs.expire(a)
	if open(boxes[0].ID) == a {
		t.Error("a view was kept for ever")
	}
	vs.close()
	if vs.size != 0 || len(vs.byID) != 0 {
		t.Errorf("%d bytes of %d views are left", vs.size, len(vs.byID))
	}
}
