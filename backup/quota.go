package backup

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"mailkeep/archive"
)

// day is the time over which a quota counts.
const day = 24 * time.Hour

// QuotaError says that enough was received for now. It is ErrQuota.
type QuotaError struct {
	Used   int64     // bytes received in the last 24 hours
	Limit  int64     // Options.DailyBytes, or 0 when it is the server that counted
	Resume time.Time // when to go on: a tenth of the limit is free then and what was asked for may come, or a day is over
	Err    error     // what the server said; nil with a Limit

	need int64 // bytes that were asked for
}

// Error tells the numbers and the time.
func (q *QuotaError) Error() string {
	if q.Err != nil {
		return fmt.Sprintf("the server says that the account has downloaded enough for now; run the backup again after %s, it goes on where it was: %v", clock(q.Resume), q.Err)
	}
	return fmt.Sprintf("the limit of a day's download is reached (%d of %d MB in 24 hours); run the backup again after %s, it goes on where it was",
		q.Used/1e6, q.Limit/1e6, clock(q.Resume))
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// Unwrap makes it an ErrQuota.
func (q *QuotaError) Unwrap() []error {
	if q.Err == nil {
		return []error{ErrQuota}
	}
	return []error{ErrQuota, q.Err}
}

// trafficLedger keeps the count between runs; archive.Writer is one.
type trafficLedger interface {
	Traffic(account string) []archive.Traffic
	AddTraffic(account string, at time.Time, bytes int64) error
}

// quota counts what a run receives, together with what earlier runs received in the last 24 hours. It is safe for concurrent use; a nil one counts nothing.
type quota struct {
	ledger  trafficLedger
	account string
	limit   int64 // 0 for none
	now     func() time.Time
	show    func(used, limit int64)
	warn    func(Warning)

	mu       sync.Mutex
	before   []archive.Traffic // of earlier runs, and what was saved of this one
	unsaved  int64
	saveAt   int64 // what unsaved must reach before the ledger is written
	warned   bool
	reserved int64 // asked for and not received yet
}

// saveEvery bounds what a kill makes the ledger forget.
const saveEvery = 8 << 20 // bytes

func newQuota(ledger trafficLedger, account string, limit int64, r *report) *quota {
	q := &quota{ledger: ledger, account: account, limit: max(limit, 0), now: time.Now, show: r.quota, warn: r.warn, saveAt: saveEvery}
	q.before = ledger.Traffic(account)
	q.show(q.used(), q.limit)
	return q
}

// used is what counts now; the lock is held, or nobody else knows q yet.
func (q *quota) used() int64 {
	n := q.unsaved
	for _, t := range q.before {
		if q.now().Sub(time.Unix(t.At, 0)) < day {
			n += t.Bytes
		}
	}
	return n
}

// reserve asks to receive n bytes more, which spend must be told of later. A message that is larger than what is left may come when most of the limit is free, or
// it would never.
func (q *quota) reserve(n int64) error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if used := q.used(); q.limit > 0 && used+q.reserved+min(n, q.limit/2) > q.limit {
		return &QuotaError{Used: used, Limit: q.limit, Resume: q.resume(n), need: n}
	}
	q.reserved += n
	return nil
}

// worthwhile tells whether a run may begin: not for the last fiftieth of the limit.
func (q *quota) worthwhile() error {
	least := q.limit / 50
	if err := q.reserve(least); err != nil {
		return err
	}
	q.spend(0, least)
	return nil
}

// portion is how much to ask for at once, at most n: with a small limit less, so that what is under way does not fill it.
func (q *quota) portion(n int64) int64 {
	if q.limit == 0 {
		return n
	}
	return min(n, max(q.limit/100, 64<<10))
}

// settle brings an error that reserve gave up to date: what was under way then has arrived.
func (q *quota) settle(err error) {
	var full *QuotaError
	if errors.As(err, &full) && full.Err == nil {
		q.mu.Lock()
		full.Used, full.Resume = q.used(), q.resume(full.need)
		q.mu.Unlock()
	}
}

// resume is when a tenth of the limit will be free, and enough for reserve to grant need: a run that began earlier would end where this one does. The lock is held.
func (q *quota) resume(need int64) time.Time {
	most := q.limit - max(q.limit/10, min(need, q.limit/2))
	left := q.used()
	at := q.now()
	for _, t := range q.before {
		if left <= most {
			return at
		}
		if q.now().Sub(time.Unix(t.At, 0)) >= day {
			continue // counts no more
		}
		left -= t.Bytes
		at = time.Unix(t.At, 0).Add(day)
	}
	if left <= most {
		return at
	}
	return q.now().Add(day)
}

// spend counts bytes that were received, and gives back what was reserved for them.
func (q *quota) spend(received, reserved int64) {
	if q == nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reserved -= reserved
	if received == 0 {
		return
	}
	q.unsaved += received
	q.show(q.used(), q.limit)
	if q.unsaved >= q.saveAt {
		q.save()
	}
}

// save notes what this run received; the lock is held. The count is no reason to end a backup: what cannot be saved counts on in this run, and is tried again later.
func (q *quota) save() {
	if q.unsaved == 0 {
		return
	}
	now := q.now()
	if err := q.ledger.AddTraffic(q.account, now, q.unsaved); err != nil {
		q.saveAt = q.unsaved + saveEvery
		if !q.warned {
			q.warned = true
			q.warn(Warning{Kind: WarnTraffic, Text: fmt.Sprintf("how much was downloaded could not be noted, so the limit of a day's download may begin anew with the next run: %v", err)})
		}
		return
	}
	q.before = append(q.before, archive.Traffic{At: now.Unix(), Bytes: q.unsaved})
	q.unsaved, q.saveAt = 0, saveEvery
}

func (q *quota) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.save()
}
