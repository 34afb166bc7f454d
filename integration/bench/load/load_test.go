package load

import (
	"bufio"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/dovecot"
)

// filled gives a Dovecot with one corpus in a Maildir and, when asked for, in an sdbox.
func filled(t *testing.T, both bool) []*Target {
	t.Helper()
	s := dovecot.New(t, dovecot.Options{NoFsync: true, Users: []dovecot.User{{Name: "maildir"}, {Name: "sdbox", Storage: dovecot.Sdbox}}})
	corpus := gen.New(200, 3, gen.Full)
	tally, err := FillMaildir(s, "maildir", corpus)
	if err != nil {
		t.Fatal(err)
	}
	maildir := &Target{Name: "maildir", Addr: s.Addr, User: "maildir", Password: "pass", Want: tally}
	if !both {
		return []*Target{maildir}
	}
	sdbox := &Target{Name: "sdbox", Addr: s.Addr, User: "sdbox", Password: "pass", Want: tally}
	if err := sdbox.Fill(corpus); err != nil {
		t.Fatal(err)
	}
	return []*Target{maildir, sdbox}
}

// Every scenario runs several times: the first run takes answers apart, the next ones compare them.
func TestScenariosAgainstDovecot(t *testing.T) {
	for _, target := range filled(t, true) {
		for _, s := range Scenarios() {
			if s.Long {
				continue // 50 clients show what 200 would
			}
			for i := range 2 {
				took, err := s.Run(target)
				if err != nil {
					t.Errorf("%s: %s, run %d: %v", target.Name, s.Name, i, err)
				}
				if took.Wall <= 0 {
					t.Errorf("%s: %s took %v", target.Name, s.Name, took.Wall)
				}
			}
		}
	}
}

// A server that has one message too few, one byte too many or another body fails the scenarios that would notice.
func TestWrongAnswersAreFound(t *testing.T) {
	target := filled(t, false)[0]
	for _, c := range []struct {
		change   func(*gen.Total)
		scenario string
	}{
		{func(t *gen.Total) { t.Messages++ }, "FLAGS"},
		{func(t *gen.Total) { t.Seen++ }, "FLAGS"},
		{func(t *gen.Total) { t.Answered++ }, "FLAGS"},
		{func(t *gen.Total) { t.Flagged++ }, "FLAGS"},
		{func(t *gen.Total) { t.Messages++ }, "STATUS"},
		{func(t *gen.Total) { t.Seen++ }, "STATUS"},
		{func(t *gen.Total) { t.Messages++ }, "SELECT"},
		{func(t *gen.Total) { t.HeaderBytes++ }, "header list"},
		{func(t *gen.Total) { t.HeaderCRC++ }, "header list"},
		{func(t *gen.Total) { t.Bytes++ }, "ENVELOPE"},
		{func(t *gen.Total) { t.Dates++ }, "ENVELOPE"},
		{func(t *gen.Total) { t.IDs++ }, "ENVELOPE"},
		{func(t *gen.Total) { t.Parts++ }, "ENVELOPE"},
		{func(t *gen.Total) { t.CRCSum++ }, "one FETCH"},
		{func(t *gen.Total) { t.Bytes++ }, "pipelined"},
		{func(t *gen.Total) { t.CRCSum++ }, "pipelined"},
	} {
		found := false
		for _, s := range Scenarios() {
			if !strings.Contains(s.Name, c.scenario) || strings.Contains(s.Name, "connections") {
				continue
			}
			found = true
			spoilt := *target
			spoilt.valid, spoilt.Want = nil, spoil(target.Want, c.change)
			if _, err := s.Run(&spoilt); err == nil {
				t.Errorf("%s did not notice a wrong answer", s.Name)
			}
		}
		if !found {
			t.Errorf("no scenario %q", c.scenario)
		}
	}
	target.Want.Searches[0].Count++
	if _, err := search(target, 0); err == nil {
		t.Error("a search with a wrong number of results was accepted")
	}
}

// spoil changes what All Mail is said to hold.
func spoil(tally *gen.Tally, change func(*gen.Total)) *gen.Tally {
	out := *tally
	out.Mailboxes = maps.Clone(tally.Mailboxes)
	total := out.Mailboxes[gen.AllMail]
	change(&total)
	out.Mailboxes[gen.AllMail] = total
	out.Messages = total.Messages
	return &out
}

