package integration

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailkeep/integration/gmailsim"
)

// original is a message as the source has it, or had it. Its bytes are those of no other.
type original struct {
	id        gmailsim.MsgID
	body      []byte
	header    int // bytes of its header with the empty line
	messageID string
	date      time.Time
}

// place is a UID that the archive has given.
type place struct{ validity, uid uint32 }

// oracle knows what clients may see: every message that ever was, and what they have found out together about UIDs.
type oracle struct {
	clock atomic.Int64 // grows with each event

	mu    sync.RWMutex
	bySum map[[sha256.Size]byte]*original
	byUID map[place]*original
	gone  map[place]int64 // when some client was told that the UID was expunged
}

func newOracle() *oracle {
	return &oracle{bySum: map[[sha256.Size]byte]*original{}, byUID: map[place]*original{}, gone: map[place]int64{}}
}

// learn enters a message before it is delivered.
func (o *oracle) learn(body []byte, date time.Time) *original {
	m := &original{body: body, header: bytes.Index(body, []byte("\r\n\r\n")) + 4, date: date.UTC().Truncate(time.Second)}
	for line := range bytes.Lines(body[:m.header]) {
		if value, ok := bytes.CutPrefix(line, []byte("Message-ID: ")); ok {
			m.messageID = strings.TrimSpace(string(value))
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bySum[sha256.Sum256(body)] = m
	return m
}

// saw notes that a UID has shown some bytes, and returns the message they are. Bytes that no message has, and other bytes than before, are an error.
func (o *oracle) saw(p place, body []byte) (*original, error) {
	sum := sha256.Sum256(body)
	o.mu.Lock()
	defer o.mu.Unlock()
	m := o.bySum[sum]
	if m == nil {
		return nil, fmt.Errorf("UID %d has bytes that no message has: %d, SHA-256 %x", p.uid, len(body), sum[:6])
	}
	if before := o.byUID[p]; before != nil && before != m {
		return nil, fmt.Errorf("UID %d is another message than before", p.uid)
	}
	o.byUID[p] = m
	return m, nil
}

// at is the message that a UID has been found to be, or nil.
func (o *oracle) at(p place) *original {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.byUID[p]
}

// expunged notes that a UID is no more.
func (o *oracle) expunged(p place) {
	now := o.clock.Add(1)
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.gone[p]; !known {
		o.gone[p] = now
	}
}

// goneBefore tells whether a UID was expunged before a moment.
func (o *oracle) goneBefore(p place, moment int64) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	at, gone := o.gone[p]
	return gone && at < moment
}

// source changes the account again and again.
type source struct {
	t      *testing.T
	sim    *gmailsim.Server
	oracle *oracle
	rng    *rand.Rand

	live    []*original
	labels  []string // may be renamed and deleted
	spare   []gmailsim.Message
	serial  int
	changes map[string]int
}

// mixedLabels are what most changes concern, so that mailboxes are open while they change.
var mixedLabels = []string{`\Inbox`, "Churn", "Churn/below", "Receipts", "Work/Projects", "R&D", "Übung", "Quiet"}

func newSource(t *testing.T, sim *gmailsim.Server, o *oracle, messages int, seed uint64) *source {
	t.Helper()
	s := &source{t: t, sim: sim, oracle: o, rng: rand.New(rand.NewPCG(seed, 1)), spare: gmailsim.Sample(1000, int64(seed)), changes: map[string]int{}}
	for len(s.labels) < 5 {
		if _, err := s.relabel(); err != nil {
			t.Fatal(err)
		}
	}
	for range messages {
		s.deliver(s.someLabels())
	}
	return s
}

func (s *source) someLabels() []string {
	var out []string
	for range s.rng.IntN(4) {
		if l := mixedLabels[s.rng.IntN(len(mixedLabels))]; !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	if s.rng.IntN(10) == 0 {
		out = append(out, s.labels[s.rng.IntN(len(s.labels))])
	}
	return out
}

var mixedFlags = []string{`\Seen`, `\Flagged`, `\Answered`, "$Forwarded", "NonJunk"}

func (s *source) someFlags() []string {
	var out []string
	for _, f := range mixedFlags {
		if s.rng.IntN(3) == 0 {
			out = append(out, f)
		}
	}
	return out
}

// deliver puts a message with bytes of its own into the account.
func (s *source) deliver(labels []string) {
	m := s.spare[s.serial%len(s.spare)]
	m.Body = slices.Concat(fmt.Appendf(nil, "X-Serial: %d\r\n", s.serial), m.Body)
	s.serial++
	m.Date = time.Unix(1_000_000_000+int64(s.serial)*3607, 0).In(time.FixedZone("", (s.serial%25-12)*3600))
	m.Labels, m.Flags, m.Thread = labels, s.someFlags(), 0
	known := s.oracle.learn(m.Body, m.Date)
	id, err := s.sim.Deliver(m)
	if err != nil {
		s.t.Errorf("deliver: %v", err)
		return
	}
	known.id = id
	s.live = append(s.live, known)
}

// step makes one change. Labels and flags change most.
func (s *source) step() {
	if len(s.live) == 0 {
		s.deliver(s.someLabels())
		return
	}
	i := s.rng.IntN(len(s.live))
	id := s.live[i].id
	var name string
	var err error
	switch n := s.rng.IntN(100); {
	case n < 25:
		name, err = "flags", s.sim.SetFlags(id, s.someFlags()...)
	case n < 45:
		name, err = "labels added", s.sim.AddLabels(id, mixedLabels[s.rng.IntN(len(mixedLabels))])
	case n < 70:
		name, err = "labels removed", s.sim.RemoveLabels(id, mixedLabels...)
	case n < 88:
		name = "delivered"
		s.deliver(s.someLabels())
	case n < 91:
		name, err = "to trash", s.sim.MoveToTrash(id)
	case n < 94:
		name, err = "to spam", s.sim.MoveToSpam(id)
	case n < 97:
		name, err = "expunged", s.sim.Expunge(id)
		s.live = slices.Delete(s.live, i, i+1)
	default:
		name, err = s.relabel()
	}
	s.changes[name]++
	if err != nil {
		s.t.Errorf("%s: %v", name, err)
	}
}

// relabel makes, renames or deletes a label as a whole.
func (s *source) relabel() (string, error) {
	s.serial++
	fresh := fmt.Sprintf("Moving/%d", s.serial)
	if len(s.labels) < 5 {
		s.labels = append(s.labels, fresh)
		return "label made", s.sim.CreateLabel(fresh)
	}
	i := s.rng.IntN(len(s.labels))
	if s.rng.IntN(2) == 0 {
		old := s.labels[i]
		s.labels[i] = fresh
		return "label renamed", s.sim.RenameLabel(old, fresh)
	}
	old := s.labels[i]
	s.labels = slices.Delete(s.labels, i, i+1)
	return "label deleted", s.sim.DeleteLabel(old)
}

// avoidLimits makes the account's size one that is no limit of Gmail's for folders: a backup calls itself incomplete then.
func (s *source) avoidLimits() {
	for {
		all, err := s.sim.Snapshot().Mailbox(s.sim.FolderName(`\All`))
		if err != nil {
			s.t.Fatal(err)
		}
		if len(all.Messages)%1000 != 0 {
			return
		}
		s.deliver(nil)
	}
}

// run changes the account some fifty times a second until stop is closed.
func (s *source) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(s.rng.Int64N(int64(40 * time.Millisecond)))):
		}
		s.step()
	}
}
