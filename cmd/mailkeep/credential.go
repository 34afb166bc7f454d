package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailkeep/backup"
	"mailkeep/oauth"
)

// connector connects to an account's server and logs in as the function says.
type connector func(ctx context.Context, login func(*backup.Session) error) (*backup.Session, error)

// credential is what an account logs in with.
type credential interface {
	// open gets a session from connect, again if there is reason to.
	open(ctx context.Context, connect connector) (*backup.Session, error)
}

// credential returns what the configuration of an account says, asking the user where it must.
func (a *app) credential(ctx context.Context, acct *Account) (credential, error) {
	if acct.Auth == authOAuth {
		return a.oauthCredential(ctx, acct)
	}
	password, err := a.password(ctx, acct)
	if err != nil {
		return nil, err
	}
	return passwordCredential{acct.User, password}, nil
}

type passwordCredential struct{ user, password string }

func (p passwordCredential) open(ctx context.Context, connect connector) (*backup.Session, error) {
	return connect(ctx, func(s *backup.Session) error { return s.Login(p.user, p.password) })
}

// tokenCredential logs in with access tokens, which each connection asks for anew: they last an hour, and so do most sessions that began with one.
type tokenCredential struct {
	acct   *Account
	get    func(context.Context) (oauth.Token, error)
	reject func(token string) // the server does not take it; get then gives another one, if it can. nil: it cannot
}

func (t *tokenCredential) open(ctx context.Context, connect connector) (*backup.Session, error) {
	refused := ""
	var refusal error
	for {
		token, err := t.get(ctx)
		if err != nil {
			return nil, t.explain(err)
		}
		if token.Value == refused {
			return nil, refusal
		}
		session, err := connect(ctx, func(s *backup.Session) error { return t.login(s, token.Value) })
		if err == nil {
			if !token.Expiry.IsZero() {
				session.Expires = token.Expiry.Add(-sessionMargin(time.Until(token.Expiry)))
			}
			return session, nil
		}
		// A token may end before its time, or a clock be wrong: once, another one is worth a try.
		if t.reject == nil || refused != "" || !errors.Is(err, backup.ErrAuth) || errors.Is(err, oauth.ErrNoMechanism) {
			return nil, err
		}
		refused, refusal = token.Value, err
		t.reject(token.Value)
	}
}

// sessionMargin is how long before the end of its token a session is given up, between two commands.
func sessionMargin(life time.Duration) time.Duration {
	return min(time.Minute, max(life, 0)/10)
}

// login does the SASL exchange and puts the server's reasons into words.
func (t *tokenCredential) login(s *backup.Session, token string) error {
	caps := s.Client.Caps()
	if caps == nil { // the connection was lost; asked again, the client says why
		if _, err := s.Client.Capability().Wait(); err != nil {
			return backup.LoginError(err)
		}
		caps = s.Client.Caps()
	}
	m, err := oauth.Choose(func(name string) bool { return caps.Has(imap.Cap("AUTH=" + name)) }, t.acct.User, token, t.acct.Host)
	if errors.Is(err, oauth.ErrNoMechanism) {
		return tellf(errors.Join(backup.ErrAuth, err), "log in: %s takes no OAuth 2.0 logins (%v); set auth to \"app-password\" or \"password\"", t.acct.Host, err)
	}
	if err != nil {
		return tellf(errors.Join(backup.ErrAuth, err), "log in: %v", err)
	}
	err = s.Authenticate(m)
	var no *imap.Error
	said := errors.As(err, &no)
	if err == nil || !errors.Is(err, backup.ErrAuth) && (said || m.Problem() == "") { // "not now", or a lost connection; some servers close it once they have told the problem
		return err
	}
	why := m.Problem()
	if why == "" {
		why = "the mail server refuses the login"
	}
	if said {
		why += fmt.Sprintf(" (it says %q)", clip(no.Text))
	}
	return tellf(errors.Join(backup.ErrAuth, err), "log in: %s; check that IMAP is switched on for %s, or run \"mailkeep login %s\" and choose that account in the browser",
		why, t.acct.User, t.acct.Name)
}

// explain says what to do about a token that cannot be had. What only the user can mend ends a backup; anything else may pass.
func (t *tokenCredential) explain(err error) error {
	switch {
	case errors.Is(err, oauth.ErrEnded) && t.acct.OAuth.Provider == "google":
		return tellf(errors.Join(backup.ErrAuth, err), "%v; run \"mailkeep login %s\" (every 7 days? the README says how to leave Google's test mode)", err, t.acct.Name)
	case errors.Is(err, oauth.ErrEnded):
		return tellf(errors.Join(backup.ErrAuth, err), "%v; run \"mailkeep login %s\"", err, t.acct.Name)
	case errors.Is(err, oauth.ErrRefused), errors.Is(err, errNoPassword), errors.Is(err, errUsage):
		return tellf(errors.Join(backup.ErrAuth, err), "%v", err)
	}
	return err
}

// oauthCredential returns the source of an account's access tokens. It asks it at once, so that what is missing is said before anything is shown.
func (a *app) oauthCredential(ctx context.Context, acct *Account) (credential, error) {
	if acct.OAuth.TokenCommand != "" {
		get := func(ctx context.Context) (oauth.Token, error) {
			value, err := tokens.fromCommand(ctx, acct.OAuth.TokenCommand, a.stderr)
			return oauth.Token{Value: value}, err
		}
		// The command keeps track of what has expired; that the server refused it is for its next call to find out.
		return &tokenCredential{acct: acct, get: get, reject: func(string) {}}, nil
	}
	source := oauth.NewTokens(&acct.OAuth.Client, tokenStore{a, acct})
	t := &tokenCredential{acct: acct, get: source.Get, reject: source.Reject}
	if _, err := tokens.stored(acct.Name, acct.OAuth.TokenFile); err != nil {
		return nil, t.explain(err)
	}
	return t, nil
}

// tokenStore keeps an account's refresh token where its configuration says.
type tokenStore struct {
	a    *app
	acct *Account
}

func (s tokenStore) Load(context.Context) (string, error) {
	return tokens.stored(s.acct.Name, s.acct.OAuth.TokenFile)
}

func (s tokenStore) Save(refresh string) {
	err := error(nil)
	if file := s.acct.OAuth.TokenFile; file != "" {
		err = tokens.write(s.acct.Name, refresh, file)
	} else {
		err = tokens.storeInKeyring(s.acct.Name, refresh)
	}
	if err != nil {
		s.a.log.Warn("the renewed login is not stored; should the old one not work any more, run \"mailkeep login\"", "account", s.acct.Name, "error", err)
	}
}