// An answer that is not the one which was taken apart is found by the runs that only read.
func TestChangedAnswersAreFound(t *testing.T) {
	target := filled(t, false)[0]
	for _, s := range []struct {
		key string
		run func(*Target) (Sample, error)
	}{{"flags of All Mail", flags}, {"headers of All Mail", HeaderList}, {"bodies of All Mail", bodies}, {"singles", single}} {
		if _, err := s.run(target); err != nil {
			t.Fatal(err)
		}
		d := target.valid[s.key]
		for _, other := range []digest{{d.bytes + 1, d.crc}, {d.bytes, d.crc + 1}} {
			target.valid[s.key] = other
			if _, err := s.run(target); err == nil {
				t.Errorf("%s: another answer was accepted", s.key)
			}
		}
		target.valid[s.key] = d
		if _, err := s.run(target); err != nil {
			t.Errorf("%s: %v", s.key, err)
		}
	}
}

// A replay gives the bytes that were recorded, for each scenario that says it can be run on it.
func TestReplay(t *testing.T) {
	target := filled(t, false)[0]
	dir := t.TempDir()
	tapes := map[string]*Tape{}
	for _, s := range Scenarios() {
		if s.Replay == "" {
			continue
		}
		if s.Record {
			tape, err := NewTape(filepath.Join(dir, s.Replay))
			if err != nil {
				t.Fatal(err)
			}
			target.Tape, tapes[s.Replay] = tape, tape
		}
		if _, err := s.Run(target); err != nil {
			t.Fatal(err)
		}
		if s.Record {
			if err := tapes[s.Replay].Close(); err != nil {
				t.Fatal(err)
			}
		}
		replay, err := tapes[s.Replay].Play()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(replay.Target(target)); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if err := replay.Close(); err != nil {
			t.Error(err)
		}
	}
	if len(tapes) != 4 {
		t.Errorf("%d tapes", len(tapes))
	}
}

func TestIdle(t *testing.T) {
	target := filled(t, true)[1]
	x, err := Idle(target, 20)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Check(); err != nil {
		t.Error(err)
	}
	inbox := target.Want.Mailboxes["INBOX"]
	inbox.Messages++
	target.Want.Mailboxes["INBOX"] = inbox
	if _, err := Idle(target, 1); err == nil {
		t.Error("an INBOX with a message too few was accepted")
	}
}

// The end of an answer is found wherever the network cut it, and nothing in a message looks like it.
func TestDrain(t *testing.T) {
	for _, chunk := range []int{1, 2, 7, 100, 1 << 20} {
		here, there := net.Pipe()
		c := &conn{Conn: here, r: bufio.NewReaderSize(here, 4096), prefix: "t1"}
		body := strings.Repeat("* 1 FETCH (BODY[] {30}\r\nt1-10 OK\r\nt2-1 OK\r\nno t1-1 OK\r\n)\r\n", 40)
		go func() {
			in := bufio.NewReader(there)
			in.ReadString('\n')
			for rest := body + "t1-1 OK done\r\n"; rest != ""; rest = rest[min(chunk, len(rest)):] {
				there.Write([]byte(rest[:min(chunk, len(rest))]))
			}
			in.ReadString('\n')
			there.Write([]byte("* 2 FETCH ()\r\nt1-2 NO not now\r\n"))
			there.Close()
		}()
		var want digest
		want.add([]byte(body))
		if got, err := c.drain("UID FETCH 1:* (BODY.PEEK[])"); err != nil || got != want {
			t.Errorf("chunks of %d: %+v, %v, want %+v", chunk, got, err, want)
		}
		if _, err := c.drain("UID FETCH 1:* (BODY.PEEK[])"); err == nil || !strings.Contains(err.Error(), "NO not now") {
			t.Errorf("a refusal gives %v", err)
		}
		if _, err := c.drain("NOOP"); err == nil {
			t.Error("a broken connection gives no error")
		}
	}
}

func TestStructure(t *testing.T) {
	const envelope = `"Mon" "a \"quoted\" (subject)" (("A" NIL "a" "example.org")) NIL NIL NIL NIL NIL NIL "<id@example.org>") BODYSTRUCTURE ("TEXT" "PLAIN")`
	if got := lastString([]byte(envelope)); string(got) != "<id@example.org>" {
		t.Errorf("Message-ID %q", got)
	}
	for structure, want := range map[string]int{
		`("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 1 1)`:                                                        1,
		`((("TEXT" "PLAIN" NIL)("TEXT" "HTML" NIL) "ALTERNATIVE")("APPLICATION" "PDF" ("NAME" "text.pdf") NIL) "MIXED")`: 3,
	} {
		if got := leaves([]byte(structure)); got != want {
			t.Errorf("%s: %d parts, want %d", structure, got, want)
		}
	}
}
