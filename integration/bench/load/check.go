package load

import (
	"bytes"
	"hash/crc32"
	"time"

	"mailkeep/integration/bench/gen"
)

// seen is what FETCH responses brought.
type seen struct {
	item     []byte // what each must hold
	messages int
	missing  int    // responses without the item
	literals int64  // bytes
	crc      uint64 // sum of the literals' CRC-32C

	sizes                   int64 // sum of RFC822.SIZE
	dates                   int64 // sum of INTERNALDATE, Unix seconds
	read, answered, flagged int   // messages with those flags
	ids                     uint64
	parts                   int // leaves of BODYSTRUCTURE
}

// addBody takes no more from a response than its literals.
func (s *seen) addBody(r *response) {
	if !bytes.Contains(r.line[:min(len(r.line), 32)], []byte(" FETCH (")) {
		return
	}
	s.messages++
	s.literals += r.literals
	s.crc += r.crcSum
	if !bytes.Contains(r.line, s.item) {
		s.missing++
	}
}

// add takes a response apart.
func (s *seen) add(r *response) {
	before := s.messages
	s.addBody(r)
	if s.messages == before {
		return
	}
	s.sizes += int64(max(number(r.line, "RFC822.SIZE "), 0))
	if _, rest, ok := bytes.Cut(r.line, []byte(`INTERNALDATE "`)); ok && len(rest) > 26 {
		if date, err := time.Parse("_2-Jan-2006 15:04:05 -0700", string(rest[:26])); err == nil {
			s.dates += date.Unix()
		}
	}
	if _, rest, ok := bytes.Cut(r.line, []byte("FLAGS (")); ok {
		list, _, _ := bytes.Cut(rest, []byte(")"))
		s.read += count(list, `\Seen`)
		s.answered += count(list, `\Answered`)
		s.flagged += count(list, `\Flagged`)
	}
	if _, rest, ok := bytes.Cut(r.line, []byte("ENVELOPE (")); ok {
		s.ids += uint64(crc32.Checksum(lastString(rest), castagnoli))
	}
	if _, rest, ok := bytes.Cut(r.line, []byte("BODYSTRUCTURE (")); ok {
		s.parts += leaves(append([]byte("("), rest...))
	}
}

func count(line []byte, what string) int { return bytes.Count(line, []byte(what)) }

// lastString is the last quoted string of a parenthesized list whose opening has been read; of an ENVELOPE, the Message-ID.
func lastString(list []byte) []byte {
	var last []byte
	for depth, i := 1, 0; i < len(list) && depth > 0; i++ {
		switch list[i] {
		case '(':
			depth++
		case ')':
			depth--
		case '"':
			start := i + 1
			for i++; i < len(list) && list[i] != '"'; i++ {
				if list[i] == '\\' {
					i++
				}
			}
			last = list[start:min(i, len(list))]
		}
	}
	return last
}

// leaves counts the parts of the corpus' kinds in a BODYSTRUCTURE.
func leaves(structure []byte) int {
	upper, n := bytes.ToUpper(structure), 0
	for _, kind := range []string{"TEXT", "APPLICATION", "IMAGE"} {
		n += count(upper, `("`+kind+`" "`)
	}
	return n
}

// right compares with what the mailbox holds.
func (s *seen) right(want gen.Total, f fetch) error {
	err := orWrong(nil, s.messages != want.Messages, "%d messages, want %d", s.messages, want.Messages)
	err = orWrong(err, s.missing > 0, "%d answers without %s", s.missing, f.has)
	if err == nil {
		err = f.check(*s, want)
	}
	return err
}

func flagsRight(s seen, want gen.Total) error {
	return orWrong(nil, s.read != want.Seen || s.answered != want.Answered || s.flagged != want.Flagged,
		`%d \Seen, %d \Answered, %d \Flagged, want %d, %d, %d`, s.read, s.answered, s.flagged, want.Seen, want.Answered, want.Flagged)
}

func sizesRight(s seen, want gen.Total) error {
	return orWrong(flagsRight(s, want), s.sizes != want.Bytes, "RFC822.SIZE sums up to %d, want %d", s.sizes, want.Bytes)
}

func headersRight(s seen, want gen.Total) error {
	err := orWrong(sizesRight(s, want), s.literals != want.HeaderBytes, "%d header bytes, want %d", s.literals, want.HeaderBytes)
	return orWrong(err, s.crc != want.HeaderCRC, "the header fields' checksums differ from the corpus")
}

func structuresRight(s seen, want gen.Total) error {
	err := orWrong(sizesRight(s, want), s.dates != want.Dates, "INTERNALDATE sums up to %d, want %d", s.dates, want.Dates)
	err = orWrong(err, s.ids != want.IDs, "the Message-IDs of the envelopes differ from the corpus")
	return orWrong(err, s.parts != want.Parts, "%d parts, want %d", s.parts, want.Parts)
}

func bodiesRight(s seen, want gen.Total) error {
	err := orWrong(nil, s.literals != want.Bytes, "%d body bytes, want %d", s.literals, want.Bytes)
	return orWrong(err, s.crc != want.CRCSum, "the bodies' checksums differ from the corpus")
}
