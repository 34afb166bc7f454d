package load

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"mailkeep/integration/bench/gen"
)

// Target is a server with an account that holds the corpus.
type Target struct {
	Name                 string // for messages
	Addr, User, Password string
	Want                 *gen.Tally
}

// Scenario is one thing to measure.
type Scenario struct {
	Name string
	Goal float64 // how many times faster than the peer ours has to be; 0: none is set
	// Run does it once and gives the time that counts; an error also when the answer was wrong.
	Run func(*Target) (time.Duration, error)
}

const headerItems = "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (%s)])"

// Scenarios are all of them, in the order to run.
func Scenarios() []Scenario {
	list := []Scenario{
		{"connect, LOGIN, LOGOUT (median of 20)", 10, login},
		{"STATUS of all mailboxes, one by one", 5, statusAll},
		{"SELECT largest mailbox", 0, SelectLargest},
		{"UID FETCH 1:* (FLAGS)", 5, flags},
		{"Thunderbird header list", 5, headerList},
		{"ENVELOPE BODYSTRUCTURE dates sizes", 10, structures},
		{"all bodies, one FETCH", 2, bodies},
		{"all bodies, pipelined single FETCHes", 3, pipelined},
		{"one body, round trip (median of 300)", 2, single},
	}
	for i, name := range []string{"SUBJECT", "FROM", "SINCE BEFORE", "LARGER", "HEADER Message-ID", "BODY", "TEXT"} {
		list = append(list, Scenario{"SEARCH " + name, 0, func(t *Target) (time.Duration, error) { return search(t, i) }})
	}
	return append(list, Scenario{"50 connections, header list", 5, func(t *Target) (time.Duration, error) { return crowd(t, 50) }})
}

func orWrong(err error, wrong bool, format string, args ...any) error {
	if err == nil && wrong {
		return fmt.Errorf(format, args...)
	}
	return err
}

func since(t0 time.Time, err error) (time.Duration, error) { return time.Since(t0), err }

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func login(t *Target) (time.Duration, error) {
	var each []time.Duration
	for range 20 {
		t0 := time.Now()
		c, err := t.login()
		if err != nil {
			return 0, err
		}
		err = c.do(nil, "LOGOUT")
		c.Close()
		if err != nil {
			return 0, err
		}
		each = append(each, time.Since(t0))
	}
	return median(each), nil
}

func statusAll(t *Target) (time.Duration, error) {
	c, err := t.login()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	t0 := time.Now()
	for name, want := range t.Want.Mailboxes {
		messages := -1
		err := c.do(func(r *response) {
			if bytes.HasPrefix(r.line, []byte("* STATUS ")) {
				messages = number(r.line, "MESSAGES ")
			}
		}, "STATUS %s (MESSAGES UNSEEN UIDNEXT)", wireName(name))
		if err := orWrong(err, messages != want.Messages, "STATUS %s: %d messages, want %d", name, messages, want.Messages); err != nil {
			return 0, err
		}
	}
	return time.Since(t0), nil
}

// SelectLargest measures opening the largest mailbox on a new connection.
func SelectLargest(t *Target) (time.Duration, error) {
	c, err := t.login()
	if err != nil {
		return 0, err
	}
	defer c.Close()
	t0 := time.Now()
	n, err := c.examine(gen.AllMail)
	return since(t0, orWrong(err, n != t.Want.Messages, "%d messages, want %d", n, t.Want.Messages))
}

// seen is what a FETCH brought.
type seen struct {
	messages int
	sizes    int64 // sum of RFC822.SIZE
	literals int64 // bytes
	crc      uint64
	missing  int // responses without the item looked for
}

func (s *seen) count(item string) func(*response) {
	return func(r *response) {
		if !bytes.Contains(r.line[:min(len(r.line), 32)], []byte(" FETCH (")) {
			return
		}
		s.messages++
		s.sizes += int64(max(number(r.line, "RFC822.SIZE "), 0))
		s.literals += r.literals
		s.crc += r.crcSum
		if !bytes.Contains(bytes.ToUpper(r.line), []byte(item)) {
			s.missing++
		}
	}
}

// fetchAll measures one FETCH over a mailbox, each of whose responses must hold an item.
func fetchAll(t *Target, mailbox, items, item string, check func(seen, gen.Total) error) (time.Duration, error) {
	c, err := t.open(mailbox)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	var s seen
	t0 := time.Now()
	err = c.do(s.count(item), "UID FETCH 1:* %s", items)
	took := time.Since(t0)
	want := t.Want.Mailboxes[mailbox]
	err = orWrong(err, s.messages != want.Messages, "%d messages, want %d", s.messages, want.Messages)
	err = orWrong(err, s.missing > 0, "%d answers without %s", s.missing, item)
	if err == nil {
		err = check(s, want)
	}
	return took, err
}

