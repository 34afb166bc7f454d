package backup_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func TestFaults(t *testing.T) {
	often := func(do gmailsim.Action, when gmailsim.When) gmailsim.Fault {
		return gmailsim.Fault{Name: "it", When: when, Do: do, Times: -1}
	}
	once := func(do gmailsim.Action, when gmailsim.When) gmailsim.Fault {
		return gmailsim.Fault{Name: "it", When: when, Do: do}
	}
	bodies := gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}
	cases := map[string]struct {
		fault gmailsim.Fault
		holes int
	}{
		"cut inside a literal":           {once(gmailsim.Action{CloseMidLiteral: 50}, bodies), 0},
		"closed instead of an answer":    {once(gmailsim.Action{Close: true}, bodies), 0},
		"closed while reading":           {once(gmailsim.Action{CutAfter: 700}, gmailsim.When{Command: "UID FETCH"}), 0},
		"closed at SEARCH":               {once(gmailsim.Action{Close: true}, gmailsim.When{Command: "UID SEARCH"}), 0},
		"closed at LIST":                 {once(gmailsim.Action{Close: true}, gmailsim.When{Command: "LIST"}), 0},
		"BYE":                            {once(gmailsim.Action{Bye: "Session expired, please login again"}, bodies), 0},
		"NO for all bodies once":         {once(gmailsim.Action{No: "[UNAVAILABLE] Temporary System Problem (Failure)"}, bodies), 0},
		"NO for all metadata once":       {once(gmailsim.Action{No: "[UNAVAILABLE] Temporary System Problem (Failure)"}, gmailsim.When{Command: "UID FETCH"}), 0},
		"some could not be fetched once": {once(gmailsim.Action{FailUIDs: []uint32{3, 4, 17}}, bodies), 0},
		"some cannot be fetched":         {often(gmailsim.Action{FailUIDs: []uint32{3, 4, 17}}, gmailsim.When{Command: "UID FETCH"}), 3},
		"some bodies cannot be fetched":  {often(gmailsim.Action{FailUIDs: []uint32{3, 4, 17}}, bodies), 3},
		"empty bodies":                   {often(gmailsim.Action{EmptyUIDs: []uint32{7}}, bodies), 1},
		"empty body once":                {once(gmailsim.Action{EmptyUIDs: []uint32{7}}, bodies), 0},
		"wrong sizes":                    {often(gmailsim.Action{WrongSize: 3}, gmailsim.When{Command: "UID FETCH"}), 0},
		"no labels once":                 {once(gmailsim.Action{DropItem: "X-GM-LABELS"}, gmailsim.When{Command: "UID FETCH"}), 0},
		"no ids once":                    {once(gmailsim.Action{DropItem: "X-GM-MSGID"}, gmailsim.When{Command: "UID FETCH"}), 0},
		"no flags once":                  {once(gmailsim.Action{DropItem: "FLAGS"}, gmailsim.When{Command: "UID FETCH"}), 0},
		"unasked data": {gmailsim.Fault{Name: "it", Times: 2, When: gmailsim.When{Command: "UID FETCH"}, Do: gmailsim.Action{Unsolicited: []string{"* 3 FETCH (UID 3 FLAGS (\\Seen))", "* 99 EXISTS", "* OK [ALERT] hello", "* XUNKNOWN foo"},
			UnsolicitedAfter: []string{"* 1 RECENT"}}}, 0},
		"throttled": {often(gmailsim.Action{Throttled: true}, gmailsim.When{Command: "UID FETCH"}), 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{})
			for i := range 60 {
				r.deliver(labelled(i, `\Inbox`, fmt.Sprint("label ", i%5)))
			}
			remove := r.srv.AddFault(c.fault)
			sum := r.run()
			if r.srv.Counters().FaultsHit["it"] == 0 {
				t.Error("the fault did not happen")
			}
			a, err := r.w.AccountByName(context.Background(), account)
			r.must(err)
			holes, err := r.w.Holes(context.Background(), a.ID)
			r.must(err)
			if len(holes) != c.holes || sum.Holes != c.holes {
				t.Fatalf("%d holes, want %d: %+v\n%+v", len(holes), c.holes, holes, sum)
			}
			if c.holes == 0 {
				r.same("/")
			}
			// The next run, in good weather, fills what is missing, and the one after has nothing to do.
			remove()
			r.run()
			r.same("/")
			if sum := r.run(); sum.Downloaded+sum.Entered+sum.Left+sum.Flags != 0 || sum.Unchanged != 3 {
				t.Errorf("%+v", sum)
			}
		})
	}
}

