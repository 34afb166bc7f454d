package imapd

import (
	"fmt"
	"unsafe"
)

const (
	assembledBytes = 36 << 20 // of parts kept in memory
	assembledMany  = 25000    // messages in one command whose parts are kept; more would only push one another out
	assembledLeast = 32       // rows of a part that is worth keeping
	assembledCost  = 200      // bytes that each takes besides its own and the block with its rows
)

// assembled keeps parts of the answers to header lists and the like, as they were sent: programs ask for the flags of all messages whenever they open a mailbox, and
// several devices, or several connections of one, for the same header lists. A part is found by the rows that it was made of, which never change, so it is never out of date.
type assembled struct{ aging[assembledKey] }

// assembledKey tells what a part is of. It keeps the block with the rows in memory, so that their place is not used for others.
type assembledKey struct {
	first *row   // of the part; nil: it is not to be kept
	n     int    // rows
	index int    // of the first
	kind  string // what was asked for
}

// get returns a part, or nil. It must not be changed.
func (c *assembled) get(key *assembledKey) []byte {
	if key.first == nil {
		return nil
	}
	return c.aging.get(key)
}

// put keeps a copy of a part.
func (c *assembled) put(key *assembledKey, out []byte) {
	if key.first != nil {
		c.keep(key, out, blockRows*int(unsafe.Sizeof(row{}))+len(key.kind)+assembledCost, assembledBytes)
	}
}

// assembledKey returns the key of a part of the snapshot.
func (s *snapshot) assembledKey(p *part, kind string) assembledKey {
	if kind == "" || p.to-p.from < assembledLeast {
		return assembledKey{}
	}
	return assembledKey{s.at(p.from), p.to - p.from, p.from, kind}
}

// assembledKind describes what is asked for, when that comes from rows and summaries alone and is worth keeping; else it is "".
func (f *fetcher) assembledKind() string {
	o, items := f.options, f.items
	if f.readsBodies() || f.pos != nil || items.modifiers.changed || len(o.BinarySection)+len(o.BinarySectionSize)+len(items.extra) > 0 || count(f.spans) > assembledMany {
		return ""
	}
	kind := fmt.Appendf(nil, "%t %t %t %t %t %t %t", o.UID, o.Flags, o.InternalDate, o.Envelope, items.size, items.plain, items.structure)
	for k, b := range o.BodySection {
		kind = append(append(kind, ' '), f.sections[k].name...)
		if b.Partial != nil {
			kind = fmt.Appendf(kind, "%d", b.Partial.Size)
		}
	}
	return string(kind)
}

func (f *fetcher) assembled() *assembled { return &f.s.srv.bodies.assembled }
