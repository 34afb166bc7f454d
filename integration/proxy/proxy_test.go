package proxy

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				raw, _ := io.ReadAll(c)
				c.Write(append(raw, raw...))
			}()
		}
	}()
	p, err := New(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("hello"))
		c.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "hellohello" {
			t.Errorf("%q, %v", got, err)
		}
		c.Close()
	}
	if p.Up() != 10 || p.Down() != 20 || p.Connections() != 2 {
		t.Errorf("up %d, down %d, connections %d", p.Up(), p.Down(), p.Connections())
	}
	p.Reset()
	idle, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if err := p.Close(); err != nil { // must not wait for the idle connection
		t.Error(err)
	}
	if p.Up() != 0 || p.Down() != 0 {
		t.Errorf("after Reset: up %d, down %d", p.Up(), p.Down())
	}
}

// An echo over a delayed relay takes a round trip, however many pieces are on the way at once.
func TestDelay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	p, err := New(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	const roundTrip, pieces = 40 * time.Millisecond, 20
	p.Delay(roundTrip)
	c, err := net.Dial("tcp", p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	for range pieces {
		c.Write([]byte("x"))
	}
	if _, err := io.ReadFull(c, make([]byte, pieces)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < roundTrip || d > 10*roundTrip {
		t.Errorf("%d pieces took %v", pieces, d)
	}
	if p.Down() != pieces || p.Up() != pieces {
		t.Errorf("%d bytes down, %d up", p.Down(), p.Up())
	}
}
