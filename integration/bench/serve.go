package main

import (
	"context"
	"fmt"
	"time"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/bench/load"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/program"
)

const seed = 1

// benchServe compares our IMAP server with Dovecot, each of them holding the same messages: first the account is
// backed up from that Dovecot, then every scenario is run on all servers in turn.
func benchServe(ctx context.Context, e *env) (err error) {
	n, runs := 1000, 5
	if e.full {
		n = 20000
	}
	corpus := gen.New(n, seed, gen.Full)
	peer, err := startDovecot(dovecot.Options{NoFsync: true, Users: []dovecot.User{{Name: "maildir"}, {Name: "sdbox", Storage: dovecot.Sdbox}}})
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, peer.Stop()) }()
	peers, err := e.fillPeers(peer, corpus)
	if err != nil {
		return err
	}
	keeper, err := e.backedUp(ctx, peers[0])
	if err != nil {
		return err
	}
	e.startup(keeper, peers[0].Want)
	server, err := keeper.Serve()
	if err != nil {
		return err
	}
	defer func() { err = firstError(err, server.Stop()) }()
	ours := &load.Target{Name: "mailkeep", Addr: keeper.IMAP, User: keeper.User, Password: keeper.Password, Want: peers[0].Want}
	for _, s := range load.Scenarios() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		e.report.add(e.measure(s, ours, peers, runs))
	}
	if peak := program.PeakMemory(server.PID()); peak > 0 {
		e.report.add(&row{Scenario: "peak memory of the server", Unit: "MB", Ours: float64(peak) / 1e6, AtMost: 300})
	}
	return nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// fillPeers fills both stores of the peer.
func (e *env) fillPeers(peer *dovecot.Server, corpus *gen.Corpus) ([]*load.Target, error) {
	e.note("fill Dovecot's Maildir with %d messages", corpus.Len())
	tally, err := load.FillMaildir(peer, "maildir", corpus)
	if err != nil {
		return nil, err
	}
	e.report.Corpus = describe(tally)
	maildir := &load.Target{Name: "Dovecot maildir", Addr: peer.Addr, User: "maildir", Password: "pass", Want: tally}
	sdbox := &load.Target{Name: "Dovecot sdbox", Addr: peer.Addr, User: "sdbox", Password: "pass", Want: tally}
	e.note("fill Dovecot's sdbox")
	return []*load.Target{maildir, sdbox}, sdbox.Fill(corpus)
}

// backedUp builds the program and backs an account up.
func (e *env) backedUp(ctx context.Context, from *load.Target) (*program.Keeper, error) {
	e.note("build mailkeep")
	binary, err := program.Build(ctx, e.dir)
	if err != nil {
		return nil, err
	}
	dir, err := e.folder("keeper")
	if err != nil {
		return nil, err
	}
	k, err := program.New(binary, dir, program.Account{Name: "bench", Addr: from.Addr, User: from.User, Password: from.Password})
	if err != nil {
		return nil, err
	}
	e.note("back the account up")
	_, err = k.Run(ctx, "backup")
	return k, err
}

// startup measures SELECT of the largest mailbox as the first thing that a new server does.
func (e *env) startup(k *program.Keeper, want *gen.Tally) {
	x := &row{Scenario: "SELECT largest, server just started", Unit: "ms", AtMost: 5}
	e.report.add(x)
	target := &load.Target{Name: "mailkeep", Addr: k.IMAP, User: k.User, Password: k.Password, Want: want}
	var took []float64
	for range 3 {
		server, err := k.Serve()
		if err != nil {
			x.Wrong = err.Error()
			return
		}
		d, err := load.SelectLargest(target)
		if err := firstError(err, server.Stop()); err != nil {
			x.Wrong = err.Error()
			return
		}
		took = append(took, ms(d))
	}
	x.Ours = median(took)
}

// measure runs a scenario on all servers in turn, so that what disturbs the machine disturbs all; the first round
// warms them up and does not count.
func (e *env) measure(s load.Scenario, ours *load.Target, peers []*load.Target, runs int) *row {
	e.note("%s", s.Name)
	x := &row{Scenario: s.Name, Unit: "ms", AtLeast: s.Goal, Theirs: map[string]float64{}}
	took := map[*load.Target][]float64{}
	begin := time.Now()
	for i := range runs + 1 {
		for _, t := range append([]*load.Target{ours}, peers...) {
			d, err := s.Run(t)
			if err != nil {
				x.Wrong = fmt.Sprintf("%s: %v", t.Name, err)
				return x
			}
			if i > 0 {
				took[t] = append(took[t], ms(d))
			}
		}
		// The slow searches of a small run are certain enough after three rounds.
		if !e.full && i >= 3 && time.Since(begin) > 1500*time.Millisecond {
			break
		}
	}
	x.Ours = median(took[ours])
	for _, p := range peers {
		x.Theirs[p.Name] = median(took[p])
	}
	return x
}
