package integration

import (
	"bytes"
	"errors"
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
	err := gen.New(n, 4, gen.Full).Each(func(m gen.Message) error {
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

// inFlight is the most messages whose download a killed run may lose: those on their way, and those of the batch that is not recorded yet.
const inFlight = 600

// A first backup is killed twenty times at random moments, each time by a signal that nothing can catch. The next run finishes it; no
// invariant is broken; only what was in flight is downloaded again.
func TestKilledBackups(t *testing.T) {
	const kills, messages = 20, 1500
	s, account := simulated(t, messages)
	begin := time.Now()
	calm := newKeeper(t, account)
	run(t, calm, "backup")
	whole := time.Since(begin)
	want := served(t, serve(t, calm))
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	interrupted := 0
	for i := range kills {
		s.ResetCounters()
		k := newKeeper(t, account)
		after := time.Duration(r.Int64N(int64(whole)))
		if kill(t, k, after) {
			interrupted++
		}
		run(t, k, "backup")
		checkArchive(t, k)
		again, most := 0, 0
		for _, n := range s.BodiesServed() {
			again += n - 1
			most = max(most, n)
		}
		t.Logf("killed after %v: %d of %d messages downloaded again", after.Round(time.Millisecond), again, messages)
		if again > inFlight || most > 2 {
			t.Errorf("killed after %v: %d messages downloaded again (want at most %d), one of them %d times", after, again, inFlight, most)
		}
		if i%5 == 0 || t.Failed() {
			compareAccounts(t, want, served(t, serve(t, k)))
		}
		if t.Failed() {
			return
		}
	}
	if interrupted < kills/2 {
		t.Errorf("only %d of %d runs were killed before they ended", interrupted, kills)
	}
}

// One first backup is killed again and again, and still ends.
func TestKilledAgainAndAgain(t *testing.T) {
	_, account := simulated(t, 1500)
	k := newKeeper(t, account)
	r := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	for range 20 {
		if !kill(t, k, time.Duration(r.Int64N(int64(300*time.Millisecond)))) {
			break // it has ended
		}
	}
	run(t, k, "backup")
	if files := messageFiles(t, k); files != 1500 {
		t.Errorf("%d message files, want 1500", files)
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
