package imapd

import (
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// errReadOnly is the answer to everything that would change the archive.
var errReadOnly = &imap.Error{
	Type: imap.StatusResponseTypeNo,
	Code: imap.ResponseCodeNoPerm,
	Text: "this is an archive: mail in it can be read and copied elsewhere, but not added, changed or deleted",
}

// Create refuses. Thunderbird asks for a mailbox "Trash" by itself and takes the refusal silently.
func (s *session) Create(string, *imap.CreateOptions) error { return errReadOnly }

// Delete refuses.
func (s *session) Delete(string) error { return errReadOnly }

// Rename refuses.
func (s *session) Rename(string, string, *imap.RenameOptions) error { return errReadOnly }

// Append refuses. Before the library can ask for the message, conn has.
func (s *session) Append(string, imap.LiteralReader, *imap.AppendOptions) (*imap.AppendData, error) {
	return nil, errReadOnly
}

// Store refuses.
func (s *session) Store(*imapserver.FetchWriter, imap.NumSet, *imap.StoreFlags, *imap.StoreOptions) error {
	return errReadOnly
}

// Copy refuses: the destination would be in the archive.
func (s *session) Copy(imap.NumSet, string) (*imap.CopyData, error) { return nil, errReadOnly }

// Move refuses.
func (s *session) Move(*imapserver.MoveWriter, imap.NumSet, string) error { return errReadOnly }

// Expunge refuses, except for what CLOSE does: a mailbox opened read-only is closed without expunging (RFC 9051 section 6.4.1). The library's CLOSE passes a
// writer that leads nowhere.
func (s *session) Expunge(_ *imapserver.ExpungeWriter, _ *imap.UIDSet) error {
	if s.conn.cmd.name == "CLOSE" {
		return nil
	}
	return errReadOnly
}

// Subscribe succeeds for every mailbox there is: all are subscribed.
func (s *session) Subscribe(name string) error {
	_, err := s.find(name)
	return err
}

// Unsubscribe refuses: all mailboxes are subscribed, so that clients which list only those show everything.
func (s *session) Unsubscribe(string) error { return errReadOnly }
