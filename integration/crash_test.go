package integration

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
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

// inFlight is the most messages whose download a killed run may lose: 200 of the batch that is being recorded, 200 of the next one or that wait for an older one, and on each of
// three connections two requests of 50.
const inFlight = 200 + 200 + 3*2*50

// plain is a server other than Gmail with n made-up messages in a few mailboxes.
func plain(t *testing.T, n int) (*gmailsim.Server, program.Account) {
	t.Helper()
	s := gmailsim.New(gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/", Condstore: true, ListStatus: true, ESearch: true}})
	boxes := []string{"INBOX", "Work", "Lists/go", "Old mail"}
	for _, name := range boxes[1:] {
		if err := s.CreateMailbox(name); err != nil {
			t.Fatal(err)
		}
	}
	i := 0
	err := gen.New(n, 4, gen.Small).Each(func(m gen.Message) error {
		_, err := s.Append(boxes[i*i%len(boxes)], gmailsim.Message{Body: bytes.Clone(m.Raw), Date: m.Date, Flags: m.Flags})
		i++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, program.Account{Name: "me", Addr: s.Start(t), User: "user@example.com", Password: "password"}
}

// kills is how many first backups TestKilledBackups kills: 20, or as many as MAILKEEP_KILLS says.
func kills(t *testing.T) int {
	t.Helper()
	s := os.Getenv("MAILKEEP_KILLS")
	if s == "" {
		return 20
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("MAILKEEP_KILLS=%q is no number of backups", s)
	}
	return n
}

// First backups of both kinds of servers are killed at random moments, one in each stretch of the run, each by a signal that nothing can catch. The next run finishes it; no
// invariant is broken; only what was in flight is downloaded again.
func TestKilledBackups(t *testing.T) {
	const messages = 3000
	n := kills(t)
	t.Run("Gmail", func(t *testing.T) {
		s, account := simulated(t, messages)
		killBackups(t, s, account, n-n/2, messages)
	})
	t.Run("other", func(t *testing.T) {
		s, account := plain(t, messages)
		killBackups(t, s, account, n/2, messages)
	})
}

func killBackups(t *testing.T, s *gmailsim.Server, account program.Account, kills, messages int) {
	calm := newKeeper(t, account)
	run(t, calm, "backup")
	want := served(t, serve(t, calm))
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	ran, interrupted := 0, 0
	for i := range kills {
		after := (i*messages + r.IntN(messages+1)) / kills
		t.Run(fmt.Sprintf("%d after %d messages", i, after), func(t *testing.T) {
			ran++
			s.ResetCounters()
			k := newKeeper(t, account)
			if kill(t, s, k, after) {
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
	if interrupted < ran/2 {
		t.Errorf("only %d of %d runs were killed before they ended", interrupted, ran)
	}
}

// One first backup is killed again and again, and still ends.
func TestKilledAgainAndAgain(t *testing.T) {
	s, account := simulated(t, 3000)
	k := newKeeper(t, account)
	r := rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano())))
	for range 20 {
		s.ResetCounters()
		if !kill(t, s, k, r.IntN(1000)) {
			break // it has ended
		}
	}
	run(t, k, "backup")
	if files := messageFiles(t, k); files != 3000 {
		t.Errorf("%d message files, want 3000", files)
	}
}

// kill runs a backup and kills it a moment after it has fetched so many bodies; false when it had ended by then.
func kill(t *testing.T, s *gmailsim.Server, k *program.Keeper, bodies int) bool {
	t.Helper()
	var out bytes.Buffer
	cmd := k.Command(t.Context(), "backup")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	for over := false; !over; {
		select {
		case err = <-ended:
			over = true
		case <-time.After(time.Millisecond):
			if s.Counters().Bodies < bodies {
				continue
			}
			time.Sleep(rand.N(30 * time.Millisecond))
			cmd.Process.Kill()
			err, over = <-ended, true
		}
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() > 0 {
		t.Fatalf("backup: %v\n%s", err, &out)
	}
	return err != nil
}
