package backup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// ErrNoIdle says that a server cannot tell of new mail by itself.
var ErrNoIdle = errors.New("the server offers no IDLE")

// idleSilence is how long a connection in IDLE may be silent. The client renews the command every 28 minutes, which the server answers.
const idleSilence = 35 * time.Minute

// Watch opens a connection and waits with IDLE (RFC 2177) until mail arrives in INBOX: then it returns nil. It returns nil, too, when the login is about to expire, and at
// once when INBOX is not what known says, most often Summary.Inbox of the run before: mail that arrived after the run had read INBOX would wait for the next one otherwise.
// The zero state is not compared. Watch returns ErrNoIdle where waiting cannot be, and another error when the connection breaks: a wait that ended like this may have
// missed something.
func Watch(ctx context.Context, dial Dial, known archive.FolderState) error {
	s, err := dial(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	release := s.guard(ctx, idleSilence)
	defer release()
	err = s.watch(ctx, known)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx) // the guard cut the connection: at whatever step, that is what happened
	}
	return err
}

// watch is Watch on a connection that is there.
func (s *Session) watch(ctx context.Context, known archive.FolderState) error {
	if err := s.learnCaps(); err != nil {
		return classify(err, "wait for new mail")
	}
	if !s.caps.Has(imap.CapIdle) && !s.caps.Has(imap.CapIMAP4rev2) {
		return ErrNoIdle
	}
	box, err := s.examine("INBOX", true)
	if err != nil {
		return classify(err, "wait for new mail")
	}
	s.exists.Store(box.NumMessages)
	s.changed()               // what the server said until here
	now := s.Client.Mailbox() // nil when the connection was lost meanwhile
	if differs(known, box) || now != nil && now.NumMessages != box.NumMessages {
		return nil
	}
	idle, err := s.Client.Idle()
	if err != nil {
		return classify(err, "wait for new mail")
	}
	return s.idle(ctx, idle)
}

// differs tells whether a mailbox has changed since its state was known. A server need not tell UIDNEXT.
func differs(known archive.FolderState, box *imap.SelectData) bool {
	if known.UIDValidity == 0 {
		return false
	}
	next := uint32(box.UIDNext)
	return known.Messages != box.NumMessages || known.UIDNext != 0 && next != 0 && known.UIDNext != next
}

// inboxState is INBOX as the server listed it, or the zero state.
func inboxState(boxes []listing) archive.FolderState {
	for _, b := range boxes {
		if strings.EqualFold(b.name, "INBOX") {
			return b.status
		}
	}
	return archive.FolderState{}
}

// idleCommand is imapclient.IdleCommand.
type idleCommand interface {
	Close() error
	Wait() error
}

func (s *Session) idle(ctx context.Context, command idleCommand) error {
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	var expires <-chan time.Time
	if !s.Expires.IsZero() {
		timer := time.NewTimer(time.Until(s.Expires))
		defer timer.Stop()
		expires = timer.C
	}
	select {
	case <-s.news:
	case <-expires:
	case <-ctx.Done():
		s.conn.Close()
		<-ended
		return context.Cause(ctx)
	case err := <-ended:
		return fail(ErrConnection, err, "wait for new mail: the connection was lost")
	}
	err := command.Close()
	<-ended
	if err != nil {
		return fmt.Errorf("end waiting for new mail: %w", err)
	}
	return nil
}

// tell notes that the server said something about the mailbox that is open.
func (s *Session) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// changed tells whether it did since the last call.
func (s *Session) changed() bool {
	select {
	case <-s.news:
		return true
	default:
		return false
	}
}
