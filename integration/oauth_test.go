package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/dovecot"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/oauthserver"
	"mailkeep/integration/program"
	"mailkeep/integration/proxy"
)

const oauthUser = "me@example.org"

// oauthSource is a Dovecot with an account full of mail that asks a real OAuth server at every login.
func oauthSource(t *testing.T, n int, mechanisms ...string) (*oauthserver.Server, *dovecot.Server) {
	t.Helper()
	o := oauthserver.New(t)
	s := dovecot.New(t, dovecot.Options{NoFsync: true, UserInfo: o.UserInfoURL, Mechanisms: mechanisms, Users: []dovecot.User{{Name: oauthUser}, {Name: "other@example.org"}}})
	fillSource(t, s, oauthUser, n)
	return o, s
}

// oauthKeeper is configured to log in at the OAuth server.
func oauthKeeper(t *testing.T, o *oauthserver.Server, addr string) *program.Keeper {
	t.Helper()
	return newKeeper(t, program.Account{Name: "home", Addr: addr, User: oauthUser, Auth: fmt.Sprintf(
		"auth = \"oauth2\"\ntoken_file = \"home.token\"\n\n[account.oauth2]\nclient_id = %q\nclient_secret = %q\nauth_url = %q\ntoken_url = %q\nscopes = [%q]\n",
		oauthserver.ClientID, oauthserver.ClientSecret, o.AuthURL, o.TokenURL, oauthserver.Scope)})
}

// set changes what the OAuth server does.
func set(t *testing.T, o *oauthserver.Server, s oauthserver.Settings) oauthserver.Happened {
	t.Helper()
	h, err := o.Set(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// logIn plays the user of "mailkeep login --no-browser": opens the printed address in a browser of another machine, which cannot show where it is sent
// at last, and pastes that address. It returns what the program printed.
func logIn(t *testing.T, k *program.Keeper, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := k.Command(ctx, append([]string{"login", "--no-browser", "--verbose"}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		in.Close()
	}()
	var printed strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		printed.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "http://") {
			fmt.Fprintf(stdin, "%s\n", sentTo(t, lines.Text()))
		}
	}
	return printed.String(), <-ended
}

// sentTo is where an OAuth server sends a browser.
func sentTo(t *testing.T, page string) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.Header.Get("Location")
}

// noSecrets checks that nothing of what the OAuth server calls secret was printed or stands in a file other than the token's and the configuration.
func noSecrets(t *testing.T, k *program.Keeper, h oauthserver.Happened, printed ...string) {
	t.Helper()
	if len(h.Secrets) < 5 {
		t.Errorf("the OAuth server knows %d secrets only", len(h.Secrets))
	}
	check := func(where, text string) {
		if i := slices.IndexFunc(h.Secrets, func(s string) bool { return strings.Contains(text, s) }); i >= 0 {
			t.Errorf("%s holds the secret %s", where, h.Secrets[i])
		}
	}
	for _, text := range printed {
		check("the output", text)
	}
	for _, name := range []string{"gmail.db", "gmail.db-wal", "last-run.json"} {
		text, err := os.ReadFile(filepath.Join(k.Archive(), name))
		if err != nil && !os.IsNotExist(err) {
			t.Error(err)
		}
		check(name, string(text))
	}
}

