package oauth

import (
	"errors"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	announces := func(names ...string) func(string) bool {
		return func(m string) bool { return strings.Contains(" "+strings.Join(names, " ")+" ", " "+m+" ") }
	}
	tests := []struct{ announced, user, name, initial string }{
		{"PLAIN XOAUTH2 OAUTHBEARER", "me@example.org", "OAUTHBEARER", "n,a=me@example.org,\x01host=imap.example.org\x01port=993\x01auth=Bearer TOKEN\x01\x01"},
		{"PLAIN XOAUTH2", "me@example.org", "XOAUTH2", "user=me@example.org\x01auth=Bearer TOKEN\x01\x01"},
		{"OAUTHBEARER", "a,b=c", "OAUTHBEARER", "n,a=a=2Cb=3Dc,\x01host=imap.example.org\x01port=993\x01auth=Bearer TOKEN\x01\x01"},
	}
	for _, test := range tests {
		m, err := Choose(announces(strings.Fields(test.announced)...), test.user, "TOKEN", "imap.example.org:993")
		if err != nil {
			t.Fatal(err)
		}
		name, initial, err := m.Start()
		if err != nil || name != test.name || string(initial) != test.initial {
			t.Errorf("%s: %s %q, %v", test.announced, name, initial, err)
		}
	}
	if _, err := Choose(announces("PLAIN", "LOGIN"), "me", "TOKEN", ""); !errors.Is(err, ErrNoMechanism) {
		t.Error(err)
	}
	for _, bad := range [][2]string{{"me\x01auth=Bearer X", "TOKEN"}, {"me", "TOK\x01EN"}, {"", "TOKEN"}, {"me", ""}, {"me\r\n", "TOKEN"}} {
		if _, err := Choose(announces("XOAUTH2"), bad[0], bad[1], ""); err == nil || strings.Contains(err.Error(), "TOK") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestProblemInPlainWords(t *testing.T) {
	tests := map[string]string{
		`{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}`: "the mail server does not accept the token: it has expired, was revoked, or belongs to another user (status 400)",
		`{"status":401,"error_description":"Token\nhas expired."}`:               `the mail server does not accept the token: it has expired, was revoked, or belongs to another user (status 401, saying "Token has expired")`,
		`{"status":"invalid_token","openid-configuration":"https://x.test/"}`:    "the mail server does not accept the token: it has expired, was revoked, or belongs to another user (status invalid_token)",
		`{"status":"insufficient_scope","scope":"mail.read"}`:                    `the token does not give access to mail over IMAP (status insufficient_scope; it wants the scope "mail.read")`,
		`{"status":"invalid_request"}`:                                           "the mail server does not understand the login (status invalid_request)",
		`{"status":"teapot","schemes":"\u001b[31m"}`:                             `the mail server refuses the token with the status "teapot"`,
		`{}`:                       `the mail server says "{}"`,
		`no JSON` + "\x1b[31m\x00": `the mail server says "no JSON [31m"`,
		"":                         "the mail server gives no reason",
	}
	for challenge, want := range tests {
		m := &Mechanism{name: xoauth2}
		answer, err := m.Next([]byte(challenge))
		if err != nil || string(answer) != "\x01" || m.Problem() != want {
			t.Errorf("%s\ngot  %s\nwant %s (%q, %v)", challenge, m.Problem(), want, answer, err)
		}
	}
	m := &Mechanism{}
	if _, err := m.Next([]byte(strings.Repeat(`["x`, 1<<20))); err != nil || len(m.Problem()) > 2*maxQuoted {
		t.Errorf("%d bytes, %v", len(m.Problem()), err)
	}
}

// FuzzExplain: whatever a mail server sends becomes one short printable line.
func FuzzExplain(f *testing.F) {
	f.Add([]byte(`{"status":"400","schemes":"Bearer","scope":"https://mail.google.com/"}`))
	f.Add([]byte(`{"status":{"a":[1]},"scope":"\u0000"}`))
	f.Add([]byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, challenge []byte) {
		m := &Mechanism{name: oauthBearer}
		if _, err := m.Next(challenge); err != nil {
			t.Error(err)
		}
		if p := m.Problem(); p == "" || len(p) > 10*maxQuoted || strings.ContainsAny(p, "\n\r\x00\x1b") {
			t.Errorf("%q", p)
		}
	})
}
