package main

import (
	"reflect"
	"strings"
	"testing"

	"mailkeep/oauth"
)

func TestOAuthConfig(t *testing.T) {
	google, _ := oauth.Known("google")
	custom := oauth.Service{Name: "the OAuth server", AuthURL: "https://a.example/auth", TokenURL: "https://a.example/token", Scopes: []string{"mail"}, Redirect: "http://127.0.0.1:8400/"}
	company, _ := oauth.Known("microsoft")
	company.TokenURL = "https://login.example/token"
	tests := []struct {
		name, text string
		want       oauth.Client
	}{
		{"by the host", "host = \"imap.gmail.com\"\nclient_id", oauth.Client{Service: google, ID: "x"}},
		{"by name", "host = \"imap.example.org\"\nprovider = \"google\"\nclient_id", oauth.Client{Service: google, ID: "x"}},
		{"addresses", "host = \"imap.gmail.com\"\nauth_url = \"https://a.example/auth\"\ntoken_url = \"https://a.example/token\"\nscopes = [\"mail\"]\nredirect_url = \"http://127.0.0.1:8400/\"\nclient_id",
			oauth.Client{Service: custom, ID: "x"}},
		{"a company's address", "host = \"outlook.office365.com\"\nprovider = \"microsoft\"\ntoken_url = \"https://login.example/token\"\nclient_id", oauth.Client{Service: company, ID: "x"}},
	}
	for _, test := range tests {
		host, keys, _ := strings.Cut(test.text, "\n")
		c, err := parseConfig("f", "[[account]]\nuser = \"me\"\nauth = \"oauth2\"\n"+host+"\n[account.oauth2]\n"+keys+" = \"x\"\n")
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := c.Accounts[0].OAuth.Client; !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got  %+v\nwant %+v", test.name, got, test.want)
		}
	}
}

// TestOAuthConfigThere: an account with token_command needs nothing else, and one that logs in with a password keeps its table for later.
func TestOAuthConfigThere(t *testing.T) {
	for _, text := range []string{
		"auth = \"oauth2\"\ntoken_command = \"my-token\"",
		"auth = \"password\"\n[account.oauth2]\nprovider = \"gone\"",
	} {
		if _, err := parseConfig("f", "[[account]]\nuser = \"me\"\nhost = \"imap.example.org\"\n"+text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"auth = \"oauth2\"\ntoken_command = \"a\"\ntoken_file = \"b\"":                                                           "f:6: token_command and token_file exclude each other",
		"auth = \"oauth2\"\n[account.oauth2]\nclient_id = \"x\"\nprovider = \"google\"\nredirect_url = \"https://example.org/\"": "the redirect url \"https://example.org/\" must be like http://127.0.0.1:8400/",
		"auth = \"oauth2\"\noauth2 = 3":                                                       "f:5: account.oauth2 must be a table",
		"auth = \"oauth2\"\n[account.oauth2]\nscopes = \"mail\"":                              "f:6: account.oauth2.scopes must be a list",
		"auth = \"oauth2\"\n[account.oauth2]\nclient_id = \"x\"\nclient_secret = \"a\\nb\"\n": "f:7: account.oauth2.client_secret must not contain line breaks",
	} {
		_, err := parseConfig("f", "[[account]]\nuser = \"me\"\nhost = \"imap.example.org\"\n"+text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}

// TestOAuthAccountText: what setup writes is read as it was meant.
func TestOAuthAccountText(t *testing.T) {
	for _, provider := range []string{"", "google"} {
		acct := Account{Name: "x", Host: "imap.example.org:993", User: "x", Auth: authOAuth, TLS: tlsImplicit, Connections: 5,
			OAuth: OAuthConfig{Provider: provider, TokenFile: "x.token", Client: oauth.Client{ID: `i"d`, Secret: `s\ecret`}}}
		if provider == "" {
			acct.OAuth.Client.Service = oauth.Service{AuthURL: "https://a.example/auth", TokenURL: "https://a.example/token", Scopes: []string{"mail", `o"dd`}}
		}
		acct.OAuth.complete()
		text := accountText(&acct, ".")
		c, err := parseConfig("f", "[serve]\n"+text+"\n[[account]]\nuser = \"y\"\nhost = \"h\"\n")
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !reflect.DeepEqual(c.Accounts[0], acct) {
			t.Errorf("got  %+v\nwant %+v\n%s", c.Accounts[0], acct, text)
		}
	}
}

// TestSecretsInWrongConfigurations: a slip of the pen does not show the secret in the error.
func TestSecretsInWrongConfigurations(t *testing.T) {
	for _, line := range []string{"client_secret = 5417", "client_secret = 5417-abc", "client_secret = abc5417", "client_secret = \"5417", "client_secret = '5417\"", "client_secret = 5417 5417",
		"client_secret = [\"5417\"]", "client_secret = \"5417\\q\"", "client_secret = \"x\" 5417", "client_secret 5417", "client_secret = \"a\\n5417\"", "client_secret: 5417"} {
		_, err := parseConfig("f", "[[account]]\nuser = \"me\"\nhost = \"imap.gmail.com\"\nauth = \"oauth2\"\n[account.oauth2]\nclient_id = \"x\"\n"+line+"\n")
		if err == nil || strings.Contains(err.Error(), "5417") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
