package imapd

import (
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// Search implements SEARCH and UID SEARCH (RFC 9051 section 6.4.4), with RETURN (RFC 4731) and SAVE (RFC 5182).
func (s *session) Search(kind imapserver.NumKind, criteria *imap.SearchCriteria, o *imap.SearchOptions) (*imap.SearchData, error) {
	ctx, stop := s.conn.watch(s.ctx())
	defer stop()
	snap, err := s.selected(ctx)
	if err != nil {
		return nil, err
	}
	q := s.compile(snap, criteria)
	if fault := s.conn.cmd.fault; fault != nil {
		return nil, fault
	}
	found, err := s.scan(ctx, snap, q, func() *query { return s.compile(snap, criteria) })
	if err != nil {
		if o.ReturnSave {
			s.saved = nil
		}
		return nil, s.translate(err)
	}
	if o.ReturnSave {
		s.save(snap, found, o)
	}
	switch cmd := &s.conn.cmd; {
	case cmd.arrange != nil:
		return s.searchArranged(ctx, kind, snap, found, o)
	case cmd.byModSeq:
		return s.searchWithModSeq(kind, snap, found, o)
	}
	return searchData(kind, snap, found, o), nil
}

// save keeps the result for "$". When only the least or greatest was asked for, only these (RFC 5182 section 2.4).
func (s *session) save(snap *snapshot, found []int, o *imap.SearchOptions) {
	s.saved = nil
	keep := found
	if n := len(found); n > 0 && !o.ReturnCount && (o.ReturnMin || o.ReturnMax) && !o.ReturnAll {
		keep = nil
		if o.ReturnMin {
			keep = append(keep, found[0])
		}
		if o.ReturnMax && (n > 1 || !o.ReturnMin) {
			keep = append(keep, found[n-1])
		}
	}
	for _, i := range keep {
		s.saved = append(s.saved, snap.at(i).uid)
	}
}

// searchData is the result as the library wants it.
func searchData(kind imapserver.NumKind, snap *snapshot, found []int, o *imap.SearchOptions) *imap.SearchData {
	number := func(i int) uint32 { return uint32(i + 1) }
	if kind == imapserver.NumKindUID {
		number = func(i int) uint32 { return uint32(snap.at(i).uid) }
	}
	d := &imap.SearchData{Count: uint32(len(found))}
	if len(found) > 0 {
		d.Min, d.Max = number(found[0]), number(found[len(found)-1])
	}
	var seqs imap.SeqSet
	var uids imap.UIDSet
	if o.ReturnAll {
		for k := 0; k < len(found); {
			first := number(found[k])
			last := first
			for k++; k < len(found) && number(found[k]) == last+1; k++ {
				last++
			}
			seqs = append(seqs, imap.SeqRange{Start: first, Stop: last})
			uids = append(uids, imap.UIDRange{Start: imap.UID(first), Stop: imap.UID(last)})
		}
	}
	d.All = seqs
	if kind == imapserver.NumKindUID {
		d.All = uids
	}
	return d
}
