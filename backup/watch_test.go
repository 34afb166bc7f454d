package backup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func TestWatch(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, `\Inbox`))
	r.idles = true
	begin := func(ctx context.Context) chan error {
		before := r.srv.Counters().Commands["IDLE"]
		done := make(chan error, 1)
		go func() { done <- backup.Watch(ctx, r.dial) }()
		for r.srv.Counters().Commands["IDLE"] == before {
			time.Sleep(time.Millisecond)
		}
		return done
	}
	result := func(done chan error) error {
		t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(10 * time.Second):
			t.Fatal("it still waits")
			return nil
		}
	}
	done := begin(context.Background())
	select {
	case err := <-done:
		t.Fatalf("nothing happened, and it ended: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	r.deliver(labelled(2, `\Inbox`))
	if err := result(done); err != nil {
		t.Errorf("new mail: %v", err)
	}
	done = begin(context.Background())
	r.srv.DropConnections()
	if err := result(done); !errors.Is(err, backup.ErrConnection) {
		t.Errorf("a lost connection: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done = begin(ctx)
	cancel()
	if err := result(done); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	plain := newRig(t, gmailsim.Options{Without: []string{"IDLE"}})
	if err := backup.Watch(context.Background(), plain.dial); !errors.Is(err, backup.ErrNoIdle) {
		t.Errorf("no IDLE: %v", err)
	}
	// A login that expires is no trouble.
	dial := func(ctx context.Context) (*backup.Session, error) {
		s, err := r.dial(ctx)
		if err == nil {
			s.Expires = time.Now().Add(100 * time.Millisecond)
		}
		return s, err
	}
	if err := backup.Watch(context.Background(), dial); err != nil {
		t.Errorf("expiry: %v", err)
	}
}
