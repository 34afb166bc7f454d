package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"mailkeep/web"
)

// Bounds of what a client of the web page may take.
const (
	webConnections   = 200
	webHeaderBytes   = 16 << 10
	webHeaderTimeout = 10 * time.Second
	webTimeout       = time.Minute
	webIdleTimeout   = 2 * time.Minute
)

// webOptions is what the page tells.
func (l *listeners) webOptions(archive string, logins []ServeLogin) web.Options {
	o := web.Options{Servers: l.servers(), Hosts: ownNames(l.names), Archive: archive}
	for _, login := range logins {
		o.Logins = append(o.Logins, web.Login{User: login.User, Account: login.Account})
	}
	if c := l.certificate; c != nil && c.selfMade {
		o.Fingerprint = func() string { return fingerprint(c.get().Leaf) }
	}
	return o
}

// serveWeb serves the page until ctx ends, which is no error. It closes ln.
func (a *app) serveWeb(ctx context.Context, ln net.Listener, o web.Options) error {
	server := &http.Server{
		Handler:           web.Handler(o),
		ReadHeaderTimeout: webHeaderTimeout,
		ReadTimeout:       webTimeout,
		WriteTimeout:      webTimeout,
		IdleTimeout:       webIdleTimeout,
		MaxHeaderBytes:    webHeaderBytes,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), // broken handshakes, which concern nobody unless they look
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err := server.Serve(&limited{Listener: ln, places: make(chan struct{}, webConnections)})
	if ctx.Err() != nil || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the web page on %s: %w", ln.Addr(), err)
}

// limited is a listener with so many connections at most; others wait to be accepted.
type limited struct {
	net.Listener
	places chan struct{} // a value for each connection that is open
}

// Accept implements [net.Listener].
func (l *limited) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &limitedConn{Conn: conn, leave: sync.OnceFunc(func() { <-l.places })}, nil
}

type limitedConn struct {
	net.Conn
	leave func()
}

// Close implements [net.Conn].
func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
