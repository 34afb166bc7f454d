package oauth

import (
	"context"
	"errors"
	"time"

	"golang.org/x/oauth2"
)

// Token is an access token.
type Token struct {
	Value  string    // secret
	Expiry time.Time // zero when the server does not say
}

// Store keeps an account's refresh token.
type Store interface {
	Load(context.Context) (string, error)
	// Save replaces it. A failure is the store's own to report: what was obtained is good all the same, and so may be the old one.
	Save(refresh string)
}

// A token is renewed when it lasts no longer than early, or a fifth of its life: a session that begins with it should last.
const early = 5 * time.Minute

// Tokens gives the access tokens of one account, renewed before they expire. It is safe for concurrent use.
type Tokens struct {
	client *Client
	store  Store
	now    func() time.Time

	turn    chan struct{} // held by who asks the server, so that many connections cost one request; guards what follows
	current Token
	renew   time.Time // when current is to be replaced; zero for never
}

// NewTokens makes Tokens that begin with the refresh token in store.
func NewTokens(c *Client, store Store) *Tokens {
	return &Tokens{client: c, store: store, now: time.Now, turn: make(chan struct{}, 1)}
}

// Get returns an access token that lasts for a while. Its errors are ErrEnded, ErrRefused, those of the store, or passing ones.
func (t *Tokens) Get(ctx context.Context) (Token, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return Token{}, context.Cause(ctx)
	}
	if t.current.Value != "" && (t.renew.IsZero() || t.now().Before(t.renew)) {
		return t.current, nil
	}
	refresh, err := t.store.Load(ctx)
	if err != nil {
		return Token{}, err
	}
	got, err := t.refresh(ctx, refresh)
	if errors.Is(err, ErrEnded) {
		// Another process may have logged in anew, or been given the successor of this one.
		if now, loadErr := t.store.Load(ctx); loadErr == nil && now != refresh {
			refresh = now
			got, err = t.refresh(ctx, refresh)
		}
	}
	if err != nil {
		return Token{}, err
	}
	if got.RefreshToken != "" && got.RefreshToken != refresh {
		t.store.Save(got.RefreshToken)
	}
	t.set(Token{got.AccessToken, got.Expiry.Round(0)})
	return t.current, nil
}

// set notes a token. Times carry no monotonic reading, which stands still while a machine sleeps.
func (t *Tokens) set(token Token) {
	t.current, t.renew = token, time.Time{}
	if now := t.now().Round(0); !token.Expiry.IsZero() {
		t.renew = token.Expiry.Add(-min(early, max(token.Expiry.Sub(now), 0)/5))
	}
}

// Reject says that a server does not accept a token, whatever its expiry: the next Get asks for another one.
func (t *Tokens) Reject(value string) {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if t.current.Value == value {
		t.current = Token{}
	}
}

func (t *Tokens) refresh(ctx context.Context, refresh string) (*oauth2.Token, error) {
	return t.client.request(ctx, "", func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	})
}
