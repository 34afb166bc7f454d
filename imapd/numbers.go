package imapd

import (
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// span is a range of indexes of a snapshot: from <= i < to.
type span struct{ from, to int }

// resolve returns the messages that a set names, in order, each once. UIDs that do not exist are passed over (RFC 9051 section 6.4.9); a sequence number that does not exist
// is the client's mistake.
func (s *session) resolve(snap *snapshot, set imap.NumSet) ([]span, error) {
	if imap.IsSearchRes(set) {
		return spansOf(snap, s.saved), nil
	}
	switch set := set.(type) {
	case imap.UIDSet:
		return uidSpans(snap, set), nil
	case imap.SeqSet:
		for _, r := range set {
			if n := uint32(snap.len()); r.Start > n && r.Stop != 0 || r.Stop > n {
				return nil, &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: fmt.Sprintf("there are only %d messages", n)}
			}
		}
		return seqSpans(snap, set), nil
	}
	return nil, nil
}

// seqSpans returns the messages of a sequence set; numbers beyond the last are passed over. In the library's ranges 0 stands for "*".
func seqSpans(snap *snapshot, set imap.SeqSet) []span {
	last := uint32(snap.len())
	var spans []span
	for _, r := range set {
		from, to := starRange(r.Start, r.Stop, last)
		if last > 0 && from <= last {
			spans = append(spans, span{int(from) - 1, int(min(to, last))})
		}
	}
	return normal(spans)
}

// uidSpans returns the messages of a UID set.
func uidSpans(snap *snapshot, set imap.UIDSet) []span {
	if snap.len() == 0 {
		return nil
	}
	last := uint32(snap.next() - 1)
	var spans []span
	for _, r := range set {
		from, to := starRange(uint32(r.Start), uint32(r.Stop), last)
		sp := span{snap.index(archive.UID(from)), snap.len()}
		if to < last {
			sp.to = snap.index(archive.UID(to + 1))
		}
		if sp.from < sp.to {
			spans = append(spans, sp)
		}
	}
	return normal(spans)
}

// starRange replaces "*" in a range by the number it stands for: 4:* is *:4 when there are fewer than 4.
func starRange(start, stop, last uint32) (from, to uint32) {
	if start == 0 {
		start = last
	}
	if stop == 0 {
		stop = last
	}
	return min(start, stop), max(start, stop)
}

// spansOf returns those of some UIDs, ascending, that are still there.
func spansOf(snap *snapshot, uids []archive.UID) []span {
	var spans []span
	for _, uid := range uids {
		if i := snap.index(uid); i < snap.len() && snap.at(i).uid == uid {
			spans = append(spans, span{i, i + 1})
		}
	}
	return normal(spans)
}

// normal sorts spans and puts those together that touch.
func normal(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	out := spans[:0]
	for _, sp := range spans {
		if n := len(out); n > 0 && sp.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, sp.to)
			continue
		}
		out = append(out, sp)
	}
	return out
}

// count is how many indexes there are in spans that do not overlap.
func count(spans []span) int {
	n := 0
	for _, sp := range spans {
		n += sp.to - sp.from
	}
	return n
}

// contains reports whether an index is in spans, which are sorted.
func contains(spans []span, i int) bool {
	_, found := slices.BinarySearchFunc(spans, i, func(sp span, i int) int {
		switch {
		case sp.to <= i:
			return -1
		case sp.from > i:
			return 1
		}
		return 0
	})
	return found
}
