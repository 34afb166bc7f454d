package imapd

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestDateTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	check := func(seconds int64, zone int) {
		t.Helper()
		want := time.Unix(seconds, 0).In(time.FixedZone("", zone*60)).Format("_2-Jan-2006 15:04:05 -0700")
		if got := string(appendDateTime(nil, seconds, zone)); got != want {
			t.Fatalf("%d seconds, %d minutes: got %q, want %q", seconds, zone, got, want)
		}
	}
	for _, seconds := range []int64{0, -1, 951782399, 951782400, 4107542399, -62135596800, 253402300799, 253402300800, -1 << 40, 1 << 50} {
		check(seconds, 0)
	}
	for range 200000 {
		check(random.Int64N(1<<38)-1<<36, random.IntN(28*60)-14*60)
	}
	check(1e9, 6000)
	check(1e9, -32768)
}
