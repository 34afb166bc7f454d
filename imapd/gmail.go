package imapd

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
	"mailkeep/message"
)

// This file is X-GM-EXT-1: Gmail's identifiers and labels. Clients that see it announced ask for them in every mailbox, so messages of other accounts have them too: their
// identifiers are made from the message itself, equal for equal bytes, and their labels are the mailboxes that hold a copy.

// gmailCapability announces X-GM-EXT-1, unless Thunderbird would then take a tree of mailboxes apart: of a server that it takes for Gmail it shows no folder that cannot be selected,
// and what is below it one level higher. For Gmail's own "[Gmail]" that is meant so; but it would put the labels of several accounts into one heap, and "lists/choir" would be
// "choir" where there is no "lists". The items are served in any case.
func (s *session) gmailCapability() string {
	if t, err := s.tree(); err != nil || t.levels {
		return ""
	}
	return " X-GM-EXT-1"
}

// isGmailFolder reports whether a name is that of the folder in which Gmail keeps its own mailboxes; in Germany and Britain it once was called differently.
func isGmailFolder(name string) bool { return name == "[Gmail]" || name == "[Google Mail]" }

// derivedID marks identifiers that are not Gmail's. Gmail's begin with the time in milliseconds and stay below it until the year 2109; clients that keep them as
// signed numbers can hold both.
const derivedID = 1 << 62

// derive makes an identifier of 62 bits from some.
func derive(bits uint64) uint64 { return bits>>2 | derivedID }

// gmailID is the X-GM-MSGID of a message.
func gmailID(r *row, gmail bool) uint64 {
	if gmail && r.source != 0 && r.oddness&oddSource == 0 {
		return r.source
	}
	return derive(binary.BigEndian.Uint64(r.ref[:]))
}

// knownThread is the X-GM-THRID of a message when the archive has been told its thread.
func knownThread(src *source, gmail bool) (id uint64, ok bool) {
	r := src.row
	if gmail {
		return r.thread, r.thread != 0 && r.oddness&oddThread == 0
	}
	if name := src.snap.threadID(r); name != "" {
		sum := sha256.Sum256([]byte("thread " + name))
		id, ok = derive(binary.BigEndian.Uint64(sum[:])), true
	}
	return id, ok
}

// threadID is the X-GM-THRID of a message: the source's, or else one that all messages have in common whose oldest reference is the same.
func threadID(src *source, gmail bool) (uint64, error) {
	if id, ok := knownThread(src, gmail); ok {
		return id, nil
	}
	d, err := src.digest()
	switch {
	case err != nil:
		return 0, err
	case len(d.refs) > 0:
		return derive(uint64(d.refs[0])), nil
	case d.id != 0:
		return derive(uint64(d.id)), nil
	}
	return derive(binary.BigEndian.Uint64(src.row.ref[:])), nil
}

func (f *fetcher) gmailMessageID(dst []byte, src *source) ([]byte, error) {
	return strconv.AppendUint(dst, gmailID(src.row, f.s.gmail), 10), nil
}

func (f *fetcher) gmailThreadID(dst []byte, src *source) ([]byte, error) {
	id, err := threadID(src, f.s.gmail)
	return strconv.AppendUint(dst, id, 10), err
}

// gmailLabels appends the labels of a message without that of the selected mailbox, as Gmail does.
func (f *fetcher) gmailLabels(dst []byte, src *source) ([]byte, error) {
	if f.labels == nil {
		var err error
		if f.labels, err = f.s.labelWriter(f.snap, f.spans); err != nil {
			return dst, err
		}
	}
	return f.labels.append(dst, src.row.uid), nil
}

// labelWriter writes the label lists of one mailbox.
type labelWriter struct {
	labels *archive.Labels
	tree   *mailboxTree
	own    archive.MailboxID
	utf8   bool
	lists  map[*archive.MailboxID]string // by the first element of a combination
}

// labelWriter reads the labels of the messages in spans.
func (s *session) labelWriter(snap *snapshot, spans []span) (*labelWriter, error) {
	labels, err := s.labels(s.ctx(), snap, spans)
	if err != nil {
		return nil, s.translate(err)
	}
	tree, err := s.tree()
	if err != nil {
		return nil, s.translate(err)
	}
	return &labelWriter{labels: labels, tree: tree, own: s.selectedID(), utf8: s.utf8(), lists: make(map[*archive.MailboxID]string)}, nil
}

// clone returns a writer of the same labels for another goroutine.
func (w *labelWriter) clone() *labelWriter {
	c := *w
	c.lists = make(map[*archive.MailboxID]string)
	return &c
}

func (w *labelWriter) append(dst []byte, uid archive.UID) []byte {
	boxes := w.labels.Of(uid)
	if len(boxes) == 0 {
		return append(dst, "()"...)
	}
	list, ok := w.lists[&boxes[0]]
	if !ok {
		list = w.list(boxes)
		w.lists[&boxes[0]] = list
	}
	return append(dst, list...)
}

func (w *labelWriter) list(boxes []archive.MailboxID) string {
	out := []byte{'('}
	for _, id := range boxes {
		n := w.tree.byBox[id]
		if n == nil || id == w.own || n.use == `\All` {
			continue // All Mail is no label
		}
		if len(out) > 1 {
			out = append(out, ' ')
		}
		out = appendLabel(out, n, w.utf8)
	}
	return string(append(out, ')'))
}

