package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
	"mailkeep/oauth"
)

// TestTokenStore keeps refresh tokens where the configuration says, apart from passwords.
func TestTokenStore(t *testing.T) {
	var log strings.Builder
	a := &app{stderr: io.Discard, log: slog.New(slog.NewTextHandler(&log, nil))}
	keyring.MockInit()
	acct := &Account{Name: "me"}
	s := tokenStore{a, acct}
	if err := passwords.storeInKeyring("me", "PASSWORD"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context()); !errors.Is(err, errNoPassword) || !strings.Contains(err.Error(), `no token is stored in the system keyring; run "mailkeep login me"`) {
		t.Errorf("an empty keyring: %v", err)
	}
	s.Save("TOKEN")
	if got, err := s.Load(t.Context()); got != "TOKEN" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	acct.OAuth.TokenFile = filepath.Join(t.TempDir(), "me.token")
	s.Save("OTHER")
	if got, err := s.Load(t.Context()); got != "OTHER" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := os.Stat(acct.OAuth.TokenFile); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if log.Len() > 0 {
		t.Errorf("logged %s", &log)
	}
	// What cannot be stored is said, without the secret.
	acct.OAuth.TokenFile = ""
	keyring.MockInitWithError(errors.New("locked"))
	s.Save("SECRET")
	if !strings.Contains(log.String(), "is not stored") || !strings.Contains(log.String(), "locked") || strings.Contains(log.String(), "SECRET") {
		t.Errorf("logged %q", &log)
	}
}

// TestTokenCredential: a token that the server refuses is replaced once; what else goes wrong is not tried again.
func TestTokenCredential(t *testing.T) {
	refusal := tellf(backup.ErrAuth, "refused")
	tests := []struct {
		name      string
		tokens    []string // what get gives, one after the other
		accepted  string   // the token that the server takes
		err       error    // what it says to others
		canReject bool
		want      []string // what was shown to it
	}{
		{"good", []string{"a"}, "a", refusal, true, []string{"a"}},
		{"ended early", []string{"a", "b"}, "b", refusal, true, []string{"a", "b"}},
		{"two bad ones", []string{"a", "b", "c"}, "c", refusal, true, []string{"a", "b"}},
		{"the same again", []string{"a", "a", "b"}, "b", refusal, true, []string{"a"}},
		{"no other to be had", []string{"a", "b"}, "b", refusal, false, []string{"a"}},
		{"a broken connection", []string{"a", "b"}, "b", io.ErrUnexpectedEOF, true, []string{"a"}},
		{"no mechanism", []string{"a", "b"}, "b", tellf(errors.Join(backup.ErrAuth, oauth.ErrNoMechanism), "no"), true, []string{"a"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := 0
			c := &tokenCredential{acct: &Account{}, get: func(context.Context) (oauth.Token, error) {
				n++
				return oauth.Token{Value: test.tokens[n-1], Expiry: time.Now().Add(time.Hour)}, nil
			}}
			if test.canReject {
				c.reject = func(string) {}
			}
			var shown []string
			s, err := c.open(t.Context(), func(_ context.Context, login func(*backup.Session) error) (*backup.Session, error) {
				shown = append(shown, test.tokens[n-1])
				if shown[len(shown)-1] != test.accepted {
					return nil, test.err
				}
				return &backup.Session{}, nil
			})
			if !slices.Equal(shown, test.want) || (err == nil) != (shown[len(shown)-1] == test.accepted) || err != nil && !errors.Is(err, test.err) {
				t.Errorf("shown %q, %v", shown, err)
			}
			if err == nil && (time.Until(s.Expires) < 58*time.Minute || time.Until(s.Expires) > 59*time.Minute+time.Second) {
				t.Errorf("the session ends in %v", time.Until(s.Expires))
			}
		})
	}
}

