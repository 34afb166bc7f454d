package backup

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"mailkeep/backup/wire"
)

// capGmail is the capability of Gmail's extensions.
const capGmail imap.Cap = "X-GM-EXT-1"

// SessionOptions say what a Session is made of.
type SessionOptions struct {
	// AfterStartTLS says that the greeting was read already: the connection comes from StartTLS.
	AfterStartTLS bool
	// Trace receives the conversation as the client library sees it, passwords and mail included; nil for none.
	Trace io.Writer
	// Notice is told of alerts and of signs of throttling. It must not block.
	Notice func(wire.Notice)
}

// Session is one connection to an IMAP server. The Dial function makes it and logs in; Run uses and closes it. One goroutine at a time may use it.
type Session struct {
	// Client speaks IMAP over the connection. Until the Session is handed over it may be used for what Login and Authenticate do not cover.
	Client *imapclient.Client
	// Expires is when the server may end the session because the login was for a time only, as with an access token. Run takes another connection from then
	// on, between two commands. Zero is never. It is set before the Session is handed over, and holds no monotonic time, which sleeping machines stop.
	Expires time.Time

	conn     *wire.Conn
	socket   *socket
	caps     imap.CapSet // after login
	commands int
	charged  int64 // bytes received that the quota knows of

	mailbox string // examined once all that was sent is answered, "" for none
	box     *imap.SelectData
	opening *opening // the EXAMINE of mailbox while its answer was not read
	noted   noted
	exists  atomic.Uint32 // messages in the open mailbox, as the server said last; kept while Watch listens
	news    chan struct{} // holds one when the server said unasked that the open mailbox has another number of messages
}

// noted is what the server said unasked; the client's reader writes it.
type noted struct {
	mu     sync.Mutex
	alerts []string
	quota  bool
	slower bool // the server throttled an answer
}

// NewSession makes a Session of an established connection, TLS included, and waits for the server's greeting. The Session owns c, also when NewSession fails.
func NewSession(c net.Conn, o SessionOptions) (*Session, error) {
	s := &Session{socket: &socket{Conn: c}, news: make(chan struct{}, 1)}
	if o.AfterStartTLS {
		s.conn = wire.NewConnAfterStartTLS(s.socket)
	} else {
		s.conn = wire.NewConn(s.socket)
	}
	s.conn.OnNotice(func(n wire.Notice) {
		s.noted.add(n)
		if o.Notice != nil {
			o.Notice(n)
		}
	})
	s.Client = imapclient.New(s.conn, &imapclient.Options{
		DebugWriter: o.Trace,
		// Both are told of what other programs do meanwhile; the next run sees it. An Expunge handler keeps the client's reader from blocking.
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{
			Expunge: func(uint32) {
				if n := s.exists.Load(); n > 0 {
					s.exists.Store(n - 1)
				}
			},
			Mailbox: func(d *imapclient.UnilateralDataMailbox) {
				// Servers repeat the number, when IDLE begins or as a sign of life: that is no news.
				if d.NumMessages != nil && s.exists.Swap(*d.NumMessages) != *d.NumMessages {
					s.tell()
				}
			},
		},
	})
	if err := s.Client.WaitGreeting(); err != nil {
		s.Close()
		return nil, s.greetingError(err)
	}
	return s, nil
}

// greetingError explains why a server did not greet.
func (s *Session) greetingError(err error) error {
	var bye *imap.Error
	switch {
	case s.noted.overQuota():
		return overQuota(err)
	case errors.As(err, &bye):
		return fail(ErrConnection, err, "connect: the server does not want to talk now; wait and run the backup again")
	case brokenOff(err):
		return fail(ErrConnection, err, "connect: the connection was closed before the server had greeted; check host, port and the tls setting, or try again later")
	}
	return fail(ErrConnection, err, "connect: the server did not greet as an IMAP server; check host, port and the tls setting")
}

// socket notes why a connection ended: the client library tells the first thing it took offence at, which may be another.
type socket struct {
	net.Conn
	mu  sync.Mutex
	err error
}

func (w *socket) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.note(err)
	return n, err
}

func (w *socket) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.note(err)
	return n, err
}

func (w *socket) note(err error) {
	if err == nil || errors.Is(err, net.ErrClosed) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// ended returns why the connection ended, or nil when it did not end by itself.
func (w *socket) ended() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

const maxAlerts = 20

func (n *noted) add(notice wire.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case notice.Kind == wire.NoticeOverQuota:
		n.quota = true
	case notice.Kind == wire.NoticeThrottled:
		n.slower = true
	case notice.Kind == wire.NoticeAlert && len(n.alerts) < maxAlerts:
		n.alerts = append(n.alerts, notice.Text)
	}
}

