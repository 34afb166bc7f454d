package imapd

import (
	"strconv"
	"strings"
	"time"

	"mailkeep/archive"
)

// row is what is kept in memory of one message of an open mailbox. It has a fixed size and no pointers: there may be a million of them, which the garbage collector
// shall not have to look at. What is not a number stands in the tables of the snapshot.
type row struct {
	ref     archive.Ref // zero: the message has been taken out of the archive since
	message archive.MessageID
	size    int64
	date    int64 // INTERNALDATE, Unix seconds
	modSeq  archive.ModSeq
	source  uint64 // the number that SourceID is; with oddSource its place in tables.odd
	thread  uint64 // as source
	uid     archive.UID
	flags   uint32 // place in tables.flags
	zone    int16  // of date, minutes east of UTC
	oddness uint8  // which of source and thread are not numbers
}

const (
	oddSource = 1 << iota
	oddThread
)

// internalDate is INTERNALDATE in the zone that the source gave.
func (r *row) internalDate() time.Time {
	if r.zone == 0 {
		return time.Unix(r.date, 0).UTC()
	}
	return time.Unix(r.date, 0).In(time.FixedZone("", int(r.zone)*60))
}

// flagSet is a list of flags that some messages have.
type flagSet struct {
	text string // as the archive has it, without what the grammar has no room for
	item string // FLAGS (...), in wire form
	seen bool
}

// has reports whether flag, in any case, is in the set.
func (s *flagSet) has(flag string) bool { return hasFlag(s.text, flag) }

// tables hold what rows refer to by number. They only grow, so that a snapshot may go on using the part that it was made with.
type tables struct {
	flags   []flagSet
	odd     []string
	byFlags map[string]uint32
	byOdd   map[string]uint64
}

func newTables() *tables {
	return &tables{byFlags: make(map[string]uint32), byOdd: make(map[string]uint64)}
}

// flagsNumber returns the place of a list of flags.
func (t *tables) flagsNumber(text string) uint32 {
	if n, ok := t.byFlags[text]; ok {
		return n
	}
	clean := withoutBadFlags(text)
	n, ok := t.byFlags[clean]
	if !ok {
		n = uint32(len(t.flags))
		t.flags = append(t.flags, flagSet{text: clean, item: string(appendFlags(nil, clean)), seen: hasFlag(clean, `\Seen`)})
		t.byFlags[clean] = n
	}
	t.byFlags[text] = n
	return n
}

// withoutBadFlags leaves out the flags that the grammar has no room for: those with a "]", which some servers send all the same (RFC 9051 section 9, "atom"). The archive keeps
// them, but strict clients, go-imap for one, close the connection over them, and none can search for them.
func withoutBadFlags(text string) string {
	if !strings.Contains(text, "]") {
		return text
	}
	var kept []string
	for f := range strings.FieldsSeq(text) {
		if !strings.Contains(f, "]") {
			kept = append(kept, f)
		}
	}
	return strings.Join(kept, " ")
}

// idNumber returns the number that an identifier of the source is, or else its place; "" is 0.
func (t *tables) idNumber(id string) (n uint64, odd bool) {
	if id == "" {
		return 0, false
	}
	if n, err := strconv.ParseUint(id, 10, 64); err == nil && id[0] >= '1' && id[0] <= '9' {
		return n, false
	}
	n, ok := t.byOdd[id]
	if !ok {
		n = uint64(len(t.odd))
		t.odd = append(t.odd, id)
		t.byOdd[id] = n
	}
	return n, true
}

// row makes a row of an entry.
func (t *tables) row(e *archive.Entry) row {
	_, offset := e.Date.Zone()
	r := row{
		ref: e.Ref, message: e.Message, size: e.Size, date: e.Date.Unix(), modSeq: e.ModSeq, uid: e.UID,
		flags: t.flagsNumber(e.Flags), zone: int16(offset / 60),
	}
	var odd bool
	if r.source, odd = t.idNumber(e.SourceID); odd {
		r.oddness |= oddSource
	}
	if r.thread, odd = t.idNumber(e.ThreadID); odd {
		r.oddness |= oddThread
	}
	return r
}

// cost is about how many bytes the tables take.
func (t *tables) cost() int64 {
	return int64(len(t.flags))*200 + int64(len(t.odd))*120
}