// systemLabels are Gmail's words for mailboxes with a special use.
var systemLabels = map[string]string{
	`\Sent`: `\Sent`, `\Flagged`: `\Starred`, `\Important`: `\Important`, `\Drafts`: `\Draft`, `\Junk`: `\Spam`, `\Trash`: `\Trash`,
}

// systemLabel is Gmail's word for n, or "". Below the top folder of an account the words would not say whose mailbox is meant: there a label is the
// name of the mailbox, which is how clients look for it too.
func (n *node) systemLabel() string {
	switch {
	case n.nested:
		return ""
	case n.name == inbox:
		return `\Inbox`
	}
	return systemLabels[n.use]
}

// appendLabel appends a label as Gmail writes it: an atom where that is possible, else a string.
func appendLabel(dst []byte, n *node, utf8 bool) []byte {
	name := n.systemLabel()
	if name == "" && utf8 {
		name = n.name
	} else if name == "" {
		name = n.wire
	}
	switch {
	case isAtom(name):
		return append(dst, name...)
	case utf8:
		return appendUTF8(dst, name)
	}
	return message.AppendString(dst, name)
}

// isAtom reports whether s can stand without quotes where a string is expected.
func isAtom(s string) bool {
	return s != "" && !strings.EqualFold(s, "NIL") && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
	}) < 0
}

// labelCache keeps the labels of a view for as long as nothing is written to the archive.
type labelCache struct {
	mu      sync.Mutex
	version int64
	labels  *archive.Labels
}

// fewLabels is up to how many messages labels are read for them alone, when those of the mailbox are not known.
const fewLabels = 1000

// labels returns the labels of the messages in spans, and maybe of others.
func (s *session) labels(ctx context.Context, snap *snapshot, spans []span) (*archive.Labels, error) {
	if len(spans) == 0 || snap.len() == 0 {
		return new(archive.Labels), nil
	}
	s.mu.Lock()
	v := s.box.view
	s.mu.Unlock()
	c := &v.labels
	c.mu.Lock()
	defer c.mu.Unlock()
	version, err := s.srv.reader.Version(ctx)
	if err != nil {
		return nil, err
	}
	if c.labels != nil && c.version == version {
		return c.labels, nil
	}
	from, to := spans[0].from, spans[len(spans)-1].to-1
	if to-from < fewLabels {
		return s.srv.reader.Labels(ctx, v.id, snap.at(from).uid, snap.at(to).uid)
	}
	c.labels, err = s.srv.reader.Labels(ctx, v.id, 0, snap.next())
	c.version = version
	return c.labels, err
}

// selectedID is the selected mailbox; 0 for none, or for an INBOX that no account has.
func (s *session) selectedID() archive.MailboxID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box == nil {
		return 0
	}
	return s.box.view.id
}

// searchGmailID compiles the search keys X-GM-MSGID and X-GM-THRID.
func searchGmailID(s *session, key, value string) (rowTest, *imap.Error) {
	want, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return nil, badSearch(key + " wants a number")
	}
	gmail := s.gmail
	if key == "X-GM-MSGID" {
		return func(m *candidate) bool { return gmailID(m.row, gmail) == want }, nil
	}
	return func(m *candidate) bool { return m.threadID(gmail, want) == want }, nil
}

// threadID is the message's X-GM-THRID. The header is not read for one that cannot be the one wanted.
func (m *candidate) threadID(gmail bool, want uint64) uint64 {
	if id, ok := knownThread(&m.src, gmail); ok {
		return id
	}
	if want&^(derivedID-1) != derivedID {
		return 0
	}
	id, err := threadID(&m.src, gmail)
	if err != nil {
		m.err = err
	}
	return id
}

// searchLabels compiles the search key X-GM-LABELS. The label of the selected mailbox, which FETCH leaves out, is found as well.
func searchLabels(s *session, _, value string) (rowTest, *imap.Error) {
	tree, err := s.tree()
	if err != nil {
		return nil, unreadable(s, err)
	}
	want := make(map[archive.MailboxID]bool)
	for _, n := range tree.nodes {
		if n.box != 0 && n.use != `\All` && n.hasLabel(value) {
			want[n.box] = true
		}
	}
	labels, err := s.searchedLabels()
	if err != nil {
		return nil, unreadable(s, err)
	}
	return func(m *candidate) bool {
		for _, id := range labels.Of(m.row.uid) {
			if want[id] {
				return true
			}
		}
		return false
	}, nil
}

// searchedLabels returns the labels in the selected mailbox. A command may ask for many, and several processors may work on it: the archive is asked once.
func (s *session) searchedLabels() (*archive.Labels, error) {
	cmd := &s.conn.cmd
	if cmd.labels != nil {
		return cmd.labels, nil
	}
	snap, err := s.selected(s.ctx())
	if err == nil {
		cmd.labels, err = s.labels(s.ctx(), snap, []span{{0, snap.len()}})
	}
	return cmd.labels, err
}

// hasLabel reports whether value is a name of n as a label: decoded, or as it stands in a label list.
func (n *node) hasLabel(value string) bool {
	if system := n.systemLabel(); system != "" {
		return strings.EqualFold(system, value)
	}
	return strings.EqualFold(n.name, value) || n.wire == value
}

// searchRaw answers the search key X-GM-RAW, Gmail's own query language.
func searchRaw(*session, string, string) (rowTest, *imap.Error) {
	return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeCannot, Text: "X-GM-RAW is not offered by this archive, use other search keys"}
}
