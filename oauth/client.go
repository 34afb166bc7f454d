package oauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Service is where an account's OAuth server is and what it wants to be asked.
type Service struct {
	Name     string            // for users: "Google"
	AuthURL  string            // the page where the user agrees (RFC 6749 section 3.1)
	TokenURL string            // where codes and refresh tokens become access tokens (section 3.2)
	Scopes   []string          // what is asked for: reading mail over IMAP, and a refresh token where that needs a scope
	Extra    map[string]string // further parameters of AuthURL
	// Redirect is the address that the browser is sent back to: http, on this machine. Without a port any free one is taken (RFC 8252 section 7.3).
	Redirect string
}

const anyLoopback = "http://127.0.0.1"

// The services that are known by name. Each user brings a client id of their own.
var services = map[string]Service{
	"google": {
		Name: "Google", AuthURL: "https://accounts.google.com/o/oauth2/v2/auth", TokenURL: "https://oauth2.googleapis.com/token",
		Scopes: []string{"https://mail.google.com/"}, Redirect: anyLoopback,
		// Without these two, Google gives a refresh token at the first login only.
		Extra: map[string]string{"access_type": "offline", "prompt": "consent"},
	},
	"microsoft": {
		Name: "Microsoft", AuthURL: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize", TokenURL: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
		Scopes:   []string{"https://outlook.office.com/IMAP.AccessAsUser.All", "offline_access"},
		Redirect: "http://localhost", // for this name alone Microsoft accepts any port
	},
}

// imapHosts says whose tokens the IMAP servers of large services take.
var imapHosts = map[string]string{
	"imap.gmail.com": "google", "imap.googlemail.com": "google",
	"outlook.office365.com": "microsoft", "outlook.office.com": "microsoft", "imap-mail.outlook.com": "microsoft",
}

// Known returns the service of a name such as "google", with fields to complete or replace.
func Known(name string) (Service, bool) {
	s, ok := services[name]
	return s, ok
}

// NameFor returns the name of the known service whose tokens an IMAP server takes, or "".
func NameFor(imapHost string) string { return imapHosts[strings.ToLower(imapHost)] }

// Client is a program that was registered at a service.
type Client struct {
	Service
	ID     string
	Secret string       // "" for programs that were given none
	HTTP   *http.Client // nil for one with time-outs
}

// Check tells what keeps the client from being used, naming the field in its words: "client id", "auth url", "token url", "redirect url".
func (c *Client) Check() error {
	if c.ID == "" {
		return fmt.Errorf("the client id is missing")
	}
	for name, raw := range map[string]string{"auth url": c.AuthURL, "token url": c.TokenURL} {
		if err := checkEndpoint(raw); err != nil {
			return fmt.Errorf("the %s %q %w", name, raw, err)
		}
	}
	if _, err := parseRedirect(c.Redirect); err != nil {
		return fmt.Errorf("the redirect url %q %w", c.Redirect, err)
	}
	return nil
}

// checkEndpoint refuses addresses to which secrets would travel readable (RFC 6749 section 3.2).
func checkEndpoint(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("is not the address of a page")
	case u.User != nil || u.Fragment != "":
		return fmt.Errorf("must hold neither a user nor a fragment")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("must begin with https://")
}

// parseRedirect checks a redirect address; "" stands for any port on this machine.
func parseRedirect(raw string) (*url.URL, error) {
	if raw == "" {
		raw = anyLoopback
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" || !isLoopback(u.Hostname()) || u.User != nil || u.Fragment != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("must be like http://127.0.0.1:8400/ or http://localhost:8400/: the browser comes back to this machine")
	}
	return u, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// requestTimeout bounds one request to the token endpoint.
const requestTimeout = 30 * time.Second

// context carries the HTTP client to the library. Redirects are not followed: the request holds secrets that are meant for this endpoint.
func (c *Client) context(ctx context.Context) context.Context {
	client := c.HTTP
	if client == nil {
		client = &http.Client{Timeout: requestTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}

// request asks the token endpoint. The client's secret goes with the other parameters, which servers of programs without one must know anyway; only when
// the client is not recognized so, it goes into the header (RFC 6749 section 2.3.1). The other way round, careless servers use up the code first.
func (c *Client) request(ctx context.Context, redirect string, ask func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(c.context(ctx), requestTimeout)
	defer cancel()
	config := c.config(redirect)
	t, err := ask(ctx, config)
	var answer *oauth2.RetrieveError
	if c.Secret != "" && errors.As(err, &answer) && answer.ErrorCode == "invalid_client" {
		config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
		if second, secondErr := ask(ctx, config); secondErr == nil {
			t, err = second, nil
		}
	}
	if err != nil {
		return nil, c.tokenError(err)
	}
	if !usable(t.AccessToken) {
		return nil, fmt.Errorf("%s: %w: its token cannot be sent to a mail server", c.Name, ErrRefused)
	}
	return t, nil
}

func (c *Client) config(redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, RedirectURL: redirect, Scopes: c.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: c.AuthURL, TokenURL: c.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
}
