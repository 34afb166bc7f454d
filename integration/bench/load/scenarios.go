package load

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailkeep/integration/bench/gen"
)

// Target is a server with an account that holds the corpus. It is used by one goroutine at a time.
type Target struct {
	Name                 string // for messages
	Addr, User, Password string
	Want                 *gen.Tally
	// Tape, when set, records the answer of the next first run of a scenario that fetches the whole mailbox.
	Tape *Tape

	valid map[string]digest // answers that were taken apart and found right, by scenario
}

// Sample is one run of a scenario.
type Sample struct {
	Wall   time.Duration
	Each   []time.Duration // single round trips, where these are what counts instead of Wall
	Client time.Duration   // processor time of the measuring side
	Bytes  int64           // that came, where counted
}

// Scenario is one thing to measure.
type Scenario struct {
	Name string
	Goal float64 // how many times faster than the peer ours has to be; 0: none is set
	Long bool    // left out of runs that must be short
	Info bool    // has no goal at all, neither beside the peer nor in how it grows
	// Tail names a second figure, the 99th percentile of Each; "" without.
	Tail string
	// Replay names the tape that the scenario can be run against, "" without; Record says that it is this scenario's answer.
	Replay string
	Record bool
	// Run does it once; an error also when the answer was wrong. The first run on a target checks most and does not count.
	Run func(*Target) (Sample, error)
}

const (
	headerItems    = "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (%s)])"
	structureItems = "(ENVELOPE INTERNALDATE RFC822.SIZE BODYSTRUCTURE FLAGS)"
)

// Scenarios are all of them, in the order to run.
func Scenarios() []Scenario {
	list := []Scenario{
		{Name: "connect, LOGIN, LOGOUT, p50", Goal: 10, Run: login},
		{Name: "STATUS of all mailboxes, one by one", Goal: 5, Run: statusAll},
		{Name: "SELECT largest mailbox, new connection", Run: SelectLargest},
		{Name: "UID FETCH 1:* (FLAGS)", Goal: 5, Replay: "flags", Record: true, Run: flags},
		{Name: "Thunderbird header list", Goal: 5, Replay: "headers", Record: true, Run: HeaderList},
		{Name: "ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE", Goal: 10, Replay: "structures", Record: true, Run: structures},
		{Name: "all bodies, one FETCH", Goal: 2, Replay: "bodies", Record: true, Run: bodies},
		{Name: "all bodies, pipelined single FETCHes", Goal: 3, Replay: "bodies", Run: pipelined},
		{Name: "one body, round trip, p50", Goal: 2, Tail: "one body, round trip, p99", Replay: "bodies", Run: single},
		{Name: "50 connections, header list of a 1,000-message mailbox", Goal: 5, Run: func(t *Target) (Sample, error) { return crowd(t, 50) }},
		{Name: "200 connections, header list of a 1,000-message mailbox", Goal: 5, Long: true, Run: func(t *Target) (Sample, error) { return crowd(t, 200) }},
	}
	for i, name := range []string{"SUBJECT", "FROM", "SINCE BEFORE", "LARGER", "HEADER Message-ID", "BODY", "TEXT"} {
		list = append(list, Scenario{Name: "SEARCH " + name, Info: true, Run: func(t *Target) (Sample, error) { return search(t, i) }})
	}
	return list
}

func orWrong(err error, wrong bool, format string, args ...any) error {
	if err == nil && wrong {
		return fmt.Errorf(format, args...)
	}
	return err
}

// watch measures f.
func watch(f func() error) (Sample, error) {
	cpu, t0 := clientCPU(), time.Now()
	err := f()
	return Sample{Wall: time.Since(t0), Client: clientCPU() - cpu}, err
}

// Quantile is the value below which the share q of the durations lie.
func Quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

// logins is how many connections are made in a row: enough for a steady median.
const logins = 50

func login(t *Target) (Sample, error) {
	each := make([]time.Duration, logins)
	s, err := watch(func() error {
		for i := range each {
			t0 := time.Now()
			c, err := t.loginAs(crowdSize, 0)
			if err != nil {
				return err
			}
			err = c.do(nil, "LOGOUT")
			c.Close()
			if err != nil {
				return err
			}
			each[i] = time.Since(t0)
		}
		return nil
	})
	s.Each = each
	return s, err
}

func statusAll(t *Target) (Sample, error) {
	c, err := t.login()
	if err != nil {
		return Sample{}, err
	}
	defer c.Close()
	return watch(func() error {
		for name, want := range t.Want.Mailboxes {
			if err := c.status(name, want); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *conn) status(name string, want gen.Total) error {
	messages, unseen := -1, -1
	err := c.do(func(r *response) {
		if bytes.HasPrefix(r.line, []byte("* STATUS ")) {
			messages, unseen = number(r.line, "MESSAGES "), number(r.line, "UNSEEN ")
		}
	}, "STATUS %s (MESSAGES UNSEEN UIDNEXT)", wireName(name))
	return orWrong(err, messages != want.Messages || unseen != want.Messages-want.Seen,
		"STATUS %s: %d messages, %d unseen, want %d and %d", name, messages, unseen, want.Messages, want.Messages-want.Seen)
}

// SelectLargest measures opening the largest mailbox on a new connection.
func SelectLargest(t *Target) (Sample, error) {
	c, err := t.login()
	if err != nil {
		return Sample{}, err
	}
	defer c.Close()
	return watch(func() error {
		n, err := c.enter("SELECT", gen.AllMail)
		return orWrong(err, n != t.Want.Messages, "%d messages, want %d", n, t.Want.Messages)
	})
}

// NotRecent opens all mailboxes, so that no message is \Recent in later sessions, whose answers could not be compared otherwise.
func (t *Target) NotRecent() error {
	c, err := t.login()
	if err != nil {
		return err
	}
	defer c.Close()
	for name := range t.Want.Mailboxes {
		if _, err := c.enter("SELECT", name); err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) uids(key string) ([]int, error) {
	var uids []int
	err := c.do(func(r *response) {
		if rest, ok := bytes.CutPrefix(r.line, []byte("* SEARCH")); ok {
			for f := range bytes.FieldsSeq(rest) {
				if n := number(f, ""); n > 0 {
					uids = append(uids, n)
				}
			}
		}
	}, "UID SEARCH %s", key)
	return uids, err
}

func search(t *Target, i int) (Sample, error) {
	want := t.Want.Searches[i]
	c, err := t.open(gen.AllMail)
	if err != nil {
		return Sample{}, err
	}
	defer c.Close()
	return watch(func() error {
		uids, err := c.uids(want.Key)
		return orWrong(err, len(uids) != want.Count, "%s: %d matches, want %d", want.Key, len(uids), want.Count)
	})
}

func headerFields() string { return fmt.Sprintf(headerItems, strings.Join(gen.ListFields, " ")) }
