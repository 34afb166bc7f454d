package imapd

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"mailkeep/archive"
)

// session answers the commands of one connection. The library calls its methods from one goroutine, except Idle, which has another one that may outlive the
// command when the client ends it badly.
type session struct {
	srv      *Server
	conn     *conn
	lib      *imapserver.Conn
	failures int  // logins refused
	gmail    bool // the selected mailbox is of a Gmail account; only the library's goroutine uses it

	mu     sync.Mutex
	login  *Login    // nil before login
	box    *position // the selected mailbox; nil for none
	saved  []archive.UID
	sync   syncMode
	closed bool
	idling bool // in IDLE
}

var (
	_ imapserver.SessionNamespace = (*session)(nil)
	_ imapserver.SessionMove      = (*session)(nil)
)

// Close ends the session.
func (s *session) Close() error {
	s.mu.Lock()
	s.closed = true
	s.unselect()
	s.mu.Unlock()
	s.srv.gate.leave(s.conn)
	return nil
}

func (s *session) authenticated() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login != nil
}

// in reports whether the session is in a state, or beyond it.
func (s *session) in(state imap.ConnState) bool {
	return state == imap.ConnStateNone || s.authenticated()
}

// user is the name that the client has logged in with.
func (s *session) user() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.login.User
}

// utf8 reports whether the client has enabled UTF-8 in strings and mailbox names (RFC 6855, RFC 9051 section 5.1).
func (s *session) utf8() bool {
	enabled := s.lib.EnabledCaps()
	return enabled.Has(imap.CapUTF8Accept) || enabled.Has(imap.CapIMAP4rev2)
}

// ctx ends with the server. Work that may take long and that a client may not wait for uses conn.watch instead.
func (s *session) ctx() context.Context { return s.srv.ctx }

// Select implements SELECT and EXAMINE, both read-only (RFC 9051 section 6.3.2). Of a large mailbox it costs one row: messages are looked at when they are asked for.
func (s *session) Select(name string, _ *imap.SelectOptions) (*imap.SelectData, error) {
	n, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if !n.exists {
		return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeCannot, Text: "this name only holds other mailboxes"}
	}
	p, err := s.srv.views.open(s.ctx(), n.box)
	if err != nil {
		return nil, s.translate(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unselect()
	s.box, s.gmail = p, n.gmail
	unseen, err := p.firstUnseen(s.ctx())
	var flags []imap.Flag
	if err == nil {
		flags, err = p.flags(s.ctx())
	}
	if err != nil {
		s.unselect()
		return nil, s.translate(err)
	}
	s.sync.condstore = s.sync.condstore || s.conn.cmd.sync.condstore || s.conn.cmd.sync.qresync
	tail := append(p.appendHighest(s.conn.cmd.tail), "* OK [MAILBOXID ("+mailboxID(&p.row)+")] the same after a renaming\r\n"...)
	if q := &s.conn.cmd.sync; q.qresync {
		if err := s.prepareResync(q); err != nil {
			s.unselect()
			return nil, s.translate(err)
		}
	}
	s.conn.cmd.tail = tail
	var list *imap.ListData
	if s.lib.EnabledCaps().Has(imap.CapIMAP4rev2) { // RFC 9051 section 6.3.2
		list = &imap.ListData{Mailbox: n.name, Delim: delimiter, Attrs: n.attrs(&imap.ListOptions{})}
	}
	return &imap.SelectData{
		List:              list,
		FirstUnseenSeqNum: unseen,
		Flags:             flags,
		PermanentFlags:    []imap.Flag{},
		NumMessages:       p.row.Messages,
		UIDNext:           imap.UID(p.row.UIDNext),
		UIDValidity:       p.row.UIDValidity,
	}, nil
}

// Unselect implements UNSELECT and CLOSE.
func (s *session) Unselect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unselect()
	return nil
}

// hasSelected reports whether a mailbox is selected.
func (s *session) hasSelected() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.box != nil
}

// unselect gives up the mailbox. The caller holds s.mu.
func (s *session) unselect() {
	if s.box != nil {
		s.box.close()
		s.box, s.saved = nil, nil
	}
}

// selected returns the mailbox with its messages loaded.
func (s *session) selected(ctx context.Context) (*snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box == nil {
		return nil, &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: "no mailbox is selected"}
	}
	if err := s.box.load(ctx); err != nil {
		return nil, s.translate(err)
	}
	return s.box.snap, s.conn.send(s.box.appendFlagsResponse(nil))
}

// translate turns an error into what the client is told, and logs what only the owner of the archive can mend.
func (s *session) translate(err error) error {
	var told *imap.Error
	switch {
	case errors.As(err, &told):
		return told
	case errors.Is(err, context.Canceled):
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeUnavailable, Text: "the server is stopping"}
	}
	s.srv.log.Error("imap: archive cannot be read", "error", err)
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeUnavailable, Text: "the archive cannot be read now; the server's log says why"}
}

func noSuchMailbox(name string) error {
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeNonExistent, Text: fmt.Sprintf("there is no mailbox %+q", name)}
}

// Namespace implements NAMESPACE (RFC 2342): everything is the user's own, levels are separated by "/".
func (s *session) Namespace() (*imap.NamespaceData, error) {
	return &imap.NamespaceData{Personal: []imap.NamespaceDescriptor{{Prefix: "", Delim: delimiter}}}, nil
}
