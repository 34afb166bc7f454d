package oauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// fake is a client whose token endpoint answers as the test says; the browser's part is played by the test.
func fake(t *testing.T, answer func(form url.Values) (status int, body string)) *Client {
	t.Helper()
	return &Client{
		Service: Service{Name: "Test", AuthURL: "https://auth.test/page?x=1", TokenURL: "https://auth.test/token", Scopes: []string{"mail", "offline_access"}, Extra: map[string]string{"prompt": "consent"}},
		ID:      "id", Secret: "",
		HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			form, err := url.ParseQuery(string(body))
			if err != nil {
				return nil, err
			}
			status, text := answer(form)
			if status == 0 {
				return nil, errors.New(text)
			}
			return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
		})},
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

const goodAnswer = `{"access_token":"ACCESS","token_type":"Bearer","expires_in":3600,"refresh_token":"REFRESH"}`

func TestLogin(t *testing.T) {
	var verifier string
	c := fake(t, func(form url.Values) (int, string) {
		verifier = form.Get("code_verifier")
		if form.Get("grant_type") != "authorization_code" || form.Get("code") != "CODE" || form.Get("client_id") != "id" || form.Has("client_secret") || !strings.HasPrefix(form.Get("redirect_uri"), "http://127.0.0.1:") {
			t.Errorf("form %v", form)
		}
		return 200, goodAnswer
	})
	l, q := begin(t, c)
	for key, want := range map[string]string{"client_id": "id", "response_type": "code", "scope": "mail offline_access", "code_challenge_method": "S256", "login_hint": "me@example.org", "prompt": "consent", "x": "1"} {
		if got := q.Get(key); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	got := wait(t, l)
	at := q.Get("redirect_uri")
	// Strangers, and what browsers ask for besides, do not disturb.
	for _, path := range []string{"?code=EVIL&state=wrong", "?code=EVIL", "?state=" + q.Get("state"), "/favicon.ico", "/other?code=CODE&state=" + q.Get("state")} {
		if status, text := get(t, at+path); status == 200 || strings.Contains(text, "logged in") {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if r, err := http.Post(at+"?code=CODE&state="+q.Get("state"), "text/plain", nil); err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", r, err)
	}
	if status, text := get(t, at+"?code=CODE&state="+q.Get("state")); status != 200 || !strings.Contains(text, "You are logged in") || strings.Contains(text, "CODE") {
		t.Errorf("%d %s", status, text)
	}
	r := <-got
	if r.err != nil || r.Refresh != "REFRESH" || r.Access != "ACCESS" || time.Until(r.Expiry) < 59*time.Minute {
		t.Errorf("%+v", r)
	}
	// One request is served.
	if status, text := get(t, at+"?code=CODE&state="+q.Get("state")); status != http.StatusGone || !strings.Contains(text, "answered already") {
		t.Errorf("again: %d %s", status, text)
	}
	if len(verifier) < 43 || strings.Contains(l.URL(), verifier) {
		t.Errorf("verifier %q, URL %s", verifier, l.URL())
	}
	l.Close()
	if r, err := http.Get(at); err == nil {
		t.Errorf("somebody still listens: %v", r.Status)
	}
}

// begin starts a login and gives the parameters of the page that the browser is sent to.
func begin(t *testing.T, c *Client) (*Login, url.Values) {
	t.Helper()
	l, err := c.NewLogin("me@example.org")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	u, err := url.Parse(l.URL())
	if err != nil {
		t.Fatal(err)
	}
	return l, u.Query()
}

type outcome struct {
	Grant
	err error
}

func wait(t *testing.T, l *Login) chan outcome {
	got := make(chan outcome, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		g, err := l.Wait(ctx, nil)
		got <- outcome{g, err}
	}()
	return got
}

func get(t *testing.T, page string) (status int, text string) {
	t.Helper()
	r, err := http.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode == 200 && (r.Header.Get("Referrer-Policy") != "no-referrer" || r.Header.Get("Cache-Control") != "no-store" || !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'")) {
		t.Errorf("headers %v", r.Header)
	}
	return r.StatusCode, string(body)
}

func TestPaste(t *testing.T) {
	c := fake(t, func(url.Values) (int, string) { return 200, goodAnswer })
	l, q := begin(t, c)
	got := wait(t, l)
	state := q.Get("state")
	for _, address := range []string{"", "CODE", "http://127.0.0.1:1/", "http://127.0.0.1:1/?code=CODE", "http://127.0.0.1:1/?code=CODE&state=wrong", "http://127.0.0.1:1/?state=" + state,
		"?%zz", strings.Repeat("x", maxPasted+1), l.URL()} {
		if err := l.Paste(address); err == nil {
			t.Errorf("%q is accepted", address)
		}
	}
	if err := l.Paste("  \"http://127.0.0.1:1/?state=" + state + "&code=CODE&scope=mail#\" \n"); err != nil {
		t.Error(err)
	}
	if r := <-got; r.err != nil || r.Refresh != "REFRESH" {
		t.Errorf("%+v", r)
	}
	if err := l.Paste("?code=CODE&state=" + state); !errors.Is(err, errUsed) {
		t.Errorf("pasted again: %v", err)
	}
}

// TestLoginRefused has the browser or the token endpoint bring bad news; each is shown in the browser as well.
func TestLoginRefused(t *testing.T) {
	tests := []struct {
		query  string
		status int
		body   string
		kind   error
		want   string
	}{
		{query: "error=access_denied&error_description=The+user+said+%3Cb%3Eno%3C%2Fb%3E.%0a", kind: ErrDenied, want: "Test: access was not granted (access_denied: The user said <b>no</b>); log in again"},
		{query: "error=invalid_scope", kind: ErrRefused, want: "Test: the OAuth client does not work (invalid_scope); check client id and scopes"},
		{query: "error=server_error", want: "Test has trouble at the moment (server_error); try again later"},
		{query: "code=CODE", status: 400, body: `{"error":"invalid_grant","error_description":"Code was already redeemed."}`, want: "Test does not accept the answer of the browser any more; log in again"},
		{query: "code=CODE", status: 401, body: `{"error":"invalid_client"}`, kind: ErrRefused, want: "Test: the OAuth client does not work (invalid_client); check client id, client secret and scopes"},
		{query: "code=CODE", status: 200, body: `{"access_token":"SECRET","token_type":"Bearer"}`, kind: ErrRefused, want: "no refresh token"},
		{query: "code=CODE", status: 200, body: `{"refresh_token":"SECRET"}`, kind: ErrRefused, want: "auth.test sends no token in its answer; check the token url"},
		{query: "code=CODE", status: 200, body: `SECRET`, kind: ErrRefused, want: "auth.test sends no token"},
		{query: "code=CODE", status: 404, body: `SECRET`, kind: ErrRefused, want: "auth.test answers with the HTTP status 404"},
		{query: "code=CODE", status: 503, body: `SECRET`, want: "Test cannot give a token now (HTTP status 503); try again later"},
		{query: "code=CODE", body: "network is unreachable", want: "ask auth.test for a token: network is unreachable"},
	}
	for _, test := range tests {
		t.Run(test.query+test.body, func(t *testing.T) {
			l, q := begin(t, fake(t, func(url.Values) (int, string) { return test.status, test.body }))
			got := wait(t, l)
			status, text := get(t, q.Get("redirect_uri")+"?"+test.query+"&state="+q.Get("state"))
			r := <-got
			if r.err == nil || !strings.Contains(r.err.Error(), test.want) {
				t.Fatalf("error %v\nwant %s", r.err, test.want)
			}
			for _, kind := range []error{ErrDenied, ErrRefused, ErrEnded} {
				if errors.Is(r.err, kind) != (kind == test.kind) {
					t.Errorf("kind of %v", r.err)
				}
			}
			if status != http.StatusBadRequest || !strings.Contains(text, "The login did not work") || strings.Contains(text, "<b>") {
				t.Errorf("the browser shows %d %s", status, text)
			}
			if shown := r.err.Error() + text; strings.Contains(shown, "SECRET") || strings.Contains(shown, "CODE") || strings.Contains(r.err.Error(), "\n") {
				t.Errorf("too much is shown: %s", shown)
			}
		})
	}
}

func TestWaitConfirms(t *testing.T) {
	l, q := begin(t, fake(t, func(url.Values) (int, string) { return 200, goodAnswer }))
	no := errors.New("this is somebody else's mail")
	got := make(chan error, 1)
	go func() {
		_, err := l.Wait(t.Context(), func(g Grant) error {
			if g.Access != "ACCESS" {
				t.Errorf("%+v", g)
			}
			return no
		})
		got <- err
	}()
	if status, text := get(t, q.Get("redirect_uri")+"?code=CODE&state="+q.Get("state")); status != 400 || !strings.Contains(text, "somebody else&#39;s mail") {
		t.Errorf("%d %s", status, text)
	}
	if err := <-got; !errors.Is(err, no) {
		t.Error(err)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	l, _ := begin(t, fake(t, nil))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := l.Wait(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestRedirectAddresses(t *testing.T) {
	c := fake(t, func(url.Values) (int, string) { return 200, goodAnswer })
	c.Redirect = "http://localhost/back"
	l, q := begin(t, c)
	at := q.Get("redirect_uri")
	if !strings.HasPrefix(at, "http://localhost:") || !strings.HasSuffix(at, "/back") {
		t.Fatal(at)
	}
	got := wait(t, l)
	// Where "localhost" is looked up is the browser's affair; here it must not depend on the system.
	if status, _ := get(t, strings.Replace(at, "localhost", "127.0.0.1", 1)+"?code=CODE&state="+q.Get("state")); status != 200 {
		t.Errorf("status %d", status)
	}
	if r := <-got; r.err != nil {
		t.Error(r.err)
	}
	c.Redirect = at // the port is taken
	if l, err := c.NewLogin("me"); err == nil {
		l.Close()
		t.Error("a port in use is accepted")
	}
}

func TestCheck(t *testing.T) {
	good := Client{Service: services["google"], ID: "id"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Client){
		"client id is missing": func(c *Client) { c.ID = "" },
		"must begin with https": func(c *Client) {
			c.TokenURL = "http://auth.example/token"
		},
		"auth url":                     func(c *Client) { c.AuthURL = "" },
		"neither a user":               func(c *Client) { c.AuthURL = "https://user:pass@auth.example/" },
		"must be like http://127":      func(c *Client) { c.Redirect = "http://example.org/" },
		`the redirect url "https://lo`: func(c *Client) { c.Redirect = "https://localhost/" },
	} {
		c := good
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.NewLogin("me"); err == nil {
			t.Errorf("%s: a login begins", name)
		}
	}
	for _, at := range []string{"http://127.0.0.1:1/token", "http://localhost/token", "http://[::1]:1/token"} {
		c := good
		c.TokenURL = at
		if err := c.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestServices checks what is built in.
func TestServices(t *testing.T) {
	for name, s := range services {
		c := Client{Service: s, ID: "id"}
		if err := c.Check(); err != nil || s.Name == "" || len(s.Scopes) == 0 || !strings.HasPrefix(s.TokenURL, "https://") {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	for host, name := range imapHosts {
		if _, ok := Known(name); !ok || NameFor(strings.ToUpper(host)) != name {
			t.Errorf("%s: %s", host, name)
		}
	}
	if s, _ := Known("microsoft"); !slices.Contains(s.Scopes, "offline_access") {
		t.Error("Microsoft gives no refresh token then")
	}
	if _, ok := Known("example"); ok || NameFor("imap.example.org") != "" {
		t.Error("unknown ones are known")
	}
}
