package backup

import (
	"cmp"
	"slices"

	"github.com/emersion/go-imap/v2"
)

// span is a range of UIDs, both ends included.
type span struct{ lo, hi uint32 }

// uidSet is a set of UIDs as ascending spans that neither touch nor overlap: a mailbox of a million messages mostly needs a few.
type uidSet []span

// add adds a UID; it is cheap when uids arrive in ascending order.
func (s *uidSet) add(uid uint32) { s.addSpan(span{uid, uid}) }

func (s *uidSet) addSpan(n span) {
	if n.lo == 0 || n.hi < n.lo {
		return
	}
	set := *s
	if len(set) == 0 || n.lo > set[len(set)-1].hi && n.lo-1 > set[len(set)-1].hi {
		*s = append(set, n)
		return
	}
	if last := &set[len(set)-1]; n.lo >= last.lo {
		last.hi = max(last.hi, n.hi)
		return
	}
	i, _ := slices.BinarySearchFunc(set, n.lo, func(have span, lo uint32) int { return cmp.Compare(uint64(have.hi)+1, uint64(lo)) })
	j := i
	for j < len(set) && uint64(set[j].lo) <= uint64(n.hi)+1 {
		n.lo, n.hi = min(n.lo, set[j].lo), max(n.hi, set[j].hi)
		j++
	}
	*s = slices.Replace(set, i, j, n)
}

func (s uidSet) has(uid uint32) bool {
	_, found := slices.BinarySearchFunc(s, uid, func(have span, uid uint32) int {
		switch {
		case have.hi < uid:
			return -1
		case have.lo > uid:
			return 1
		}
		return 0
	})
	return found
}

func (s uidSet) count() int64 {
	var n int64
	for _, one := range s {
		n += int64(one.hi) - int64(one.lo) + 1
	}
	return n
}

// minus returns the UIDs of s that are not in t.
func (s uidSet) minus(t uidSet) uidSet {
	var out uidSet
	i := 0
	for _, one := range s {
		lo := uint64(one.lo)
		for i < len(t) && t[i].hi < one.lo {
			i++
		}
		for k := i; k < len(t) && t[k].lo <= one.hi; k++ {
			if uint64(t[k].lo) > lo {
				out = append(out, span{uint32(lo), t[k].lo - 1})
			}
			lo = max(lo, uint64(t[k].hi)+1)
		}
		if lo <= uint64(one.hi) {
			out = append(out, span{uint32(lo), one.hi})
		}
	}
	return out
}

// and returns the UIDs that are in both sets.
func (s uidSet) and(t uidSet) uidSet { return s.minus(s.minus(t)) }

// maxSpans bounds the length of a command: Gmail takes lines of 16 kB.
const maxSpans = 600

// cut splits off the lowest UIDs: at most n of them and at most maxSpans spans.
func (s uidSet) cut(n int64) (head, rest uidSet) { return s.cutSpans(n, maxSpans) }

// bounds returns the set if a command can hold it, or else one span with everything between its ends.
func (s uidSet) bounds() uidSet {
	if len(s) <= maxSpans {
		return s
	}
	return uidSet{{s[0].lo, s[len(s)-1].hi}}
}

func (s uidSet) cutSpans(n int64, spans int) (head, rest uidSet) {
	for i, one := range s {
		size := int64(one.hi) - int64(one.lo) + 1
		switch {
		case i == spans || n == 0:
			return s[:i:i], s[i:]
		case size > n:
			middle := one.lo + uint32(n)
			head = append(slices.Clone(s[:i]), span{one.lo, middle - 1})
			rest = append(uidSet{{middle, one.hi}}, s[i+1:]...)
			return head, rest
		}
		n -= size
	}
	return s, nil
}

// all calls f for each UID in ascending order and stops at its first error.
func (s uidSet) all(f func(uint32) error) error {
	for _, one := range s {
		if err := one.each(f); err != nil {
			return err
		}
	}
	return nil
}

func (n span) each(f func(uint32) error) error {
	for uid := uint64(n.lo); uid <= uint64(n.hi); uid++ {
		if err := f(uint32(uid)); err != nil {
			return err
		}
	}
	return nil
}

// imap returns the set as the client library has it.
func (s uidSet) imap() imap.UIDSet {
	set := make(imap.UIDSet, len(s))
	for i, one := range s {
		set[i] = imap.UIDRange{Start: imap.UID(one.lo), Stop: imap.UID(one.hi)}
	}
	return set
}

// uidSetOf takes a set of a server's answer. A range without end has no meaning in an answer and is left out.
func uidSetOf(set imap.NumSet) uidSet {
	uids, ok := set.(imap.UIDSet)
	if !ok {
		return nil
	}
	var out uidSet
	for _, r := range uids {
		if r.Start != 0 && r.Stop != 0 {
			out.addSpan(span{uint32(r.Start), uint32(r.Stop)})
		}
	}
	return out
}
