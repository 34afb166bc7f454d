package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"mailkeep/discover"
	"mailkeep/oauth"
)

// findServer completes host, user and auth of a new account, by what is known of its address or by asking. advice says where to get the password.
func (a *app) findServer(ctx context.Context, o setupOptions, acct *Account) (advice string, err error) {
	acct.Host, acct.TLS, acct.Auth = o.host, o.tls, authAppPassword
	if o.host != "" {
		return "", nil
	}
	found, err := a.lookUp(ctx, o)
	switch {
	case errors.Is(err, discover.ErrUnknown):
		guess := "imap." + o.address[strings.IndexByte(o.address, '@')+1:] + ":993"
		acct.Host, err = a.ask(ctx, question{title: "IMAP server", standard: guess})
		return "", err
	case err != nil:
		return "", err
	case found.Refusal != "":
		return "", fmt.Errorf("%s cannot be backed up: %s", found.Name, found.Refusal)
	}
	a.say("%s: %s (known from %s)", printable(found.Name), found.Host, printable(found.Source))
	acct.Host, acct.User = found.Host, found.User
	if found.Unproven {
		a.say("this comes from DNS alone, which others can forge, and lies outside of your address's domain: look whether you know it")
		if acct.Host, err = a.ask(ctx, question{title: "IMAP server", standard: found.Host}); err != nil {
			return "", err
		}
	}
	if acct.TLS == "" && acct.Host == found.Host {
		acct.TLS = found.TLS
	}
	if !found.Access.Password || o.auth == authOAuth {
		acct.Auth = authOAuth
		acct.OAuth.Client.AuthURL, acct.OAuth.Client.TokenURL, acct.OAuth.Client.Scopes = found.Access.AuthURL, found.Access.TokenURL, found.Access.Scopes
	}
	if found.Access.Password && acct.Auth == authOAuth {
		return "", nil // it speaks of passwords
	}
	return found.Advice, nil
}

// lookUp asks package discover. What takes time is said.
func (a *app) lookUp(ctx context.Context, o setupOptions) (discover.Server, error) {
	if known, ok := discover.Known(o.address); ok {
		return known, nil
	}
	if o.noLookup {
		return discover.Server{}, discover.ErrUnknown
	}
	a.say("looking for the mail server of %s", printable(o.address))
	finder := *a.finder
	finder.Database = o.database
	return finder.Find(ctx, o.address)
}

// settleAuth chooses how the account logs in.
func (a *app) settleAuth(o setupOptions, acct *Account) error {
	switch o.auth {
	case "":
	case authAppPassword, authPassword, authOAuth:
		acct.Auth = o.auth
	default:
		return usagef("--auth %q is unknown; it is app-password, password or oauth2", o.auth)
	}
	if acct.Auth != authOAuth {
		return nil
	}
	host, _, _ := net.SplitHostPort(acct.Host) // settled before
	acct.OAuth.Client.ID = o.clientID
	if o.authURL != "" || o.tokenURL != "" {
		acct.OAuth.Client.AuthURL, acct.OAuth.Client.TokenURL, acct.OAuth.Client.Scopes = o.authURL, o.tokenURL, o.scopes
	}
	if acct.OAuth.Provider = o.provider; o.provider == "" && acct.OAuth.Client.AuthURL == "" {
		acct.OAuth.Provider = oauth.NameFor(host)
	}
	if !acct.OAuth.complete() {
		return usagef("--provider %q is unknown; it is google or microsoft", o.provider)
	}
	if acct.OAuth.Client.AuthURL == "" {
		return usagef("where to log in for %s is not known; name the service with --provider, or its addresses with --auth-url, --token-url and --scopes", host)
	}
	return nil
}

// clientAdvice says where the client ids of the known services come from.
var clientAdvice = map[string]string{
	"google": "Google wants a client id of your own (free, once): make a \"Desktop app\" at https://console.cloud.google.com, and publish it, or every login ends after 7 days;" +
		" the README says how.",
	"microsoft": "Microsoft wants a client id of your own (free, once): register an app at https://entra.microsoft.com; the README says how.",
}

// askClient asks for the client id and its secret.
func (a *app) askClient(ctx context.Context, acct *Account) (err error) {
	client := &acct.OAuth.Client
	if advice := clientAdvice[acct.OAuth.Provider]; advice != "" {
		a.say("%s", advice)
	}
	if client.ID == "" {
		if client.ID, err = a.ask(ctx, question{title: "OAuth client id at " + client.Name}); err != nil {
			return err
		}
	}
	if client.Secret, err = a.ask(ctx, question{title: "OAuth client secret (empty if there is none)", hidden: true, optional: true}); err != nil {
		return err
	}
	if err := client.Check(); err != nil {
		return usagef("%w", err)
	}
	return nil
}
