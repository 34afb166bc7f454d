package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"golang.org/x/sync/semaphore"

	"mailkeep/archive"
)

// Options say who may read the archive and how. Only Logins is required.
type Options struct {
	Logins       []Login
	TLSConfig    *tls.Config   // for STARTTLS; nil: not offered
	PollInterval time.Duration // how often to look for changes while somebody waits for them; 0: one second
	Logger       *slog.Logger  // nil: slog.Default
	Limits       Limits
	Version      string // told by ID (RFC 2971); "" is left out

	// CompressLocal offers COMPRESS=DEFLATE also to clients on the same machine: for a tunnel or proxy there that others connect through.
	CompressLocal bool
}

// Limits bound what clients can take. A zero field means the default that it names.
type Limits struct {
	Connections    int           // open at once; 1000
	PerAddress     int           // open at once from one address; 100
	Compressed     int           // open at once with COMPRESS, each of which takes up to 400 KB; 100
	LoginFailures  int           // on one connection, which is then closed; 3
	AddrFailures   int           // of one address but loopback, whose logins are then refused unseen until ten minutes after the last one; 20
	LoginDelay     time.Duration // before the first failed login of an address is answered, doubled by each further one up to 16 times; 1 s
	LoginTimeout   time.Duration // until a connection must have logged in; 1 minute
	IdleTimeout    time.Duration // without a command; 35 minutes (RFC 9051 section 5.4 wants at least 30)
	PieceTimeout   time.Duration // from one piece of a command to the next; 1 minute
	CommandTimeout time.Duration // for a command to arrive, but for what is skipped of it; 5 minutes
	WriteTimeout   time.Duration // for a client to take what is sent, at most a megabyte at a time; 2 minutes
}

func (l *Limits) setDefaults() {
	setDefault(&l.Connections, 1000)
	setDefault(&l.PerAddress, 100)
	setDefault(&l.Compressed, 100)
	setDefault(&l.LoginFailures, 3)
	setDefault(&l.AddrFailures, 20)
	setDefault(&l.LoginDelay, time.Second)
	setDefault(&l.LoginTimeout, time.Minute)
	setDefault(&l.IdleTimeout, 35*time.Minute)
	setDefault(&l.PieceTimeout, time.Minute)
	setDefault(&l.CommandTimeout, 5*time.Minute)
	setDefault(&l.WriteTimeout, 2*time.Minute)
}

func setDefault[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Server serves one archive on any number of listeners.
type Server struct {
	reader     *archive.Reader
	options    Options
	log        *slog.Logger
	lib        *imapserver.Server
	gate       gate
	remembered *remembered
	nobody     func() []byte // see nobody; made when somebody asks
	views      views
	changes    changes
	trees      trees
	bodies     bodies
	quiet      quiet
	helped     chan struct{}       // holds one for each FETCH that has helpers
	arranging  *semaphore.Weighted // bytes that SORT and THREAD take

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
}

// New returns a server for r, which stays the caller's and must be open until Close has returned.
func New(r *archive.Reader, o Options) *Server {
	setDefault(&o.PollInterval, time.Second)
	o.Limits.setDefaults()
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	s := &Server{remembered: newRemembered(), reader: r, options: o, log: o.Logger}
	s.nobody = sync.OnceValue(func() []byte { return nobody(s.options.Logins) })
	s.helped = make(chan struct{}, aheadAtATime)
	s.arranging = semaphore.NewWeighted(arrangingBytes)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.gate.init(&s.options.Limits)
	s.views.init(r, &s.trees, o.PollInterval)
	s.changes.init(s)
	s.trees.init(r)
	s.bodies.init(s.ctx, r)
	s.lib = imapserver.New(&imapserver.Options{
		NewSession:   s.newSession,
		Caps:         libraryCaps(),
		Logger:       libraryLog{s.log},
		InsecureAuth: true, // conn refuses a password in plain text, where the library would only see a connection without TLS
	})
	return s
}

// Serve accepts connections from ln until Close, then returns nil. It closes ln. Connections of a [tls.NewListener] count as secure.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	err := s.lib.Serve(&listener{Listener: ln, srv: s})
	if s.ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("serve IMAP on %s: %w", ln.Addr(), err)
	}
	return nil
}

// Close ends all listeners and connections and waits for their sessions.
func (s *Server) Close() error {
	if s.ctx.Err() != nil {
		return nil
	}
	s.cancel()
	s.gate.close()
	err := s.lib.Close()
	s.gate.wait()
	s.changes.wait()
	s.views.close()
	s.bodies.recent.close()
	s.bodies.assembled.close()
	s.quiet.close()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("stop serving IMAP: %w", err)
	}
	return nil
}

func (s *Server) newSession(c *imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	conn := c.NetConn().(*conn)
	conn.session = &session{srv: s, conn: conn, lib: c}
	return conn.session, &imapserver.GreetingData{}, nil
}

// libraryCaps are the capabilities that change how the library behaves or need a method of the session. What clients are told is in capability.go.
func libraryCaps() imap.CapSet {
	return imap.CapSet{
		imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}, imap.CapNamespace: {}, imap.CapESearch: {}, imap.CapListExtended: {}, imap.CapListStatus: {},
		imap.CapStatusSize: {}, imap.CapBinary: {}, imap.CapSpecialUse: {}, imap.CapMove: {}, imap.CapSearchRes: {},
	}
}

// libraryLog takes what the library has to say: broken connections and commands, which concern nobody unless they look.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Printf(format string, args ...any) {
	l.log.Debug("imap: " + fmt.Sprintf(format, args...))
}
