package backup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/emersion/go-imap/v2"
)

// pool lends out connections, at most Options.Connections at a time, and opens new ones when they are lost. It is safe for concurrent use.
type pool struct {
	o      Options
	slots  chan struct{}
	opened func(*Session) error // prepares a session that just logged in
	warn   func(Warning)
	quota  *quota
	waits  func(why string, d time.Duration) (over func()) // shows that the run waits

	mu       sync.Mutex
	idle     []*Session
	live     int // sessions lent or idle
	failures int // in a row, without any progress in between
	unopened int // connections in a row that could not be opened
	regain   []*time.Timer
	pause    *backoff.ExponentialBackOff
	resume   time.Time     // the end of the last such pause
	ease     time.Duration // before each command of every connection, while the server throttles
	sum      traffic
}

// traffic is what the connections cost.
type traffic struct {
	connections, commands int
	read, sent            int64
}

func newPool(o Options, opened func(*Session) error, r *report) *pool {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = o.Pause
	pause.Multiplier = 2
	pause.MaxInterval = max(o.Pause, time.Minute)
	return &pool{o: o, slots: make(chan struct{}, o.Connections), opened: opened, warn: r.warn, waits: r.waits, pause: pause}
}

// do lends a connection to f, preferably one that has the mailbox open. When the connection breaks, f is called again with a new one after a pause, a bounded
// number of times without progress in between. A refusal by the server is f's to deal with: it is returned as it is.
func (p *pool) do(ctx context.Context, mailbox, doing string, f func(*Session) error) error {
	for {
		err := p.once(ctx, mailbox, f)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil || final(err) {
			return err
		}
		if err := p.wait(ctx, classify(err, doing)); err != nil {
			return err
		}
	}
}

// errStop is wrapped by errors of f that are neither the connection's nor the server's fault.
var errStop = errors.New("stop")

// final tells whether calling again is of no use.
func final(err error) bool {
	if errors.Is(err, ErrConnection) {
		return errors.Is(err, errFatal)
	}
	return refused(err) != nil || errors.Is(err, ErrArchive) || errors.Is(err, ErrAuth) || errors.Is(err, ErrQuota) || errors.Is(err, errStop) || errors.Is(err, errFatal)
}

// errFatal marks errors of a server that is not what it was, or that asks to be left alone.
var errFatal = errors.New("no use trying again")

func (p *pool) once(ctx context.Context, mailbox string, f func(*Session) error) error {
	s, err := p.take(ctx, mailbox)
	if err != nil {
		return err
	}
	release := s.guard(ctx, p.o.Silence)
	if err = p.slow(ctx, s); err == nil {
		err = f(s)
	}
	release()
	if ended := s.socket.ended(); ended != nil && err != nil && refused(err) == nil && !errors.Is(err, ErrArchive) && !errors.Is(err, errStop) {
		err = fmt.Errorf("the connection ended: %w", ended)
	}
	if err != nil && refused(err) == nil && (s.noted.overQuota() || answered(err) != nil) {
		err = overQuota(err)
	}
	p.charge(s, 0)
	p.give(s, err == nil || refused(err) != nil || errors.Is(err, errStop))
	return err
}

// overQuota is the error of a server that counts itself. It tells how long Gmail keeps an account out.
func overQuota(err error) error {
	return &QuotaError{Resume: time.Now().Add(day), Err: err}
}

// charge counts what a session received since the last call. reserved is what the quota was asked for before.
func (p *pool) charge(s *Session, reserved int64) {
	read := s.conn.BytesRead()
	received := read - s.charged
	s.charged = read
	p.quota.spend(received, reserved)
}

// firstRetries is how often the very first connection is tried again when it is dropped: about a minute, after which somebody who set the wrong port wants to know.
const firstRetries = 6

// wait notes a failure and pauses, or returns the error when that happened too often. One trouble with the network breaks all connections: what fails while another one
// pauses is taken for the same failure, and goes on when that does.
func (p *pool) wait(ctx context.Context, err error) error {
	p.mu.Lock()
	pause := time.Until(p.resume)
	if pause <= 0 {
		p.failures++
		pause = p.pause.NextBackOff()
		p.resume = time.Now().Add(pause)
	}
	n, most := p.failures, p.o.Retries
	if p.sum.connections == 0 { // the very first one: it may be a mistake in the settings
		most = min(most, firstRetries)
		if !passing(err) {
			most = 0
		}
	}
	p.mu.Unlock()
	if n > most {
		return err
	}
	p.warn(Warning{Kind: WarnReconnect, Text: fmt.Sprintf("%v; trying again", err)})
	return p.sleep(ctx, brief(err), pause)
}

// sleep waits and shows why.
func (p *pool) sleep(ctx context.Context, why string, d time.Duration) error {
	defer p.waits(why, d)()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// brief says in a few words what kind of trouble err is, for the line of progress; the whole text goes into a warning.
func brief(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "the server's name cannot be looked up"
	case refused(err) != nil:
		return "the server refuses for now"
	case errors.Is(err, ErrProtocol):
		return "the server's answer made no sense"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return "the server does not answer"
	}
	return "the connection was lost"
}

