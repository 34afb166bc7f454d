package backup

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/archive"
)

// listing is a mailbox that the server lists and that can be opened.
type listing struct {
	name      string // decoded to UTF-8
	delim     string // "" when the server has no hierarchy
	use       string // RFC 6154 attribute or ""
	hasStatus bool
	status    archive.FolderState
}

// specialUses are the attributes that name a purpose, in the order in which one of several is taken. \Important is RFC 8457's.
var specialUses = []string{`\All`, `\Junk`, `\Trash`, `\Sent`, `\Drafts`, `\Archive`, `\Flagged`, `\Important`}

// list returns all mailboxes that can be opened, with their status where the server says it in the same answer or, one by one, when asked.
func (s *Session) list() (boxes []listing, err error) {
	data, err := s.listRaw()
	if err != nil {
		return nil, err
	}
	for _, d := range data {
		if hasAttr(d, imap.MailboxAttrNoSelect) || hasAttr(d, imap.MailboxAttrNonExistent) || d.Mailbox == "" {
			continue
		}
		l := listing{name: d.Mailbox, use: specialUse(d)}
		if d.Delim != 0 {
			l.delim = string(d.Delim)
		}
		l.setStatus(d.Status)
		if !slices.ContainsFunc(boxes, func(b listing) bool { return b.name == l.name }) {
			boxes = append(boxes, l)
		}
	}
	if len(boxes) == 0 {
		return nil, fail(ErrProtocol, nil, "list mailboxes: the server shows none at all; check in a mail program whether the account is empty or disabled")
	}
	return boxes, s.fillStatus(boxes)
}

func (s *Session) listRaw() ([]*imap.ListData, error) {
	o := &imap.ListOptions{ReturnSpecialUse: s.caps.Has(imap.CapSpecialUse)}
	if s.caps.Has(imap.CapListStatus) {
		o.ReturnStatus = s.statusOptions()
	}
	s.commands++
	data, err := s.Client.List("", "*", o).Collect()
	if refused(err) != nil && *o != (imap.ListOptions{}) {
		// Not every server that announces the options understands them together.
		s.commands++
		data, err = s.Client.List("", "*", nil).Collect()
	}
	return data, err
}

func (s *Session) statusOptions() *imap.StatusOptions {
	return &imap.StatusOptions{NumMessages: true, UIDNext: true, UIDValidity: true, HighestModSeq: s.caps.Has(imap.CapCondStore)}
}

// fillStatus asks for what LIST did not tell. A mailbox that refuses stays without: reading it will tell why.
func (s *Session) fillStatus(boxes []listing) error {
	const pipelined = 50
	var missing []int
	for i := range boxes {
		if !boxes[i].hasStatus {
			missing = append(missing, i)
		}
	}
	for chunk := range slices.Chunk(missing, pipelined) {
		commands := make([]*imapclient.StatusCommand, len(chunk))
		for k, i := range chunk {
			s.commands++
			commands[k] = s.Client.Status(boxes[i].name, s.statusOptions())
		}
		for k, i := range chunk {
			data, err := commands[k].Wait()
			if err != nil && refused(err) == nil {
				return err
			}
			if err == nil {
				boxes[i].setStatus(data)
			}
		}
	}
	return nil
}

func (l *listing) setStatus(d *imap.StatusData) {
	if d == nil || d.NumMessages == nil || d.UIDValidity == 0 {
		return
	}
	l.hasStatus = true
	l.status = archive.FolderState{UIDValidity: d.UIDValidity, UIDNext: uint32(d.UIDNext), ModSeq: d.HighestModSeq, Messages: *d.NumMessages}
}

func hasAttr(d *imap.ListData, attr imap.MailboxAttr) bool {
	return slices.ContainsFunc(d.Attrs, func(a imap.MailboxAttr) bool { return strings.EqualFold(string(a), string(attr)) })
}

func specialUse(d *imap.ListData) string {
	for _, use := range specialUses {
		if hasAttr(d, imap.MailboxAttr(use)) {
			return use
		}
	}
	return ""
}