// A Dovecot that takes access tokens of a real OAuth server only: login with a pasted address, backup, renewal, revocation.
func TestOAuth(t *testing.T) {
	o, s := oauthSource(t, 300)
	k := oauthKeeper(t, o, s.Addr)
	var printed []string

	out, err := logIn(t, k)
	printed = append(printed, out)
	if err != nil || !strings.Contains(out, "the login of home works; its token is in ") {
		t.Fatalf("%v\n%s", err, out)
	}
	printed = append(printed, run(t, k, "backup", "--verbose"))
	compareAccounts(t, readAccount(t, login{s.Addr, oauthUser, "pass"}), served(t, serve(t, k)))

	t.Run("the token is of another user", func(t *testing.T) {
		before := tokenFile(t, k)
		other := "other@example.org"
		set(t, o, oauthserver.Settings{User: &other})
		out, err := logIn(t, k)
		printed = append(printed, out)
		if err == nil || !strings.Contains(out, "log in: the mail server does not accept the token: it has expired, was revoked, or belongs to another user (status invalid_token)") ||
			!strings.Contains(out, `run "mailkeep login home" and choose that account in the browser`) {
			t.Errorf("%v\n%s", err, out)
		}
		if tokenFile(t, k) != before {
			t.Error("it was stored all the same")
		}
		nobody := ""
		set(t, o, oauthserver.Settings{User: &nobody})
	})
	t.Run("a revoked login", func(t *testing.T) {
		set(t, o, oauthserver.Settings{Revoke: true})
		out, err := k.Run(t.Context(), "backup", "--verbose")
		printed = append(printed, out)
		if err == nil || !strings.Contains(out, `the login has expired or was revoked (invalid_grant: The answer of the test is invalid_grant); run "mailkeep login home"`) {
			t.Errorf("%v\n%s", err, out)
		}
		out, err = logIn(t, k)
		printed = append(printed, out, run(t, k, "backup", "--verbose"))
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	noSecrets(t, k, set(t, o, oauthserver.Settings{}), printed...)
}

// tokenFile is the refresh token that is stored.
func tokenFile(t *testing.T, k *program.Keeper) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(k.Dir, "home.token"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Tokens that last for seconds, as Google's last for an hour, while a slow backup runs: connections are given up in time and opened anew with fresh
// tokens, and every message arrives.
func TestOAuthTokensExpireDuringABackup(t *testing.T) {
	o, s := oauthSource(t, 1500)
	relay, err := proxy.New(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	k := oauthKeeper(t, o, relay.Addr)
	if out, err := logIn(t, k); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	asked := len(set(t, o, oauthserver.Settings{}).Requests)
	relay.Reset()
	life := 1
	h := set(t, o, oauthserver.Settings{ExpiresIn: &life})
	started := time.Now()
	out := run(t, k, "backup", "--verbose")
	took := time.Since(started)
	h = set(t, o, oauthserver.Settings{})
	t.Logf("%v, %d connections, %d tokens: %s", took, relay.Connections(), len(h.Requests)-asked, tail([]byte(out), 300))
	if took > 3*time.Second && len(h.Requests)-asked < 3 {
		t.Errorf("in %v %d tokens of a second's life were asked for", took, len(h.Requests)-asked)
	}
	noSecrets(t, k, h, out)
	compareAccounts(t, readAccount(t, login{s.Addr, oauthUser, "pass"}), served(t, serve(t, k)))
}

// The server ends tokens before their time and drops every connection in the middle of a backup, again and again: each time one other token is asked for,
// and the backup goes on where it was.
func TestOAuthTokensEndEarly(t *testing.T) {
	o := oauthserver.New(t)
	sim := gmailsim.New(gmailsim.Options{User: oauthUser, TokenOK: func(user, token string) bool {
		whose, err := o.UserOf(token)
		return err == nil && whose == user
	}})
	const n = 2000
	if err := sim.Load(gmailsim.Sample(n, 1)); err != nil {
		t.Fatal(err)
	}
	k := oauthKeeper(t, o, sim.Start(t))
	if out, err := logIn(t, k); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	asked := len(set(t, o, oauthserver.Settings{}).Requests)
	const times = 3
	ended := make(chan error, 1)
	go func() {
		for i := range times {
			for sim.Counters().Bodies < (i+1)*n/(times+1) {
				select {
				case <-t.Context().Done():
					ended <- t.Context().Err()
					return
				case <-time.After(time.Millisecond):
				}
			}
			if _, err := o.Set(oauthserver.Settings{Expire: true}); err != nil {
				ended <- err
				return
			}
			sim.DropConnections()
		}
		ended <- nil
	}()
	out := run(t, k, "backup", "--verbose")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	h := set(t, o, oauthserver.Settings{})
	got := len(h.Requests) - asked
	t.Logf("%d tokens: %s", got, tail([]byte(out), 200))
	if !strings.Contains(out, "2,000 new messages") || got != 1+times {
		t.Errorf("%d tokens were asked for, want %d\n%s", got, 1+times, out)
	}
	noSecrets(t, k, h, out)
	compareLabels(t, shown(sim), served(t, serve(t, k)))
}

// Both mechanisms work against Dovecot, and the server's reason is understood in both.
func TestOAuthMechanisms(t *testing.T) {
	for _, only := range []string{"xoauth2", "oauthbearer"} {
		t.Run(only, func(t *testing.T) {
			o, s := oauthSource(t, 10, only)
			k := oauthKeeper(t, o, s.Addr)
			if out, err := logIn(t, k); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if out := run(t, k, "backup"); !strings.Contains(out, "new message") {
				t.Error(out)
			}
			other := "other@example.org"
			set(t, o, oauthserver.Settings{User: &other})
			if out, err := logIn(t, k); err == nil || !strings.Contains(out, "the mail server does not accept the token") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
