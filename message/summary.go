package message

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"time"
)

// SummaryVersion is the first byte of the summaries that [Summarize] makes. It changes with their form, with the fields that they keep, and whenever the same
// message would get another ENVELOPE, BODYSTRUCTURE, part tree or date.
const SummaryVersion = 1

// MaxSummary is the greatest length of an encoded summary in bytes, whatever the message.
const MaxSummary = 64 << 10

// What a summary holds at most of each kind, in bytes. What is longer is left out, and has to be read from the message.
const (
	maxSummaryLines     = 8 << 10
	maxSummaryIndex     = 4 << 10
	maxSummaryEnvelope  = 12 << 10
	maxSummaryBody      = 12 << 10
	maxSummaryStructure = 18 << 10
	maxSummaryTree      = 9 << 10
)

// ErrNoSummary says that bytes are not a summary of this [SummaryVersion].
var ErrNoSummary = errors.New("not a summary of this version")

// Bits of the second byte of a summary.
const (
	summarySent        = 1 << iota // there is a date
	summaryNoEnvelope              // the envelope was too long, and so on
	summaryNoStructure             // BODY and BODYSTRUCTURE
	summaryNoTree
	summaryNoHeader // the size of the header is not known, and nothing is kept of it
)

// Summary is what mail programs ask about a message when they list a mailbox, in wire form, without the message. Its slices share the memory of the bytes that it was
// opened from, and must not be changed.
//
// The form, after version and flags: the sizes of message and header as uvarints; with summarySent the date as varints of Unix seconds and of minutes east of
// UTC; the fields that are not kept as the uvarint of a FieldSet; the uvarint of the length of the index; uvarints of the lengths of envelope, body, body structure and tree;
// the index, which has for each line its field's number and its length as a uvarint; the lines; then those four.
type Summary struct {
	size, header int64
	flags        byte
	sent         int64 // Unix seconds
	zone         int32 // minutes east of UTC
	unkept       FieldSet
	present      FieldSet // of which there are lines
	index, lines []byte
	envelope     []byte
	body         []byte
	structure    []byte
	tree         []byte
}

// OpenSummary reads an encoded summary, without copying it. Any bytes may be given: what is not a summary of this [SummaryVersion] gives [ErrNoSummary]. Only a checksum
// can tell whether a summary is that of a message, and undamaged.
func OpenSummary(enc []byte) (Summary, error) {
	var s Summary
	r := summaryReader{rest: enc}
	if len(enc) > MaxSummary || r.byte() != SummaryVersion {
		return Summary{}, ErrNoSummary
	}
	s.flags = r.byte()
	s.size, s.header = r.length(), r.length()
	if s.flags&summarySent != 0 {
		s.sent = r.varint()
		zone := r.varint()
		if s.zone = int32(zone); zone <= -24*60 || zone >= 24*60 || s.sent < minSent || s.sent > maxSent {
			r.failed = true
		}
	}
	s.unkept = FieldSet(r.uvarint())
	index, envelope, body, structure, tree := r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint(), r.uvarint()
	s.index = r.take(index)
	s.lines = r.take(s.readIndex(&r))
	s.envelope, s.body, s.structure, s.tree = r.take(envelope), r.take(body), r.take(structure), r.take(tree)
	if r.failed || len(r.rest) > 0 || s.header > s.size {
		return Summary{}, ErrNoSummary
	}
	return s, nil
}

// The dates that fields can hold: of the years 0 to 9999, with some room for zones.
const (
	minSent = -62_200_000_000
	maxSent = 253_500_000_000
)

// readIndex checks the index, notes which fields it has, and returns the length of all lines.
func (s *Summary) readIndex(r *summaryReader) (lines uint64) {
	for i := 0; i < len(s.index); {
		n := s.index[i]
		i++
		var length uint64
		if i < len(s.index) && s.index[i] < 0x80 {
			length = uint64(s.index[i])
			i++
		} else {
			v, used := binary.Uvarint(s.index[i:])
			if used <= 0 || v > maxSummaryLines {
				r.failed = true
				return 0
			}
			length = v
			i += used
		}
		s.present |= 1 << (n & 63)
		if int(n) >= len(summaryFields) {
			r.failed = true
		}
		lines += length
	}
	return lines
}

// Size returns the size of the message in bytes.
func (s *Summary) Size() int64 { return s.size }

// HeaderSize returns the length of the header with its empty line in bytes; ok is false when the summary does not know it.
func (s *Summary) HeaderSize() (n int64, ok bool) { return s.header, s.flags&summaryNoHeader == 0 }

// Envelope returns what [AppendEnvelope] makes of the header, or nil when the message has to be read for it.
func (s *Summary) Envelope() []byte { return s.unless(summaryNoEnvelope, s.envelope) }

