// Package web is what mailkeep shows over HTTP: how mail programs connect to the archive, for people and for programs that configure themselves.
//
// It never shows a password, and nothing on it changes anything. There are no scripts.
package web

import (
	"embed"
	"html/template"
	"net"
	"net/http"
)

// Options say what is shown and to whom.
type Options struct {
	Servers []Server // where the archive is served over IMAP, the best choice first
	Logins  []Login  // who may log in there, at least one
	Hosts   []string // lower case; the names in a request's Host header that mean this machine, besides localhost and IP addresses
	Archive string   // something that stays the same for this archive: profiles for Apple's programs are told apart by it

	// Fingerprint is the SHA-256 of the server's own certificate as it is now, in the way programs show it; nil when there is none or an authority has signed it.
	Fingerprint func() string
}

// Server is one way to reach the archive over IMAP.
type Server struct {
	Host     string // name or address; "" for the one by which the page was reached
	Port     int
	Security Security
}

// Security is how a connection is encrypted.
type Security int

const (
	Plain    Security = iota // not; for this machine only
	StartTLS                 // TLS after the greeting (RFC 9051 section 6.2.1)
	TLS                      // TLS from the first byte (RFC 8314)
)

// String is what mail programs call it.
func (s Security) String() string { return [...]string{"None", "STARTTLS", "SSL/TLS"}[s] }

// Login is one user name of the IMAP server.
type Login struct {
	User    string
	Account string // the only account that it sees, as it is named in the configuration; "" for all
}

//go:embed templates static
var files embed.FS

// page is the handlers with what they show.
type page struct {
	Options
	connectPage *template.Template
}

// Handler serves everything. Requests must come to this machine by one of its names, which keeps the pages of other sites from reading it (DNS rebinding).
func Handler(o Options) http.Handler {
	p := &page{Options: o, connectPage: template.Must(template.ParseFS(files, "templates/connect.html"))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.connect)
	mux.HandleFunc("GET /mailkeep.mobileconfig", p.mobileconfig)
	mux.HandleFunc("GET /.well-known/autoconfig/mail/config-v1.1.xml", p.autoconfig)
	mux.HandleFunc("GET /mail/config-v1.1.xml", p.autoconfig) // on a host "autoconfig.DOMAIN"
	mux.Handle("GET /static/", http.FileServerFS(files))
	return p.guard(mux)
}

// reachable lists the servers that the client of a request can connect to, with their hosts. One that listens on loopback only is none for other machines.
func (p *page) reachable(r *http.Request) []Server {
	var out []Server
	for _, s := range p.Servers {
		switch {
		case s.Host == "":
			s.Host = hostOf(r)
		case isLoopback(s.Host) && !isLoopback(clientOf(r)):
			continue
		}
		out = append(out, s)
	}
	return out
}

// clientOf is the address that a request comes from, without its port.
func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// isLoopback tells whether a name or an address is this machine's own.
func isLoopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}

// login is the one for whom a request asks, by its user name, by an address that begins with it, or by its account; else the first.
func (p *page) login(asked string) Login {
	for _, fits := range []func(Login) bool{
		func(l Login) bool { return l.User == asked },
		func(l Login) bool { return l.Account != "" && l.Account == asked },
		func(l Login) bool { return l.User == localPart(asked) },
	} {
		for _, l := range p.Logins {
			if fits(l) {
				return l
			}
		}
	}
	return p.Logins[0]
}
