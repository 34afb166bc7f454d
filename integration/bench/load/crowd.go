package load

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"mailkeep/integration/bench/gen"
)

// crowd has n clients list the headers of a medium mailbox at once; the time is that of all of them, from the first to connect to the last answered.
func crowd(t *Target, n int) (Sample, error) {
	mailbox := t.medium()
	if _, known := t.valid[headersFetch.name+" of "+mailbox]; !known {
		if _, err := t.fetchAll(headersFetch, mailbox); err != nil {
			return Sample{}, err
		}
	}
	errs, lengths := make([]error, n), make([]int64, n)
	s, err := watch(func() error {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { lengths[i], errs[i] = t.listHeaders(mailbox, i) })
		}
		wg.Wait()
		return errors.Join(errs...)
	})
	for _, l := range lengths {
		s.Bytes += l
	}
	return s, err
}

func (t *Target) listHeaders(mailbox string, client int) (int64, error) {
	c, err := t.openAs(mailbox, crowdSize, client)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return t.fetchOn(c, headersFetch, mailbox)
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

// Idlers are clients that have a mailbox selected and wait for news.
type Idlers struct{ conns []*conn }

// Idle connects n clients, who log in, select INBOX and send IDLE.
func Idle(t *Target, n int) (*Idlers, error) {
	x := &Idlers{}
	for i := range n {
		c, err := t.loginAs(idleSize, i)
		if err == nil {
			x.conns = append(x.conns, c)
			err = c.idle(t.Want.Mailboxes["INBOX"].Messages)
		}
		if err != nil {
			x.Close()
			return nil, fmt.Errorf("client %d of %d: %w", i+1, n, err)
		}
	}
	return x, nil
}

func (c *conn) idle(want int) error {
	n, err := c.enter("SELECT", "INBOX")
	if err := orWrong(err, n != want, "INBOX: %d messages, want %d", n, want); err != nil {
		return err
	}
	if _, err := c.send("IDLE"); err != nil {
		return err
	}
	line, err := c.r.ReadSlice('\n')
	return orWrong(err, !bytes.HasPrefix(line, []byte("+")), "IDLE: %.100s", line)
}

// Check asks every client's server to end the IDLE, which shows that all of them are still served, and then does so no more.
func (x *Idlers) Check() error {
	for i, c := range x.conns {
		if _, err := c.Write([]byte("DONE\r\n")); err != nil {
			return fmt.Errorf("client %d: %w", i+1, err)
		}
		if err := c.wait(fmt.Sprintf("%s-%d", c.prefix, c.tags), nil); err != nil {
			return fmt.Errorf("client %d: %w", i+1, err)
		}
	}
	return nil
}

// Close breaks the connections.
func (x *Idlers) Close() {
	for _, c := range x.conns {
		c.Close()
	}
}
