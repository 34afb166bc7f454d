package gmailsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
)

// Server is one account behind one listener or several.
type Server struct {
	opt    Options
	st     store
	stats  stats
	faults faultTable
	cert   *certificate

	commands map[string]command // never changes

	mu        sync.Mutex
	listeners []net.Listener
	sessions  map[*session]struct{}
	accepted  int
	closed    bool
	done      chan struct{}
	wg        sync.WaitGroup
	logMu     sync.Mutex
}

// New makes a server with empty system folders, or for Generic an empty INBOX.
// It panics if a certificate is wanted and the system has no randomness.
func New(opt Options) *Server {
	opt = opt.withDefaults()
	s := &Server{opt: opt, sessions: map[*session]struct{}{}, done: make(chan struct{}), commands: commandTable()}
	s.st = store{
		generic: opt.Generic, now: opt.Now, delim: "/", expunge: opt.Expunge,
		boxes: map[string]*mailbox{}, system: map[mailKind]*mailbox{},
		msgs: map[MsgID]*message{}, byKey: map[digest]*message{},
		modseq: 1000, nextUIDV: 633655500,
	}
	if opt.Generic != nil {
		s.st.delim = opt.Generic.Delimiter
		inbox := s.st.newMailbox("INBOX")
		inbox.kind = kindInbox
	} else {
		s.st.addGmailFolders(opt.Locale)
	}
	if opt.TLS || opt.Generic != nil && opt.Generic.StartTLS {
		s.cert = newCertificate()
	}
	return s
}

// Serve accepts connections until Close; it owns l and always returns an
// error, net.ErrClosed after Close.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errors.Join(net.ErrClosed, l.Close())
	}
	s.listeners = append(s.listeners, l)
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	for {
		conn, err := l.Accept()
		if err != nil {
			if s.isClosed() {
				return net.ErrClosed
			}
			return fmt.Errorf("accept: %w", err)
		}
		if !s.start(conn) {
			conn.Close()
			return net.ErrClosed
		}
	}
}

func (s *Server) start(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.accepted++
	sess := newSession(s, conn, s.accepted)
	s.sessions[sess] = struct{}{}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		sess.run()
	}()
	return true
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close ends the listeners and all connections and waits for them.
func (s *Server) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	for _, l := range s.listeners {
		l.Close()
	}
	for sess := range s.sessions {
		sess.raw.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// Listen serves on a free loopback port until ctx ends or Close, and returns
// the address.
func (s *Server) Listen(ctx context.Context) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen on loopback: %w", err)
	}
	go s.Serve(l)
	context.AfterFunc(ctx, func() { s.Close() })
	return l.Addr().String(), nil
}

// TB is what Start needs of testing.TB, so that the demo program does not
// link the testing package.
type TB interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// Start is Listen for a test, which fails if it cannot; the server closes
// when the test ends.
func (s *Server) Start(t TB) string {
	t.Helper()
	addr, err := s.Listen(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return addr
}

// CertPool holds the server's certificate; nil without TLS.
func (s *Server) CertPool() *x509.CertPool {
	if s.cert == nil {
		return nil
	}
	return s.cert.pool
}

// ClientTLS is a client's configuration that trusts this server only.
func (s *Server) ClientTLS() *tls.Config {
	return &tls.Config{RootCAs: s.CertPool(), ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// SetCredentials changes the password and the accepted tokens from now on;
// connections that are logged in stay so.
func (s *Server) SetCredentials(password string, tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opt.Password, s.opt.Tokens = password, slices.Clone(tokens)
}

func (s *Server) credentials() (password string, tokens []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opt.Password, s.opt.Tokens
}

// DropConnections closes every connection, abruptly, as a network does.
func (s *Server) DropConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for sess := range s.sessions {
		sess.raw.Close()
	}
}

// claimSlot counts a connection towards the limit once it tries to log in; a
// refused one keeps its slot until it is closed.
func (s *Server) claimSlot(sess *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess.slot = true
	n := 0
	for other := range s.sessions {
		if other.slot {
			n++
		}
	}
	return s.opt.MaxConns < 0 || n <= s.opt.MaxConns
}

func (s *Server) forget(sess *session) {
	s.mu.Lock()
	delete(s.sessions, sess)
	s.mu.Unlock()
}
