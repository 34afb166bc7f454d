package main

import (
	"fmt"
	"net"
	"strings"

	"mailkeep/oauth"
)

// OAuthConfig is how an account with authOAuth gets its access tokens.
type OAuthConfig struct {
	Provider     string // a name that package oauth knows, or "" for the addresses in Client
	Client       oauth.Client
	TokenFile    string // its first line is the refresh token; "" for the system keyring
	TokenCommand string // its first line of output is an access token; Client and TokenFile are not used then
}

func (p *configParser) oauth(path string, value any, o *OAuthConfig) {
	p.table(path, value, keys{
		"provider":      p.str(&o.Provider),
		"client_id":     p.str(&o.Client.ID),
		"client_secret": p.secret(&o.Client.Secret),
		"auth_url":      p.str(&o.Client.AuthURL),
		"token_url":     p.str(&o.Client.TokenURL),
		"scopes":        p.strs(&o.Client.Scopes),
		"redirect_url":  p.str(&o.Client.Redirect),
	})
}

// secret is str for what must not be shown, not even when it is written wrongly.
func (p *configParser) secret(to *string) func(string, any) {
	return func(path string, value any) {
		if _, ok := value.(string); !ok {
			p.fail(path, "%s must be text in quotes", plainKey(path))
			return
		}
		p.str(to)(path, value)
	}
}

// settleOAuth completes what the provider's name implies and checks the rest.
func (p *configParser) settleOAuth(path string, a *Account) {
	o := &a.OAuth
	switch {
	case a.PasswordFile != "" || a.PasswordCommand != "":
		p.fail(path+".auth", "auth = \"oauth2\" takes no password; instead of password_file and password_command there are token_file and token_command")
	case o.TokenCommand != "" && o.TokenFile != "":
		p.fail(path+".token_file", "token_command and token_file exclude each other: keep one")
	}
	if o.TokenCommand != "" || p.err != nil {
		return
	}
	if o.Provider == "" && o.Client.AuthURL == "" && o.Client.TokenURL == "" {
		host, _, _ := net.SplitHostPort(a.Host) // settled before
		o.Provider = oauth.NameFor(host)
	}
	if !o.complete() {
		p.fail(path+".oauth2.provider", "unknown provider %q; it is \"google\" or \"microsoft\", or none but auth_url, token_url and scopes", o.Provider)
	}
	table := path + ".oauth2"
	switch err := o.Client.Check(); {
	case o.Client.ID == "":
		p.fail(table, "account %q has no client id: add client_id = \"...\" under [account.oauth2]; the README says how to get one", a.Name)
	case o.Client.AuthURL == "" || o.Client.TokenURL == "":
		p.fail(table, "account %q does not say where to log in: add provider, or auth_url, token_url and scopes, under [account.oauth2]", a.Name)
	case err != nil:
		p.fail(table, "account %q: %w", a.Name, err)
	}
}

// complete puts in what is known of the provider, where nothing else is said. It tells whether the provider is known, or none is named.
func (o *OAuthConfig) complete() bool {
	known, ok := oauth.Known(o.Provider)
	if !ok {
		known = oauth.Service{Name: "the OAuth server"}
	}
	own := o.Client.Service
	o.Client.Service = known
	if own.AuthURL != "" {
		o.Client.AuthURL = own.AuthURL
	}
	if own.TokenURL != "" {
		o.Client.TokenURL = own.TokenURL
	}
	if own.Scopes != nil {
		o.Client.Scopes = own.Scopes
	}
	if own.Redirect != "" {
		o.Client.Redirect = own.Redirect
	}
	return ok || o.Provider == ""
}

// text is the table [account.oauth2]; what the provider's name implies is left out.
func (o *OAuthConfig) text() string {
	var b strings.Builder
	b.WriteString("\n[account.oauth2]\n")
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, tomlString(value))
		}
	}
	line("provider", o.Provider)
	line("client_id", o.Client.ID)
	line("client_secret", o.Client.Secret)
	if o.Provider == "" {
		line("auth_url", o.Client.AuthURL)
		line("token_url", o.Client.TokenURL)
		quoted := make([]string, len(o.Client.Scopes))
		for i, s := range o.Client.Scopes {
			quoted[i] = tomlString(s)
		}
		fmt.Fprintf(&b, "scopes = [%s]\n", strings.Join(quoted, ", "))
	}
	return b.String()
}
