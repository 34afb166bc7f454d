package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/oauth2"
)

// Errors that callers tell apart with errors.Is. Any other error of this package is passing: the network, or a server that cannot answer now.
var (
	ErrEnded   = errors.New("the login has expired or was revoked") // only a new login in the browser helps
	ErrRefused = errors.New("the OAuth client does not work")       // its id, secret, scopes or addresses are wrong
	ErrDenied  = errors.New("access was not granted")               // the user or an administrator said no in the browser
)

// ended are the error codes of a token endpoint for a refresh token or code that is of no use any more: RFC 6749 section 5.2, and OpenID Connect's for
// what only the user can clear up.
var ended = map[string]bool{"invalid_grant": true, "interaction_required": true, "login_required": true, "consent_required": true}

// tokenError makes an error of the library's request to the token endpoint fit to be shown. Nothing but the server's error code and description is taken
// from the answer, which may hold tokens.
func (c *Client) tokenError(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return c.noAnswer(err)
	}
	said := describe(answer.ErrorCode, answer.ErrorDescription)
	status := 0
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	switch {
	case ended[answer.ErrorCode]:
		return fmt.Errorf("%s: %w%s", c.Name, ErrEnded, said)
	case status >= 500, status == http.StatusTooManyRequests, answer.ErrorCode == "temporarily_unavailable", answer.ErrorCode == "server_error":
		return fmt.Errorf("%s cannot give a token now (HTTP status %d%s); try again later", c.Name, status, said)
	case answer.ErrorCode == "":
		return fmt.Errorf("%s: %w: %s answers with the HTTP status %d, and not as an OAuth server does; check the token url", c.Name, ErrRefused, hostOf(c.TokenURL), status)
	}
	return fmt.Errorf("%s: %w%s; check client id, client secret and scopes", c.Name, ErrRefused, said)
}

// noAnswer is for requests that brought no answer, or one that is no token. The library's words for the latter may quote the answer, so they are not shown.
func (c *Client) noAnswer(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return fmt.Errorf("ask %s for a token: %w", hostOf(c.TokenURL), failed.Err)
	}
	if strings.HasPrefix(err.Error(), "oauth2: cannot fetch token:") {
		return fmt.Errorf("the answer of %s broke off; try again later", hostOf(c.TokenURL))
	}
	return fmt.Errorf("%s: %w: %s sends no token in its answer; check the token url", c.Name, ErrRefused, hostOf(c.TokenURL))
}

// describe is what a server says about an error, in parentheses; "" when it says nothing.
func describe(code, description string) string {
	code, description = clean(code), clean(description)
	switch {
	case code == "" && description == "":
		return ""
	case description == "":
		return " (" + code + ")"
	case code == "":
		return " (" + description + ")"
	}
	return " (" + code + ": " + description + ")"
}

// maxQuoted bounds what is quoted from a stranger, in bytes.
const maxQuoted = 300

// clean makes a stranger's text one short line.
func clean(s string) string {
	if len(s) > maxQuoted {
		s = s[:maxQuoted] + "..."
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	return strings.TrimRight(strings.Join(strings.Fields(s), " "), ".")
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the server"
	}
	return u.Host
}
