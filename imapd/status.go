package imapd

import (
	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// Status implements STATUS (RFC 9051 section 6.3.11).
func (s *session) Status(name string, o *imap.StatusOptions) (*imap.StatusData, error) {
	n, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if !n.exists {
		return nil, noSuchMailbox(name)
	}
	return s.status(n, o)
}

// status answers from the mailbox's row as the tree has it, which find and List have just brought up to date. Only the counts of messages flagged \Deleted, which no client asks of an archive, need a look at all messages.
func (s *session) status(n *node, o *imap.StatusOptions) (*imap.StatusData, error) {
	row := n.row
	s.conn.noteStatus(row)
	d := &imap.StatusData{
		Mailbox:     n.name,
		NumMessages: &row.Messages,
		UIDNext:     imap.UID(row.UIDNext),
		UIDValidity: row.UIDValidity,
		NumUnseen:   &row.Unseen,
		NumRecent:   new(uint32),
		Size:        &row.Bytes,
	}
	if o.NumDeleted || o.DeletedStorage {
		var count uint32
		var bytes int64
		if err := s.deleted(n.box, &count, &bytes); err != nil {
			return nil, s.translate(err)
		}
		d.NumDeleted, d.DeletedStorage = &count, &bytes
	}
	return d, nil
}

func (s *session) deleted(box archive.MailboxID, count *uint32, bytes *int64) error {
	p, err := s.srv.views.open(s.ctx(), box)
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.load(s.ctx()); err != nil {
		return err
	}
	for _, r := range p.snap.all() {
		if p.snap.flagsOf(r).has(string(imap.FlagDeleted)) {
			*count++
			*bytes += r.size
		}
	}
	return nil
}
