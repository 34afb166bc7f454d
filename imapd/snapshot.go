package imapd

import (
	"iter"
	"sort"
	"strconv"
	"unsafe"

	"mailkeep/archive"
)

// snapshot is a mailbox at one moment: sequence number = index + 1. It never changes; sessions share it, and successive snapshots of a mailbox share the blocks in which
// nothing has changed.
type snapshot struct {
	blocks [][]row // ascending by UID; none is empty
	starts []int   // index of the first row of each block
	n      int
	flags  []flagSet // of tables, as the next
	odd    []string
}

// blockRows is how many rows a block has at most: 24 KB, which is what a change of one message copies.
const blockRows = 256

// len is how many messages there are.
func (s *snapshot) len() int { return s.n }

// block is the number of the block that an index is in.
func (s *snapshot) block(i int) int {
	k := min(i/blockRows, len(s.starts)-1)
	if start := s.starts[k]; i < start || i >= start+len(s.blocks[k]) { // in a mailbox that nothing was taken out of the guess is right
		k = sort.Search(len(s.starts), func(k int) bool { return s.starts[k] > i }) - 1
	}
	return k
}

// at returns the row at an index.
func (s *snapshot) at(i int) *row {
	k := s.block(i)
	return &s.blocks[k][i-s.starts[k]]
}

// rows yields the rows from one index up to another, with their indexes.
func (s *snapshot) rows(from, to int) iter.Seq2[int, *row] {
	return func(yield func(int, *row) bool) {
		if from >= to {
			return
		}
		k := s.block(from)
		for i := from; i < to; k++ {
			block := s.blocks[k][i-s.starts[k]:]
			block = block[:min(len(block), to-i)]
			for j := range block {
				if !yield(i+j, &block[j]) {
					return
				}
			}
			i += len(block)
		}
	}
}

// all yields all rows with their indexes.
func (s *snapshot) all() iter.Seq2[int, *row] { return s.rows(0, s.n) }

// next is the least UID above all.
func (s *snapshot) next() archive.UID {
	if s.n == 0 {
		return 1
	}
	return s.at(s.n-1).uid + 1
}

// index returns the place of the first message whose UID is uid or higher.
func (s *snapshot) index(uid archive.UID) int {
	k := sort.Search(len(s.blocks), func(k int) bool { b := s.blocks[k]; return b[len(b)-1].uid >= uid })
	if k == len(s.blocks) {
		return s.n
	}
	b := s.blocks[k]
	return s.starts[k] + sort.Search(len(b), func(i int) bool { return b[i].uid >= uid })
}

// has reports whether there is a message with that UID.
func (s *snapshot) has(uid archive.UID) bool {
	i := s.index(uid)
	return i < s.n && s.at(i).uid == uid
}

// flagsOf returns the flags of a row.
func (s *snapshot) flagsOf(r *row) *flagSet { return &s.flags[r.flags] }

// sourceID returns X-GM-MSGID in decimal, or EMAILID; "" when the source has none.
func (s *snapshot) sourceID(r *row) string { return s.id(r.source, r.oddness&oddSource != 0) }

// threadID returns X-GM-THRID in decimal, or THREADID; "" when the source has none.
func (s *snapshot) threadID(r *row) string { return s.id(r.thread, r.oddness&oddThread != 0) }

func (s *snapshot) id(n uint64, odd bool) string {
	switch {
	case odd:
		return s.odd[n]
	case n == 0:
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// cost is about how many bytes of memory the rows take.
func (s *snapshot) cost() int64 {
	return int64(len(s.blocks)) * (blockRows*int64(unsafe.Sizeof(row{})) + 32)
}

// snapshotBuilder puts a snapshot together from rows in ascending order.
type snapshotBuilder struct {
	s       snapshot
	current []row // not in s yet; nobody else has it
}

// add appends a row.
func (b *snapshotBuilder) add(r *row) {
	if len(b.current) == blockRows {
		b.close()
	}
	if b.current == nil {
		b.current = make([]row, 0, blockRows)
	}
	b.current = append(b.current, *r)
}

// share appends a block of another snapshot as it is.
func (b *snapshotBuilder) share(block []row) {
	b.close()
	b.append(block)
}

func (b *snapshotBuilder) close() {
	if len(b.current) > 0 {
		b.append(b.current)
		b.current = nil
	}
}

func (b *snapshotBuilder) append(block []row) {
	b.s.blocks = append(b.s.blocks, block)
	b.s.starts = append(b.s.starts, b.s.n)
	b.s.n += len(block)
}

// snapshot returns what was put together, whose rows refer to t. The builder must not be used any more.
func (b *snapshotBuilder) snapshot(t *tables) *snapshot {
	b.close()
	b.s.flags, b.s.odd = t.flags, t.odd
	return &b.s
}

// apply returns the snapshot after some changes: s itself when they change nothing. Rows of c refer to t, as those of s do.
func (s *snapshot) apply(c *archive.Changes, t *tables) *snapshot {
	var b snapshotBuilder
	vanished, changed := c.Vanished, c.Changed
	different := len(c.Added) > 0
	for k, block := range s.blocks {
		first, last := block[0].uid, block[len(block)-1].uid
		for len(vanished) > 0 && vanished[0] < first {
			vanished = vanished[1:]
		}
		for len(changed) > 0 && changed[0].UID < first {
			changed = changed[1:]
		}
		touched := len(vanished) > 0 && vanished[0] <= last || len(changed) > 0 && changed[0].UID <= last
		open := k == len(s.blocks)-1 && len(c.Added) > 0 && len(block) < blockRows
		small := len(b.current)+len(block) <= blockRows/2 // what is left of blocks is put together
		if !touched && !open && !(small && len(b.current) > 0) {
			b.share(block)
			continue
		}
		for i := range block {
			r := block[i]
			for len(vanished) > 0 && vanished[0] < r.uid {
				vanished = vanished[1:]
			}
			if len(vanished) > 0 && vanished[0] == r.uid {
				different = true
				continue
			}
			for len(changed) > 0 && changed[0].UID < r.uid {
				changed = changed[1:]
			}
			if len(changed) > 0 && changed[0].UID == r.uid {
				different = true
				r = t.row(&changed[0])
			}
			b.add(&r)
		}
	}
	if !different {
		return s
	}
	for i := range c.Added {
		r := t.row(&c.Added[i])
		b.add(&r)
	}
	return b.snapshot(t)
}
