package imapd

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"
)

// remembered holds, per login, a keyed digest of the password that was right last time. Mail programs open several connections and log in on each; bcrypt, slow
// on purpose, would cost them 60 ms every time. A guess still pays the full price: only the right password is found here. The key never leaves the process.
type remembered struct {
	key  [sha256.Size]byte
	mu   sync.Mutex
	last map[*Login][sha256.Size]byte
}

func newRemembered() *remembered {
	r := &remembered{last: make(map[*Login][sha256.Size]byte)}
	rand.Read(r.key[:]) // never fails, it would end the program
	return r
}

func (r *remembered) digest(password string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, r.key[:])
	mac.Write([]byte(password))
	return [sha256.Size]byte(mac.Sum(nil))
}

// knows tells whether this password was right before.
func (r *remembered) knows(l *Login, password string) bool {
	r.mu.Lock()
	last, ok := r.last[l]
	r.mu.Unlock()
	sum := r.digest(password)
	return ok && hmac.Equal(last[:], sum[:])
}

// keep notes a password that was found right.
func (r *remembered) keep(l *Login, password string) {
	sum := r.digest(password)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[l] = sum
}
