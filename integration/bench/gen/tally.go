package gen

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
)

// ListFields are the header fields of Thunderbird's message list, whose bytes a Tally counts.
var ListFields = []string{"From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Priority",
	"X-Priority", "References", "Newsgroups", "In-Reply-To", "Content-Type", "Reply-To"}

// Tally sums up messages: what a correct server must answer about them.
type Tally struct {
	Messages  int
	Bytes     int64            // of the distinct messages
	Headers   int64            // bytes of the header blocks of all copies
	Copies    int              // messages counted once in each mailbox
	Mailboxes map[string]Total // by UTF-8 name
	Searches  []Search         // over AllMail
}

// Total is the content of one mailbox.
type Total struct {
	Messages    int
	Bytes       int64  // sum of RFC822.SIZE
	CRCSum      uint64 // sum of the messages' CRC-32C
	HeaderBytes int64  // sum of BODY[HEADER.FIELDS (...)] for ListFields
	HeaderCRC   uint64 // sum of their CRC-32C
	Dates       int64  // sum of the internal dates, Unix seconds
	IDs         uint64 // sum of the CRC-32C of the Message-IDs, with angle brackets
	Parts       int    // leaves of the MIME trees
	Seen        int    // messages with \Seen, as the next two
	Answered    int
	Flagged     int
}

// Search is an IMAP search and the number of messages in AllMail that match.
type Search struct {
	Name, Key string
	Count     int
}

const largerThan = 100000

var (
	sinceDate  = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	beforeDate = time.Date(2020, 7, 1, 0, 0, 0, 0, time.UTC)
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// NewTally starts to count a corpus' messages.
func (c *Corpus) NewTally() *Tally {
	const day = "2-Jan-2006"
	return &Tally{Mailboxes: map[string]Total{}, Searches: []Search{
		{Name: "subject", Key: "SUBJECT " + needleSubject},
		{Name: "from", Key: "FROM " + needleFrom},
		{Name: "dates", Key: "SINCE " + sinceDate.Format(day) + " BEFORE " + beforeDate.Format(day)},
		{Name: "larger", Key: fmt.Sprintf("LARGER %d", largerThan)},
		{Name: "message-id", Key: `HEADER Message-ID "` + messageID(c.seed, c.Len()/2) + `"`},
		{Name: "body", Key: "BODY " + needleBody},
		{Name: "text", Key: "TEXT " + needleBody},
	}}
}

// Add counts a message.
func (t *Tally) Add(m Message) {
	t.Messages++
	t.Bytes += int64(len(m.Raw))
	t.Headers += m.header * int64(len(m.Mailboxes))
	one := m.total()
	for _, name := range m.Mailboxes {
		t.Mailboxes[name] = t.Mailboxes[name].plus(one)
		t.Copies++
	}
	inDates := !m.Date.Before(sinceDate) && m.Date.Before(beforeDate)
	for i, hit := range []bool{m.subjectHit, m.fromHit, inDates, len(m.Raw) > largerThan, m.sample, m.bodyHit, m.bodyHit} {
		if hit {
			t.Searches[i].Count++
		}
	}
}

// total is that of a mailbox with this message alone.
func (m *Message) total() Total {
	one := Total{Messages: 1, Bytes: int64(len(m.Raw)), CRCSum: checksum(m.Raw), HeaderBytes: m.list.bytes, HeaderCRC: m.list.crc,
		Dates: m.Date.Unix(), IDs: checksum([]byte(m.messageID)), Parts: m.parts}
	for _, f := range m.Flags {
		switch f {
		case `\Seen`:
			one.Seen = 1
		case `\Answered`:
			one.Answered = 1
		case `\Flagged`:
			one.Flagged = 1
		}
	}
	return one
}

func (t Total) plus(o Total) Total {
	return Total{t.Messages + o.Messages, t.Bytes + o.Bytes, t.CRCSum + o.CRCSum, t.HeaderBytes + o.HeaderBytes, t.HeaderCRC + o.HeaderCRC,
		t.Dates + o.Dates, t.IDs + o.IDs, t.Parts + o.Parts, t.Seen + o.Seen, t.Answered + o.Answered, t.Flagged + o.Flagged}
}

func checksum(p []byte) uint64 { return uint64(crc32.Checksum(p, castagnoli)) }

// listed is BODY[HEADER.FIELDS (ListFields)] of one message: its length and CRC-32C.
type listed struct {
	bytes int64
	crc   uint64
}

// listFields takes those fields with their folded lines, and the empty line.
func listFields(header []byte) listed {
	var out []byte
	take := false
	for line := range bytes.Lines(header) {
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			take = len(line) == 2 || slices.ContainsFunc(ListFields, func(f string) bool { return strings.EqualFold(f, string(name)) })
		}
		if take {
			out = append(out, line...)
		}
	}
	return listed{int64(len(out)), checksum(out)}
}
