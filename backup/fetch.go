package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/archive"
	"mailkeep/backup/wire"
)

// meta is what a server says of one message short of its bytes.
type meta struct {
	uid         uint32
	hasFlags    bool
	flags       []string
	date        time.Time // zero when not told
	size        int64     // RFC822.SIZE; -1 when not told
	gmail       wire.GmailItems
	emailID     string
	threadID    string
	fingerprint archive.Fingerprint // none when the header was not asked for or does not make the message unique
}

// wants selects what to ask; UID and FLAGS always are.
type wants struct {
	fixed  bool // INTERNALDATE and RFC822.SIZE, which never change
	gmail  bool
	object bool
	header bool
}

// cost is how many bytes an answer about n messages may have; hardly any has more.
func (w wants) cost(n int64) int64 {
	if w.header {
		return n * 700
	}
	return n * 250
}

func (w wants) options(since uint64) *imap.FetchOptions {
	o := &imap.FetchOptions{UID: true, Flags: true, InternalDate: w.fixed, RFC822Size: w.fixed || w.header, ChangedSince: since}
	if w.gmail {
		o.BodySection = append(o.BodySection, wire.GmailSection())
	}
	if w.object {
		o.BodySection = append(o.BodySection, wire.ObjectSection())
	}
	if w.header {
		o.BodySection = append(o.BodySection, headerSection())
	}
	return o
}

func headerSection() *imap.FetchItemBodySection {
	return &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, Peek: true}
}

func bodySection() *imap.FetchItemBodySection { return &imap.FetchItemBodySection{Peek: true} }

// maxHeader bounds the header block that is held to compute a fingerprint; a longer one has none. maxItems bounds the agreed sections.
const (
	maxHeader = 1 << 20
	maxItems  = wire.MaxItem + 4<<10
)

// fetchMeta asks for all of set, or only those that changed after since, and calls f for each message that the server tells of, once. When f fails, its error is
// returned and the connection is unusable. A refusal by the server is returned after everything that did arrive.
func (s *Session) fetchMeta(set uidSet, w wants, since uint64, f func(*meta) error) error {
	return s.takeMeta(s.startMeta(set, w, since), w, f)
}

// startMeta sends the command of fetchMeta; takeMeta reads the answer.
func (s *Session) startMeta(set uidSet, w wants, since uint64) *imapclient.FetchCommand {
	s.commands++
	return s.Client.Fetch(set.imap(), w.options(since))
}

func (s *Session) takeMeta(cmd *imapclient.FetchCommand, w wants, f func(*meta) error) error {
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		m, err := readMeta(msg, w)
		if err != nil {
			return s.broken(err)
		}
		if m.uid == 0 {
			continue
		}
		if err := f(m); err != nil {
			s.cut(cmd)
			return err
		}
	}
	return cmd.Close()
}

func readMeta(msg *imapclient.FetchMessageData, w wants) (*meta, error) {
	m := &meta{size: -1}
	var header []byte
	for item := msg.Next(); item != nil; item = msg.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			m.uid = uint32(item.UID)
		case imapclient.FetchItemDataFlags:
			m.hasFlags = true
			for _, flag := range item.Flags {
				m.flags = append(m.flags, wire.FlagName(flag))
			}
		case imapclient.FetchItemDataInternalDate:
			m.date = item.Time
		case imapclient.FetchItemDataRFC822Size:
			m.size = item.Size
		case imapclient.FetchItemDataBodySection:
			block, err := m.section(&item)
			if err != nil {
				return nil, err
			}
			if block != nil {
				header = block
			}
		}
	}
	if w.header && m.size >= 0 && distinctive(header) {
		m.fingerprint = archive.FingerprintOf(header, m.size)
	}
	return m, nil
}

// section reads one of the sections that wants may ask for; it returns the header block if it is that.
func (m *meta) section(item *imapclient.FetchItemDataBodySection) ([]byte, error) {
	if item.Literal == nil {
		return nil, nil
	}
	limit := int64(maxItems)
	isHeader := item.MatchCommand(headerSection())
	if isHeader {
		limit = maxHeader
	}
	if item.Literal.Size() > limit {
		_, err := io.Copy(io.Discard, item.Literal)
		return nil, err
	}
	b := make([]byte, item.Literal.Size())
	_, err := io.ReadFull(item.Literal, b)
	if err != nil {
		return nil, err
	}
	switch {
	case isHeader:
		return b, nil
	case item.MatchCommand(wire.GmailSection()):
		// What could not be read counts as not told: it is asked for again.
		m.gmail, err = wire.ParseGmail(b)
		if err != nil {
			m.gmail = wire.GmailItems{MsgID: m.gmail.MsgID}
		}
	case item.MatchCommand(wire.ObjectSection()):
		m.emailID, m.threadID, err = wire.ParseObject(b)
		if err != nil {
			m.emailID, m.threadID = "", ""
		}
	}
	return nil, nil
}

// arrived is a message that was fetched.
type arrived struct {
	uid         uint32
	ref         archive.Ref
	size        int64 // of its bytes
	fingerprint archive.Fingerprint
}

// putter stores a message; archive.Writer is one.
type putter interface {
	Put(io.Reader) (archive.Ref, int64, error)
}

// broken ends the connection after a literal could not be read to its end. The rest of the answer must not be touched: the client's reader takes the error for the end
// of the literal and is at work on the same buffer again.
func (s *Session) broken(err error) error {
	_ = s.conn.Close()
	return err
}

// cut ends the connection while an answer is being read. What has arrived of it must be taken, or the client's reader waits for ever.
func (s *Session) cut(cmd *imapclient.FetchCommand) {
	_ = s.conn.Close()
	_ = cmd.Close()
}

