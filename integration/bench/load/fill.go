package load

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/dovecot"
)

// FillMaildir puts a corpus into a Maildir user's mailboxes as a delivery would have left it: LF line ends. A
// message with several labels is one file with hard links. It gives the tally of what was put there.
func FillMaildir(s *dovecot.Server, user string, corpus *gen.Corpus) (*gen.Tally, error) {
	tally := corpus.NewTally()
	f, err := s.Fill(user)
	if err != nil {
		return nil, err
	}
	err = corpus.Each(func(m gen.Message) error {
		tally.Add(m)
		raw := bytes.ReplaceAll(m.Raw, []byte("\r\n"), []byte("\n"))
		for _, box := range m.Mailboxes {
			if err := f.Add(box, dovecot.Message{Raw: raw, Flags: m.Flags, Date: m.Date, Same: m.ID + 1}); err != nil {
				return err
			}
		}
		return nil
	})
	return tally, errors.Join(err, f.Close())
}

// Fill puts a corpus into an account over IMAP: every message is appended to All Mail once and copied to its other mailboxes,
// which a server that shares the bytes of copies stores once.
func (t *Target) Fill(corpus *gen.Corpus) error {
	c, err := t.login()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.do(nil, "CREATE %s", wireName(gen.AllMail)); err != nil {
		return err
	}
	labels, err := c.appendAll(corpus)
	if err != nil {
		return err
	}
	if err := c.do(nil, "SELECT %s", wireName(gen.AllMail)); err != nil {
		return err
	}
	for name, seqs := range labels {
		if name != "INBOX" {
			if err := c.create(name); err != nil {
				return err
			}
		}
		for part := range slices.Chunk(seqs, 500) {
			if err := c.do(nil, "COPY %s %s", strings.Join(part, ","), wireName(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes a mailbox, which may be there already as the parent of another.
func (c *conn) create(name string) error {
	err := c.do(nil, "CREATE %s", wireName(name))
	if err != nil && strings.Contains(err.Error(), "ALREADYEXISTS") {
		return nil
	}
	return err
}

// appendAll appends every message to All Mail, 32 of them under way, and gives the sequence numbers that each label gets.
func (c *conn) appendAll(corpus *gen.Corpus) (map[string][]string, error) {
	labels := map[string][]string{}
	var waiting []string
	drain := func(keep int) error {
		for len(waiting) > keep {
			if err := c.wait(waiting[0], nil); err != nil {
				return fmt.Errorf("append: %w", err)
			}
			waiting = waiting[1:]
		}
		return nil
	}
	err := corpus.Each(func(m gen.Message) error {
		tag, err := c.send("APPEND %s (%s) %q {%d+}\r\n%s", wireName(gen.AllMail), strings.Join(m.Flags, " "),
			m.Date.Format("02-Jan-2006 15:04:05 -0700"), len(m.Raw), bytes.Clone(m.Raw))
		for _, l := range m.Mailboxes[1:] {
			labels[l] = append(labels[l], fmt.Sprint(m.ID+1))
		}
		waiting = append(waiting, tag)
		return errors.Join(err, drain(32))
	})
	return labels, errors.Join(err, drain(0))
}
