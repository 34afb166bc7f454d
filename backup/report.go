package backup

import (
	"fmt"
	"sync"
	"time"

	"mailkeep/archive"
)

// report gathers what a run tells: its Status while it runs and its Summary. It is safe for concurrent use.
type report struct {
	watcher Progress

	mu     sync.Mutex
	status Status
	sum    Summary
	idle   int // goroutines that wait
	sizes  int // messages whose length is not what the server says
	first  Warning
}

func newReport(p Progress) *report { return &report{watcher: p} }

// update changes the status and shows it, under the lock so that the watcher sees the changes in their order.
func (r *report) update(f func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.status)
	r.watcher.Update(r.status)
}

func (r *report) phase(p Phase, mailbox string) {
	r.update(func(s *Status) { s.Phase, s.Mailbox = p, mailbox })
}

// expect corrects the number of copies to look at.
func (r *report) expect(n int64) {
	if n != 0 {
		r.update(func(s *Status) { s.Expected += n })
	}
}

// seen counts copies that are dealt with.
func (r *report) seen(n int) {
	r.update(func(s *Status) { s.Seen += int64(n); s.Expected = max(s.Expected, s.Seen) })
}

// want counts messages to download.
func (r *report) want(messages int, bytes int64) {
	r.update(func(s *Status) { s.Wanted += int64(messages); s.WantedBytes += bytes })
}

// waits shows why the run waits, until over is called. Several goroutines may wait; the newest reason is shown.
func (r *report) waits(why string, d time.Duration) (over func()) {
	change := func(n int, s Status) {
		r.update(func(now *Status) {
			if r.idle += n; n > 0 || r.idle == 0 {
				now.Waiting, now.Until = s.Waiting, s.Until
			}
		})
	}
	change(1, Status{Waiting: why, Until: time.Now().Add(d)})
	return func() { change(-1, Status{}) }
}

func (r *report) quota(used, limit int64) {
	r.update(func(s *Status) { s.QuotaUsed, s.QuotaLimit = used, limit })
}

// downloaded counts a message that arrived.
func (r *report) downloaded(bytes int64) {
	r.summary(func(s *Summary) { s.Downloaded++; s.Bytes += bytes })
	r.update(func(s *Status) { s.Downloaded++; s.DownloadedBytes += bytes })
}

func (r *report) warn(w Warning) {
	r.mu.Lock()
	r.sum.WarningCount++
	if len(r.sum.Warnings) < maxWarnings {
		r.sum.Warnings = append(r.sum.Warnings, w)
	}
	r.mu.Unlock()
	r.watcher.Warn(w)
}

// wrongSize counts a message whose length differs from RFC822.SIZE; a server that computes sizes does that for thousands, so there is one warning for all.
func (r *report) wrongSize(mailbox string, uid uint32, said, is int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sizes++; r.sizes == 1 {
		r.first = Warning{Kind: WarnSize, Mailbox: mailbox, UID: uid, Text: fmt.Sprintf("the server says that message %d of %q has %d bytes, and it has %d", uid, mailbox, said, is)}
	}
}

// warnSizes is called once, at the end.
func (r *report) warnSizes() {
	r.mu.Lock()
	n, w := r.sizes, r.first
	r.mu.Unlock()
	switch n {
	case 0:
		return
	case 1:
		w.Text += "; it is kept as it came"
	default:
		w.Text += fmt.Sprintf("; %d messages differ like this, all are kept as they came", n)
	}
	r.warn(w)
}

func (r *report) summary(f func(*Summary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.sum)
}

func (r *report) recorded(d archive.Recorded) {
	r.summary(func(s *Summary) {
		s.NewMessages += d.NewFiles
		s.NewBytes += d.NewBytes
		s.NewItems += d.Items
		s.Entered += d.Entered
		s.Left += d.Left
		s.Flags += d.Flags
		s.Gone += d.Gone
		s.Returned += d.Returned
		s.Buried += d.Buried
	})
}

func (r *report) result() Summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sum
}

func (r *report) unfinished() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sum.Unfinished
}