func TestTokenErrorsInPlainWords(t *testing.T) {
	c := &tokenCredential{acct: &Account{Name: "me@gmail.com", OAuth: OAuthConfig{Provider: "google"}}}
	if err := c.explain(tellf(oauth.ErrEnded, "Google: ended")); !errors.Is(err, backup.ErrAuth) || err.Error() != `Google: ended; run "mailkeep login me@gmail.com" (every 7 days? the README says how to leave Google's test mode)` {
		t.Error(err)
	}
	if err := c.explain(tellf(oauth.ErrRefused, "Google: no")); !errors.Is(err, backup.ErrAuth) || err.Error() != "Google: no" {
		t.Error(err)
	}
	if err := c.explain(io.ErrUnexpectedEOF); errors.Is(err, backup.ErrAuth) {
		t.Error("passing trouble ends a backup")
	}
}

func TestBrowserCommand(t *testing.T) {
	const page = "https://auth.example/?a=1&b=2"
	for env, want := range map[string][]string{
		"firefox": {"firefox", page}, "firefox --new-window": {"firefox", "--new-window", page}, "open %s now": {"open", page, "now"},
		"one" + string(os.PathListSeparator) + "two": {"one", page},
	} {
		t.Setenv("BROWSER", env)
		if got, err := browserCommand(page); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", env, got, err)
		}
	}
	t.Setenv("BROWSER", "")
	t.Setenv("DISPLAY", "")
	t.Setenv("WAYLAND_DISPLAY", "")
	got, err := browserCommand(page)
	if runtime.GOOS == "linux" {
		if !errors.Is(err, errNoBrowser) {
			t.Errorf("%q, %v", got, err)
		}
		t.Setenv("DISPLAY", ":0")
		got, err = browserCommand(page)
	}
	if err != nil || got[len(got)-1] != page {
		t.Errorf("%q, %v", got, err)
	}
}

// TestLoginThatShowsNothing: Exchange takes the token of an account without IMAP, and only then says that there is nothing to be had.
func TestLoginThatShowsNothing(t *testing.T) {
	for name, do := range map[string]gmailsim.Action{
		"refused":   {Bad: "User is authenticated but not connected."},
		"cut short": {Close: true},
	} {
		t.Run(name, func(t *testing.T) {
			sim := gmailsim.New(gmailsim.Options{User: "me@example.org", Tokens: []string{"GOOD"}})
			sim.AddFault(gmailsim.Fault{Name: name, When: gmailsim.When{Command: "LIST"}, Do: do, Times: -1})
			acct := &Account{Name: "me", User: "me@example.org", Host: sim.Start(t), TLS: tlsNone}
			a := &app{stderr: io.Discard, log: slog.New(slog.DiscardHandler)}
			c := &tokenCredential{acct: acct, get: func(context.Context) (oauth.Token, error) { return oauth.Token{Value: "GOOD"}, nil }}
			err := a.testLogin(t.Context(), acct, c)
			if err == nil || !strings.Contains(err.Error(), " lets me@example.org in, but shows no mailbox: ") || !strings.Contains(err.Error(), "check that IMAP is switched on") {
				t.Errorf("%v", err)
			}
			sim.ClearFaults()
			if err := a.testLogin(t.Context(), acct, c); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTokenCommand: another program's access tokens log in; a refused one is asked for once more, since the program may have had an old one.
func TestTokenCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands are a Unix shell's")
	}
	sim := gmailsim.New(gmailsim.Options{User: "me@example.org", Tokens: []string{"GOOD"}})
	addr := sim.Start(t)
	file := filepath.Join(t.TempDir(), "calls")
	var stderr strings.Builder
	a := &app{stderr: &stderr, log: slog.New(slog.NewTextHandler(&stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for command, want := range map[string]string{
		"echo GOOD": "",
		"if test -e '" + file + "'; then echo GOOD; else touch '" + file + "'; echo STALE; fi": "",
		"echo STALE": "does not accept the token",
		"true":       "token_command printed nothing; its first line must be the token",
	} {
		acct := &Account{Name: "me", User: "me@example.org", Host: addr, TLS: tlsNone, Auth: authOAuth, OAuth: OAuthConfig{TokenCommand: command}}
		c, err := a.credential(t.Context(), acct)
		if err == nil {
			err = a.testLogin(t.Context(), acct, c)
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", command, err)
		}
		if shown := stderr.String() + fmt.Sprint(err); strings.Contains(shown, "GOOD") || strings.Contains(shown, "STALE") {
			t.Errorf("the token is shown: %s", shown)
		}
	}
}
