package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/bench/load"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/program"
	"mailkeep/integration/proxy"
)

// What a run may take that has little to do, and how many messages each of its changes is about.
const (
	dailyTime    = 1000 // ms
	dailyTraffic = 100  // kB, the bytes of new messages aside
	dailyChanges = 10
)

// benchDaily measures the run of every day: nothing changed, or a few messages.
func benchDaily(ctx context.Context, e *env) error {
	n := 5_000
	if e.full {
		n = 100_000
	}
	if e.messages > 0 {
		n = e.messages
	}
	e.note("build mailkeep")
	var err error
	if e.binary, err = program.Build(ctx, e.dir); err != nil {
		return err
	}
	return firstError(e.dailyDovecot(ctx, n), e.dailyGmail(ctx, n))
}

// daily is an account that is backed up every day.
type daily struct {
	*env
	user, password string
	relay          *proxy.Proxy
	change         func() (bytes int64, err error) // changes the account, and tells the bytes of the new messages
}

// days backs up for the first time, with nothing changed, and after changes.
func (d *daily) days(ctx context.Context) error {
	dir, err := d.folder("daily " + d.user)
	if err != nil {
		return err
	}
	k, err := program.New(d.binary, dir, program.Account{Name: "bench", Addr: d.relay.Addr, User: d.user, Password: d.password})
	if err != nil {
		return err
	}
	if _, err := d.run(ctx, k, "first backup"); err != nil {
		return err
	}
	const rounds = 3
	var unchanged, changed [rounds]sample
	for i := range rounds {
		if unchanged[i], err = d.run(ctx, k, "nothing changed"); err != nil {
			return err
		}
		fresh, err := d.change()
		if err != nil {
			return fmt.Errorf("change the account: %w", err)
		}
		if changed[i], err = d.run(ctx, k, fmt.Sprintf("%d new, %[1]d moved or relabelled, %[1]d deleted", dailyChanges)); err != nil {
			return err
		}
		changed[i].down -= fresh
	}
	d.rows("nothing changed", unchanged[:])
	d.rows(fmt.Sprintf("%d new, %[1]d moved or relabelled, %[1]d deleted", dailyChanges), changed[:])
	return nil
}

func (d *daily) run(ctx context.Context, k *program.Keeper, what string) (sample, error) {
	d.relay.Reset()
	one, err := d.watchBackup(ctx, k, what)
	one.down = d.relay.Down()
	return one, err
}

// watchBackup runs a backup and tells its time and memory.
func (e *env) watchBackup(ctx context.Context, k *program.Keeper, what string) (sample, error) {
	e.note("%s", what)
	begun := time.Now()
	out, peak, err := program.Watch(k.Command(ctx, "backup"))
	if err != nil {
		return sample{}, fmt.Errorf("%s: %w\n%s", what, err, out)
	}
	return sample{wall: time.Since(begun), peak: peak}, nil
}

func (d *daily) rows(what string, all []sample) {
	figure := func(value func(sample) float64) float64 {
		var each []float64
		for _, s := range all {
			each = append(each, value(s))
		}
		return median(each)
	}
	d.report.add(&row{Scenario: what, Unit: "ms", Ours: figure(func(s sample) float64 { return ms(s.wall) }), AtMost: dailyTime, Rounds: len(all)})
	d.report.add(&row{Scenario: what + ", bytes from the server beside the new messages", Unit: "kB", Ours: figure(func(s sample) float64 { return float64(s.down) / 1e3 }), AtMost: dailyTraffic, Rounds: len(all)})
	d.report.add(&row{Scenario: what + ", peak memory", Unit: "MB", Ours: figure(func(s sample) float64 { return float64(s.peak) / 1e6 }), AtMost: 100, Rounds: len(all)})
}

