package imapd

import (
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"mailkeep/archive"
	"mailkeep/message"
)

// searchWithModSeq answers a SEARCH whose keys have MODSEQ among them, which the library has no response for. The library, which shall say nothing more, gets an empty result.
func (s *session) searchWithModSeq(kind imapserver.NumKind, snap *snapshot, found []int, o *imap.SearchOptions) (*imap.SearchData, error) {
	return searchData(kind, snap, nil, o), s.conn.send(s.appendResult("SEARCH", kind, snap, found, o))
}

// appendResult makes the response for the messages at some indexes, in this order: of SEARCH and SORT (RFC 5256 section 4), or an ESEARCH when RETURN asks for that (RFC 4731, RFC 5267
// section 3), with the highest mod-sequence when the search was for one (RFC 7162 section 3.1.5 and 3.1.10).
func (s *session) appendResult(word string, kind imapserver.NumKind, snap *snapshot, found []int, o *imap.SearchOptions) []byte {
	cmd := &s.conn.cmd
	numbers := make([]uint32, len(found))
	for k, i := range found {
		numbers[k] = uint32(i + 1)
		if kind == imapserver.NumKindUID {
			numbers[k] = uint32(snap.at(i).uid)
		}
	}
	if cmd.extended || word == "SEARCH" && s.lib.EnabledCaps().Has(imap.CapIMAP4rev2) {
		if cmd.saveOnly { // RFC 5182 section 2.1
			return nil
		}
		return append(s.appendExtended(nil, kind, snap, found, numbers, o), "\r\n"...)
	}
	out := append([]byte("* "), word...)
	for _, n := range numbers {
		out = appendNumber(append(out, ' '), n)
	}
	if cmd.byModSeq && len(found) > 0 {
		out = appendNumber64(append(out, " (MODSEQ "...), s.highestOf(snap, found))
		out = append(out, ')')
	}
	return append(out, "\r\n"...)
}

// appendExtended appends an ESEARCH response without its line end. The least and the greatest of what was sorted are its ends.
func (s *session) appendExtended(dst []byte, kind imapserver.NumKind, snap *snapshot, found []int, numbers []uint32, o *imap.SearchOptions) []byte {
	dst = append(message.AppendString(append(dst, "* ESEARCH (TAG "...), s.conn.cmd.tag), ')')
	if kind == imapserver.NumKindUID {
		dst = append(dst, " UID"...)
	}
	n := len(numbers)
	if n > 0 && o.ReturnMin {
		dst = appendNumber(append(dst, " MIN "...), numbers[0])
	}
	if n > 0 && o.ReturnMax {
		dst = appendNumber(append(dst, " MAX "...), numbers[n-1])
	}
	if n > 0 && o.ReturnAll {
		dst = appendRuns(append(dst, " ALL "...), numbers)
	}
	if o.ReturnCount {
		dst = appendNumber(append(dst, " COUNT "...), uint32(n))
	}
	if !s.conn.cmd.byModSeq || n == 0 {
		return dst
	}
	if !o.ReturnAll && !o.ReturnCount { // it is that of the messages that are told
		ends := found[:0:0]
		if o.ReturnMin {
			ends = append(ends, found[0])
		}
		if o.ReturnMax {
			ends = append(ends, found[n-1])
		}
		found = ends
	}
	return appendNumber64(append(dst, " MODSEQ "...), s.highestOf(snap, found))
}

// highestOf is the highest mod-sequence of the messages at some indexes.
func (s *session) highestOf(snap *snapshot, found []int) archive.ModSeq {
	p, most := s.position(), archive.ModSeq(1)
	for _, i := range found {
		most = max(most, p.modSeq(snap.at(i)))
	}
	return most
}
