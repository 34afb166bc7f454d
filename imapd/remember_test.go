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
	var nobody *Login
	if !one.admits("right") || one.admits("wrong") || nobody.admits("right") || nobody.admits("nobody has this password") {
		t.Error("admits the wrong ones")
	}
}
