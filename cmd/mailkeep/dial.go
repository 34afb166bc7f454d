package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"mailkeep/backup"
)

// Time-outs of connecting. Servers that look up who calls may take long to greet.
const (
	dialTimeout      = 30 * time.Second
	handshakeTimeout = 30 * time.Second
	greetingTimeout  = 60 * time.Second
	loginTimeout     = 2 * time.Minute
	probeAfter       = 2 * time.Second // without a greeting, ask whether the port speaks TLS
)

// secureConn is a connection to a server as its account wants it.
type secureConn struct {
	net.Conn
	greeted bool // the greeting was read already: STARTTLS was done
}

// openSession connects and logs in as login says.
func openSession(ctx context.Context, acct *Account, login func(*backup.Session) error, log *slog.Logger) (*backup.Session, error) {
	conn, err := connectTo(ctx, acct)
	if err != nil {
		return nil, err
	}
	log.Debug("connected", "account", acct.Name, "host", acct.Host, "tls", acct.TLS)
	// Neither the greeting nor the login takes a context: closing the connection ends them.
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	session, err := backup.NewSession(conn, backup.SessionOptions{
		AfterStartTLS: conn.greeted,
		Notice: func(n backup.Notice) {
			log.Info("the server says", "account", acct.Name, "kind", n.Kind, "text", n.Text)
		},
	})
	if err == nil {
		err = login(session)
	}
	if !stop() && ctx.Err() != nil {
		err = ctx.Err()
	}
	if err == nil {
		log.Debug("logged in", "account", acct.Name)
		return session, nil
	}
	if session != nil {
		session.Close()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, tellf(err, "%s: the server does not answer the login; try again later", acct.Host)
	}
	return nil, err
}

// dialError is what went wrong when a connection was opened, explained for the user; a backup wraps it in advice of its own.
type dialError struct{ err error }

func (e dialError) Error() string { return e.err.Error() }
func (e dialError) Unwrap() error { return e.err }

// dialer makes the function with which a backup opens its connections.
func (a *app) dialer(acct *Account, c credential) backup.Dial {
	return func(ctx context.Context) (*backup.Session, error) {
		session, err := c.open(ctx, func(ctx context.Context, login func(*backup.Session) error) (*backup.Session, error) {
			return openSession(ctx, acct, login, a.log)
		})
		if err != nil {
			return nil, dialError{err}
		}
		return session, nil
	}
}

// connectTo connects to the account's server and does TLS. Errors say in one sentence what is wrong and what to try.
func connectTo(ctx context.Context, acct *Account) (secureConn, error) {
	config, err := tlsConfig(acct)
	if err != nil {
		return secureConn{}, err
	}
	raw, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", acct.Host)
	if err != nil {
		return secureConn{}, explainDial(ctx, acct, err)
	}
	if acct.TLS == tlsNone && !remoteIsLoopback(raw) {
		raw.Close()
		return secureConn{}, usagef("%s is not this machine; tls = \"none\" would send the password readable", acct.Host)
	}
	// The end of ctx must also end a handshake with a server that says nothing.
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	conn, err := secure(ctx, acct, raw, config)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		raw.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return secureConn{}, err
	}
	return conn, nil
}

func secure(ctx context.Context, acct *Account, raw net.Conn, config *tls.Config) (secureConn, error) {
	switch acct.TLS {
	case tlsImplicit:
		conn, err := handshake(ctx, acct, raw, config)
		return secureConn{Conn: conn}, err
	case tlsStart:
		conn, err := startTLS(ctx, acct, raw, config)
		return secureConn{Conn: conn, greeted: true}, err
	}
	first, err := awaitGreeting(ctx, acct, raw)
	return secureConn{Conn: &replayed{Conn: raw, first: first}}, err
}

func tlsConfig(acct *Account) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(acct.Host)
	if err != nil {
		return nil, usagef("host %q: %w", acct.Host, err)
	}
	config := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if acct.TLSCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(acct.TLSCA)
	if err != nil {
		return nil, usagef("read tls_ca: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, usagef("tls_ca %q holds no certificate; it must be a PEM file", acct.TLSCA)
	}
	config.RootCAs = pool
	return config, nil
}

func handshake(ctx context.Context, acct *Account, raw net.Conn, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, explainTLS(acct, err)
	}
	return conn, nil
}

// startTLS does STARTTLS behind a greeting that is known to come.
func startTLS(ctx context.Context, acct *Account, raw net.Conn, config *tls.Config) (net.Conn, error) {
	first, err := awaitGreeting(ctx, acct, raw)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := backup.StartTLS(ctx, &replayed{Conn: raw, first: first}, config)
	if err != nil {
		return nil, explainTLS(acct, err)
	}
	return conn, nil
}

