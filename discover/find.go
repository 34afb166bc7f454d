package discover

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The ways to protect a connection.
const (
	Implicit = "implicit" // TLS from the first byte
	StartTLS = "starttls" // plain first, then TLS
)

// Server is where an address's mail is and how one logs in there.
type Server struct {
	Name    string // the service, for users; the server's own name when that is all that is known
	Host    string // host:port
	TLS     string // Implicit or StartTLS
	User    string // the login name
	Advice  string // how to get the password that works over IMAP, in one or two sentences
	Refusal string // why the mail cannot be had over IMAP; "" when it can, and then Host is empty
	Access  Access
	Source  string // where this was found, for users: "the MX records of example.org"
	// Unproven says that it comes by DNS, which can be forged, and lies outside of the address's domain: the user should agree before a password
	// is sent there (RFC 6186 section 6).
	Unproven bool
}

// Access is what a server takes for a login.
type Access struct {
	OAuth    bool // an access token of OAuth 2.0
	Password bool // a password, perhaps one made for one program
	// AuthURL, TokenURL and Scopes are the OAuth server's where the domain names it; empty otherwise.
	AuthURL, TokenURL string
	Scopes            []string
}

// Resolver asks DNS; *net.Resolver does.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Doer sends a request; *http.Client does.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// MozillaDatabase is the address of Mozilla's database of mail services. Who asks it is told nothing but the domain.
const MozillaDatabase = "https://autoconfig.thunderbird.net/v1.1/"

// Finder looks for servers. The zero one knows the table only.
type Finder struct {
	Resolver Resolver      // nil asks no DNS
	HTTP     Doer          // nil asks no web server
	Database string        // such as MozillaDatabase; "" asks none
	Timeout  time.Duration // of all questions together; 0 means 10 s
}

const defaultTimeout = 10 * time.Second

// ErrUnknown says that nothing is known of an address's server.
var ErrUnknown = errors.New("no mail server is known for this address")

// New returns a Finder that asks the system's resolver, the domain's web server and Mozilla's database.
func New() *Finder {
	return &Finder{Resolver: net.DefaultResolver, HTTP: newHTTPClient(), Database: MozillaDatabase}
}

// Known returns the server of an address at one of the large services, without asking anybody.
func Known(address string) (Server, bool) {
	local, domain, ok := cutAddress(address)
	if !ok {
		return Server{}, false
	}
	s, ok := byDomain(domain)
	if !ok {
		return Server{}, false
	}
	return s.server(local, address, "the address"), true
}

// Find returns the server of an address, or ErrUnknown, or why ctx ended. The table costs no question; the others are asked at the same time, and the most trustworthy
// answer counts. Where a domain's mail goes in says more than what its web server says: hosters put a configuration of their own on every domain.
func (f *Finder) Find(ctx context.Context, address string) (Server, error) {
	if s, ok := Known(address); ok {
		return s, nil
	}
	local, domain, ok := cutAddress(address)
	if !ok {
		return Server{}, ErrUnknown
	}
	timeout := f.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	caller := ctx
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	q := question{address, local, domain}
	ways := []func(context.Context, question) (Server, bool){f.fromMX, f.fromAutoconfig, f.fromSRV, f.fromDatabase, f.fromHoster}
	results := make([]chan *Server, len(ways))
	for i, way := range ways {
		results[i] = make(chan *Server, 1)
		go func() {
			if s, ok := way(ctx, q); ok {
				results[i] <- &s
			}
			close(results[i])
		}()
	}
	for _, r := range results { // each way ends with ctx
		if s := <-r; s != nil {
			return *s, nil
		}
	}
	if caller.Err() != nil {
		return Server{}, context.Cause(caller)
	}
	return Server{}, ErrUnknown
}

// question is an address and its parts.
type question struct{ address, local, domain string }

// cutAddress takes an address apart and refuses domains that could mean something else in a URL or a DNS name.
func cutAddress(address string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(address, '@')
	if at <= 0 {
		return "", "", false
	}
	local, domain = address[:at], strings.ToLower(address[at+1:])
	return local, domain, isHostName(domain) && strings.Contains(domain, ".")
}

