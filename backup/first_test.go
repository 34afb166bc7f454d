package backup_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

const exceeded = "[OVERQUOTA] Account exceeded command or bandwidth limits."

// What goes wrong once before the first login is through is waited for, with the reason shown.
func TestFirstConnectionRetried(t *testing.T) {
	once := map[string]gmailsim.Fault{
		"no greeting":            {When: gmailsim.When{Command: "CONNECT"}, Do: gmailsim.Action{Close: true}},
		"BYE for a greeting":     {When: gmailsim.When{Command: "CONNECT"}, Do: gmailsim.Action{Bye: "[UNAVAILABLE] Temporary System Problem"}},
		"silence for a greeting": {When: gmailsim.When{Command: "CONNECT"}, Do: gmailsim.Action{Stall: true}},
		"closed at the login":    {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{Close: true}},
		"cut in the login":       {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{CutAfter: 9}},
		"BYE at the login":       {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{Bye: "Session expired, please login again"}},
		"BYE after the login":    {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{ByeAfter: "Temporary System Error"}},
		"silence at the login":   {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{Stall: true}},
		"garbage at the login":   {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{Raw: "\x00\xff{12}garbage\r\n)(\"\r\n"}},
		"not now":                {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{No: "[UNAVAILABLE] Temporary System Problem (Failure)"}},
		"too many connections":   {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{No: "[ALERT] Too many simultaneous connections. (Failure)"}},
		"closed behind it":       {When: gmailsim.When{Command: "ID"}, Do: gmailsim.Action{Close: true}},
	}
	for name, fault := range once {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, gmailsim.Options{})
			r.deliver(labelled(1, `\Inbox`))
			fault.Name = "it"
			r.srv.AddFault(fault)
			if fault.Do.Stall {
				r.o.Dial = impatient(r.dial)
			}
			var reason atomic.Value
			r.o.Progress = watchFunc(func(s backup.Status) {
				if s.Waiting != "" {
					reason.Store(s.Waiting)
				}
			})
			sum := r.run()
			if !warned(sum, backup.WarnReconnect) || reason.Load() == nil || r.srv.Counters().FaultsHit["it"] != 1 {
				t.Errorf("reason %v: %+v", reason.Load(), sum)
			}
			r.same("/")
		})
	}
}

// impatient gives a dial a time limit, as the command line does.
func impatient(dial backup.Dial) backup.Dial {
	return func(ctx context.Context) (*backup.Session, error) {
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		return dial(ctx)
	}
}

// Wherever before the end of the first login the connection is cut, the run goes through.
func TestFirstConnectionCutAnywhere(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, `\Inbox`))
	cuts := 0
	for at := int64(1); at < 900; at += 29 {
		cuts++
		r.srv.ClearFaults()
		r.srv.AddFault(gmailsim.Fault{Name: "cut", When: gmailsim.When{Byte: at}, Do: gmailsim.Action{Close: true}})
		if sum := r.run(); !warned(sum, backup.WarnReconnect) {
			t.Errorf("byte %d: %+v", at, sum)
		}
	}
	if hit := r.srv.Counters().FaultsHit["cut"]; hit != cuts {
		t.Errorf("%d connections were cut", hit)
	}
	r.same("/")
}

// A server that counts what an account downloads may say so in any place before the login is through; that ends the run as it does later.
func TestFirstConnectionOverQuota(t *testing.T) {
	for name, fault := range map[string]gmailsim.Fault{
		"greeting":        {When: gmailsim.When{Command: "CONNECT"}, Do: gmailsim.Action{Bye: exceeded}},
		"login":           {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{Bye: exceeded}},
		"after the login": {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{ByeAfter: exceeded}},
		"refused":         {When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{No: exceeded}},
		"ID":              {When: gmailsim.When{Command: "ID"}, Do: gmailsim.Action{Bye: exceeded}},
		"LIST":            {When: gmailsim.When{Command: "LIST"}, Do: gmailsim.Action{Bye: exceeded}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{})
			fault.Times = -1
			r.srv.AddFault(fault)
			_, err := backup.Run(context.Background(), r.w, r.o)
			var full *backup.QuotaError
			if !errors.As(err, &full) || full.Resume.Before(time.Now()) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A connection that is dropped for good before the first login is given up after a bounded number of tries, and what settings are to blame for is said at once.
func TestFirstConnectionGivenUp(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for name, c := range map[string]struct {
		err   error
		tries int
	}{
		"unknown host":       {dial(&net.DNSError{Err: "no such host", Name: "imap.example.com", IsNotFound: true}), 1},
		"nobody listens":     {dial(syscall.ECONNREFUSED), 1},
		"nothing comes":      {dial(context.DeadlineExceeded), 1},
		"not the right TLS":  {&net.OpError{Op: "remote error", Err: errors.New("tls: handshake failure")}, 1},
		"anything else":      {errors.New("there is no such certificate"), 1},
		"no name server":     {dial(errLookup), 7},
		"network is away":    {dial(syscall.ENETUNREACH), 7},
		"reset in handshake": {&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, 7},
	} {
		r := newRig(t, gmailsim.Options{})
		tries := 0
		r.o.Dial = func(context.Context) (*backup.Session, error) {
			tries++
			return nil, c.err
		}
		if _, err := backup.Run(context.Background(), r.w, r.o); !errors.Is(err, backup.ErrConnection) || tries != c.tries {
			t.Errorf("%s: %d tries, then %v", name, tries, err)
		}
	}
	for _, c := range []struct {
		fault gmailsim.Fault
		tries int
		says  string
	}{
		{gmailsim.Fault{When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{Close: true}}, 7, "log in: the connection was lost"},
		{gmailsim.Fault{When: gmailsim.When{Command: "CONNECT"}, Do: gmailsim.Action{Raw: "220 mail.example.com ESMTP\r\n"}}, 1, "did not greet as an IMAP server"},
	} {
		r := newRig(t, gmailsim.Options{})
		c.fault.Name, c.fault.Times = "it", -1
		r.srv.AddFault(c.fault)
		_, err := backup.Run(context.Background(), r.w, r.o)
		if hit := r.srv.Counters().FaultsHit["it"]; !errors.Is(err, backup.ErrConnection) || hit != c.tries || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d connections, then %v", hit, err)
		}
	}
}
