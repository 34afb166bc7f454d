package backup_test

import (
	"context"
	"testing"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// TestSessionsThatExpire: a session whose time is over is replaced between two commands, without a word and without fetching anything twice.
func TestSessionsThatExpire(t *testing.T) {
	for name, life := range map[string]time.Duration{"at once": -time.Second, "soon": 20 * time.Millisecond, "later": time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{MaxConns: -1})
			r.must(r.srv.Load(gmailsim.Sample(400, 3)))
			r.o.Connections = 3
			dialled := make(chan bool, 10_000)
			r.o.Dial = func(ctx context.Context) (*backup.Session, error) {
				dialled <- true
				s, err := r.dial(ctx)
				if err == nil {
					s.Expires = time.Now().Add(life).Round(0)
				}
				return s, err
			}
			sum := r.run()
			if sum.WarningCount > 0 {
				t.Errorf("warnings %+v", sum)
			}
			if n := len(dialled); (n > r.o.Connections) != (life < time.Hour) {
				t.Errorf("%d connections", n)
			}
			r.same("/")
			r.onceEach()
		})
	}
}

// A worker gives up a session that has expired although there is more to download from the same mailbox.
func TestSessionsThatExpireInOneMailbox(t *testing.T) {
	const messages = 600
	r := newRig(t, gmailsim.Options{MaxConns: -1, Generic: &gmailsim.Generic{Delimiter: "/"}})
	for i := range messages {
		r.appendTo("INBOX", mail(i))
	}
	r.o.Connections = 2
	r.o.Dial = func(ctx context.Context) (*backup.Session, error) {
		s, err := r.dial(ctx)
		if err == nil {
			s.Expires = time.Now().Add(-time.Second)
		}
		return s, err
	}
	r.srv.AddFault(gmailsim.Fault{Times: -1, When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK"}, Do: gmailsim.Action{Latency: 20 * time.Millisecond}})
	sum := r.run()
	if jobs := messages / 50; sum.Connections < jobs || sum.WarningCount > 0 || sum.Downloaded != messages {
		t.Errorf("%d connections for at least %d FETCHes of bodies, %d messages, %+v", sum.Connections, jobs, sum.Downloaded, sum.Warnings)
	}
	r.same("/")
	r.onceEach()
}