// slow waits before a command while the server throttles the account: the wait doubles with each throttled answer up to half a minute, and shrinks with each other one.
func (p *pool) slow(ctx context.Context, s *Session) error {
	throttled := s.noted.throttled()
	p.mu.Lock()
	switch {
	case throttled:
		p.ease = min(max(2*p.ease, p.o.Pause/4), 30*p.o.Pause)
	case p.ease > p.o.Pause/8:
		p.ease /= 2
	default:
		p.ease = 0
	}
	wait := p.ease
	p.mu.Unlock()
	if wait == 0 {
		return nil
	}
	if err := p.sleep(ctx, "the server slows downloads down", wait); err != nil {
		return fmt.Errorf("%w: %w", errStop, err)
	}
	return nil
}

// progress says that the connections serve their purpose.
func (p *pool) progress() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = 0
	p.pause.Reset()
}

func (p *pool) take(ctx context.Context, mailbox string) (*Session, error) {
	for {
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		for s := p.takeIdle(mailbox); s != nil; s = p.takeIdle(mailbox) {
			if !s.expired() {
				return s, nil
			}
			p.retire(s) // without a LOGOUT, which would have to be waited for
		}
		s, err := p.dial(ctx)
		if err == nil {
			return s, nil
		}
		if errors.Is(err, ErrConnection) && p.makeDo(err) {
			continue
		}
		<-p.slots
		return nil, err
	}
}

// When connections are given up because the server allows no more of them, and for how long: a first backup may take days, and the other programs that hold connections do not.
const (
	maxUnopened = 3 // in a row, when the server does not say so but closes them
	slotBack    = 10 * time.Minute
)

// makeDo tells whether to go on with the connections that are in use, and if so gives up the slot for a while: the server allows no more of them. A network that is
// away is another matter: the other connections break soon, too.
func (p *pool) makeDo(err error) bool {
	p.mu.Lock()
	p.unopened++
	fewer := p.live > 0 && (refused(err) != nil || p.unopened >= maxUnopened)
	if fewer {
		p.unopened = 0
		p.regain = append(p.regain, time.AfterFunc(slotBack, func() { <-p.slots }))
	}
	p.mu.Unlock()
	if fewer {
		p.warn(Warning{Kind: WarnReconnect, Text: fmt.Sprintf("go on with fewer connections: %v", err)})
	}
	return fewer
}

func (p *pool) takeIdle(mailbox string) *Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	at := len(p.idle) - 1
	for i, s := range p.idle {
		if s.mailbox == mailbox {
			at = i
		}
	}
	s := p.idle[at]
	p.idle = append(p.idle[:at], p.idle[at+1:]...)
	return s
}

func (p *pool) dial(ctx context.Context) (*Session, error) {
	s, err := p.o.Dial(ctx)
	if err != nil {
		return nil, connectError(err)
	}
	release := s.guard(ctx, p.o.Silence)
	defer release()
	if err = s.learnCaps(); err == nil {
		err = p.opened(s)
	}
	if err == nil && p.o.Compress && s.caps.Has("COMPRESS=DEFLATE") {
		err = s.compress()
	}
	p.mu.Lock()
	p.sum.connections++
	p.unopened = 0
	p.live++
	p.mu.Unlock()
	if err != nil {
		if s.noted.overQuota() && refused(err) == nil {
			err = overQuota(err)
		}
		p.retire(s)
		return nil, classify(err, "log in")
	}
	return s, nil
}

// learnCaps takes over what the server can do after the login. Most servers say it with their answer to the login, which saves a round trip; otherwise the client library has
// asked for it already.
func (s *Session) learnCaps() (err error) {
	if s.caps = s.Client.Caps(); s.caps == nil {
		s.caps, err = s.Client.Capability().Wait() // it tells what is wrong
	}
	return err
}

// connectError gives errors of Dial a kind where Dial did not.
func connectError(err error) error {
	if errors.Is(err, ErrAuth) || errors.Is(err, ErrConnection) || errors.Is(err, ErrProtocol) || errors.Is(err, ErrQuota) || errors.Is(err, context.Canceled) {
		return err
	}
	return fail(ErrConnection, err, "connect: the server cannot be reached; check the host name, the port and the network")
}

// give takes a session back.
func (p *pool) give(s *Session, usable bool) {
	if usable && s.Client.State() != imap.ConnStateLogout {
		p.mu.Lock()
		p.idle = append(p.idle, s)
		p.mu.Unlock()
	} else {
		p.retire(s)
	}
	<-p.slots
}

// retire closes a session; why that may fail does not matter any more.
func (p *pool) retire(s *Session) {
	_ = s.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live--
	p.sum.commands += s.commands
	p.sum.read += s.conn.Received()
	p.sum.sent += s.conn.BytesWritten()
}

// close logs out of the idle sessions; all must have been given back. It does not wait for a server that does not answer.
func (p *pool) close() traffic {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	for _, timer := range p.regain {
		timer.Stop()
	}
	p.mu.Unlock()
	var wg sync.WaitGroup
	for _, s := range idle {
		wg.Go(func() {
			release := s.guard(context.Background(), 2*time.Second)
			_ = s.Client.Logout().Wait()
			release()
			p.retire(s)
		})
	}
	wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sum
}