// awaitGreeting returns the first bytes that a server sends before TLS. One that expects TLS sends nothing, so after a while a second connection asks for that.
func awaitGreeting(ctx context.Context, acct *Account, raw net.Conn) ([]byte, error) {
	probeCtx, cancel := context.WithTimeout(ctx, greetingTimeout)
	defer cancel()
	wantsTLS := make(chan bool, 1)
	timer := time.AfterFunc(probeAfter, func() {
		if speaksTLS(probeCtx, acct.Host) {
			wantsTLS <- true
			raw.SetReadDeadline(time.Unix(1, 0))
		}
	})
	defer timer.Stop()
	raw.SetReadDeadline(time.Now().Add(greetingTimeout))
	first := make([]byte, 512)
	n, err := raw.Read(first)
	select {
	case <-wantsTLS:
		return nil, fmt.Errorf("%s: the server expects TLS from the first byte; set tls = \"implicit\"", acct.Host)
	default:
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("%s: the server accepts the connection and says nothing; check host and port", acct.Host)
	case err != nil && n == 0:
		return nil, tellf(err, "%s: the server closed the connection at once; try again later, or check host and port", acct.Host)
	case !bytes.HasPrefix(first[:n], []byte("* ")):
		return nil, fmt.Errorf("%s: this is no IMAP server, it greets with %q; check host and port", acct.Host, clip(string(first[:n])))
	}
	raw.SetReadDeadline(time.Time{})
	return first[:n], nil
}

// speaksTLS tells whether a server answers a TLS handshake.
func speaksTLS(ctx context.Context, addr string) bool {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: &tls.Config{InsecureSkipVerify: true}} // nothing is sent on it
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// replayed is a connection whose first bytes were read already.
type replayed struct {
	net.Conn
	first []byte
}

func (r *replayed) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}

func remoteIsLoopback(c net.Conn) bool {
	addr, ok := c.RemoteAddr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}

// clip shortens what a stranger sent for an error message.
func clip(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return strings.TrimSpace(s)
}

func explainDial(ctx context.Context, acct *Account, err error) error {
	host, port, _ := net.SplitHostPort(acct.Host)
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("there is no host %q; check host in the configuration", host)
	case errors.As(err, &dns):
		return tellf(err, "look up host %q: %s; check the network connection", host, dns.Err)
	case isErrno(err, syscall.ECONNREFUSED, 10061):
		return fmt.Errorf("%s refuses the connection on port %s; check the port, and that the server runs", host, port)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s does not answer on port %s; check the port and the network connection", host, port)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) { // without the names of Go's functions around it
		return tellf(err, "connect to %s: %s; check the network connection", acct.Host, errno)
	}
	return fmt.Errorf("connect to %s: %w; check the network connection", acct.Host, err)
}

func explainTLS(acct *Account, err error) error {
	var record tls.RecordHeaderError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &record) && bytes.HasPrefix(record.RecordHeader[:], []byte("* ")):
		return fmt.Errorf("%s: the server speaks plain IMAP on this port, not TLS; set tls = \"starttls\", or use its TLS port, usually 993", acct.Host)
	case errors.As(err, &record):
		return fmt.Errorf("%s: the server does not speak TLS on this port; check host, port and tls", acct.Host)
	case errors.As(err, &unknown):
		return fmt.Errorf("%s: the certificate is signed by an authority that this machine does not know (%s); if the server is your own, name its certificate with tls_ca (setup: --tls-ca)", acct.Host, issuer(unknown.Cert))
	case errors.As(err, &name):
		return fmt.Errorf("%s: the certificate is for %s, not for %s; use one of these names as host", acct.Host, certNames(name.Certificate), name.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%s: the certificate is valid from %s to %s only; check this machine's clock, or ask who runs the server", acct.Host,
			invalid.Cert.NotBefore.Format(time.DateOnly), invalid.Cert.NotAfter.Format(time.DateOnly))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed):
		return fmt.Errorf("%s: the server does not answer the TLS handshake; check host, port and tls", acct.Host)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return tellf(err, "%s: the server closed the connection in the TLS handshake; check port and tls, or try again later", acct.Host)
	}
	return tellf(err, "%s: the TLS handshake does not succeed: %s; check host, port and tls", acct.Host, plainTLS(err))
}

// plainTLS takes the names of Go's packages out of an error of TLS.
func plainTLS(err error) string {
	return strings.NewReplacer("remote error: ", "the other side says ", "tls: ", "", "x509: ", "").Replace(err.Error())
}

func issuer(c *x509.Certificate) string {
	if c == nil {
		return "unnamed"
	}
	return c.Issuer.String()
}

func certNames(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no host at all"
	}
	return strings.Join(names, ", ")
}
