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

// status answers from the mailbox's row. Only the counts of messages flagged \Deleted, which no client asks of an archive, need a look at all messages.
func (s *session) status(n *node, o *imap.StatusOptions) (*imap.StatusData, error) {
	row, err := s.srv.views.row(s.ctx(), n.box)
	if err != nil {
		return nil, s.translate(err)
	}
	s.conn.noteStatus(&row)
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
	for i := range p.snap.entries {
		if hasFlag(p.snap.entries[i].Flags, string(imap.FlagDeleted)) {
			*count++
			*bytes += p.snap.entries[i].Size
		}
	}
	return nil
}
