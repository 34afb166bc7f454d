package oauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// Grant is what a login in the browser brought.
type Grant struct {
	Refresh string    // secret: makes access tokens until it is revoked
	Access  string    // secret: the first access token
	Expiry  time.Time // of Access; zero when the server does not say
}

// Login is one attempt of a user to grant access in a web browser (RFC 8252): with PKCE (RFC 7636, S256) and a state, and a web server on this machine that
// takes the browser's answer.
type Login struct {
	client   *Client
	redirect string
	state    string
	verifier string
	url      string
	server   *callback

	once    sync.Once // the one answer that is used
	answers chan answer
}

// answer is what the authorization server told the browser to bring.
type answer struct {
	query url.Values
	tell  func(error) // shows the outcome to whom brought it; called once
}

// NewLogin prepares a login for a user, whose name is suggested to the authorization server, and waits for the browser on this machine. The caller closes it.
func (c *Client) NewLogin(user string) (*Login, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	redirect, err := parseRedirect(c.Redirect)
	if err != nil {
		return nil, err
	}
	l := &Login{client: c, state: rand.Text(), verifier: oauth2.GenerateVerifier(), answers: make(chan answer, 1)}
	if l.server, err = listenFor(redirect, l.visit); err != nil {
		return nil, fmt.Errorf("wait for the browser: %w", err)
	}
	l.redirect = redirect.String()
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(l.verifier)}
	if strings.Contains(user, "@") {
		options = append(options, oauth2.SetAuthURLParam("login_hint", user))
	}
	for key, value := range c.Extra {
		options = append(options, oauth2.SetAuthURLParam(key, value))
	}
	l.url = c.config(l.redirect).AuthCodeURL(l.state, options...)
	return l, nil
}

// URL is the page that the user opens in a browser. It holds no secret.
func (l *Login) URL() string { return l.url }

// Close ends the waiting for a browser.
func (l *Login) Close() { l.server.close() }

// maxPasted bounds an address that the user pastes, in bytes.
const maxPasted = 16 << 10

// Paste takes the address to which the browser was sent back, from a user whose browser runs on another machine. Wait then goes on. An error says what is
// wrong with it; another one may be pasted.
func (l *Login) Paste(address string) error {
	address = strings.Trim(strings.TrimSpace(address), `"'<>`)
	if len(address) > maxPasted {
		return errors.New("that is too long for the address of the page")
	}
	_, raw, found := strings.Cut(address, "?")
	if !found {
		return errors.New(`that is not the address of the page after the login: it holds "?", "state=" and "code="`)
	}
	raw, _, _ = strings.Cut(raw, "#")
	query, err := url.ParseQuery(raw)
	if err != nil {
		return errors.New("the address is damaged; copy the whole address bar")
	}
	return l.take(answer{query, func(error) {}})
}

// errStray says that an answer belongs to no login that waits here.
var errStray = errors.New("this address belongs to another login; use the link that mailkeep shows now")

// errUsed says that the login has its answer already.
var errUsed = errors.New("this login was answered already")

// take accepts the first answer that bears the state of this login (RFC 6749 section 10.12): no other web page can slip one in.
func (l *Login) take(a answer) error {
	if subtle.ConstantTimeCompare([]byte(a.query.Get("state")), []byte(l.state)) != 1 {
		return errStray
	}
	if a.query.Get("error") == "" && a.query.Get("code") == "" {
		return errors.New("the address holds neither a code nor an error; copy the whole address bar")
	}
	err := errUsed
	l.once.Do(func() {
		l.answers <- a
		err = nil
	})
	return err
}

// visit is take for the web server; it returns what to show once the outcome is known.
func (l *Login) visit(ctx context.Context, query url.Values) error {
	outcome := make(chan error, 1)
	if err := l.take(answer{query, func(err error) { outcome <- err }}); err != nil {
		return err
	}
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Wait waits for the browser or a pasted address and exchanges the code for tokens. confirm, when it is not nil, has the last word: its error, too, is
// shown in the browser. Wait is called once.
func (l *Login) Wait(ctx context.Context, confirm func(Grant) error) (Grant, error) {
	select {
	case <-ctx.Done():
		return Grant{}, context.Cause(ctx)
	case a := <-l.answers:
		g, err := l.exchange(ctx, a.query)
		if err == nil && confirm != nil {
			err = confirm(g)
		}
		a.tell(err)
		return g, err
	}
}

func (l *Login) exchange(ctx context.Context, query url.Values) (Grant, error) {
	if code := query.Get("error"); code != "" {
		said := describe(code, query.Get("error_description"))
		switch code {
		case "access_denied", "consent_required", "interaction_required", "login_required":
			return Grant{}, fmt.Errorf("%s: %w%s; log in again and agree, or ask who administers the account", l.client.Name, ErrDenied, said)
		case "temporarily_unavailable", "server_error":
			return Grant{}, fmt.Errorf("%s has trouble at the moment%s; try again later", l.client.Name, said)
		}
		return Grant{}, fmt.Errorf("%s: %w%s; check client id and scopes", l.client.Name, ErrRefused, said)
	}
	t, err := l.client.request(ctx, l.redirect, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(l.verifier))
	})
	if errors.Is(err, ErrEnded) {
		return Grant{}, fmt.Errorf("%s does not accept the answer of the browser any more; log in again", l.client.Name)
	}
	if err != nil {
		return Grant{}, err
	}
	if t.RefreshToken == "" {
		return Grant{}, fmt.Errorf("%s: %w: there is access, but no refresh token, so that every backup would need the browser; add \"offline_access\" to the scopes, or what the service calls it",
			l.client.Name, ErrRefused)
	}
	return Grant{t.RefreshToken, t.AccessToken, t.Expiry.Round(0)}, nil
}
