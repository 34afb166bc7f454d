package discover

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is a network of our own: DNS records and web pages, by host and path.
type world struct {
	mx    map[string][]*net.MX
	srv   map[string][]*net.SRV
	pages map[string]string

	mu    sync.Mutex
	asked []string
}

func (w *world) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	w.note("MX " + name)
	if r, ok := w.mx[name]; ok {
		return r, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (w *world) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	key := "_" + service + "._" + proto + "." + name
	w.note("SRV " + key)
	if r, ok := w.srv[key]; ok {
		return key, r, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: key, IsNotFound: true}
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, what)
}

func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	host, _, _ := strings.Cut(r.Host, ":")
	w.note("GET https://" + host + r.URL.String())
	page, ok := w.pages[host+r.URL.Path]
	if to, isRedirect := strings.CutPrefix(page, "-> "); isRedirect {
		http.Redirect(out, r, to, http.StatusFound)
		return
	}
	if !ok {
		http.NotFound(out, r)
		return
	}
	fmt.Fprint(out, page)
}

// finder asks only this world: every host name leads to the test's own web server.
func (w *world) finder(t *testing.T) *Finder {
	server := httptest.NewTLSServer(w)
	t.Cleanup(server.Close)
	client := newHTTPClient()
	client.Transport = &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if _, port, _ := net.SplitHostPort(addr); port != "443" {
				return nil, fmt.Errorf("%s is not https", addr)
			}
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the names are not those of the test's certificate
	}
	t.Cleanup(client.CloseIdleConnections)
	return &Finder{Resolver: w, HTTP: client, Database: "https://db.test/v1.1/"}
}

func config(host string) string {
	return `<clientConfig version="1.1"><emailProvider><displayName>By ` + host + `</displayName><incomingServer type="imap"><hostname>` + host +
		`</hostname><port>993</port><socketType>SSL</socketType><username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></incomingServer></emailProvider></clientConfig>`
}

