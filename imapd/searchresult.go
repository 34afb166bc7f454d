package imapd

import (
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"mailkeep/archive"
	"mailkeep/message"
)

// searchWithModSeq answers a SEARCH whose keys have MODSEQ among them, which the library has no response for. The library, which shall say nothing more, gets an empty result.
func (s *session) searchWithModSeq(kind imapserver.NumKind, snap *snapshot, found []int, o *imap.SearchOptions) (*imap.SearchData, error) {
	return searchData(kind, snap, nil, o), s.sendResult("SEARCH", kind, snap, found, o)
}

// sendResult sends the response for the messages at some indexes, in this order: of SEARCH and SORT (RFC 5256 section 4), or an ESEARCH when RETURN asks for that (RFC 4731, RFC 5267
// section 3), with the highest mod-sequence when the search was for one (RFC 7162 section 3.1.5 and 3.1.10).
func (s *session) sendResult(word string, kind imapserver.NumKind, snap *snapshot, found []int, o *imap.SearchOptions) error {
	cmd, n := &s.conn.cmd, notices{conn: s.conn}
	number := func(i int) uint32 {
		if kind == imapserver.NumKindUID {
			return uint32(snap.at(i).uid)
		}
		return uint32(i + 1)
	}
	if cmd.extended || word == "SEARCH" && s.lib.EnabledCaps().Has(imap.CapIMAP4rev2) {
		if cmd.saveOnly { // RFC 5182 section 2.1
			return nil
		}
		return s.sendExtended(&n, kind, snap, found, number, o)
	}
	n.b = append(append(n.b, "* "...), word...)
	for _, i := range found {
		n.b = appendNumber(append(n.b, ' '), number(i))
		if err := n.next(); err != nil {
			return err
		}
	}
	if cmd.byModSeq && len(found) > 0 {
		n.b = appendNumber64(append(n.b, " (MODSEQ "...), s.highestOf(snap, found))
		n.b = append(n.b, ')')
	}
	n.b = append(n.b, "\r\n"...)
	return n.flush()
}

// sendExtended sends an ESEARCH response. The least and the greatest of what was sorted are its ends.
func (s *session) sendExtended(n *notices, kind imapserver.NumKind, snap *snapshot, found []int, number func(int) uint32, o *imap.SearchOptions) error {
	n.b = append(message.AppendString(append(n.b, "* ESEARCH (TAG "...), s.conn.cmd.tag), ')')
	if kind == imapserver.NumKindUID {
		n.b = append(n.b, " UID"...)
	}
	count := len(found)
	if count > 0 && o.ReturnMin {
		n.b = appendNumber(append(n.b, " MIN "...), number(found[0]))
	}
	if count > 0 && o.ReturnMax {
		n.b = appendNumber(append(n.b, " MAX "...), number(found[count-1]))
	}
	if count > 0 && o.ReturnAll {
		n.b = append(n.b, " ALL "...)
		if err := n.runs(count, func(k int) uint32 { return number(found[k]) }); err != nil {
			return err
		}
	}
	if o.ReturnCount {
		n.b = appendNumber(append(n.b, " COUNT "...), uint32(count))
	}
	if s.conn.cmd.byModSeq && count > 0 {
		n.b = appendNumber64(append(n.b, " MODSEQ "...), s.highestOf(snap, told(found, o)))
	}
	n.b = append(n.b, "\r\n"...)
	return n.flush()
}

// told is which of the messages found an ESEARCH response tells.
func told(found []int, o *imap.SearchOptions) []int {
	if o.ReturnAll || o.ReturnCount {
		return found
	}
	var ends []int
	if o.ReturnMin {
		ends = append(ends, found[0])
	}
	if o.ReturnMax {
		ends = append(ends, found[len(found)-1])
	}
	return ends
}

// highestOf is the highest mod-sequence of the messages at some indexes.
func (s *session) highestOf(snap *snapshot, found []int) archive.ModSeq {
	p, most := s.position(), archive.ModSeq(1)
	for _, i := range found {
		most = max(most, p.modSeq(snap.at(i)))
	}
	return most
}
