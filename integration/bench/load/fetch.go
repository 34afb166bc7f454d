package load

import (
	"fmt"
	"math/rand/v2"
	"time"

	"mailkeep/integration/bench/gen"
)

// fetch is a FETCH of all messages of a mailbox.
type fetch struct {
	name, items string
	has         string // what each response must hold
	// check compares what a first run has seen with the corpus.
	check func(seen, gen.Total) error
}

var (
	flagsFetch     = fetch{"flags", "(FLAGS)", "FLAGS (", flagsRight}
	headersFetch   = fetch{"headers", headerFields(), "BODY[HEADER.FIELDS (", headersRight}
	structureFetch = fetch{"structures", structureItems, "BODYSTRUCTURE (", structuresRight}
	bodiesFetch    = fetch{"bodies", "(BODY.PEEK[])", "BODY[]", bodiesRight}
)

func flags(t *Target) (Sample, error) { return t.fetchAll(flagsFetch, gen.AllMail) }

// HeaderList measures what Thunderbird asks for when it opens a mailbox that is new to it.
func HeaderList(t *Target) (Sample, error) { return t.fetchAll(headersFetch, gen.AllMail) }

func structures(t *Target) (Sample, error) { return t.fetchAll(structureFetch, gen.AllMail) }

func bodies(t *Target) (Sample, error) { return t.fetchAll(bodiesFetch, gen.AllMail) }

// fetchAll measures a FETCH on a new connection.
func (t *Target) fetchAll(f fetch, mailbox string) (Sample, error) {
	c, err := t.open(mailbox)
	if err != nil {
		return Sample{}, err
	}
	defer c.Close()
	var n int64
	s, err := watch(func() (err error) {
		n, err = t.fetchOn(c, f, mailbox)
		return err
	})
	s.Bytes = n
	return s, err
}

// fetchOn does a FETCH on a connection that has the mailbox open, and gives the length of the answer. The first answer is taken apart; later ones
// must be the same.
func (t *Target) fetchOn(c *conn, f fetch, mailbox string) (int64, error) {
	key := f.name + " of " + mailbox
	want, known := t.valid[key]
	if known {
		d, err := c.drain("UID FETCH 1:* %s", f.items)
		return d.bytes, orWrong(err, d != want, "%d bytes with CRC-32C %08x, and before %d with %08x", d.bytes, d.crc, want.bytes, want.crc)
	}
	var d digest
	c.raw, c.tape = &d, t.Tape
	saw := seen{item: []byte(f.has)}
	err := c.do(saw.add, "UID FETCH 1:* %s", f.items)
	c.raw, c.tape, t.Tape = nil, nil, nil
	if err == nil {
		err = saw.right(t.Want.Mailboxes[mailbox], f)
	}
	if err != nil {
		return 0, err
	}
	if t.valid == nil {
		t.valid = map[string]digest{}
	}
	t.valid[key] = d
	return d.bytes, nil
}

const window = 64

// pipelined fetches every body by a command of its own, with 32 to 64 of them under way. Each run checks the bodies themselves.
func pipelined(t *Target) (Sample, error) {
	c, err := t.open(gen.AllMail)
	if err != nil {
		return Sample{}, err
	}
	defer c.Close()
	uids, err := c.uids("ALL")
	if err != nil {
		return Sample{}, err
	}
	saw := seen{item: []byte(bodiesFetch.has)}
	s, err := watch(func() error { return c.pipeline(uids, saw.addBody) })
	s.Bytes = saw.literals
	if err == nil {
		err = saw.right(t.Want.Mailboxes[gen.AllMail], bodiesFetch)
	}
	return s, err
}

// pipeline sends commands in batches, so that sending costs the client little. A batch always fits into the socket's buffer.
func (c *conn) pipeline(uids []int, f func(*response)) error {
	first := c.tags + 1
	var batch []byte
	for sent, done := 0, 0; done < len(uids); done++ {
		if sent-done <= window/2 && sent < len(uids) {
			batch = batch[:0]
			for ; sent < len(uids) && sent-done < window; sent++ {
				batch = fmt.Appendf(batch, "%s UID FETCH %d %s\r\n", c.tag(), uids[sent], bodiesFetch.items)
			}
			if _, err := c.Write(batch); err != nil {
				return err
			}
		}
		if err := c.wait(fmt.Sprintf("%s-%d", c.prefix, first+done), f); err != nil {
			return err
		}
	}
	return nil
}

// singles is how many bodies are fetched one by one.
const singles = 500

// single fetches bodies one by one, in a random order that is the same each time.
func single(t *Target) (Sample, error) {
	c, err := t.open(gen.AllMail)
	if err != nil {
		return Sample{}, err
	}
	defer c.Close()
	uids, err := c.uids("ALL")
	if err := orWrong(err, len(uids) != t.Want.Messages, "%d messages, want %d", len(uids), t.Want.Messages); err != nil {
		return Sample{}, err
	}
	r := rand.New(rand.NewPCG(7, 7))
	saw := seen{item: []byte(bodiesFetch.has)}
	each := make([]time.Duration, singles)
	s, err := watch(func() error {
		for i := range each {
			t0 := time.Now()
			if err := c.do(saw.addBody, "UID FETCH %d %s", uids[r.IntN(len(uids))], bodiesFetch.items); err != nil {
				return err
			}
			each[i] = time.Since(t0)
		}
		return nil
	})
	s.Each, s.Bytes = each, saw.literals
	if err != nil {
		return s, err
	}
	return s, t.same("singles", digest{saw.literals, uint32(saw.crc)}, saw.messages == singles && saw.missing == 0)
}

// same compares what a scenario saw with what it saw the first time.
func (t *Target) same(key string, d digest, complete bool) error {
	want, known := t.valid[key]
	if !known && complete {
		if t.valid == nil {
			t.valid = map[string]digest{}
		}
		t.valid[key], want = d, d
	}
	return orWrong(nil, !complete || d != want, "the bodies differ from those that came before")
}