func (n *noted) overQuota() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.quota
}

// throttled tells whether the server throttled an answer since the last call.
func (n *noted) throttled() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	slower := n.slower
	n.slower = false
	return slower
}

// take returns the alerts since the last call.
func (n *noted) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	alerts := n.alerts
	n.alerts = nil
	return alerts
}

// loginSilence is how long a server may be silent while it checks a login; then the connection is closed.
const loginSilence = 2 * time.Minute

// Login logs in with LOGIN, or with AUTHENTICATE PLAIN where the server allows nothing else. Its errors are those of LoginError.
func (s *Session) Login(user, password string) error {
	defer s.guard(context.Background(), loginSilence)()
	caps := s.Client.Caps()
	if caps.Has(imap.CapLoginDisabled) {
		if !caps.Has("AUTH=PLAIN") {
			return fail(ErrAuth, nil, "log in: the server takes no passwords on this connection; set tls to \"implicit\" or \"starttls\"")
		}
		return s.Authenticate(sasl.NewPlainClient("", user, password))
	}
	return s.loginError(s.Client.Login(user, password).Wait())
}

// Authenticate logs in with a SASL mechanism. Its errors are those of LoginError.
func (s *Session) Authenticate(mechanism sasl.Client) error {
	defer s.guard(context.Background(), loginSilence)()
	return s.loginError(s.Client.Authenticate(mechanism))
}

// loginError is LoginError, and knows of a BYE [OVERQUOTA] too, which the client library tells as the end of the connection only.
func (s *Session) loginError(err error) error {
	if err != nil && answered(err) == nil && s.noted.overQuota() {
		return overQuota(err)
	}
	return LoginError(err)
}

func (s *Session) expired() bool { return !s.Expires.IsZero() && !time.Now().Before(s.Expires) }

// compress lets both sides compress what they send. A server that will not is no trouble.
func (s *Session) compress() error {
	s.commands++
	refused, err := s.conn.Compress()
	if err != nil && !refused {
		return fmt.Errorf("begin to compress: %w", err)
	}
	return nil
}

// Close closes the connection without a LOGOUT.
func (s *Session) Close() error {
	return s.Client.Close()
}

// StartTLS reads the greeting on a plain connection, asks for TLS (RFC 9051 section 6.2.1) and shakes hands. On success c belongs to the returned connection;
// give that to NewSession with AfterStartTLS. On an error c is closed.
func StartTLS(ctx context.Context, c net.Conn, config *tls.Config) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if err := askForTLS(c); err != nil {
		c.Close()
		return nil, err
	}
	secure := tls.Client(c, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, fail(ErrConnection, err, "start TLS: the server's certificate or protocol is not acceptable; check the host name and the tls setting")
	}
	return secure, nil
}

func askForTLS(c net.Conn) error {
	in := bufio.NewReaderSize(io.LimitReader(c, 64<<10), 4<<10)
	greeting, err := in.ReadString('\n')
	if err != nil {
		return fail(ErrConnection, err, "start TLS: the server did not greet; check host, port and the tls setting")
	}
	if !strings.HasPrefix(strings.ToUpper(greeting), "* OK") {
		return fail(ErrConnection, fmt.Errorf("greeting %q", strings.TrimSpace(greeting)), "start TLS: the server does not offer a login; check host, port and the tls setting")
	}
	if _, err := io.WriteString(c, "A STARTTLS\r\n"); err != nil {
		return fail(ErrConnection, err, "start TLS: the connection was lost")
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return fail(ErrConnection, err, "start TLS: the connection was lost")
		}
		folded := strings.ToUpper(line)
		switch {
		case strings.HasPrefix(folded, "* "):
		case !strings.HasPrefix(folded, "A OK"):
			return fail(ErrConnection, fmt.Errorf("answer %q", strings.TrimSpace(line)), "start TLS: the server refused; set tls to \"implicit\" and the port to 993")
		case in.Buffered() > 0:
			// Somebody on the way put commands in before the encryption began.
			return fail(ErrConnection, nil, "start TLS: the server sent data before encryption began; do not trust this network")
		default:
			return nil
		}
	}
}

// Notice is what a server says in a status line that asks for attention; see SessionOptions.Notice.
type Notice = wire.Notice

// The kinds of notices.
const (
	NoticeThrottled = wire.NoticeThrottled
	NoticeOverQuota = wire.NoticeOverQuota
	NoticeAlert     = wire.NoticeAlert
)
