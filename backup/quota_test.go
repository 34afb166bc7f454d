package backup

import (
	"context"
	"errors"
	"testing"
	"time"

	"mailkeep/archive"
)

// memoryLedger is a ledger that a test may look into.
type memoryLedger struct {
	list   []archive.Traffic
	broken error
}

func (m *memoryLedger) Traffic(string) []archive.Traffic { return m.list }

func (m *memoryLedger) AddTraffic(_ string, at time.Time, bytes int64) error {
	if m.broken != nil {
		return m.broken
	}
	m.list = append(m.list, archive.Traffic{At: at.Unix(), Bytes: bytes})
	return nil
}

func TestQuota(t *testing.T) {
	start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	now := start
	ledger := &memoryLedger{}
	open := func() *quota {
		t.Helper()
		q := newQuota(ledger, "me", 1000<<20, newReport(silent{}))
		q.now = func() time.Time { return now }
		return q
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(q *quota, n int64, resume time.Time) {
		t.Helper()
		var full *QuotaError
		if err := q.reserve(n); !errors.As(err, &full) || !errors.Is(err, ErrQuota) {
			t.Fatalf("reserve %d: %v, want a QuotaError", n, err)
		}
		if !full.Resume.Equal(resume) {
			t.Errorf("resume at %v, want %v", full.Resume, resume)
		}
	}
	q := open()
	must(q.reserve(600 << 20))
	must(q.reserve(300 << 20))
	refused(q, 200<<20, now) // what is under way counts, and may need less than was asked for
	q.spend(500<<20, 600<<20)
	must(q.reserve(200 << 20))
	q.spend(200<<20, 200<<20)
	now = now.Add(time.Hour)
	q.spend(290<<20, 300<<20)
	refused(q, 11<<20, start.Add(day))
	q.close()

	q = open() // another run
	refused(q, 11<<20, start.Add(day))
	must(q.reserve(10 << 20))
	q.spend(0, 10<<20)
	now = start.Add(day)
	must(q.reserve(700 << 20)) // the first 700 do not count any more
	q.spend(700<<20, 700<<20)
	refused(q, 11<<20, start.Add(day+time.Hour))
	now = start.Add(3 * day)
	must(q.reserve(5000 << 20)) // larger than the limit
	refused(q, 600<<20, now)
	q.spend(5000<<20, 5000<<20)
	refused(q, 0, now.Add(day))
}

func TestQuotaUnlimited(t *testing.T) {
	ledger := &memoryLedger{}
	q := newQuota(ledger, "me", 0, newReport(silent{}))
	if err := q.reserve(1 << 50); err != nil {
		t.Error(err)
	}
	q.spend(1<<40, 1<<50)
	if err := q.reserve(1); err != nil {
		t.Error(err)
	}
	q.close()
	if len(ledger.list) != 1 || ledger.list[0].Bytes != 1<<40 {
		t.Errorf("noted %v", ledger.list)
	}
}

func TestQuotaResumesForTheNextMessage(t *testing.T) {
	start := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	now := start.Add(3 * time.Hour)
	const limit = 100 << 20
	ledger := &memoryLedger{}
	for i, bytes := range []int64{20 << 20, 30 << 20, 35 << 20} { // 15 are free, more than a tenth
		if err := ledger.AddTraffic("me", start.Add(time.Duration(i)*time.Hour), bytes); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		need  int64
		hours time.Duration // after start, when the entry of that hour counts no more
	}{{16 << 20, 0}, {35 << 20, 0}, {36 << 20, 1}, {50 << 20, 1}, {500 << 20, 1}}
	for _, c := range cases {
		q := newQuota(ledger, "me", limit, newReport(silent{}))
		q.now = func() time.Time { return now }
		err := q.reserve(c.need)
		var full *QuotaError
		if !errors.As(err, &full) {
			t.Fatalf("reserve %d: %v; want a QuotaError", c.need, err)
		}
		want := start.Add(c.hours*time.Hour + day)
		if q.settle(err); !full.Resume.Equal(want) {
			t.Errorf("%d bytes more: resume at %v, want %v", c.need, full.Resume, want)
		}
		q.now = func() time.Time { return full.Resume }
		if err := q.reserve(c.need); err != nil {
			t.Errorf("%d bytes more at the time to resume: %v", c.need, err)
		}
	}
}

// A ledger that cannot be written is one warning; what was received counts on, and is noted when it can be.
func TestQuotaUnsaved(t *testing.T) {
	ledger := &memoryLedger{broken: errors.New("no space left")}
	r := newReport(silent{})
	q := newQuota(ledger, "me", 100<<20, r)
	for range 6 {
		q.spend(10<<20, 0)
	}
	q.close()
	if sum := r.result(); sum.WarningCount != 1 || sum.Warnings[0].Kind != WarnTraffic {
		t.Errorf("%+v", sum)
	}
	if err := q.reserve(50 << 20); !errors.Is(err, ErrQuota) {
		t.Errorf("what was not saved does not count: %v", err)
	}
	ledger.broken = nil
	q.close()
	if len(ledger.list) != 1 || ledger.list[0].Bytes != 60<<20 {
		t.Errorf("noted %v", ledger.list)
	}
}

// What is interrupted by the end of a day's download may know no more than that it was cancelled.
func TestCauseOf(t *testing.T) {
	whole, end := context.WithCancelCause(context.Background())
	part, stop := context.WithCancelCause(whole)
	other := errors.New("another")
	if causeOf(part, whole, nil) != nil || causeOf(part, whole, other) != other {
		t.Error("nothing was ended")
	}
	stop(&QuotaError{})
	if err := causeOf(part, whole, context.Canceled); !errors.Is(err, ErrQuota) {
		t.Error(err)
	}
	if err := causeOf(part, whole, nil); err != nil {
		t.Error(err)
	}
	end(other)
	if err := causeOf(part, whole, context.Canceled); err != context.Canceled {
		t.Error(err)
	}
}
