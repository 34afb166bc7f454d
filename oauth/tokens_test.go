package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// memory is a Store of its own.
type memory struct {
	mu    sync.Mutex
	value string
	saved []string
	err   error
	next  func() // called by Load, afterwards
}

func (m *memory) Load(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value := m.value
	if m.next != nil {
		m.next()
	}
	return value, m.err
}

func (m *memory) Save(refresh string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.value = refresh
	m.saved = append(m.saved, refresh)
}

// counting answers each request with another access token.
func counting(life int) (answer func(url.Values) (int, string), asked *[]string) {
	asked = &[]string{}
	return func(form url.Values) (int, string) {
		*asked = append(*asked, form.Get("grant_type")+" "+form.Get("refresh_token"))
		return 200, fmt.Sprintf(`{"access_token":"A%d","token_type":"Bearer","expires_in":%d}`, len(*asked), life)
	}, asked
}

func TestTokensAreRenewedInTime(t *testing.T) {
	answer, asked := counting(3600)
	tokens := NewTokens(fake(t, answer), &memory{value: "R"})
	now := time.Now()
	tokens.now = func() time.Time { return now }
	expect := func(want string) {
		t.Helper()
		got, err := tokens.Get(t.Context())
		if err != nil || got.Value != want {
			t.Fatalf("%+v, %v, want %s", got, err, want)
		}
	}
	expect("A1")
	now = now.Add(54 * time.Minute)
	expect("A1")
	now = now.Add(2 * time.Minute) // it lasts four more: too short for a session
	expect("A2")
	tokens.Reject("A1") // somebody is late: that is the old one
	expect("A2")
	tokens.Reject("A2")
	expect("A3")
	if len(*asked) != 3 || (*asked)[0] != "refresh_token R" {
		t.Errorf("asked %q", *asked)
	}
}

func TestTokensOfShortLife(t *testing.T) {
	answer, _ := counting(10)
	tokens := NewTokens(fake(t, answer), &memory{value: "R"})
	now := time.Now()
	tokens.now = func() time.Time { return now }
	if got, err := tokens.Get(t.Context()); err != nil || got.Value != "A1" {
		t.Fatal(got, err)
	}
	now = now.Add(5 * time.Second)
	if got, err := tokens.Get(t.Context()); err != nil || got.Value != "A1" {
		t.Errorf("after 5 of 10 s: %v, %v", got.Value, err)
	}
	now = now.Add(4 * time.Second)
	if got, err := tokens.Get(t.Context()); err != nil || got.Value != "A2" {
		t.Errorf("after 9 of 10 s: %v, %v", got.Value, err)
	}
}

func TestTokensAreAskedForOnce(t *testing.T) {
	answer, asked := counting(3600)
	tokens := NewTokens(fake(t, answer), &memory{value: "R"})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := tokens.Get(t.Context()); err != nil || got.Value != "A1" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if len(*asked) != 1 {
		t.Errorf("%d requests", len(*asked))
	}
}

// TestRefreshTokensRotate: the successor of a refresh token is kept and used.
func TestRefreshTokensRotate(t *testing.T) {
	n := 0
	c := fake(t, func(form url.Values) (int, string) {
		if form.Get("refresh_token") != fmt.Sprint("R", n) {
			return 400, `{"error":"invalid_grant"}`
		}
		n++
		return 200, fmt.Sprintf(`{"access_token":"A%d","expires_in":3600,"refresh_token":"R%d"}`, n, n)
	})
	store := &memory{value: "R0"}
	tokens := NewTokens(c, store)
	for i := range 3 {
		got, err := tokens.Get(t.Context())
		if err != nil || got.Value != fmt.Sprint("A", i+1) {
			t.Fatalf("%+v, %v", got, err)
		}
		tokens.Reject(got.Value)
	}
	if len(store.saved) != 3 || store.value != "R3" {
		t.Errorf("saved %q", store.saved)
	}
}

// TestAnotherProcessLoggedIn: when the refresh token is of no use any more, the store may have a newer one.
func TestAnotherProcessLoggedIn(t *testing.T) {
	c := fake(t, func(form url.Values) (int, string) {
		if form.Get("refresh_token") != "NEW" {
			return 400, `{"error":"invalid_grant","error_description":"AADSTS50173: revoked."}`
		}
		return 200, `{"access_token":"A","expires_in":3600}`
	})
	store := &memory{value: "OLD"}
	store.next = func() { store.value = "NEW" }
	if got, err := NewTokens(c, store).Get(t.Context()); err != nil || got.Value != "A" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err := NewTokens(c, &memory{value: "OLD"}).Get(t.Context())
	if !errors.Is(err, ErrEnded) || err.Error() != "Test: the login has expired or was revoked (invalid_grant: AADSTS50173: revoked)" {
		t.Errorf("%v", err)
	}
}

func TestTokenErrors(t *testing.T) {
	for _, test := range []struct {
		status int
		body   string
		kind   error
	}{
		{400, `{"error":"invalid_grant"}`, ErrEnded}, {400, `{"error":"interaction_required"}`, ErrEnded}, {401, `{"error":"invalid_client"}`, ErrRefused},
		{400, `{"error":"unsupported_grant_type"}`, ErrRefused}, {503, `busy`, nil}, {429, `{"error":"slow_down"}`, nil}, {200, `{"error":"temporarily_unavailable"}`, nil},
		{0, "no route to host", nil}, {200, `{"access_token":"A\u0001B"}`, ErrRefused}, {302, `SECRET`, ErrRefused},
	} {
		_, err := NewTokens(fake(t, func(url.Values) (int, string) { return test.status, test.body }), &memory{value: "SECRET"}).Get(t.Context())
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%d %s: %v", test.status, test.body, err)
		}
		for _, kind := range []error{ErrDenied, ErrRefused, ErrEnded} {
			if errors.Is(err, kind) != (kind == test.kind) {
				t.Errorf("%d %s: kind of %v", test.status, test.body, err)
			}
		}
	}
	nothing := errors.New("nothing is stored")
	if _, err := NewTokens(fake(t, nil), &memory{err: nothing}).Get(t.Context()); !errors.Is(err, nothing) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tokens := NewTokens(fake(t, nil), &memory{})
	tokens.turn <- struct{}{}
	if _, err := tokens.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestSecretInTheHeader: some servers know a client by its Authorization header only.
func TestSecretInTheHeader(t *testing.T) {
	c := fake(t, nil)
	c.Secret = "s3cret"
	header := ""
	c.HTTP = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		id, secret, ok := r.BasicAuth()
		status, text := 401, `{"error":"invalid_client"}`
		if ok {
			header, status, text = id+":"+secret, 200, goodAnswer
		}
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
	})}
	if got, err := NewTokens(c, &memory{value: "R"}).Get(t.Context()); err != nil || got.Value != "ACCESS" || header != "id:s3cret" {
		t.Errorf("%+v, %v, header %q", got, err, header)
	}
}
