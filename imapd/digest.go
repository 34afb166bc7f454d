package imapd

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"

	"mailkeep/archive"
	"mailkeep/message"
)

// digest is what sorting and threading need of a message's header.
type digest struct {
	sent    int64 // Unix seconds of the Date field
	dated   bool  // there is such a field, and it can be read
	reply   bool  // the subject is that of a reply or a forward
	subject string
	from    string // local part of the first address, folded as all strings here
	to      string
	cc      string
	// What RFC 5957 sorts by: the name, or the address without one.
	fromShown string
	toShown   string
	id        messageID   // 0: none
	refs      []messageID // the messages that this one replies to, the oldest first
}

// messageID stands for the identifier of a message: 64 bits of its SHA-256, which are the same whenever they are computed.
type messageID uint64

func hashID(id string) messageID {
	sum := sha256.Sum256([]byte(id))
	return messageID(binary.BigEndian.Uint64(sum[:]) | 1) // never 0
}

// digestBytes bounds what is kept of digests.
const digestBytes = 64 << 20

// digests keeps what was read of headers, of about 200,000 messages at most.
type digests struct {
	mu    sync.Mutex
	known map[archive.Ref]*digest
	bytes int
}

func (d *digests) get(ref archive.Ref) *digest {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[ref]
}

func (d *digests) put(ref archive.Ref, new *digest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = make(map[archive.Ref]*digest)
	}
	if d.known[ref] == nil {
		d.bytes += new.cost()
	}
	d.known[ref] = new
	for old, dig := range d.known { // whichever: a mailbox that does not fit is read from end to end again
		if d.bytes <= digestBytes {
			break
		}
		d.bytes -= dig.cost()
		delete(d.known, old)
	}
}

func (d *digest) cost() int {
	return 256 + len(d.subject) + len(d.from) + len(d.to) + len(d.cc) + len(d.fromShown) + len(d.toShown) + 8*len(d.refs)
}

// digest returns the digest of a message, from its summary or else from its header when it is not known.
func (s *source) digest() (*digest, error) {
	if d := s.bodies.digests.get(s.row.ref); d != nil {
		return d, nil
	}
	header, err := s.digestHeader()
	if err != nil {
		return nil, err
	}
	d := digestOf(header)
	s.bodies.digests.put(s.row.ref, d)
	return d, nil
}

// digestFields are the header fields that digestOf looks at.
var digestFields, _ = message.NewFieldSet([]string{"Subject", "From", "To", "Cc", "Date", "Message-ID", "References", "In-Reply-To"})

// digestHeader returns what digestOf needs of the header: from the summary where there is one.
func (s *source) digestHeader() (message.Header, error) {
	if sum := s.summary(); sum != nil && sum.Has(digestFields) {
		return sum.Lines(), nil
	}
	n, err := s.headerSize()
	if err != nil {
		return nil, err
	}
	return s.bytes(0, n)
}

// digestText bounds each string of a digest. What differs only behind that counts as equal.
const digestText = 1 << 10

// maxReferences bounds how many of a message's references are kept: the oldest and the latest.
const maxReferences = 1000

// digestOf makes the digest of a header.
func digestOf(h message.Header) *digest {
	d := new(digest)
	// Folded first: then the wide colon behind a Chinese "Re" is a colon.
	d.subject, d.reply = message.BaseSubject(fold(h.Text("Subject")))
	d.from, d.fromShown = firstAddress(h, "From")
	d.to, d.toShown = firstAddress(h, "To")
	d.cc, _ = firstAddress(h, "Cc")
	if t, ok := message.ParseDate(h.Get("Date")); ok {
		d.sent, d.dated = t.Unix(), true
	}
	if id := h.MessageID(); id != "" {
		d.id = hashID(id)
	}
	refs := h.References()
	if len(refs) > maxReferences {
		refs = append(refs[:maxReferences/2:maxReferences/2], refs[len(refs)-maxReferences/2:]...)
	}
	for _, id := range refs {
		d.refs = append(d.refs, hashID(id))
	}
	return d
}

func fold(s string) string {
	return message.Fold(s[:min(len(s), digestText)])
}

// firstAddress returns the local part of the first address of a field (RFC 5256 section 3) and what is shown of it (RFC 5957 section 3): the display name, or the
// address without one. A group is both by its name.
func firstAddress(h message.Header, field string) (mailbox, shown string) {
	list := h.Addresses(field)
	if len(list) == 0 {
		return "", ""
	}
	a := list[0]
	shown = message.DecodeWords(a.Name)
	switch {
	case shown != "":
	case a.Host != "":
		shown = a.Mailbox + "@" + a.Host
	default:
		shown = message.DecodeWords(a.Mailbox)
	}
	return fold(a.Mailbox), fold(shown)
}