// Body returns what [Part.AppendBody] makes of the message, or nil when the message has to be read for it.
func (s *Summary) Body() []byte { return s.unless(summaryNoStructure, s.body) }

// BodyStructure returns what [Part.AppendBodyStructure] makes of the message, or nil when the message has to be read for it.
func (s *Summary) BodyStructure() []byte { return s.unless(summaryNoStructure, s.structure) }

func (s *Summary) unless(flag byte, b []byte) []byte {
	if s.flags&flag != 0 {
		return nil
	}
	return b
}

// Lines returns the header fields that are kept, as they stand in the message, without an empty line.
func (s *Summary) Lines() Header { return s.lines }

// Has reports whether the summary has all that the message has of the fields in set. Else the header must be read.
func (s *Summary) Has(set FieldSet) bool { return s.flags&summaryNoHeader == 0 && s.unkept&set == 0 }

// FieldsLen returns how many bytes [Summary.AppendFields] appends; ok is false when it would not.
func (s *Summary) FieldsLen(set FieldSet) (n int, ok bool) {
	if !s.Has(set) {
		return 0, false
	}
	if s.present&^set == 0 {
		return len(s.lines) + 2, true
	}
	for it := s.iterate(); it.next(); {
		if set>>it.field&1 != 0 {
			n += it.end - it.start
		}
	}
	return n + 2, true
}

// AppendFields appends what [AppendHeaderFields] makes of the header for the fields in set: BODY[HEADER.FIELDS (...)]. ok is false, and nothing appended, when
// the header has to be read for it.
func (s *Summary) AppendFields(dst []byte, set FieldSet) (out []byte, ok bool) {
	if !s.Has(set) {
		return dst, false
	}
	if s.present&^set == 0 {
		return append(append(dst, s.lines...), '\r', '\n'), true
	}
	from, to := 0, 0 // what to append next: neighbours go together
	for it := s.iterate(); it.next(); {
		if set>>it.field&1 == 0 {
			continue
		}
		if it.start != to {
			dst = append(dst, s.lines[from:to]...)
			from = it.start
		}
		to = it.end
	}
	dst = append(dst, s.lines[from:to]...)
	return append(dst, '\r', '\n'), true
}

// Sent returns the date of the Date field, in the zone it was written with; ok is false when there is none that [ParseDate] understands.
func (s *Summary) Sent() (t time.Time, ok bool) {
	if s.flags&summarySent == 0 {
		return time.Time{}, false
	}
	zone := time.UTC
	if s.zone != 0 {
		zone = time.FixedZone("", int(s.zone)*60)
	}
	return time.Unix(s.sent, 0).In(zone), true
}

// SentDay returns the day of [Summary.Sent] in its own zone, as midnight UTC, which SENTBEFORE, SENTON and SENTSINCE compare. It costs less than Sent.
func (s *Summary) SentDay() (day time.Time, ok bool) {
	if s.flags&summarySent == 0 {
		return time.Time{}, false
	}
	const seconds = 24 * 60 * 60
	local := s.sent + int64(s.zone)*60
	return time.Unix(local-(local%seconds+seconds)%seconds, 0).UTC(), true
}

// SentKnown reports whether Sent and SentDay speak for the message; when not, the header has to be read.
func (s *Summary) SentKnown() bool { return s.flags&summaryNoHeader == 0 }

// lineIterator goes through the lines of a summary.
type lineIterator struct {
	index      []byte
	field      byte
	start, end int // in Summary.lines
}

func (s *Summary) iterate() lineIterator { return lineIterator{index: s.index} }

func (it *lineIterator) next() bool {
	if len(it.index) < 2 {
		return false
	}
	it.field = it.index[0]
	length, used := uint64(it.index[1]), 1
	if length >= 0x80 {
		length, used = binary.Uvarint(it.index[1:])
	}
	it.index = it.index[1+used:]
	it.start, it.end = it.end, it.end+int(length)
	return true
}

// summaryReader takes a summary apart. After a failure it returns zeros.
type summaryReader struct {
	rest   []byte
	failed bool
}

func (r *summaryReader) byte() byte {
	if len(r.rest) == 0 {
		r.failed = true
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

func (r *summaryReader) uvarint() uint64 {
	if len(r.rest) > 0 && r.rest[0] < 0x80 {
		v := uint64(r.rest[0])
		r.rest = r.rest[1:]
		return v
	}
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *summaryReader) varint() int64 {
	v := r.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// length reads a length; one that is no int64 fails.
func (r *summaryReader) length() int64 {
	v := r.uvarint()
	if bits.LeadingZeros64(v) == 0 {
		r.failed = true
		return 0
	}
	return int64(v)
}

func (r *summaryReader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}
