package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"

	"mailkeep/web"
)

// listeners are where the archive is served.
type listeners struct {
	imap, imaps, web net.Listener // nil: not; imaps and web beyond loopback speak TLS
	certificate      *certificate // nil: there is none
	names            []string     // by which other machines reach this one, as they are configured
}

// listen opens all that is configured. What others could listen in on it refuses.
func (s *ServeConfig) listen(log *slog.Logger) (*listeners, error) {
	if len(s.Logins) == 0 {
		return nil, usagef("nobody could log in: the configuration has no [[serve.login]]; \"mailkeep setup\" makes one")
	}
	l := &listeners{names: s.Names}
	var err error
	if l.certificate, err = s.certificate(log); err != nil {
		return nil, err
	}
	if err := s.openAll(l, log); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// certificate is the one that is configured, or nil. Without one only addresses of this machine are served.
func (s *ServeConfig) certificate(log *slog.Logger) (*certificate, error) {
	var c *certificate
	switch {
	case s.TLSCert != "":
		c = s.givenCertificate()
	case s.SelfMade:
		var err error
		if c, err = s.selfMadeCertificate(); err != nil {
			return nil, err
		}
	case s.IMAPS != "":
		return nil, usagef("serve.imaps needs a certificate; configure serve.tls_cert and serve.tls_key, or serve.tls_self_signed = true")
	default:
		return nil, errors.Join(s.needsTLS(s.IMAP, "passwords and mail"), s.needsTLS(s.Web, "what the page shows"))
	}
	if err := c.start(log); err != nil {
		return nil, err
	}
	return c, nil
}

// needsTLS is an error where an address is not this machine's alone.
func (s *ServeConfig) needsTLS(addr, what string) error {
	host, _, err := net.SplitHostPort(addr)
	if addr == "" || err == nil && isLoopback(host) {
		return nil
	}
	if err != nil || checkListen(addr) != nil {
		return usagef("%q is not an address and a port such as %q", addr, defaultServe)
	}
	return usagef("serving on %s without TLS would send %s readable over the network; configure serve.tls_cert and serve.tls_key, or serve.tls_self_signed = true, or listen on 127.0.0.1", addr, what)
}

func (s *ServeConfig) openAll(l *listeners, log *slog.Logger) (err error) {
	if s.IMAP != "" {
		if l.imap, err = listen(s.IMAP); err != nil {
			return err
		}
	}
	if s.IMAPS != "" {
		if l.imaps, err = listen(s.IMAPS); err != nil {
			return err
		}
		l.imaps = tls.NewListener(l.imaps, l.certificate.config())
	}
	if s.Web == "" {
		return nil
	}
	l.web, err = listen(s.Web)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && !s.WebAsked:
		log.Warn("the page that explains how to connect is not served: " + s.Web + " is in use; configure serve.web")
		l.web, err = nil, nil
	case err == nil && !isLocal(l.web.Addr()):
		l.web = tls.NewListener(l.web, l.certificate.config())
	}
	return err
}

// Close closes what is open.
func (l *listeners) Close() error {
	var err error
	for _, ln := range []net.Listener{l.imap, l.imaps, l.web} {
		if ln != nil {
			err = errors.Join(err, ln.Close())
		}
	}
	return err
}

// servers are the ways to reach the archive over IMAP, the safest first.
func (l *listeners) servers() []web.Server {
	var out []web.Server
	if l.imaps != nil {
		out = append(out, serverAt(l.imaps.Addr(), web.TLS))
	}
	switch {
	case l.imap != nil && l.certificate != nil:
		out = append(out, serverAt(l.imap.Addr(), web.StartTLS))
	case l.imap != nil:
		out = append(out, serverAt(l.imap.Addr(), web.Plain))
	}
	for i := range out {
		if out[i].Host == "" && len(l.names) > 0 {
			out[i].Host = l.names[0]
		}
	}
	return out
}

func serverAt(addr net.Addr, s web.Security) web.Server {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return web.Server{Security: s}
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	n, _ := strconv.Atoi(port) // net.Addr has a number
	return web.Server{Host: host, Port: n, Security: s}
}

// isLocal tells whether a listener is reached from this machine only.
func isLocal(addr net.Addr) bool {
	host, _, err := net.SplitHostPort(addr.String())
	return err == nil && isLoopback(host)
}

func listen(addr string) (net.Listener, error) {
	if checkListen(addr) != nil {
		return nil, usagef("%q is not an address and a port such as %q", addr, defaultServe)
	}
	ln, err := net.Listen("tcp", addr)
	switch {
	case isErrno(err, syscall.EADDRINUSE, 10048):
		return nil, tellf(syscall.EADDRINUSE, "%s is in use, perhaps by another mailkeep; end that, or choose another address in the configuration's [serve] (for IMAP also with --imap)", addr)
	case isErrno(err, syscall.EACCES, 10013):
		return nil, tellf(syscall.EACCES, "%s may not be listened on; ports below 1024 need privileges, choose another in the configuration's [serve] (for IMAP also with --imap)", addr)
	case isErrno(err, syscall.EADDRNOTAVAIL, 10049):
		return nil, tellf(err, "%s is no address of this machine; choose another in the configuration's [serve] (for IMAP also with --imap)", addr)
	case err != nil:
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return ln, nil
}
