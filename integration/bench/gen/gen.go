// Package gen makes a mail corpus for tests and measurements: threads, attachments, HTML, base64, several languages, nested labels.
//
// The same number, seed and profile always give the same bytes. Words are planted for searches, and a Tally
// says what a correct IMAP server must answer about the messages that were taken.
package gen

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// AllMail is the mailbox that holds every message.
const AllMail = "All Mail"

// Profile is the kind of messages.
type Profile int

// Full messages have a mean of some 31 KB (HTML, attachments up to 2 MB); Small ones 7 KB (plain text under long headers); Tiny ones
// 1.2 KB (plain text, as mail was before servers signed it), so that a million of them fit anywhere.
const (
	Full Profile = iota
	Small
	Tiny
)

// Message is one message with where it lies.
type Message struct {
	ID        int       // from 0
	Raw       []byte    // CRLF line ends
	Date      time.Time // internal date
	Flags     []string  // IMAP's
	Mailboxes []string  // UTF-8 names with "/" between levels; AllMail first

	header                       int64 // bytes of the header block
	list                         listed
	parts                        int    // leaves of the MIME tree
	messageID                    string // with its angle brackets
	subjectHit, fromHit, bodyHit bool
	sample                       bool
}

// Corpus gives messages by number.
type Corpus struct {
	seed    uint64
	profile Profile
	plans   []plan
	labels  []string
	vocab   []string
}

// plan is what must be decided in the order of the messages, before their bytes can be made in any order.
type plan struct {
	parent  int // -1: starts a thread
	depth   int
	subject int // the number of the thread's first message
	date    time.Time
	labels  []int
	flags   []string
}

var (
	dateFirst = time.Date(2014, 3, 1, 8, 0, 0, 0, time.UTC)
	dateLast  = time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC)
)

// New plans a corpus of n messages.
func New(n int, seed uint64, profile Profile) *Corpus {
	labels := labelNames()
	return &Corpus{seed: seed, profile: profile, plans: makePlans(n, seed, len(labels)), labels: labels, vocab: makeVocab(seed)}
}

// Len is the number of messages.
func (c *Corpus) Len() int { return len(c.plans) }

// Message makes message number id.
func (c *Corpus) Message(id int) Message {
	p := c.plans[id]
	m := Message{ID: id, Date: p.date, Flags: p.flags, Mailboxes: []string{AllMail}, sample: id == c.Len()/2}
	for _, l := range p.labels {
		m.Mailboxes = append(m.Mailboxes, c.labels[l])
	}
	w := &writer{c: c, r: rand.New(rand.NewPCG(c.seed, uint64(id)+1<<32)), m: &m}
	w.write()
	return m
}

// Each makes all messages, on all processors, and hands them to f in order; it ends at f's first error.
func (c *Corpus) Each(f func(Message) error) error {
	workers := runtime.GOMAXPROCS(0)
	batch := make([]Message, 16*workers)
	for start := 0; start < c.Len(); start += len(batch) {
		n := min(len(batch), c.Len()-start)
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < n; i += workers {
					batch[i] = c.Message(start + i)
				}
			})
		}
		wg.Wait()
		for _, m := range batch[:n] {
			if err := f(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func makePlans(n int, seed uint64, labels int) []plan {
	r := rand.New(rand.NewPCG(seed, 0xC0FFEE))
	popular := newZipf(labels, 1.1)
	plans := make([]plan, n)
	step := dateLast.Sub(dateFirst) / time.Duration(max(n, 1))
	for i := range plans {
		p := &plans[i]
		p.parent, p.subject = -1, i
		if i > 0 && r.Float64() < 0.5 {
			back := 1 + int(r.ExpFloat64()*40)
			if back <= i && plans[i-back].depth < 30 {
				p.parent = i - back
				p.depth = plans[p.parent].depth + 1
				p.subject = plans[p.parent].subject
			}
		}
		jitter := time.Duration(r.Int64N(int64(step/2) + 1))
		p.date = dateFirst.Add(time.Duration(i)*step + jitter).Truncate(time.Second)
		if p.parent >= 0 && r.Float64() < 0.7 {
			p.labels = plans[p.parent].labels
		} else {
			p.labels = pickLabels(r, popular)
		}
		p.flags = pickFlags(r)
	}
	return plans
}

// pickLabels takes 0 to 8 different labels, 2.5 on average.
func pickLabels(r *rand.Rand, popular *zipf) []int {
	want := min(int(math.Round(r.ExpFloat64()*1.7+1)), 8)
	var out []int
	taken := map[int]bool{}
	for try := 0; len(out) < want && try < 50; try++ {
		if l := popular.pick(r); !taken[l] {
			taken[l] = true
			out = append(out, l)
		}
	}
	return out
}

func pickFlags(r *rand.Rand) []string {
	var flags []string
	for _, f := range []struct {
		name string
		odds float64
	}{{`\Flagged`, 0.05}, {`\Answered`, 0.10}, {`\Seen`, 0.80}} {
		if r.Float64() < f.odds {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// zipf picks 0..n-1 with weight 1/(k+1)^s.
type zipf struct{ cum []float64 }

func newZipf(n int, s float64) *zipf {
	z := &zipf{cum: make([]float64, n)}
	sum := 0.0
	for k := range n {
		sum += 1 / math.Pow(float64(k+1), s)
		z.cum[k] = sum
	}
	return z
}

func (z *zipf) pick(r *rand.Rand) int {
	x := r.Float64() * z.cum[len(z.cum)-1]
	lo, hi := 0, len(z.cum)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if z.cum[mid] < x {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}
