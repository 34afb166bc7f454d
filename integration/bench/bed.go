package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/bench/load"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/program"
)

// corpus is what a table is about.
type corpus struct {
	n       int
	seed    uint64
	profile gen.Profile
}

func (c corpus) String() string {
	return fmt.Sprintf("%s-%d", map[gen.Profile]string{gen.Full: "full", gen.Small: "small", gen.Tiny: "tiny"}[c.profile], c.n)
}

func (c corpus) make() *gen.Corpus { return gen.New(c.n, c.seed, c.profile) }

// server is one that can be stopped and started again.
type server struct {
	*load.Target
	start, stop func() error
	pid         func() int
	mail        string // the folder with its mail
}

// restart starts a server anew.
func (s *server) restart() error {
	if err := s.stop(); err != nil {
		return err
	}
	return s.start()
}

// bed is one corpus and the servers that hold it.
type bed struct {
	*env
	corpus   corpus
	tally    *gen.Tally
	peer     *dovecot.Server
	ours     *server
	peers    []*server
	tape     string // which answer replay plays
	replay   *load.Replay
	recorded *load.Tape
}

// sources of what is kept in the cache
var (
	mailSources    = []string{"mailkeep/integration/bench/gen", "mailkeep/integration/bench/load:fill.go", "mailkeep/integration/dovecot:fill.go"}
	archiveSources = []string{"mailkeep/archive", "mailkeep/message", "mailkeep/backup", "mailkeep/integration/bench/gen"}
)

// stores are Dovecot's users.
var stores = []dovecot.User{{Name: "maildir"}, {Name: "sdbox", Storage: dovecot.Sdbox}}

// lay fills Dovecot with a corpus, makes an archive of the same messages and starts all servers. The caller ends them with close, also after an error.
func (e *env) lay(ctx context.Context, c corpus) (*bed, error) {
	b := &bed{env: e, corpus: c}
	dir, err := e.kept(ctx, "dovecot-"+c.String(), mailSources, func(dir string) error { return e.fillPeers(dir, c) })
	if err != nil {
		return b, err
	}
	if err := readJSON(filepath.Join(dir, "tally.json"), &b.tally); err != nil {
		return b, err
	}
	if b.peer, err = startDovecot(dovecot.Options{Mail: filepath.Join(dir, "mail"), Users: stores}); err != nil {
		return b, err
	}
	e.report.Dovecot = b.peer.Version()
	for _, u := range stores {
		b.peers = append(b.peers, b.dovecot(u.Name))
	}
	for _, p := range b.peers {
		if err := p.NotRecent(); err != nil {
			return b, err
		}
	}
	dir, err = e.kept(ctx, "mailkeep-"+c.String(), archiveSources, func(dir string) error {
		if c.n > backedUp {
			return e.fillArchive(ctx, dir, c)
		}
		return e.backUp(ctx, dir, b.peers[0].Target)
	})
	if err != nil {
		return b, err
	}
	return b, b.serve(dir)
}

// backedUp is up to how many messages the archive is made by a backup, as users make it; of more, by writing into it what a backup would write.
const backedUp = 20_000

// fillPeers fills both of Dovecot's stores and writes down what they hold.
func (e *env) fillPeers(dir string, c corpus) error {
	peer, err := startDovecot(dovecot.Options{Mail: filepath.Join(dir, "mail"), NoFsync: true, Users: stores})
	if err != nil {
		return err
	}
	fill := func() error {
		e.note("fill Dovecot's Maildir with %d messages", c.n)
		tally, err := load.FillMaildir(peer, "maildir", c.make())
		if err != nil {
			return err
		}
		e.note("fill Dovecot's sdbox")
		sdbox := &load.Target{Addr: peer.Addr, User: "sdbox", Password: "pass"}
		return firstError(sdbox.Fill(c.make()), writeJSON(filepath.Join(dir, "tally.json"), tally))
	}
	return firstError(fill(), peer.Stop())
}

// backUp makes the archive as its users do.
func (e *env) backUp(ctx context.Context, dir string, from *load.Target) error {
	k, err := program.New(e.binary, dir, program.Account{Name: "bench", Addr: from.Addr, User: from.User, Password: from.Password})
	if err != nil {
		return err
	}
	e.note("back the account up")
	_, err = k.Run(ctx, "backup")
	return err
}

func (b *bed) dovecot(user string) *server {
	return &server{
		Target: &load.Target{Name: "Dovecot " + user, Addr: b.peer.Addr, User: user, Password: "pass", Want: b.tally},
		start:  func() error { return b.peer.Restart(0) },
		stop:   b.peer.Halt,
		pid:    b.peer.PID,
		mail:   b.peer.MailRoot(user),
	}
}

// serve starts mailkeep on the archive in dir.
func (b *bed) serve(dir string) error {
	k, err := program.New(b.binary, dir, program.Account{Name: "bench", Addr: "127.0.0.1:1", User: "bench", Password: "pass"})
	if err != nil {
		return err
	}
	var running *program.Serving
	b.ours = &server{
		Target: &load.Target{Name: mailkeep, Addr: k.IMAP, User: k.User, Password: k.Password, Want: b.tally},
		start: func() (err error) {
			running, err = k.Serve()
			return err
		},
		stop: func() error {
			if running == nil {
				return nil
			}
			return running.Stop()
		},
		pid:  func() int { return running.PID() },
		mail: k.Archive(),
	}
	return b.ours.start()
}

// close ends all servers.
func (b *bed) close() error {
	var err error
	if b.replay != nil {
		err = b.replay.Close()
	}
	if b.ours != nil {
		err = firstError(err, b.ours.stop())
	}
	if b.peer != nil {
		err = firstError(err, b.peer.Stop())
	}
	return err
}

// all are ours and the peers, in the order of a round.
func (b *bed) all() []*server { return append([]*server{b.ours}, b.peers...) }

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// newRow adds a row to the bed's table.
func (b *bed) newRow(scenario, unit string) *row {
	x := &row{Scenario: scenario, Unit: unit, Theirs: map[string]float64{}}
	b.report.add(x)
	return x
}

// settle lets what the last scenario left behind (processes that end, memory that is given back) not fall into the next one.
func settle() { time.Sleep(50 * time.Millisecond) }

func removeFile(path string) { _ = os.Remove(path) } // in the temporary folder, which goes in the end anyway
