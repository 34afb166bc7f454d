// Package proxy puts a counting relay on a loopback port before a server, to see how many bytes a client moves, and what distance costs it.
package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy relays connections to one address and counts.
type Proxy struct {
	Addr string // host:port to connect to

	target      string
	listener    net.Listener
	transcript  *Transcript  // nil: none
	delay       atomic.Int64 // nanoseconds in each direction
	wg          sync.WaitGroup
	mu          sync.Mutex
	open        map[net.Conn]bool
	down, up    atomic.Int64
	connections atomic.Int64
}

// New starts a relay to target (host:port). The caller closes it.
func New(target string) (*Proxy, error) { return Record(target, nil) }

// Record starts a relay that also writes down what is said, unless transcript is nil.
func Record(target string, transcript *Transcript) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, transcript: transcript, open: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	return p, nil
}

// Delay makes the server seem far away: from the next connection on an answer comes a round trip later. How much is sent at a time is not limited.
func (p *Proxy) Delay(roundTrip time.Duration) { p.delay.Store(int64(roundTrip / 2)) }

// Down is the number of bytes that the server has sent, Up that the clients have sent, since the last Reset.
func (p *Proxy) Down() int64 { return p.down.Load() }

// Up is the number of bytes that the clients have sent since the last Reset.
func (p *Proxy) Up() int64 { return p.up.Load() }

// Connections is the number of connections since the last Reset.
func (p *Proxy) Connections() int64 { return p.connections.Load() }

// Reset sets the counters to zero.
func (p *Proxy) Reset() {
	p.down.Store(0)
	p.up.Store(0)
	p.connections.Store(0)
}

// Close cuts all connections and waits until nothing runs any more.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		c.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for number := 0; ; {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.connections.Add(1)
		number++
		p.wg.Go(func() { p.relay(client, number) })
	}
}

// keep remembers a connection for Close; false when the proxy is closed already.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		return false
	}
	p.open[c] = true
	return true
}

func (p *Proxy) drop(c net.Conn) {
	c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

func (p *Proxy) relay(client net.Conn, number int) {
	defer p.drop(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.drop(server)
	if !p.keep(client) || !p.keep(server) {
		return
	}
	var both sync.WaitGroup
	delay := time.Duration(p.delay.Load())
	over := make(chan struct{})
	defer close(over)
	both.Go(func() { pass(server, late(client, delay, over), p.watch(&p.up, number, true)) })
	both.Go(func() { pass(client, late(server, delay, over), p.watch(&p.down, number, false)) })
	both.Wait()
}

// watch is where the bytes of one direction of a connection are told of.
func (p *Proxy) watch(count *atomic.Int64, number int, client bool) io.Writer {
	if p.transcript == nil {
		return counter{count}
	}
	return io.MultiWriter(counter{count}, &splitter{to: p.transcript, line: Line{Conn: number, Client: client}})
}

// lateConn is a connection from which everything comes later than it was sent.
type lateConn struct {
	net.Conn
	late chan chunk
	rest []byte
	err  error
}

type chunk struct {
	due  time.Time
	data []byte
	err  error // the last one's
}

// late delays what is read from a connection, until over is closed. Up to 256 reads of 64 KB are under way.
func late(c net.Conn, delay time.Duration, over <-chan struct{}) net.Conn {
	if delay == 0 {
		return c
	}
	l := &lateConn{Conn: c, late: make(chan chunk, 256)}
	go l.receive(delay, over)
	return l
}

func (l *lateConn) receive(delay time.Duration, over <-chan struct{}) {
	for {
		data := make([]byte, 64<<10)
		n, err := l.Conn.Read(data)
		select {
		case l.late <- chunk{time.Now().Add(delay), data[:n], err}:
		case <-over:
			return
		}
		if err != nil {
			return
		}
	}
}

func (l *lateConn) Read(p []byte) (int, error) {
	if len(l.rest) == 0 && l.err == nil {
		c := <-l.late
		time.Sleep(time.Until(c.due))
		l.rest, l.err = c.data, c.err
	}
	n := copy(p, l.rest)
	if l.rest = l.rest[n:]; len(l.rest) == 0 {
		return n, l.err
	}
	return n, nil
}

// pass copies one direction, then tells the receiver that nothing more comes.
func pass(to, from net.Conn, watch io.Writer) {
	// What is told of first has been said before its answer.
	_, err := io.Copy(io.MultiWriter(watch, to), from)
	if tcp, ok := to.(*net.TCPConn); ok && (err == nil || errors.Is(err, io.EOF)) {
		tcp.CloseWrite()
		return
	}
	to.Close()
	from.Close()
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}
