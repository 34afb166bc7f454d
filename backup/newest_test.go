package backup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// heavy is a message of about 40 kB.
func heavy(n int) gmailsim.Message {
	m := mail(n)
	m.Body = append(m.Body, strings.Repeat("0123456789abcdef\r\n", 2200)...)
	return m
}

// held lists the dates of the messages in a mailbox, by the archive's UID.
func (r *rig) held(mailbox string) []time.Time {
	r.t.Helper()
	ctx := context.Background()
	a, err := r.w.AccountByName(ctx, account)
	r.must(err)
	boxes, err := r.w.Mailboxes(ctx, a.ID)
	r.must(err)
	var dates []time.Time
	for _, b := range boxes {
		if b.Name == mailbox {
			entries, _, err := r.w.Entries(ctx, b.ID)
			r.must(err)
			for _, e := range entries {
				dates = append(dates, e.Date)
			}
		}
	}
	return dates
}

// A day's limit ends a run cleanly: what was asked for arrives and is recorded, so that each message is downloaded once however many days it takes. The newest come first.
func TestDailyLimit(t *testing.T) {
	for _, g := range []*gmailsim.Generic{nil, {Delimiter: "/"}} {
		r := newRig(t, gmailsim.Options{Generic: g})
		const n = 400
		for i := range n {
			m := heavy(i)
			if g == nil {
				m.Labels = []string{`\Inbox`}
				r.deliver(m)
			} else {
				r.appendTo("INBOX", m)
			}
		}
		r.o.DailyBytes, r.o.Block = 6<<20, 60
		days := 0
		for {
			r.srv.ResetCounters()
			sum, err := backup.Run(context.Background(), r.w, r.o)
			if lost := r.srv.Counters().Bodies - sum.NewMessages; lost != 0 {
				t.Errorf("day %d: %d messages were downloaded and not kept", days, lost)
			}
			days++
			if err == nil {
				break
			}
			var full *backup.QuotaError
			if !errors.As(err, &full) || !errors.Is(err, backup.ErrQuota) || time.Until(full.Resume) > 24*time.Hour || time.Until(full.Resume) < 23*time.Hour {
				t.Fatalf("day %d: %v", days, err)
			}
			if days == 1 {
				dates := r.held("INBOX")
				if newest := mail(n - 1).Date; len(dates) == 0 || !slices.ContainsFunc(dates, newest.Equal) {
					t.Errorf("the newest message is not among the first %d", len(dates))
				}
			}
			// The same day hardly more can be had, not even after the program was started again.
			r.reopen()
			if _, err := backup.Run(context.Background(), r.w, r.o); !errors.Is(err, backup.ErrQuota) {
				t.Fatalf("day %d, again: %v", days, err)
			}
			if out := r.srv.Counters().BytesOut; out > r.o.DailyBytes || out < r.o.DailyBytes*9/10 {
				t.Errorf("day %d: %d bytes, the limit is %d", days, out, r.o.DailyBytes)
			}
			if days > 20 {
				t.Fatal("it never ends")
			}
			r.must(os.Remove(filepath.Join(r.dir, "traffic.json"))) // a day goes by
		}
		if days < 3 {
			t.Errorf("it took %d days only", days)
		}
		r.same("/")
		r.must(r.w.Close())
	}
}

// reopen is what starting the program again does.
func (r *rig) reopen() {
	r.t.Helper()
	r.must(r.w.Close())
	w, err := archive.OpenWriter(r.dir)
	r.must(err)
	r.w = w
}

// The newest block of a mailbox comes first, and each block oldest first. Blocks are counted from the oldest message.
func TestNewestBlockFirst(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 250 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.o.Block = 100
	r.run()
	r.same("/")
	var want []time.Time
	for _, block := range [][2]int{{200, 250}, {100, 200}, {0, 100}} {
		for i := block[0]; i < block[1]; i++ {
			want = append(want, mail(i).Date)
		}
	}
	if got := r.held("INBOX"); !slices.EqualFunc(got, want, time.Time.Equal) {
		t.Errorf("order: %v", got)
	}
}
