package imapd

import (
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func TestRememberedPassword(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	one, other := &Login{User: "one", Hash: hash}, &Login{User: "other", Hash: hash}
	r := newRemembered()
	if r.knows(one, "right") || r.knows(one, "") {
		t.Error("known before the first login")
	}
	r.keep(one, "right")
	if !r.knows(one, "right") || r.knows(one, "wrong") || r.knows(one, "") || r.knows(other, "right") {
		t.Error("what is known is not just this login's right password")
	}
	if newRemembered().digest("right") == r.digest("right") {
		t.Error("two servers have the same key")
	}
	srv := &Server{nobody: func() []byte { return nobody([]Login{*other}) }}
	if !srv.admits(one, "right") || srv.admits(one, "wrong") || srv.admits(nil, "right") || srv.admits(nil, "nobody has this password") {
		t.Error("admits the wrong ones")
	}
	for want, logins := range map[int][]Login{bcrypt.DefaultCost: nil, bcrypt.MinCost: {*one, {Verify: verify}}} {
		if cost, err := bcrypt.Cost(nobody(logins)); err != nil || cost != want {
			t.Errorf("an unknown user is refused at the cost %d, %v; want %d", cost, err, want)
		}
	}
}