// isHostName tells whether s is a name of a host, perhaps in letters of other scripts, and no IP address.
func isHostName(s string) bool {
	if len(s) == 0 || len(s) > 253 || net.ParseIP(s) != nil {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
				return false
			}
		}
	}
	return true
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// fromMX recognizes the large services that take mail for other domains by where the domain's mail is sent.
func (f *Finder) fromMX(ctx context.Context, q question) (Server, bool) {
	if f.Resolver == nil || !isASCII(q.domain) {
		return Server{}, false // resolvers want the other form, which only the web client makes
	}
	records, err := f.Resolver.LookupMX(ctx, q.domain)
	if err != nil && len(records) == 0 { // some of the records may be of use when others are not
		return Server{}, false
	}
	for _, mx := range records[:min(len(records), maxRecords)] {
		if s, ok := byExchanger(strings.ToLower(strings.TrimSuffix(mx.Host, "."))); ok {
			return s.server(q.local, q.address, "the MX records of "+q.domain), true
		}
	}
	return Server{}, false
}

// fromHoster asks the database for who takes the domain's mail: the owner of a domain may not be listed there, but whom he pays.
func (f *Finder) fromHoster(ctx context.Context, q question) (Server, bool) {
	if f.Resolver == nil || f.HTTP == nil || f.Database == "" || !isASCII(q.domain) {
		return Server{}, false
	}
	records, err := f.Resolver.LookupMX(ctx, q.domain)
	if err != nil && len(records) == 0 || len(records) == 0 {
		return Server{}, false
	}
	for _, hoster := range parents(strings.ToLower(strings.TrimSuffix(records[0].Host, "."))) {
		if hoster == q.domain {
			continue
		}
		if s, ok := f.fromPage(ctx, f.page(hoster), q); ok {
			s.Unproven = true
			return s, true
		}
	}
	return Server{}, false
}

// parents are the domains around a host, from the largest that may be somebody's: for mx1.mail.example.co.uk example.co.uk and mail.example.co.uk.
func parents(host string) (all []string) {
	if !isHostName(host) {
		return nil
	}
	labels := strings.Split(host, ".")
	for n := 2; n < len(labels) && len(all) < maxParents; n++ {
		if second := labels[len(labels)-2]; n == 2 && len(labels[len(labels)-1]) == 2 && len(second) <= 3 {
			continue // like co.uk and com.br
		}
		all = append(all, strings.Join(labels[len(labels)-n:], "."))
	}
	return all
}

const maxParents = 2

// maxRecords bounds how many records of an answer are looked at.
const maxRecords = 50

// fromSRV asks for the service records of RFC 6186; TLS from the first byte is preferred, as RFC 8314 section 5.1 asks.
func (f *Finder) fromSRV(ctx context.Context, q question) (Server, bool) {
	if f.Resolver == nil || !isASCII(q.domain) {
		return Server{}, false
	}
	for _, kind := range []struct{ service, tls string }{{"imaps", Implicit}, {"imap", StartTLS}} {
		_, records, err := f.Resolver.LookupSRV(ctx, kind.service, "tcp", q.domain)
		if err != nil && len(records) == 0 {
			continue
		}
		for _, srv := range records[:min(len(records), maxRecords)] {
			host := strings.ToLower(strings.TrimSuffix(srv.Target, "."))
			if !isHostName(host) || srv.Port == 0 { // a lone "." says that there is no such service
				continue
			}
			if s, ok := byHost(host); ok {
				return s.server(q.local, q.address, "the SRV records of "+q.domain), true
			}
			return Server{
				Name: host, Host: net.JoinHostPort(host, strconv.Itoa(int(srv.Port))), TLS: kind.tls, User: q.address, Advice: adviceOwn,
				Access: Access{Password: true}, Source: "the SRV records of " + q.domain, Unproven: host != q.domain && !strings.HasSuffix(host, "."+q.domain),
			}, true
		}
	}
	return Server{}, false
}
