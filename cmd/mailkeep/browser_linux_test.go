package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mailkeep/integration/gmailsim"
	"mailkeep/integration/oauthserver"
)

// TestBrowserLoginAtTerminal logs in from a machine without a browser, as over SSH: addresses are pasted, the first ones wrong. Ctrl-C ends the waiting.
func TestBrowserLoginAtTerminal(t *testing.T) {
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} {
		t.Setenv(name, "")
	}
	o := oauthserver.New(t)
	sim := gmailsim.New(gmailsim.Options{User: "me@example.org", TokenOK: func(user, token string) bool {
		whose, err := o.UserOf(token)
		return err == nil && whose == user
	}})
	dir := t.TempDir()
	text := fmt.Sprintf("[[account]]\nhost = %q\nuser = \"me@example.org\"\nauth = \"oauth2\"\ntls = \"none\"\n[account.oauth2]\nclient_id = %q\nclient_secret = %q\nauth_url = %q\ntoken_url = %q\nscopes = [%q]\n",
		sim.Start(t), oauthserver.ClientID, oauthserver.ClientSecret, o.AuthURL, o.TokenURL, oauthserver.Scope)
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	term := atTerminal(t, dir, "login", "--quiet")
	term.await("open this address in a browser and log in as me@example.org:", "")
	term.await("paste it here", "\r")
	term.await("\n", "http://127.0.0.1:1/?code=x&state=y\r")
	term.await("this address belongs to another login", "nonsense\r")
	term.await("that is not the address of the page after the login", "")
	page := regexp.MustCompile(`http://\S+authorize\S+`).FindString(term.shown())
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	term.await("\n", answer.Header.Get("Location")+"\r")
	if code := term.wait(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, term.shown())
	}
	if text, err := os.ReadFile(filepath.Join(dir, "mailkeep-me@example.org.token")); err != nil || len(text) < 10 || strings.Contains(term.shown(), strings.TrimSpace(string(text))) {
		t.Errorf("%v, %d bytes\n%s", err, len(text), term.shown())
	}

	term = atTerminal(t, dir, "login")
	term.await("paste it here", "\x03") // Ctrl-C
	if code := term.wait(); code != 1 || !strings.Contains(term.shown(), "mailkeep: interrupted\r\n") {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, term.shown())
	}
}
