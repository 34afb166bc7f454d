package imapd

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"mailkeep/archive"
)

// maxSortKeys bounds the criteria of one SORT.
const maxSortKeys = 32

const (
	arrangingBytes = 256 << 20 // for SORT and THREAD of all sessions together; one that needs more than that runs alone
	arrangingCost  = 400       // bytes that one message takes while it is sorted or threaded, with its digest
	arrangingFew   = 256       // messages in a command that does not wait for others
)

// turn is what a command has taken of Server.arranging.
type turn struct {
	srv  *Server
	held int64
}

// waitForTurn waits until there is room to arrange n messages: without it many clients at once could have the server hold any number of them. release must be called.
func (s *session) waitForTurn(ctx context.Context, n int) (*turn, error) {
	t := &turn{srv: s.srv}
	if n <= arrangingFew {
		return t, nil
	}
	cost := min(max(int64(n)*arrangingCost, arrangingBytes/aheadAtATime), arrangingBytes)
	if err := s.srv.arranging.Acquire(ctx, cost); err != nil {
		return t, err
	}
	t.held = cost
	return t, nil
}

// keep gives back all but so many bytes.
func (t *turn) keep(bytes int64) {
	if more := t.held - bytes; more > 0 {
		t.srv.arranging.Release(more)
		t.held -= more
	}
}

// release gives back what is left.
func (t *turn) release() { t.keep(0) }

// arranged is a message with what it is sorted and threaded by.
type arranged struct {
	index int // in the snapshot
	*row
	*digest
	sent int64 // the Date field, or the arrival when there is none (RFC 5256 section 2.2); Unix seconds
}

// sortKey is one criterion of SORT.
type sortKey struct {
	compare func(a, b *arranged) int
	reverse bool
}

// sortOrders are the criteria of SORT (RFC 5256 section 3, RFC 5957).
var sortOrders = map[string]func(a, b *arranged) int{
	"ARRIVAL":     func(a, b *arranged) int { return cmp.Compare(a.date, b.date) },
	"CC":          func(a, b *arranged) int { return strings.Compare(a.cc, b.cc) },
	"DATE":        compareSent,
	"FROM":        func(a, b *arranged) int { return strings.Compare(a.from, b.from) },
	"SIZE":        func(a, b *arranged) int { return cmp.Compare(a.size, b.size) },
	"SUBJECT":     func(a, b *arranged) int { return strings.Compare(a.subject, b.subject) },
	"TO":          func(a, b *arranged) int { return strings.Compare(a.to, b.to) },
	"DISPLAYFROM": func(a, b *arranged) int { return strings.Compare(a.fromShown, b.fromShown) },
	"DISPLAYTO":   func(a, b *arranged) int { return strings.Compare(a.toShown, b.toShown) },
}

func compareSent(a, b *arranged) int { return cmp.Compare(a.sent, b.sent) }

// sortMessages sorts messages; where the keys are equal, by their order in the mailbox.
func sortMessages(list []*arranged, keys []sortKey) {
	slices.SortFunc(list, func(a, b *arranged) int {
		for _, k := range keys {
			if d := k.compare(a, b); d != 0 {
				if k.reverse {
					return -d
				}
				return d
			}
		}
		return cmp.Compare(a.index, b.index)
	})
}

// noDigest is that of a message which cannot be read.
var noDigest digest

// arrange returns what the messages at some indexes are sorted and threaded by.
func (s *session) arrange(ctx context.Context, snap *snapshot, found []int) ([]*arranged, error) {
	all := make([]arranged, len(found))
	list := make([]*arranged, len(found))
	sums := summaries{bodies: &s.srv.bodies, many: len(found) > recentMany}
	defer sums.close()
	src := source{bodies: &s.srv.bodies, summaries: &sums, snap: snap}
	defer src.close()
	damaged := 0
	for k, i := range found {
		if k%64 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r := snap.at(i)
		src.next(r)
		d, err := src.digest()
		switch {
		case errors.Is(err, errDamaged), errors.Is(err, archive.ErrNotFound):
			if damaged++; damaged <= maxTold {
				s.srv.log.Error("imap: message cannot be sorted", "uid", r.uid, "error", err)
			}
			d = &noDigest
		case err != nil:
			return nil, err
		}
		all[k] = arranged{index: i, row: r, sent: r.date, digest: d}
		if d.dated {
			all[k].sent = d.sent
		}
		list[k] = &all[k]
	}
	return list, nil
}

func appendNumber(dst []byte, n uint32) []byte { return strconv.AppendUint(dst, uint64(n), 10) }
