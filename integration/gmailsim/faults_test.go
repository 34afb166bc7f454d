package gmailsim

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// filled is a server with n messages of known size in INBOX.
func filled(t *testing.T, n int) *Server {
	t.Helper()
	s := New(Options{})
	for i := range n {
		deliver(t, s, Message{Body: append(rfcMail(fmt.Sprint(i), "x"), strings.Repeat("y", 500)...), Labels: []string{`\Inbox`}, Date: march})
	}
	return s
}

func (c *client) rest() string {
	c.t.Helper()
	all, err := io.ReadAll(c.in)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		c.t.Fatal(err)
	}
	return string(all)
}

func TestFaultReplies(t *testing.T) {
	s := filled(t, 3)
	c := login(t, s.Start(t))
	c.ok("a SELECT INBOX")
	s.AddFault(Fault{Name: "no", When: When{Command: "*FETCH", Nth: 2}, Do: Action{No: "[UNAVAILABLE] Temporary System Problem (Failure)"}})
	s.AddFault(Fault{Name: "slow", When: When{Command: "UID SEARCH", Mailbox: "INBOX"}, Times: -1, Do: Action{Throttled: true, Latency: 20 * time.Millisecond}})
	s.AddFault(Fault{When: When{Contains: "x-gm-msgid"}, Do: Action{FailUIDs: []uint32{2}, DropItem: "X-GM-LABELS", WrongSize: -7}})
	s.AddFault(Fault{When: When{Command: "NOOP"}, Do: Action{Unsolicited: []string{"* OK hello"}, UnsolicitedAfter: []string{"* 9 EXISTS"}}})
	c.play(`C: b FETCH 1 (UID)
		S: * 1 FETCH (UID 1)
		S: b OK Success
		C: c FETCH 1 (UID)
		S: c NO [UNAVAILABLE] Temporary System Problem (Failure)
		C: d FETCH 1 (UID)
		S: * 1 FETCH (UID 1)
		S: d OK Success
		C: e UID SEARCH ALL
		S: * SEARCH 1 2 3
		S: e OK SEARCH completed (Success) [THROTTLED]
		C: g NOOP
		S: * OK hello
		S: * 9 EXISTS
		S: g OK Success`)
	got := c.do("h UID FETCH 1:3 (RFC822.SIZE X-GM-LABELS X-GM-MSGID)")
	if len(got) != 3 || !strings.HasSuffix(got[0], "UID 1 RFC822.SIZE 639)") || strings.Contains(got[0], "LABELS") ||
		got[2] != "h NO Some messages could not be FETCHed (Failure)" {
		t.Fatalf("got %q", got)
	}
	if hits := s.Counters().FaultsHit; hits["no"] != 1 || hits["slow"] != 1 {
		t.Fatalf("hits %v", hits)
	}
}

func TestFaultsThatCut(t *testing.T) {
	const fetch = "b FETCH 1:3 (BODY.PEEK[])\r\n"
	for name, tc := range map[string]struct {
		when When
		do   Action
		want func(string) bool
	}{
		"close":       {When{Command: "FETCH"}, Action{Close: true}, func(s string) bool { return s == "" }},
		"bye":         {When{Command: "FETCH"}, Action{Bye: "[OVERQUOTA] Account exceeded command or bandwidth limits."}, func(s string) bool { return s == "* BYE [OVERQUOTA] Account exceeded command or bandwidth limits.\r\n" }},
		"bye after":   {When{Command: "FETCH"}, Action{ByeAfter: "Session expired, please login again"}, func(s string) bool { return strings.HasSuffix(s, ")\r\n* BYE Session expired, please login again\r\n") }},
		"mid literal": {When{Command: "FETCH"}, Action{CloseMidLiteral: 100}, func(s string) bool { return strings.HasPrefix(s, "* 1 FETCH (BODY[] {646}\r\n") && len(s) == 25+100 }},
		"cut after":   {When{Command: "FETCH"}, Action{CutAfter: 700}, func(s string) bool { return len(s) == 700 }},
		"cut at once": {When{Command: "FETCH"}, Action{CutAfter: -1}, func(s string) bool { return s == "" }},
	} {
		s := filled(t, 3)
		c := login(t, s.Start(t))
		c.ok("a SELECT INBOX")
		s.AddFault(Fault{When: tc.when, Do: tc.do})
		c.send(fetch)
		if got := c.rest(); !tc.want(got) {
			t.Errorf("%s: got %d bytes %.200q", name, len(got), got)
		}
	}
}