// A message over which the connection always breaks does not keep the others from being backed up.
func TestPoison(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	for i := range 30 {
		r.appendTo("INBOX", mail(i))
	}
	big := mail(1000)
	big.Body = append(big.Body, strings.Repeat("x", 5000)...)
	r.appendTo("INBOX", big)
	r.srv.AddFault(gmailsim.Fault{Name: "poison", When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{CloseMidLiteral: 3000}, Times: -1})
	sum := r.run()
	if sum.Holes != 1 || sum.NewMessages != 30 {
		t.Errorf("%+v", sum)
	}
	r.srv.ClearFaults()
	if sum = r.run(); sum.Downloaded != 1 {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}

// A connection that is lost for good ends the run with a clear error and keeps what was recorded.
func TestLostForGood(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 200 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.o.Retries, r.o.Connections = 2, 1
	r.srv.AddFault(gmailsim.Fault{Name: "gone", When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]", Nth: 2}, Do: gmailsim.Action{Run: func() { go r.srv.Close() }, Stall: true}, Times: -1})
	sum, err := backup.Run(context.Background(), r.w, r.o)
	if !errors.Is(err, backup.ErrConnection) || sum.NewMessages == 0 {
		t.Errorf("%v: %+v", err, sum)
	}
}

// Interrupted at random moments again and again, a backup ends like an undisturbed one, and nothing is downloaded twice but what was in flight.
func TestInterrupted(t *testing.T) {
	for _, generic := range []*gmailsim.Generic{nil, {Delimiter: "/", Condstore: true, ListStatus: true}, {Delimiter: "/", Bare: true}} {
		t.Run(fmt.Sprint(generic), func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: generic})
			const n = 400
			for i := range n {
				if generic == nil {
					r.deliver(labelled(i, `\Inbox`, fmt.Sprint("label ", i%7)))
				} else {
					r.appendTo("INBOX", mail(i))
				}
			}
			r.o.BatchMessages = 20
			rng := rand.New(rand.NewPCG(1, 2))
			interruptions := 0
			for {
				r.srv.ResetCounters()
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(5+rng.IntN(60)+10*interruptions)*time.Millisecond)
				start := time.Now()
				sum, err := backup.Run(ctx, r.w, r.o)
				cancel()
				if time.Since(start) > 5*time.Second {
					t.Errorf("took %v to stop", time.Since(start))
				}
				if err == nil {
					break
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				if lost := r.srv.Counters().Bodies - sum.NewMessages; lost > r.o.BatchMessages+1000 {
					t.Errorf("%d bodies were sent in vain", lost)
				}
				r.w.Close()
				w, err := archive.OpenWriter(r.dir)
				r.must(err)
				r.w = w
				if interruptions++; interruptions > 200 {
					t.Fatal("it never ends")
				}
			}
			t.Logf("%d interruptions", interruptions)
			defer func() { r.must(r.w.Close()) }()
			r.same("/")
			if sum := r.run(); sum.Downloaded+sum.Entered+sum.Flags != 0 {
				t.Errorf("%+v", sum)
			}
		})
	}
}

func TestFewConnections(t *testing.T) {
	for _, n := range []int{1, 2, 8} {
		r := newRig(t, gmailsim.Options{MaxConns: 2})
		r.must(r.srv.Load(gmailsim.Sample(200, 7)))
		r.o.Connections = n
		r.run()
		r.same("/")
		r.onceEach()
	}
}

// Two accounts in one archive: the second finds the messages that the first brought.
func TestTwoAccounts(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	second := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "."}})
	for i := range 50 {
		r.appendTo("INBOX", mail(i))
		second.appendTo("INBOX", mail(i))
	}
	r.run()
	second.o.Account = "other"
	sum, err := backup.Run(context.Background(), r.w, second.o)
	r.must(err)
	if sum.Downloaded != 0 || sum.NewItems != 50 {
		t.Errorf("%+v", sum)
	}
}

// Where the server allows one connection only, what waits for messages that another part of the run has to fetch does not keep that connection: the run goes on at once, and not
// whenever patience ends (30 s).
func TestOneConnectionForAll(t *testing.T) {
	r := newRig(t, gmailsim.Options{MaxConns: 1})
	r.must(r.srv.Load(gmailsim.Sample(900, 3)))
	r.o.Connections = 5
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sum, err := backup.Run(ctx, r.w, r.o)
	if err != nil || sum.Unfinished || sum.Downloaded != 900 {
		t.Errorf("%v; %+v", err, sum)
	}
	r.same("/")
}

// A login that is refused ends the run, and what the other connections have under way arrives before that: it is not downloaded again.
func TestRefusedBesideDownloads(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.must(r.srv.Load(gmailsim.Sample(300, 3)))
	r.o.Connections = 3
	r.srv.AddFault(gmailsim.Fault{Name: "refused", Times: -1, When: gmailsim.When{Command: "LOGIN", Nth: 3}, Do: gmailsim.Action{No: "[AUTHENTICATIONFAILED] Invalid credentials (Failure)", Latency: 20 * time.Millisecond}})
	r.srv.AddFault(gmailsim.Fault{Name: "slow", Times: -1, When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{Latency: 60 * time.Millisecond}})
	if _, err := backup.Run(context.Background(), r.w, r.o); !errors.Is(err, backup.ErrAuth) {
		t.Fatalf("a refused login: %v", err)
	}
	if n := len(r.srv.BodiesServed()); n == 0 || n == 300 {
		t.Errorf("%d messages came; the test wants some to come and some not to", n)
	}
	r.srv.ClearFaults()
	r.run()
	for id, n := range r.srv.BodiesServed() {
		if n > 1 {
			t.Errorf("message %s was downloaded %d times", id.Hex(), n)
		}
	}
	r.same("/")
}