// startBodies sends the command for the bodies of set; readBodies takes the answer. Several may be under way: they are read in the order of their sending.
func (s *Session) startBodies(set uidSet) *imapclient.FetchCommand {
	s.commands++
	return s.Client.Fetch(set.imap(), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{bodySection()}})
}

// readBodies streams the answer into the archive and calls f for each complete message. A refusal by the server is returned after what did arrive; after any other
// error the connection is unusable. A message counts as complete only when what follows it was understood, too: a server that announces the wrong length is found out
// behind the message, not in it.
func (s *Session) readBodies(cmd *imapclient.FetchCommand, to putter, f func(arrived)) error {
	var last arrived
	deliver := func(next arrived) {
		if last.uid != 0 && !last.ref.IsZero() {
			f(last)
		}
		last = next
	}
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		one, err := readBody(msg, to)
		if errors.Is(err, ErrArchive) {
			s.cut(cmd)
			return err
		}
		if err != nil {
			return s.broken(err)
		}
		deliver(one)
	}
	err := cmd.Close()
	if err == nil || answered(err) != nil {
		deliver(arrived{})
	}
	return err
}

func readBody(msg *imapclient.FetchMessageData, to putter) (arrived, error) {
	var one arrived
	for item := msg.Next(); item != nil; item = msg.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			one.uid = uint32(item.UID)
		case imapclient.FetchItemDataBodySection:
			if item.Literal == nil || !item.MatchCommand(bodySection()) || !one.ref.IsZero() {
				continue
			}
			if err := one.store(item.Literal, to); err != nil {
				return one, err
			}
		}
	}
	return one, nil
}

func (one *arrived) store(literal imap.LiteralReader, to putter) error {
	in := &bodyReader{r: literal, want: literal.Size()}
	ref, size, err := to.Put(in)
	if in.err != nil {
		return in.err
	}
	if err != nil {
		return archiveFailure(err)
	}
	one.ref, one.size = ref, size
	if block := in.headerBlock(); distinctive(block) {
		one.fingerprint = archive.FingerprintOf(block, size)
	}
	return nil
}

// bodyReader passes a literal on, notes why reading it failed, and keeps the header block.
type bodyReader struct {
	r    io.Reader
	want int64 // bytes still to come
	err  error
	head []byte
	end  int // of the header block in head, 0 while not met
	over bool
}

func (b *bodyReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	b.want -= int64(n)
	b.sniff(p[:n])
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		b.err = fmt.Errorf("read a message: %w", err)
	case b.want != 0:
		b.err = fmt.Errorf("read a message: %d bytes are missing: %w", b.want, io.ErrUnexpectedEOF)
		err = b.err
	}
	return n, err
}

var headerEnd = []byte("\r\n\r\n")

func (b *bodyReader) sniff(p []byte) {
	if b.end > 0 || b.over {
		return
	}
	from := max(0, len(b.head)-len(headerEnd)+1)
	if len(b.head)+len(p) > maxHeader {
		p = p[:maxHeader-len(b.head)]
		b.over = true
	}
	b.head = append(b.head, p...)
	if i := bytes.Index(b.head[from:], headerEnd); i >= 0 {
		b.end = from + i + len(headerEnd)
		b.head = b.head[:b.end]
	}
}

func (b *bodyReader) headerBlock() []byte {
	if b.end == 0 {
		return nil
	}
	return b.head
}

// listUIDs returns the UIDs of the examined mailbox, or of those from first on.
func (s *Session) listUIDs(first uint32) (uidSet, error) {
	criteria := &imap.SearchCriteria{}
	if first > 1 {
		criteria.UID = []imap.UIDSet{{{Start: imap.UID(first), Stop: 0}}}
	}
	var o *imap.SearchOptions
	if s.caps.Has(imap.CapESearch) || s.caps.Has(imap.CapIMAP4rev2) {
		o = &imap.SearchOptions{ReturnAll: true}
	}
	s.commands++
	data, err := s.Client.UIDSearch(criteria, o).Wait()
	if err != nil {
		return nil, err
	}
	set := uidSetOf(data.All)
	if first > 1 {
		// "n:*" also means the last message when its UID is below n.
		set = set.minus(uidSet{{1, first - 1}})
	}
	return set, nil
}

// listed tells whether the examined mailbox lists a UID.
func (s *Session) listed(uid uint32) (bool, error) {
	s.commands++
	data, err := s.Client.UIDSearch(&imap.SearchCriteria{UID: []imap.UIDSet{imap.UIDSetNum(imap.UID(uid))}}, nil).Wait()
	return uidSetOf(data.All).has(uid), err
}

// listUIDsByFetch is listUIDs by another way, for a server whose SEARCH contradicts its EXISTS.
func (s *Session) listUIDsByFetch() (uidSet, error) {
	var set uidSet
	s.commands++
	cmd := s.Client.Fetch(imap.UIDSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{UID: true})
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		for item := msg.Next(); item != nil; item = msg.Next() {
			if uid, ok := item.(imapclient.FetchItemDataUID); ok {
				set.add(uint32(uid.UID))
			}
		}
	}
	return set, cmd.Close()
}

// examine opens a mailbox read-only. With fresh it does so even when the mailbox is open already.
func (s *Session) examine(name string, fresh bool) (*imap.SelectData, error) {
	if s.mailbox == name && !fresh {
		return s.box, nil
	}
	s.mailbox, s.box, s.opening = "", nil, nil
	s.commands++
	data, err := s.Client.Select(name, s.examineOptions()).Wait()
	if err != nil {
		return nil, err
	}
	s.mailbox, s.box = name, data
	return data, nil
}
