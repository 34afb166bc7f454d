package discover

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of reading a configuration.
const (
	maxConfig    = 256 << 10 // bytes
	maxRedirects = 3
	pageTimeout  = 8 * time.Second
)

// newHTTPClient follows redirects to https only.
func newHTTPClient() *http.Client {
	return &http.Client{Timeout: pageTimeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "https" || len(via) > maxRedirects {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// fromAutoconfig asks the domain for a configuration at the two places that Thunderbird knows.
func (f *Finder) fromAutoconfig(ctx context.Context, q question) (Server, bool) {
	pages := []string{
		"https://autoconfig." + q.domain + "/mail/config-v1.1.xml?emailaddress=" + url.QueryEscape(q.address),
		"https://" + q.domain + "/.well-known/autoconfig/mail/config-v1.1.xml",
	}
	for _, page := range pages {
		if s, ok := f.fromPage(ctx, page, q); ok {
			return s, true
		}
	}
	return Server{}, false
}

func (f *Finder) fromDatabase(ctx context.Context, q question) (Server, bool) {
	return f.fromPage(ctx, f.page(q.domain), q)
}

// page is where the database has a domain's configuration.
func (f *Finder) page(domain string) string {
	return strings.TrimSuffix(f.Database, "/") + "/" + url.PathEscape(domain)
}

func (f *Finder) fromPage(ctx context.Context, page string, q question) (Server, bool) {
	if f.HTTP == nil || !strings.HasPrefix(page, "https://") {
		return Server{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	text, err := f.get(ctx, page)
	if err != nil {
		return Server{}, false
	}
	s, err := ParseConfig(text, q.address)
	if err != nil {
		return Server{}, false
	}
	s.Source = page[:len(page)-len(queryOf(page))]
	if host, _, err := net.SplitHostPort(s.Host); err == nil {
		if known, ok := byHost(host); ok {
			return known.server(q.local, q.address, s.Source), true
		}
	}
	return s, true
}

func queryOf(page string) string {
	if at := strings.IndexByte(page, '?'); at >= 0 {
		return page[at:]
	}
	return ""
}

func (f *Finder) get(ctx context.Context, page string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return nil, err
	}
	answer, err := f.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP status %d", page, answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("%s: larger than %d bytes", page, maxConfig)
	}
	return text, err
}

// clientConfig is Mozilla's format, as far as it concerns reading mail over IMAP: the element of the same name, version 1.1.
type clientConfig struct {
	XMLName  xml.Name `xml:"clientConfig"`
	Provider struct {
		Name    string     `xml:"displayName"`
		Short   string     `xml:"displayShortName"`
		Servers []incoming `xml:"incomingServer"`
	} `xml:"emailProvider"`
	OAuth struct {
		Scope    string `xml:"scope"`
		AuthURL  string `xml:"authURL"`
		TokenURL string `xml:"tokenURL"`
	} `xml:"oAuth2"`
}

type incoming struct {
	Type     string   `xml:"type,attr"`
	Host     string   `xml:"hostname"`
	Port     string   `xml:"port"`
	Socket   string   `xml:"socketType"`
	User     string   `xml:"username"`
	Password string   `xml:"password"` // never used: it would be everybody's
	Auth     []string `xml:"authentication"`
}

// errNoIMAP says that a configuration names no IMAP server that may be used.
var errNoIMAP = errors.New("the configuration names no IMAP server with encryption")

// ParseConfig reads a configuration in Mozilla's format, version 1.1, and returns the IMAP server for an address: the first with TLS from the first byte,
// else the first with STARTTLS. Servers without encryption are passed over.
func ParseConfig(text []byte, address string) (Server, error) {
	if len(text) > maxConfig {
		return Server{}, fmt.Errorf("read the configuration: larger than %d bytes", maxConfig)
	}
	local, domain, ok := cutAddress(address)
	if !ok {
		return Server{}, ErrUnknown
	}
	var c clientConfig
	d := xml.NewDecoder(strings.NewReader(string(text)))
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		// What matters is ASCII in all of these; names in other letters are for show.
		if strings.HasPrefix(strings.ToLower(charset), "iso-8859-") || strings.EqualFold(charset, "us-ascii") || strings.EqualFold(charset, "windows-1252") {
			return latin1{in}, nil
		}
		return nil, fmt.Errorf("unknown charset %q", charset)
	}
	if err := d.Decode(&c); err != nil {
		return Server{}, fmt.Errorf("read the configuration: %w", err)
	}
	fill := strings.NewReplacer("%EMAILADDRESS%", address, "%EMAILLOCALPART%", local, "%EMAILDOMAIN%", domain)
	for _, tls := range []string{Implicit, StartTLS} {
		for _, in := range c.Provider.Servers {
			if s, ok := in.server(fill, tls); ok {
				s.Name = oneLine(c.Provider.Name, c.Provider.Short, s.Name)
				if s.Access.OAuth {
					s.Access.AuthURL, s.Access.TokenURL, s.Access.Scopes = c.oauth()
				}
				return s, nil
			}
		}
	}
	return Server{}, errNoIMAP
}

// server checks one of the servers; tls is the protection it must have.
func (in *incoming) server(fill *strings.Replacer, tls string) (Server, bool) {
	socket := map[string]string{"SSL": Implicit, "TLS": Implicit, "STARTTLS": StartTLS}[strings.ToUpper(strings.TrimSpace(in.Socket))]
	host := strings.ToLower(fill.Replace(strings.TrimSpace(in.Host)))
	port, err := strconv.ParseUint(strings.TrimSpace(in.Port), 10, 16)
	if !strings.EqualFold(in.Type, "imap") || socket != tls || err != nil || port == 0 || !isHostName(host) {
		return Server{}, false
	}
	user := fill.Replace(strings.TrimSpace(in.User))
	if user == "" || len(user) > 320 || strings.ContainsFunc(user, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return Server{}, false
	}
	access := accessOf(in.Auth)
	if !access.OAuth && !access.Password {
		return Server{}, false
	}
	return Server{Name: host, Host: net.JoinHostPort(host, strconv.FormatUint(port, 10)), TLS: tls, User: user, Advice: adviceOwn, Access: access}, true
}

// accessOf reads the elements "authentication", which are alternatives. Without any, a password is worth a try.
func accessOf(methods []string) Access {
	var a Access
	for _, m := range methods {
		switch strings.ToLower(strings.TrimSpace(m)) {
		case "oauth2":
			a.OAuth = true
		case "password-cleartext", "plain", "password-encrypted", "secure":
			a.Password = true
		} // of no use: client-IP-address, TLS-client-cert, NTLM, GSSAPI, none
	}
	if len(methods) == 0 {
		a.Password = true
	}
	return a
}

func (c *clientConfig) oauth() (authURL, tokenURL string, scopes []string) {
	authURL, tokenURL = strings.TrimSpace(c.OAuth.AuthURL), strings.TrimSpace(c.OAuth.TokenURL)
	if !isPage(authURL) || !isPage(tokenURL) {
		return "", "", nil
	}
	return authURL, tokenURL, slices.DeleteFunc(strings.Fields(c.OAuth.Scope), func(s string) bool { return oneLine(s) != s })
}

func isPage(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil && oneLine(raw) == raw
}

// maxName bounds a service's name, in bytes.
const maxName = 80

// oneLine returns the first of some texts that is of use as a name.
func oneLine(candidates ...string) string {
	for _, s := range candidates {
		s = strings.Join(strings.Fields(s), " ")
		if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || 0x7f <= r && r < 0xa0 }) && (len(s) <= maxName || len(candidates) == 1) {
			return s
		}
	}
	return ""
}

// latin1 turns ISO 8859-1 into UTF-8.
type latin1 struct{ in io.Reader }

func (l latin1) Read(p []byte) (int, error) {
	half := make([]byte, max(len(p)/2, 1))
	if len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	n, err := l.in.Read(half)
	out := p[:0]
	for _, b := range half[:n] {
		out = append(out, string(rune(b))...)
	}
	return len(out), err
}