// dailyDovecot is an account of a server with mailboxes.
func (e *env) dailyDovecot(ctx context.Context, n int) (err error) {
	peer, err := startDovecot(dovecot.Options{Users: []dovecot.User{{Name: nearUser}}})
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, peer.Stop()) }()
	e.note("fill Dovecot with %d messages", n)
	tally, err := load.FillMaildir(peer, nearUser, gen.New(n, seed+1, gen.Small))
	if err != nil {
		return err
	}
	defer e.report.begin("daily-dovecot", "From Dovecot: "+describe(tally)).finish()
	relay, err := proxy.New(peer.Addr)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, relay.Close()) }()
	d := &daily{env: e, user: nearUser, password: "pass", relay: relay, change: func() (int64, error) { return changeMailboxes(peer.Addr) }}
	return d.days(ctx)
}

// movedTo is a mailbox with nothing but what changeMailboxes moves there.
const movedTo = "Moved"

// changeMailboxes adds messages to INBOX, moves some of All Mail to another mailbox, and deletes others of All Mail.
func changeMailboxes(addr string) (bytes int64, err error) {
	c, err := imapclient.DialInsecure(addr, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Login(nearUser, "pass").Wait(); err != nil {
		return 0, err
	}
	if err := c.Create(movedTo, nil).Wait(); err != nil && !strings.Contains(err.Error(), "ALREADYEXISTS") {
		return 0, err
	}
	for i := range dailyChanges {
		body := largeBody(int(time.Now().UnixNano()%1e9) + i)
		cmd := c.Append("INBOX", int64(len(body)), nil)
		if _, err := cmd.Write(body); err != nil {
			return 0, err
		}
		if err := cmd.Close(); err != nil {
			return 0, err
		}
		if _, err := cmd.Wait(); err != nil {
			return 0, err
		}
		bytes += int64(len(body))
	}
	if _, err := c.Select(gen.AllMail, nil).Wait(); err != nil {
		return 0, err
	}
	var moved, deleted imap.SeqSet
	moved.AddRange(1, dailyChanges)
	deleted.AddRange(dailyChanges+1, 2*dailyChanges)
	if err := c.Store(deleted, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: []imap.Flag{imap.FlagDeleted}}, nil).Close(); err != nil {
		return 0, err
	}
	if err := c.Expunge().Close(); err != nil {
		return 0, err
	}
	_, err = c.Move(moved, movedTo).Wait()
	return bytes, err
}

// dailyGmail is an account of the simulated Gmail.
func (e *env) dailyGmail(ctx context.Context, n int) (err error) {
	e.note("make a Gmail account of %d messages", n)
	srv, err := largeAccount(n)
	if err != nil {
		return err
	}
	defer srv.Close()
	addr, err := srv.Listen(ctx)
	if err != nil {
		return err
	}
	relay, err := proxy.New(addr)
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, relay.Close()) }()
	defer e.report.begin("daily-gmail", fmt.Sprintf("From the simulated Gmail: %s messages of %.1f KB with 60 labels", thousands(n), largeMessage/1e3)).finish()
	d := &daily{env: e, user: "user@example.com", password: "password", relay: relay}
	round := 0
	d.change = func() (int64, error) {
		round++
		return changeLabels(srv, n+round*dailyChanges)
	}
	return d.days(ctx)
}

// changeLabels adds messages, relabels some, and deletes others. The new ones are numbered from next on.
func changeLabels(srv *gmailsim.Server, next int) (bytes int64, err error) {
	old := srv.Snapshot().Messages
	for i := range dailyChanges {
		body := largeBody(next + i)
		bytes += int64(len(body))
		_, err := srv.Deliver(gmailsim.Message{Body: body, Labels: []string{`\Inbox`}, Date: time.Date(2024, 1, 1, 0, 0, next+i, 0, time.UTC)})
		err = firstError(err, srv.SetLabels(old[i].ID, `\Inbox`, "label 1", "label 2"))
		err = firstError(err, srv.Expunge(old[dailyChanges+i].ID))
		if err != nil {
			return 0, err
		}
	}
	return bytes, nil
}
