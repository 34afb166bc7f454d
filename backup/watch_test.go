package backup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"mailkeep/archive"
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
		go func() { done <- backup.Watch(ctx, r.dial, archive.FolderState{}) }()
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
	// While the server has not yet agreed to IDLE, too.
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		early := make(chan error, 1)
		go func() { early <- backup.Watch(ctx, r.dial, archive.FolderState{}) }()
		for before := r.srv.Counters().Commands["EXAMINE"]; r.srv.Counters().Commands["EXAMINE"] == before; {
			time.Sleep(10 * time.Microsecond)
		}
		cancel()
		if err := result(early); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before IDLE began: %v", err)
		}
	}
	plain := newRig(t, gmailsim.Options{Without: []string{"IDLE"}})
	if err := backup.Watch(context.Background(), plain.dial, archive.FolderState{}); !errors.Is(err, backup.ErrNoIdle) {
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
	if err := backup.Watch(context.Background(), dial, archive.FolderState{}); err != nil {
		t.Errorf("expiry: %v", err)
	}
}

// watchAwhile watches until a moment after IDLE began.
func watchAwhile(r *rig, known archive.FolderState) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- backup.Watch(ctx, r.dial, known) }()
	for r.srv.Counters().Commands["IDLE"] == 0 {
		select {
		case err := <-done:
			return err
		case <-time.After(time.Millisecond):
		}
	}
	time.AfterFunc(100*time.Millisecond, cancel)
	return <-done
}

func TestWatchIsNotToldTheSameAgain(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, `\Inbox`))
	r.idles = true
	r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "IDLE"}, Do: gmailsim.Action{Unsolicited: []string{"* 1 EXISTS", "* 1 EXISTS"}}})
	if err := watchAwhile(r, archive.FolderState{}); !errors.Is(err, context.Canceled) {
		t.Errorf("the number that it knows: %v", err)
	}
	r.srv.ClearFaults()
	// One message leaves and another one comes.
	r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "IDLE"}, Do: gmailsim.Action{Unsolicited: []string{"* 1 EXPUNGE", "* 1 EXISTS"}}})
	if err := backup.Watch(t.Context(), r.dial, archive.FolderState{}); err != nil {
		t.Errorf("one for another: %v", err)
	}
}

func TestWatchSeesWhatTheRunMissed(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, `\Inbox`))
	r.idles = true
	inbox := r.run().Inbox
	if inbox.UIDValidity == 0 || inbox.Messages != 1 {
		t.Fatalf("the run tells %+v of INBOX", inbox)
	}
	if err := watchAwhile(r, inbox); !errors.Is(err, context.Canceled) {
		t.Errorf("nothing arrived: %v", err)
	}
	idles := r.srv.Counters().Commands["IDLE"]
	r.deliver(labelled(2, `\Inbox`))
	if err := backup.Watch(t.Context(), r.dial, inbox); err != nil {
		t.Errorf("mail arrived before: %v", err)
	}
	if got := r.srv.Counters().Commands["IDLE"]; idles != 1 || got != 1 {
		t.Errorf("it waited %d times, then %d; want 1 and 1", idles, got)
	}
}
