package imapd

import (
	"crypto/subtle"
	"time"

	"github.com/emersion/go-imap/v2"
	"golang.org/x/crypto/bcrypt"
)

// Login is one user name with which the archive may be read.
type Login struct {
	User    string
	Verify  func(password string) bool // nil: Hash is asked
	Hash    []byte                     // bcrypt
	Account string                     // the only account that this login sees; "" for all
}

// nobody returns a hash to compare with when there is no such user, so that the time of the answer does not tell. It costs as much as those of the logins.
func nobody(logins []Login) []byte {
	cost := 0
	for i := range logins {
		if c, err := bcrypt.Cost(logins[i].Hash); err == nil {
			cost = max(cost, c)
		}
	}
	if cost == 0 {
		cost = bcrypt.DefaultCost
	}
	hash, err := bcrypt.GenerateFromPassword([]byte("nobody has this password"), cost)
	if err != nil {
		panic(err) // the password is shorter than 72 bytes and the cost valid
	}
	return hash
}

// find returns the login of that user name, or nil.
func (o *Options) find(user string) *Login {
	var found *Login
	for i := range o.Logins {
		if subtle.ConstantTimeCompare([]byte(o.Logins[i].User), []byte(user)) == 1 {
			found = &o.Logins[i]
		}
	}
	return found
}

// admits tells whether the password is right. l is nil for an unknown user, whom it takes as long to refuse.
func (s *Server) admits(l *Login, password string) bool {
	switch {
	case l == nil:
		bcrypt.CompareHashAndPassword(s.nobody(), []byte(password))
		return false
	case l.Verify != nil:
		return l.Verify(password)
	}
	return bcrypt.CompareHashAndPassword(l.Hash, []byte(password)) == nil
}

// checkPassword returns the login that user and password belong to, or nil. Only so many checks run at a time: they are expensive on purpose.
func (s *session) checkPassword(user, password string) (*Login, error) {
	l := s.srv.options.find(user)
	if l != nil && s.srv.remembered.knows(l, password) {
		return l, nil
	}
	select {
	case s.srv.gate.checks <- struct{}{}:
		defer func() { <-s.srv.gate.checks }()
	case <-s.ctx().Done():
		return nil, s.translate(s.ctx().Err())
	}
	if !s.srv.admits(l, password) {
		return nil, nil
	}
	s.srv.remembered.keep(l, password)
	return l, nil
}

// Login implements LOGIN and AUTHENTICATE PLAIN (RFC 9051 section 6.2).
func (s *session) Login(user, password string) error {
	if !s.conn.local && s.srv.gate.refuses(s.conn.addr) { // on this machine one program's old password must not shut out the others
		s.conn.hangUp = "too many failed logins from your address"
		return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeUnavailable, Text: "too many logins from your address have failed, try again in ten minutes"}
	}
	l, err := s.checkPassword(user, password)
	if err != nil {
		return err
	}
	if l != nil {
		s.srv.gate.succeeded(s.conn.addr)
		s.mu.Lock()
		s.login = l
		s.mu.Unlock()
		s.srv.log.Info("imap: logged in", "user", user, "from", s.conn.addr)
		return nil
	}
	s.srv.log.Warn("imap: login refused", "user", user, "from", s.conn.addr)
	s.failures++
	delay := time.NewTimer(s.srv.gate.failed(s.conn.addr))
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-s.srv.ctx.Done():
	}
	if s.failures >= s.srv.options.Limits.LoginFailures {
		s.conn.hangUp = "too many failed logins"
	}
	return &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeAuthenticationFailed, Text: "user name or password is wrong"}
}
