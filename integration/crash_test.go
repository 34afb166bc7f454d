package integration

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/program"
)

// simulated is a Gmail-like account with n made-up messages.
func simulated(t *testing.T, n int) (*gmailsim.Server, program.Account) {
	t.Helper()
	s := gmailsim.New(gmailsim.Options{})
	err := gen.New(n, 4, gen.Small).Each(func(m gen.Message) error {
		_, err := s.Deliver(gmailsim.Message{Body: bytes.Clone(m.Raw), Date: m.Date, Flags: m.Flags, Labels: gmailLabels(m.Mailboxes[1:])})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, program.Account{Name: "me", Addr: s.Start(t), User: "user@example.com", Password: "password"}
}

// gmailLabels turns mailbox names into labels as Gmail has them.
func gmailLabels(names []string) []string {
	var out []string
	for _, name := range names {
		switch name {
		case "INBOX":
			name = `\Inbox`
		case "Sent":
			name = `\Sent`
		}
		out = append(out, name)
	}
	return out
}

// inFlight is the most messages whose download a killed run may lose: 500 of the batch that is being recorded, and on each of
// three connections two requests of 100 whose messages arrived but wait for their turn; some more between the two.
const inFlight = 1400

// A first backup is killed twenty times at random moments, each time by a signal that nothing can catch. The next run finishes it; no
// invariant is broken; only what was in flight is downloaded again.
func TestKilledBackups(t *testing.T) {
	const kills, messages = 20, 3000
	s, account := simulated(t, messages)
	begin := time.Now()
	calm := newKeeper(t, account)
	run(t, calm, "backup")
	whole := time.Since(begin)
	want := served(t, serve(t, calm))
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	interrupted := 0
	for i := range kills {
		after := time.Duration(r.Int64N(int64(whole)))
		t.Run(fmt.Sprintf("%d after %v", i, after.Round(time.Millisecond)), func(t *testing.T) {
			s.ResetCounters()
			k := newKeeper(t, account)
			if kill(t, k, after) {
				interrupted++
			}
			run(t, k, "backup")
			again, most := 0, 0
			for _, n := range s.BodiesServed() {
				again += n - 1
				most = max(most, n)
			}
			t.Logf("%d of %d messages downloaded again", again, messages)
			if again > inFlight || most > 2 {
				t.Errorf("%d messages downloaded again (want at most %d), one of them %d times", again, inFlight, most)
			}
			if i%5 == 0 {
				compareAccounts(t, want, served(t, serve(t, k)))
			}
		})
	}
	if interrupted < kills/2 {
		t.Errorf("only %d of %d runs were killed before they ended", interrupted, kills)
	}
}

// One first backup is killed again and again, and still ends.
func TestKilledAgainAndAgain(t *testing.T) {
	_, account := simulated(t, 3000)
	k := newKeeper(t, account)
	r := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	for range 20 {
		if !kill(t, k, time.Duration(r.Int64N(int64(400*time.Millisecond)))) {
			break // it has ended
		}
	}
	run(t, k, "backup")
	if files := messageFiles(t, k); files != 3000 {
		t.Errorf("%d message files, want 3000", files)
	}
}

// kill runs a backup and kills it after a while; false when it had ended by then.
func kill(t *testing.T, k *program.Keeper, after time.Duration) bool {
	t.Helper()
	var out bytes.Buffer
	cmd := k.Command(t.Context(), "backup")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	cmd.Process.Kill()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, &out)
	}
	if code := cmd.ProcessState.ExitCode(); code > 0 {
		t.Fatalf("backup ended with %d\n%s", code, &out)
	}
	return err != nil
}
