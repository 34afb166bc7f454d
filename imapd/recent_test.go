package imapd

import (
	"bytes"
	"testing"
	"time"

	"mailkeep/archive"
)

func TestRecentIsBounded(t *testing.T) {
	var c recent
	defer c.close()
	enc := bytes.Repeat([]byte("s"), 10000)
	ref := func(i int) *archive.Ref { return &archive.Ref{byte(i), byte(i >> 8), byte(i >> 16), 1} }
	for i := range 20000 {
		c.put(ref(i), enc)
		if i >= 10 && c.get(ref(i-10)) == nil {
			t.Fatalf("summary %d is forgotten after 10 others", i-10)
		}
		if n := len(c.young) + len(c.old); n*(len(enc)+recentCost) > recentBytes+2*len(enc) {
			t.Fatalf("%d summaries of %d bytes are kept", n, len(enc))
		}
	}
	if c.get(ref(0)) != nil {
		t.Error("the first of 200 MB is still there")
	}
	c.expire()
	if c.get(ref(19999)) == nil {
		t.Error("what was just used has expired")
	}
	c.used = time.Now().Add(-keptFor)
	c.expire()
	if c.get(ref(19999)) != nil || c.expiry != nil {
		t.Error("what nobody asks for is kept for ever")
	}
}
