package backup_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// cut is a connection that ends after so many bytes were written to it.
type cut struct {
	net.Conn
	mu   sync.Mutex
	left int64
}

func (c *cut) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if int64(len(p)) < c.left {
		c.left -= int64(len(p))
		return c.Conn.Write(p)
	}
	n, _ := c.Conn.Write(p[:c.left])
	c.left = 0
	c.Close()
	return n, net.ErrClosed
}

// cuttingTLS speaks TLS for a server. It ends the first connection after some bytes: below TLS, or above it, where TLS says goodbye with a close_notify.
type cuttingTLS struct {
	net.Listener
	config *tls.Config
	above  bool
	after  atomic.Int64 // 0: no more
	cuts   atomic.Int32
}

func (l *cuttingTLS) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	after := l.after.Swap(0)
	if after == 0 {
		return tls.Server(c, l.config), nil
	}
	l.cuts.Add(1)
	if l.above {
		return &cut{Conn: tls.Server(c, l.config), left: after}, nil
	}
	return tls.Server(&cut{Conn: c, left: after}, l.config), nil
}

// A connection over TLS that ends at any byte, in the handshake, a record or a literal, announced or not, costs a new connection and nothing else.
func TestTLSCutAnywhere(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	trust := x509.NewCertPool()
	trust.AddCert(certified.Certificate())
	for name, above := range map[string]bool{"with close_notify": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/", Condstore: true}})
			plain, err := net.Listen("tcp", "127.0.0.1:0")
			r.must(err)
			front := &cuttingTLS{Listener: plain, config: certified.TLS, above: above}
			go r.srv.Serve(front)
			r.o.Connections = 1
			r.o.Dial = func(ctx context.Context) (*backup.Session, error) {
				d := tls.Dialer{Config: &tls.Config{RootCAs: trust, ServerName: "example.com"}}
				c, err := d.DialContext(ctx, "tcp", plain.Addr().String())
				if err != nil {
					return nil, err
				}
				return login(c)
			}
			var points []int64
			for at := int64(1); at < 30_000; at += 1 + at*4/5 {
				points = append(points, at)
			}
			for i, at := range points {
				m := mail(i)
				m.Body = append(m.Body, bytes.Repeat([]byte("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n"), 500)...)
				r.appendTo("INBOX", m)
				front.after.Store(at)
				if sum := r.run(); !warned(sum, backup.WarnReconnect) || sum.Downloaded != 1 {
					t.Errorf("byte %d: %+v", at, sum)
				}
			}
			if n := int(front.cuts.Load()); n != len(points) || n < 14 {
				t.Errorf("%d connections were cut at %d points", n, len(points))
			}
			r.same("/")
		})
	}
}

// A message of 50 MB and one of no byte at all are kept like others, and the large one passes through without being held: what a run allocates does not grow with it.
func TestHugeAndEmpty(t *testing.T) {
	huge := bytes.Repeat([]byte("TWVzc2FnZXMgbWF5IGJlIGxhcmdlciB0aGFuIHdoYXQgZml0cyBpbnRvIG1lbW9yeS4gQW5k\r\n"), 50<<20/76)
	huge = append([]byte("Message-ID: <huge@example.com>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject: huge\r\n\r\n"), huge...)
	for name, c := range map[string]struct {
		g    *gmailsim.Generic
		most uint64 // bytes allocated, ever
	}{
		"gmail":    {nil, 4 << 20},
		"uid last": {&gmailsim.Generic{Delimiter: "/", UIDLast: true}, 32 << 20}, // which is held back, in memory up to a bound
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: c.g})
			r.appendTo("INBOX", mail(1))
			r.appendTo("INBOX", gmailsim.Message{})
			r.appendTo("INBOX", gmailsim.Message{Size: int64(len(huge)), Generate: func() []byte { return huge }})
			r.srv.AddFault(gmailsim.Fault{Name: "cut", When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{CloseMidLiteral: 1 << 20}})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			sum := r.run()
			runtime.ReadMemStats(&after)
			if sum.NewMessages != 3 || sum.Holes != 0 || r.srv.Counters().FaultsHit["cut"] != 1 {
				t.Errorf("%+v", sum)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > c.most {
				t.Errorf("%d bytes were allocated for a message of %d", n, len(huge))
			}
			r.same("/")
		})
	}
}