// Every byte of a short session can be the last one.
func TestFaultAtEveryOutputByte(t *testing.T) {
	s := filled(t, 1)
	addr := s.Start(t)
	session := func() string {
		c := dial(t, addr)
		c.send("a LOGIN user@example.com password\r\nb SELECT INBOX\r\nc UID FETCH 1 (UID BODY.PEEK[])\r\nd LOGOUT\r\n")
		return c.rest()
	}
	strip := func(text string) string {
		_, after, _ := strings.Cut(text, "\r\n")
		return after
	}
	whole := session()
	for at := 1; at <= len(whole); at += 13 {
		remove := s.AddFault(Fault{When: When{Byte: int64(at)}, Do: Action{Close: true}})
		got := session()
		remove()
		// The greeting holds the connection's number, whose length may change.
		if len(got) != at-1 || !strings.HasPrefix(strip(whole), strip(got)) {
			t.Fatalf("cut at %d: got %d bytes", at, len(got))
		}
	}
}

func TestFaultStallAndGreeting(t *testing.T) {
	s := filled(t, 1)
	addr := s.Start(t)
	s.AddFault(Fault{When: When{Command: "CONNECT"}, Do: Action{Bye: "Temporary System Problem"}})
	if got := dial(t, addr).rest(); got != "* BYE Temporary System Problem\r\n" {
		t.Fatal(got)
	}
	c := login(t, addr)
	s.AddFault(Fault{When: When{Command: "NOOP"}, Do: Action{Stall: true}})
	c.send("a NOOP\r\n")
	c.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if line, err := c.in.ReadString('\n'); err == nil {
		t.Fatalf("a stalled server said %q", line)
	}
}

func TestBandwidth(t *testing.T) {
	s := filled(t, 3)
	s.AddFault(Fault{When: When{Command: "CONNECT"}, Times: -1, Do: Action{Bandwidth: 10000}})
	start := time.Now()
	c := login(t, s.Start(t))
	c.ok("a SELECT INBOX")
	c.ok("b FETCH 1:3 BODY.PEEK[]")
	if took := time.Since(start); took < 200*time.Millisecond || took > 5*time.Second {
		t.Fatalf("about 3 kB at 10 kB/s took %v", took)
	}
}

func TestConnectionLimit(t *testing.T) {
	s := New(Options{MaxConns: 2})
	addr := s.Start(t)
	first := login(t, addr)
	login(t, addr)
	third := dial(t, addr)
	third.read()
	third.play("C: a LOGIN user@example.com password\nS: a NO [ALERT] Too many simultaneous connections. (Failure)")
	first.ok("b LOGOUT")
	first.rest()
	// The refused socket still counts.
	fourth := dial(t, addr)
	fourth.read()
	fourth.play("C: a LOGIN user@example.com password\nS: a NO [ALERT] Too many simultaneous connections. (Failure)")
}

func TestCounters(t *testing.T) {
	s := filled(t, 3)
	c := login(t, s.Start(t))
	c.ok("a SELECT INBOX")
	c.ok("b UID FETCH 1:2 (BODY.PEEK[HEADER] BODY.PEEK[]<0.100>)")
	c.ok("c FETCH 2 (RFC822)")
	c.ok("d FETCH 3 (BODY.PEEK[TEXT] BODY.PEEK[]<100.100>)")
	n := s.Counters()
	served := s.BodiesServed()
	if n.Bodies != 3 || n.BodyBytes != 846 || n.Commands["UID FETCH"] != 1 || n.Commands["FETCH"] != 2 || n.Logins != 1 || n.Connections != 1 {
		t.Fatalf("counters %+v", n)
	}
	times := []int{}
	for _, k := range served {
		times = append(times, k)
	}
	slices.Sort(times)
	if !slices.Equal(times, []int{1, 2}) {
		t.Fatalf("served %v", served)
	}
	s.ResetCounters()
	if n := s.Counters(); n.Bodies != 0 || len(s.BodiesServed()) != 0 || n.BytesOut != 0 {
		t.Fatalf("after reset %+v", n)
	}
}
