package integration

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/program"
)

// How long the mixed load lasts, and with how many clients, unless MAILKEEP_MIXED ("10m") and MAILKEEP_MIXED_CLIENTS say otherwise.
const (
	mixedTime    = 12 * time.Second
	mixedClients = 200
)

// A day's load in minutes: clients with random commands read the archive while the account changes and one backup after the other, now and then a killed
// one, brings the changes. Each client does its own bookkeeping and checks every answer; nothing may be wrong, and in the end nothing may be left.
func TestMixedLoad(t *testing.T) {
	long, clients := mixedSize(t)
	sim, from := gmail(t, gmailsim.Options{})
	o := newOracle()
	s := newSource(t, sim, o, 1500, uint64(time.Now().UnixNano()))
	k := newKeeper(t, from)
	run(t, k, "backup", "--quiet")
	served1, err := k.Serve()
	if err != nil {
		t.Fatal(err)
	}
	l := login{k.IMAP, k.User, k.Password}
	connect(t, l).Logout().Wait()
	w := watch(t, served1)

	all := &tally{commands: map[string]int{}, slowest: map[string]time.Duration{}}
	stop := make(chan struct{})
	var readers, changers sync.WaitGroup
	var failures failureList
	for n := range clients {
		readers.Go(func() {
			time.Sleep(time.Duration(n) * 5 * time.Millisecond)
			c := newReader(n, l, o, all)
			if err := c.live(stop); err != nil {
				failures.add(fmt.Sprintf("client %d: %v\n%s", n, err, strings.Join(c.last, "\n")))
			}
		})
	}
	calm := make(chan struct{})
	changers.Go(func() { s.run(calm) })
	var backups, killed, incomplete int
	changers.Go(func() { backups, killed, incomplete = backupAgainAndAgain(t, k, calm) })
	for end := time.Now().Add(long); time.Now().Before(end) && failures.count() == 0; time.Sleep(time.Second) {
		w.sample()
	}
	close(calm)
	changers.Wait()
	s.avoidLimits()
	run(t, k, "backup", "--quiet")
	close(stop)
	readers.Wait()

	failures.report(t)
	compareMixed(t, sim, o, served(t, l))
	t.Logf("%v, %d clients: %s\n%d backups, %d more were killed, %d incomplete; the source: %v", long, clients, all.report(), backups, killed, incomplete, s.changes)
	w.end()
	if all.expunges.Load() == 0 || all.exists.Load() == 0 || all.bodies.Load() == 0 || backups == 0 {
		t.Error("nothing has happened that could have gone wrong")
	}
}

func mixedSize(t *testing.T) (time.Duration, int) {
	t.Helper()
	long, clients := mixedTime, mixedClients
	var err error
	if text := os.Getenv("MAILKEEP_MIXED"); text != "" {
		if long, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("MAILKEEP_MIXED_CLIENTS"); text != "" {
		if clients, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "linux" && clients > 80 {
		clients = 80 // elsewhere all come from one address, which may have 100 connections
	}
	return long, clients
}

// backupAgainAndAgain runs one backup after the other until stop is closed, and kills some.
func backupAgainAndAgain(t *testing.T, k *program.Keeper, stop <-chan struct{}) (done, killed, incomplete int) {
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	for {
		select {
		case <-stop:
			return done, killed, incomplete
		case <-time.After(time.Duration(rng.IntN(300)) * time.Millisecond):
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := k.Command(ctx, "backup", "--quiet")
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		kill := rng.IntN(5) == 0
		if err := cmd.Start(); err != nil {
			t.Error(err)
		}
		if kill {
			time.AfterFunc(time.Duration(rng.IntN(100))*time.Millisecond, func() { cmd.Process.Kill() })
		}
		err := cmd.Wait()
		cancel()
		switch {
		case err == nil:
			done++
		case kill:
			killed++
		case cmd.ProcessState.ExitCode() == 3: // All Mail happens to hold as many messages as one of Gmail's limits of folders allows
			incomplete++
		default:
			t.Errorf("backup: %v\n%s", err, &out)
			return done, killed, incomplete
		}
	}
}

// compareMixed compares what is served in the end with the source. Messages that are gone from there for ever are still served; they are compared with nothing.
func compareMixed(t *testing.T, sim *gmailsim.Server, o *oracle, got account) {
	t.Helper()
	want, gone := shown(sim), map[[sha256.Size]byte]bool{}
	for _, m := range got[archive.GoneMailbox] {
		gone[m.sum] = true
		if o.bySum[m.sum] == nil {
			t.Errorf("%q holds bytes that no message had", archive.GoneMailbox)
		}
	}
	delete(got, archive.GoneMailbox)
	for name, messages := range want {
		for _, m := range messages {
			if gone[m.sum] {
				t.Errorf("a message in %q is at the source, but is served as gone", name)
			}
		}
	}
	for name, messages := range got {
		rest := slices.DeleteFunc(slices.Clone(messages), func(m mail) bool { return gone[m.sum] })
		got[name] = rest
		if _, there := want[name]; !there && len(rest) == 0 && len(messages) > 0 {
			delete(got, name) // a label that is gone too
		}
	}
	compareLabels(t, want, got)
}

// failureList keeps what clients have found.
type failureList struct {
	mu   sync.Mutex
	list []string
}

func (f *failureList) add(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, s)
}

func (f *failureList) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.list)
}

