package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/emersion/go-sasl"
)

// The names of the mechanisms that carry access tokens.
const (
	oauthBearer = "OAUTHBEARER" // RFC 7628
	xoauth2     = "XOAUTH2"     // Google's and Microsoft's forerunner of it
)

// Mechanism logs in with an access token. Unlike go-sasl's OAUTHBEARER client it answers the server's explanation of an error, as RFC 7628 section 3.2.3
// asks, so that the server can end the exchange and the connection stays of use; and it escapes user names.
type Mechanism struct {
	name, user, token, addr string
	problem                 string
}

var _ sasl.Client = (*Mechanism)(nil)

// ErrNoMechanism says that a server takes no access tokens.
var ErrNoMechanism = errors.New("the mail server announces neither OAUTHBEARER nor XOAUTH2")

// Choose makes a mechanism that the server announces, preferring the standard one. addr is the mail server's host:port.
func Choose(announces func(mechanism string) bool, user, token, addr string) (*Mechanism, error) {
	if !usable(user) || !usable(token) {
		return nil, errors.New("the user name or the token holds characters that cannot be sent")
	}
	for _, name := range []string{oauthBearer, xoauth2} {
		if announces(name) {
			return &Mechanism{name: name, user: user, token: token, addr: addr}, nil
		}
	}
	return nil, ErrNoMechanism
}

// usable tells whether a string can stand in a mechanism's response, whose parts ^A separates.
func usable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Start returns the initial response.
func (m *Mechanism) Start() (name string, initial []byte, err error) {
	if m.name == xoauth2 {
		return m.name, []byte("user=" + m.user + "\x01auth=Bearer " + m.token + "\x01\x01"), nil
	}
	var b strings.Builder
	b.WriteString("n,a=" + strings.NewReplacer("=", "=3D", ",", "=2C").Replace(m.user) + ",\x01") // RFC 5801 section 4
	if host, port, err := net.SplitHostPort(m.addr); err == nil {
		b.WriteString("host=" + host + "\x01port=" + port + "\x01")
	}
	b.WriteString("auth=Bearer " + m.token + "\x01\x01")
	return m.name, []byte(b.String()), nil
}

// maxChallenge bounds what is taken from a server's explanation, in bytes.
const maxChallenge = 8 << 10

// Next takes the server's explanation of an error, the only challenge that these mechanisms know, and answers it.
func (m *Mechanism) Next(challenge []byte) ([]byte, error) {
	m.problem = explain(challenge[:min(len(challenge), maxChallenge)])
	return []byte{1}, nil
}

// Problem is what the server said about an error, in plain words; "" when it said nothing.
func (m *Mechanism) Problem() string { return m.problem }

// explain reads the JSON of RFC 7628 section 3.2.2; Google and Microsoft send the same with HTTP statuses in it.
func explain(challenge []byte) string {
	var said struct {
		Status any    `json:"status"` // text, but for those who send a number
		Scope  string `json:"scope"`
		Error  string `json:"error_description"`
	}
	if json.Unmarshal(challenge, &said) != nil || said.Status == nil {
		if text := clean(string(challenge)); text != "" {
			return fmt.Sprintf("the mail server says %q", text)
		}
		return "the mail server gives no reason"
	}
	status := clean(fmt.Sprint(said.Status))
	more := ""
	if text := clean(said.Error); text != "" {
		more = fmt.Sprintf(", saying %q", text)
	}
	switch status {
	case "invalid_token", "400", "401":
		return "the mail server does not accept the token: it has expired, was revoked, or belongs to another user (status " + status + more + ")"
	case "insufficient_scope", "403":
		if scope := clean(said.Scope); scope != "" {
			more += fmt.Sprintf("; it wants the scope %q", scope)
		}
		return "the token does not give access to mail over IMAP (status " + status + more + ")"
	case "invalid_request":
		return "the mail server does not understand the login (status invalid_request" + more + ")"
	}
	return fmt.Sprintf("the mail server refuses the token with the status %q%s", status, more)
}