func flags(t *Target) (time.Duration, error) {
	return fetchAll(t, gen.AllMail, "(FLAGS)", "FLAGS (", func(seen, gen.Total) error { return nil })
}

func headers(t *Target, mailbox string) (time.Duration, error) {
	items := fmt.Sprintf(headerItems, strings.Join(gen.ListFields, " "))
	return fetchAll(t, mailbox, items, "BODY[HEADER.FIELDS (", func(s seen, want gen.Total) error {
		return orWrong(sizes(s, want), s.literals != want.HeaderBytes, "%d header bytes, want %d", s.literals, want.HeaderBytes)
	})
}

func headerList(t *Target) (time.Duration, error) { return headers(t, gen.AllMail) }

func structures(t *Target) (time.Duration, error) {
	return fetchAll(t, gen.AllMail, "(ENVELOPE INTERNALDATE RFC822.SIZE BODYSTRUCTURE FLAGS)", "BODYSTRUCTURE (", sizes)
}

func sizes(s seen, want gen.Total) error {
	return orWrong(nil, s.sizes != want.Bytes, "RFC822.SIZE sums up to %d, want %d", s.sizes, want.Bytes)
}

func wholeBodies(s seen, want gen.Total) error {
	err := orWrong(nil, s.literals != want.Bytes, "%d body bytes, want %d", s.literals, want.Bytes)
	return orWrong(err, s.crc != want.CRCSum, "the bodies' checksums differ from the corpus")
}

func bodies(t *Target) (time.Duration, error) {
	return fetchAll(t, gen.AllMail, "(BODY.PEEK[])", "BODY[]", wholeBodies)
}

// pipelined fetches every body by a command of its own, 64 of them under way.
func pipelined(t *Target) (time.Duration, error) {
	const window = 64
	c, err := t.open(gen.AllMail)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	uids, err := c.uids("ALL")
	if err != nil {
		return 0, err
	}
	var s seen
	count := s.count("BODY[]")
	tags, sent := make(chan string, window), make(chan error, 1)
	t0 := time.Now()
	go func() {
		defer close(tags)
		for _, uid := range uids {
			tag, err := c.send("UID FETCH %d (BODY.PEEK[])", uid)
			if err != nil {
				sent <- err
				return
			}
			tags <- tag
		}
		sent <- nil
	}()
	for tag := range tags {
		// After an error the channel is still emptied, so that the sender ends.
		if err == nil {
			if err = c.wait(tag, count); err != nil {
				c.Close()
			}
		}
	}
	took := time.Since(t0)
	if sendErr := <-sent; err == nil {
		err = sendErr
	}
	if err == nil {
		err = wholeBodies(s, t.Want.Mailboxes[gen.AllMail])
	}
	return took, err
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

// single fetches bodies one by one, in a random order that is the same each time.
func single(t *Target) (time.Duration, error) {
	c, err := t.open(gen.AllMail)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	uids, err := c.uids("ALL")
	if err := orWrong(err, len(uids) == 0, "no messages"); err != nil {
		return 0, err
	}
	r := rand.New(rand.NewPCG(7, 7))
	var s seen
	count := s.count("BODY[]")
	each := make([]time.Duration, 300)
	for i := range each {
		t0 := time.Now()
		if err := c.do(count, "UID FETCH %d (BODY.PEEK[])", uids[r.IntN(len(uids))]); err != nil {
			return 0, err
		}
		each[i] = time.Since(t0)
	}
	return median(each), orWrong(nil, s.messages != len(each) || s.literals == 0, "%d messages, %d bytes", s.messages, s.literals)
}

func search(t *Target, i int) (time.Duration, error) {
	want := t.Want.Searches[i]
	c, err := t.open(gen.AllMail)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	t0 := time.Now()
	uids, err := c.uids(want.Key)
	return since(t0, orWrong(err, len(uids) != want.Count, "%s: %d matches, want %d", want.Key, len(uids), want.Count))
}

// crowd has n connections list the headers of a medium mailbox at once; the time is that of all of them.
func crowd(t *Target, n int) (time.Duration, error) {
	mailbox := t.medium()
	errs := make([]error, n)
	var wg sync.WaitGroup
	t0 := time.Now()
	for i := range n {
		wg.Go(func() { _, errs[i] = headers(t, mailbox) })
	}
	wg.Wait()
	took := time.Since(t0)
	for _, err := range errs {
		if err != nil {
			return took, err
		}
	}
	return took, nil
}

// medium is the mailbox closest to 1,000 messages, All Mail aside.
func (t *Target) medium() string {
	best, name := -1, ""
	for box, total := range t.Want.Mailboxes {
		distance := max(total.Messages-1000, 1000-total.Messages)
		if box != gen.AllMail && (best < 0 || distance < best || distance == best && box < name) {
			best, name = distance, box
		}
	}
	return name
}