func (f *failureList) report(t *testing.T) {
	t.Helper()
	for _, s := range f.list[:min(len(f.list), 5)] {
		t.Error(s)
	}
	if n := len(f.list) - 5; n > 0 {
		t.Errorf("%d more clients have found something wrong", n)
	}
}

// report sums up what was done.
func (t *tally) report() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	sum := 0
	for _, name := range slices.Sorted(maps.Keys(t.commands)) {
		sum += t.commands[name]
		fmt.Fprintf(&b, " %s %d (%v)", name, t.commands[name], t.slowest[name].Round(time.Millisecond))
	}
	return fmt.Sprintf("%d commands, the slowest of each kind in brackets:%s; %d EXISTS, %d EXPUNGE, %d sets of flags and %d whole messages checked; %d MB received; %d logins, %d broken connections",
		sum, &b, t.exists.Load(), t.expunges.Load(), t.flags.Load(), t.bodies.Load(), t.bytes.Load()>>20, t.logins.Load(), t.breaks.Load())
}

// watched follows what a server takes of its machine. Outside of Linux it only lets it end.
type watched struct {
	t       *testing.T
	server  *program.Serving
	before  resources
	output  string // what the server has printed before its end
	samples []resources
}

// resources are what a process holds.
type resources struct {
	memory int64 // resident, bytes
	files  int   // descriptors
}

func watch(t *testing.T, s *program.Serving) *watched {
	t.Helper()
	w := &watched{t: t, server: s}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("mailkeep serve:\n%s", w.output)
		}
		s.Stop()
	})
	w.before = resourcesOf(t, s.PID())
	return w
}

func resourcesOf(t *testing.T, pid int) (r resources) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return r
	}
	r.memory = program.Memory(pid)
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatalf("mailkeep serve has ended: %v", err)
	}
	r.files = len(list)
	return r
}

func (w *watched) sample() { w.samples = append(w.samples, resourcesOf(w.t, w.server.PID())) }

// leastSamples is how many there must be to tell a leak from a beginning.
const leastSamples = 120

// end checks that memory was flat and that, with the clients gone, nothing of theirs is left: it lets the server print its goroutines, which ends it.
func (w *watched) end() {
	if runtime.GOOS != "linux" {
		return
	}
	var after resources
	limit := w.before.files + 2*(2*runtime.NumCPU()+1) // the database's, which stay open
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if after = resourcesOf(w.t, w.server.PID()); after.files <= limit {
			break
		}
	}
	if after.files > limit {
		w.t.Errorf("%d descriptors are left, there were %d", after.files, w.before.files)
	}
	var most int64
	for _, s := range w.samples {
		most = max(most, s.memory)
	}
	w.t.Logf("memory: %d MB before, at most %d, %d after; descriptors: %d before, %d after", w.before.memory>>20, most>>20, after.memory>>20, w.before.files, after.files)
	if most > 300<<20 {
		w.t.Errorf("the server took %d MB", most>>20)
	}
	if n := len(w.samples); n >= leastSamples {
		early, late := meanMemory(w.samples[n/4:n/2]), meanMemory(w.samples[3*n/4:])
		w.t.Logf("memory on average: %d MB in the second quarter, %d in the last", early>>20, late>>20)
		if late > early+early/4+16<<20 {
			w.t.Errorf("memory grows: %d MB in the second quarter, %d in the last", early>>20, late>>20)
		}
	}
	if w.output = w.server.Output(); strings.Contains(w.output, "DATA RACE") || strings.Contains(w.output, "panic") { // GOFLAGS=-race looks for the first
		w.t.Error("the server complains")
	}
	dump, err := w.server.Abort()
	if err != nil {
		w.t.Fatal(err)
	}
	if n := strings.Count(dump, "\ngoroutine "); n > 40 {
		w.t.Errorf("%d goroutines are left:\n%s", n, dump[:min(len(dump), 20000)])
	} else {
		w.t.Logf("%d goroutines are left", n)
	}
}

func meanMemory(samples []resources) (mean int64) {
	for _, s := range samples {
		mean += s.memory / int64(len(samples))
	}
	return mean
}