func TestFind(t *testing.T) {
	const domain, address = "example.org", "me+x@example.org"
	google := []*net.MX{{Host: "ASPMX.L.Google.com.", Pref: 1}}
	tests := []struct {
		name, host, tls, source string
		unproven                bool
		w                       *world
	}{
		{"google workspace, whatever the hoster's web server says", "imap.gmail.com:993", Implicit, "the MX records of example.org", false, &world{
			mx: map[string][]*net.MX{domain: google}, pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": config("mail.hoster.example")}}},
		{"microsoft 365", "outlook.office365.com:993", Implicit, "the MX records of example.org", false, &world{
			mx: map[string][]*net.MX{domain: {{Host: "relay.example.net."}, {Host: "example-org.mail.protection.outlook.com."}}}}},
		{"autoconfig host", "imap.example.org:993", Implicit, "https://autoconfig.example.org/mail/config-v1.1.xml", false, &world{
			pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": config("imap.example.org")}}},
		{"well-known", "imap.example.org:993", Implicit, "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml", false, &world{
			pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": "rubbish", "example.org/.well-known/autoconfig/mail/config-v1.1.xml": config("imap.example.org")}}},
		{"redirect", "imap.example.org:993", Implicit, "https://autoconfig.example.org/mail/config-v1.1.xml", false, &world{
			pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": "-> https://config.example.net/c.xml", "config.example.net/c.xml": config("imap.example.org")}}},
		{"a configuration that leads to Microsoft", "outlook.office365.com:993", Implicit, "https://autoconfig.example.org/mail/config-v1.1.xml", false, &world{
			pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": config("outlook.office365.com")}}},
		{"imaps record", "mail.example.org:993", Implicit, "the SRV records of example.org", false, &world{
			srv: map[string][]*net.SRV{"_imaps._tcp.example.org": {{Target: "mail.example.org.", Port: 993}}, "_imap._tcp.example.org": {{Target: "mail.example.org.", Port: 143}}}}},
		{"imap record, elsewhere", "mail.hoster.example:143", StartTLS, "the SRV records of example.org", true, &world{
			srv: map[string][]*net.SRV{"_imaps._tcp.example.org": {{Target: "."}}, "_imap._tcp.example.org": {{Target: "mail.hoster.example.", Port: 143}}}}},
		{"record of Google's server", "imap.gmail.com:993", Implicit, "the SRV records of example.org", false, &world{
			srv: map[string][]*net.SRV{"_imaps._tcp.example.org": {{Target: "imap.gmail.com.", Port: 993}}}}},
		{"database", "imap.hoster.example:993", Implicit, "https://db.test/v1.1/example.org", false, &world{
			pages: map[string]string{"db.test/v1.1/example.org": config("imap.hoster.example")}}},
		{"the hoster in the database", "imap.hoster.example:993", Implicit, "https://db.test/v1.1/hoster.example", true, &world{
			mx: map[string][]*net.MX{domain: {{Host: "mx1.in.hoster.example."}}}, pages: map[string]string{"db.test/v1.1/hoster.example": config("imap.hoster.example")}}},
		{"a hoster whose name goes on", "imap.hoster.co.uk:993", Implicit, "https://db.test/v1.1/hoster.co.uk", true, &world{
			mx: map[string][]*net.MX{domain: {{Host: "mx.hoster.co.uk."}}}, pages: map[string]string{"db.test/v1.1/hoster.co.uk": config("imap.hoster.co.uk"), "db.test/v1.1/co.uk": config("evil.example")}}},
		{"the domain's own exchanger", "", "", "", false, &world{mx: map[string][]*net.MX{domain: {{Host: "mx.example.org."}}}}},
		{"an exchanger that is none", "", "", "", false, &world{mx: map[string][]*net.MX{domain: {{Host: "."}, {Host: "a b.c"}}}}},
		{"nothing", "", "", "", false, &world{}},
		{"redirect to http", "", "", "", false, &world{
			pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": "-> http://config.example.net/c.xml", "config.example.net/c.xml": config("imap.example.org")}}},
		{"endless redirects", "", "", "", false, &world{
			pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": "-> https://autoconfig.example.org/mail/config-v1.1.xml"}}},
		{"too large", "", "", "", false, &world{
			pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": config("imap.example.org") + strings.Repeat(" ", maxConfig)}}},
		{"records that lead nowhere", "", "", "", false, &world{
			srv: map[string][]*net.SRV{"_imaps._tcp.example.org": {{Target: "a b.example.", Port: 993}, {Target: "mail.example.org.", Port: 0}}}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := test.w.finder(t).Find(t.Context(), address)
			if (test.host == "") != errors.Is(err, ErrUnknown) || s.Host != test.host || s.TLS != test.tls || s.Source != test.source || s.Unproven != test.unproven {
				t.Errorf("%+v, %v", s, err)
			}
			if err == nil && (s.User != address || s.Name == "" || s.Advice == "") {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestFindTellsTheDatabaseTheDomainOnly checks who learns the address: the domain's own web server, nobody else.
func TestFindTellsTheDatabaseTheDomainOnly(t *testing.T) {
	var w world
	if _, err := w.finder(t).Find(t.Context(), "secret.name@example.org"); !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, what := range w.asked {
		if strings.Contains(what, "secret.name") && !strings.HasPrefix(what, "GET https://autoconfig.example.org/") {
			t.Errorf("%s", what)
		}
	}
	for _, want := range []string{"MX example.org", "SRV _imaps._tcp.example.org", "SRV _imap._tcp.example.org", "GET https://db.test/v1.1/example.org",
		"GET https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=secret.name%40example.org", "GET https://example.org/.well-known/autoconfig/mail/config-v1.1.xml"} {
		if !slices.Contains(w.asked, want) {
			t.Errorf("nobody was asked for %s; asked: %q", want, w.asked)
		}
	}
}

func TestFindAsksNobodyAboutOddAddresses(t *testing.T) {
	for _, address := range []string{"", "me", "@example.org", "me@", "me@localhost", "me@127.0.0.1", "me@[::1]", "me@evil/path.example", "me@a..b", "me@example.org:80", "me@x?.example", "me@" + strings.Repeat("a.", 200) + "example"} {
		var w world
		if s, err := w.finder(t).Find(t.Context(), address); !errors.Is(err, ErrUnknown) {
			t.Errorf("%q: %+v, %v", address, s, err)
		}
		if len(w.asked) > 0 {
			t.Errorf("%q: asked %q", address, w.asked)
		}
	}
	var w world
	if _, err := w.finder(t).Find(t.Context(), "me@büro.example"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	for _, what := range w.asked {
		if !strings.HasPrefix(what, "GET https://") || strings.Contains(what, "ü") && !strings.Contains(what, "db.test") {
			t.Errorf("asked %s", what)
		}
	}
}

// silent is a network in which nothing is ever answered.
type silent struct{}

func (silent) LookupMX(ctx context.Context, _ string) ([]*net.MX, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (silent) LookupSRV(ctx context.Context, _, _, _ string) (string, []*net.SRV, error) {
	<-ctx.Done()
	return "", nil, ctx.Err()
}

func (silent) Do(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestFindEndsInTime(t *testing.T) {
	f := &Finder{Resolver: silent{}, HTTP: silent{}, Database: MozillaDatabase, Timeout: 50 * time.Millisecond}
	started := time.Now()
	if _, err := f.Find(t.Context(), "me@example.org"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestNewAsksTheWorld only looks at what New puts together.
func TestNewAsksTheWorld(t *testing.T) {
	f := New()
	if f.Resolver == nil || f.HTTP == nil || !strings.HasPrefix(f.Database, "https://") {
		t.Errorf("%+v", f)
	}
}
