package backup_test

import (
	"sync"
	"testing"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func TestProgress(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.must(r.srv.Load(gmailsim.Sample(100, 4)))
	w := &watcher{}
	r.o.Progress = w
	sum := r.run()
	last := w.last
	if last.Downloaded != 100 || last.Wanted != 100 || last.Seen != 100 || last.Expected != 100 || last.DownloadedBytes != sum.Bytes || last.Phase != backup.PhaseFinish {
		t.Errorf("%+v", last)
	}
}

type watcher struct {
	mu   sync.Mutex
	last backup.Status
}

func (w *watcher) Update(s backup.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = s
}

func (w *watcher) Warn(backup.Warning) {}

// While a connection is away, the status says why nothing happens.
func TestReasonShown(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 120 {
		r.deliver(labelled(i, `\Inbox`))
	}
	var mu sync.Mutex
	reasons := map[string]bool{}
	r.o.Progress = watchFunc(func(s backup.Status) {
		mu.Lock()
		defer mu.Unlock()
		if s.Waiting != "" && !s.Until.IsZero() {
			reasons[s.Waiting] = true
		}
	})
	r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{Close: true, Throttled: true}})
	r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]", Nth: 2}, Do: gmailsim.Action{Throttled: true}, Times: -1})
	r.run()
	r.same("/")
	if !reasons["the connection was lost"] || !reasons["the server slows downloads down"] {
		t.Errorf("reasons: %v", reasons)
	}
}

type watchFunc func(backup.Status)

func (f watchFunc) Update(s backup.Status) { f(s) }

func (f watchFunc) Warn(backup.Warning) {}
