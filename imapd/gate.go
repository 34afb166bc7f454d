package imapd

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// gate counts connections and failed logins.
type gate struct {
	limits *Limits

	mu       sync.Mutex
	closed   bool
	open     map[*conn]struct{}
	perAddr  map[string]int
	packed   map[*conn]struct{} // those of open that are compressed
	failures map[string]failure
	sessions sync.WaitGroup

	checks chan struct{} // holds a value for each password that is being checked
}

// failure is what an address has done wrong lately.
type failure struct {
	count int
	last  time.Time
}

// forgive is how long after its last failed login an address is treated as new.
const forgive = 10 * time.Minute

// maxChecks is how many passwords are checked at a time: bcrypt is made to cost, and guessing on many connections must not take the processors from those who read.
const maxChecks = 2

func (g *gate) init(l *Limits) {
	g.limits = l
	g.open = make(map[*conn]struct{})
	g.perAddr = make(map[string]int)
	g.packed = make(map[*conn]struct{})
	g.failures = make(map[string]failure)
	g.checks = make(chan struct{}, maxChecks)
}

// enter admits a connection, or returns why not.
func (g *gate) enter(c *conn) (refusal string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closed:
		return "the server is stopping"
	case len(g.open) >= g.limits.Connections:
		return "too many connections to this server, try again later"
	case g.perAddr[c.addr] >= g.limits.PerAddress:
		return "too many connections from your address"
	}
	g.open[c] = struct{}{}
	g.perAddr[c.addr]++
	g.sessions.Add(1)
	return ""
}

// leave is called once when a session has ended.
func (g *gate) leave(c *conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, c)
	delete(g.packed, c)
	if g.perAddr[c.addr]--; g.perAddr[c.addr] <= 0 {
		delete(g.perAddr, c.addr)
	}
	g.sessions.Done()
}

// compress notes that a connection is going to be compressed, unless there are as many as may be.
func (g *gate) compress(c *conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.packed) >= g.limits.Compressed {
		return false
	}
	g.packed[c] = struct{}{}
	return true
}

// count is how many connections are open.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	var open []*conn
	for c := range g.open {
		open = append(open, c)
	}
	g.mu.Unlock()
	var all sync.WaitGroup // a client may take a second to be told
	for _, c := range open {
		all.Go(c.shutDown)
	}
	all.Wait()
}

func (g *gate) wait() { g.sessions.Wait() }

// failed notes a failed login and returns how long to wait before saying so.
func (g *gate) failed(addr string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if len(g.failures) > maxFailures {
		g.forget(now)
	}
	f := g.failures[addr]
	if now.Sub(f.last) > forgive {
		f.count = 0
	}
	f.count++
	f.last = now
	g.failures[addr] = f
	return g.limits.LoginDelay << min(f.count-1, 4)
}

// maxFailures is how many addresses with failed logins are remembered.
const maxFailures = 10000

// forget makes room: for those that are forgiven, and when somebody guesses from ever new addresses for half of the others too, whichever they are.
func (g *gate) forget(now time.Time) {
	for a, f := range g.failures {
		if now.Sub(f.last) > forgive {
			delete(g.failures, a)
		}
	}
	for a := range g.failures {
		if len(g.failures) <= maxFailures/2 {
			return
		}
		delete(g.failures, a)
	}
}

// refuses tells whether so many logins from an address have failed that its passwords are not looked at any more.
func (g *gate) refuses(addr string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.failures[addr]
	return f.count >= g.limits.AddrFailures && time.Since(f.last) <= forgive
}

func (g *gate) succeeded(addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.failures, addr)
}

// listener hands the library connections that are wrapped and counted.
type listener struct {
	net.Listener
	srv *Server
}

// Accept returns the next connection that is admitted. The others are told why and closed.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := newConn(l.srv, raw)
		refusal := l.srv.gate.enter(c)
		if refusal == "" {
			return c, nil
		}
		l.srv.log.Debug("imap: connection refused", "from", c.addr, "reason", refusal)
		if _, secure := raw.(*tls.Conn); !secure { // there the first write would wait for a handshake
			raw.SetWriteDeadline(time.Now().Add(time.Second))
			raw.Write([]byte("* BYE " + refusal + "\r\n"))
		}
		raw.Close()
	}
}
