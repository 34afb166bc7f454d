package imapd

import (
	"crypto/subtle"
	"sync"
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

// nobody is compared with when there is no such user, so that the time of the answer does not tell.
var nobody = sync.OnceValue(func() []byte {
	hash, err := bcrypt.GenerateFromPassword([]byte("nobody has this password"), bcrypt.DefaultCost)
	if err != nil {
		panic(err) // the password is shorter than 72 bytes and the cost valid
	}
	return hash
})

// login returns the login that user and password belong to, or nil.
func (o *Options) login(user, password string) *Login {
	var found *Login
	for i := range o.Logins {
		if subtle.ConstantTimeCompare([]byte(o.Logins[i].User), []byte(user)) == 1 {
			found = &o.Logins[i]
		}
	}
	switch {
	case found == nil:
		bcrypt.CompareHashAndPassword(nobody(), []byte(password))
		return nil
	case found.Verify != nil && found.Verify(password):
		return found
	case found.Verify == nil && bcrypt.CompareHashAndPassword(found.Hash, []byte(password)) == nil:
		return found
	}
	return nil
}

// Login implements LOGIN and AUTHENTICATE PLAIN (RFC 9051 section 6.2).
func (s *session) Login(user, password string) error {
	select {
	case s.srv.gate.checks <- struct{}{}:
	case <-s.ctx().Done():
		return s.translate(s.ctx().Err())
	}
	l := s.srv.options.login(user, password)
	<-s.srv.gate.checks
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
