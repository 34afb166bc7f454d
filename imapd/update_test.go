package imapd

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNoopTellsChanges(t *testing.T) {
	for _, loaded := range []bool{true, false} {
		t.Run(fmt.Sprintf("loaded=%v", loaded), func(t *testing.T) {
			s := newArchive(t)
			var uids []uint32
			for i := range 5 {
				uids = append(uids, s.add(fmt.Sprintf("%d%s", i, simple), "INBOX"))
			}
			c := login(t, serve(t, s.w.Reader, testOptions()))
			if got := c.ok("SELECT INBOX"); !strings.Contains(got, "* 5 EXISTS") || !strings.Contains(got, "[UIDNEXT 6]") {
				t.Fatal(got)
			}
			if loaded {
				c.ok("FETCH 1:* (UID)")
			}
			s.change(uids[1], "Elsewhere")
			s.change(uids[3], "Elsewhere")
			s.change(uids[2], "INBOX", `\Flagged`)
			s.add("new"+simple, "INBOX")
			time.Sleep(20 * time.Millisecond) // more than the poll interval

			// Numbers stay what they were, and EXPUNGE is not told here.
			got, tagged := c.do("FETCH 3:4 (UID)")
			want := "* 3 FETCH (UID 3)\r\n"
			if loaded {
				want += "* 4 FETCH (UID 4)\r\n"
			} else if !strings.HasPrefix(tagged, "NO [EXPUNGEISSUED]") {
				t.Error(tagged)
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			want = "* 4 EXPUNGE\r\n* 2 EXPUNGE\r\n* 4 EXISTS\r\n"
			if loaded {
				want += "* 2 FETCH (UID 3 FLAGS (\\Flagged))\r\n"
			}
			if got := c.ok("NOOP"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := c.ok("NOOP"); got != "" {
				t.Error(got)
			}
			want = "* 1 FETCH (UID 1 FLAGS ())\r\n* 2 FETCH (UID 3 FLAGS (\\Flagged))\r\n* 3 FETCH (UID 5 FLAGS ())\r\n* 4 FETCH (UID 6 FLAGS ())\r\n"
			if got := c.ok("UID FETCH 1:* (FLAGS)"); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestIdleTellsChanges(t *testing.T) {
	s := newArchive(t)
	first := s.add(simple, "INBOX")
	addr := serve(t, s.w.Reader, testOptions())
	c := login(t, addr)
	c.ok("SELECT INBOX")
	c.talk(`
		C: a IDLE
		S: + idling
	`)
	s.add("2"+simple, "INBOX")
	c.expect("* 2 EXISTS")
	s.change(first, "INBOX", `\Seen`)
	c.expect(`* 1 FETCH (UID 1 FLAGS (\Seen))`)
	s.change(first, "Elsewhere")
	c.expect("* 1 EXPUNGE")
	s.add("3"+simple, "Elsewhere") // does not concern this client
	c.talk(`
		C: DONE
		S: a OK IDLE completed
		C: b IDLE
		S: + idling
		C: DONE
		S: b OK IDLE completed
		C: c UNSELECT
		S: c OK UNSELECT completed
		C: d IDLE
		S: + idling
		C: DONE
		S: d OK IDLE completed
	`)
	// Pipelined, as mbsync might.
	c.send("e SELECT INBOX\r\nf IDLE\r\nDONE\r\ng NOOP\r\n")
	c.until("e")
	c.talk(`
		S: + idling
		S: f OK IDLE completed
		S: g OK NOOP completed
	`)
}

func TestIdleWithoutLogin(t *testing.T) {
	s := newArchive(t)
	dial(t, serve(t, s.w.Reader, testOptions())).talk(`
		C: a IDLE
		S: a BAD ~
		C: b NOOP
		S: b OK NOOP completed
	`)
}

// follower is a client that keeps its own list of UIDs from what the server tells it.
type follower struct {
	*client
	uids []uint32 // 0: not known yet
}

var (
	existsLine  = regexp.MustCompile(`^\* (\d+) EXISTS$`)
	expungeLine = regexp.MustCompile(`^\* (\d+) EXPUNGE$`)
	fetchLine   = regexp.MustCompile(`^\* (\d+) FETCH \(UID (\d+) `)
)

// take updates the list by responses, and fails when they contradict it.
func (f *follower) take(responses string) {
	f.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(responses), "\r\n") {
		if m := existsLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			if n < len(f.uids) {
				f.t.Fatalf("EXISTS goes down from %d to %d", len(f.uids), n)
			}
			f.uids = append(f.uids, make([]uint32, n-len(f.uids))...)
		}
		if m := expungeLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			if n > len(f.uids) {
				f.t.Fatalf("EXPUNGE %d of %d", n, len(f.uids))
			}
			f.uids = append(f.uids[:n-1], f.uids[n:]...)
		}
		if m := fetchLine.FindStringSubmatch(line); m != nil {
			n, _ := strconv.Atoi(m[1])
			uid, _ := strconv.ParseUint(m[2], 10, 32)
			if n > len(f.uids) || f.uids[n-1] != 0 && f.uids[n-1] != uint32(uid) {
				f.t.Fatalf("message %d has UID %d, but the list is %v", n, uid, f.uids)
			}
			f.uids[n-1] = uint32(uid)
		}
	}
}

func TestSessionsFollowAWriter(t *testing.T) {
	s := newArchive(t)
	for i := range 30 {
		s.add(fmt.Sprintf("Subject: %d\r\n\r\nbody", i), "INBOX")
	}
	addr := serve(t, s.w.Reader, testOptions())
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for n := range 4 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			f := &follower{client: login(t, addr)}
			f.take(f.ok("SELECT INBOX"))
			random := rand.New(rand.NewPCG(uint64(n), 1))
			for {
				select {
				case <-stop:
					f.take(f.ok("NOOP"))
					f.take(f.ok("UID FETCH 1:* (FLAGS)"))
					f.checkAgainst(s)
					return
				default:
				}
				f.step(random)
			}
		}()
	}
	random := rand.New(rand.NewPCG(9, 9))
	for i := range 150 {
		uid := 1 + random.Uint32N(s.uid)
		switch random.IntN(4) {
		case 0:
			s.change(uid, "Elsewhere")
		case 1:
			s.change(uid, "INBOX", `\Seen`)
		case 2:
			s.change(uid, "INBOX,Elsewhere")
		default:
			s.add(fmt.Sprintf("Subject: new %d\r\n\r\nbody", i), "INBOX")
		}
	}
	close(stop)
	clients.Wait()
}

// step sends one of the commands that clients send.
func (f *follower) step(random *rand.Rand) {
	f.t.Helper()
	var got, tagged string
	switch random.IntN(7) {
	case 0:
		got, tagged = f.do("NOOP")
	case 1:
		got, tagged = f.do("UID FETCH 1:* (FLAGS)")
	case 2:
		if len(f.uids) == 0 {
			return
		}
		got, tagged = f.do(fmt.Sprintf("FETCH %d:* (UID BODY.PEEK[TEXT])", 1+random.IntN(len(f.uids))))
		if strings.Contains(got, "EXPUNGE") {
			f.t.Errorf("EXPUNGE in %s", got)
		}
		if strings.HasPrefix(tagged, "NO [EXPUNGEISSUED]") {
			tagged = "OK"
		}
	case 3:
		got, tagged = f.do("SEARCH SEEN BODY body")
		if strings.Contains(got, "EXPUNGE") {
			f.t.Errorf("EXPUNGE in %s", got)
		}
	case 4:
		f.send("i IDLE\r\n")
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		f.send("DONE\r\n")
		got, tagged = f.until("i")
	case 5:
		f.uids = nil
		got, tagged = f.do("SELECT INBOX")
	case 6:
		got, tagged = f.do("UID FETCH 1:5 (RFC822.SIZE)")
	}
	if !strings.HasPrefix(tagged, "OK") {
		f.t.Errorf("%s%s", got, tagged)
	}
	f.take(got)
}

// checkAgainst compares the list with the archive.
func (f *follower) checkAgainst(s *mailSource) {
	f.t.Helper()
	boxes, err := s.w.Mailboxes(f.t.Context(), 0)
	if err != nil {
		f.t.Error(err)
	}
	for _, b := range boxes {
		if b.Name != "INBOX" {
			continue
		}
		entries, _, err := s.w.Entries(f.t.Context(), b.ID)
		if err != nil {
			f.t.Error(err)
		}
		var want []uint32
		for _, e := range entries {
			want = append(want, uint32(e.UID))
		}
		if fmt.Sprint(want) != fmt.Sprint(f.uids) {
			f.t.Errorf("client has %v, archive %v", f.uids, want)
		}
	}
}
