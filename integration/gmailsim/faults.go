package gmailsim

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is one row of the table of misbehaviour.
type Fault struct {
	// Name shows in Counters.FaultsHit.
	Name string
	When When
	Do   Action
	// Times is how often the fault may happen; 0 means once, negative always.
	Times int
}

// When says which command, or which output byte, a fault strikes. Empty
// fields match everything.
type When struct {
	// Command is an upper-case name such as "FETCH", "UID FETCH", "LOGIN",
	// "IDLE", or "CONNECT" for the greeting. "*FETCH" means with or without
	// UID; "" means any command, unless Byte is set.
	Command string
	// Nth is the first occurrence (from 1) that counts, over all connections,
	// among those that match the other fields. 0 means 1.
	Nth int
	// Conn is the connection's number, from 1; 0 means any.
	Conn int
	// Mailbox is the UTF-8 name of the mailbox selected or named first in the
	// command.
	Mailbox string
	// Contains is text the command line must contain, in any case.
	Contains string
	// Byte is an offset in a connection's output (protocol bytes, greeting
	// included): the fault strikes just before that byte. Such a fault ignores
	// Command, Nth, Mailbox and Contains, and does only Close, Stall, Bye, Raw,
	// Bandwidth and Run.
	Byte int64
}

// Action says what goes wrong; several may be combined.
type Action struct {
	// Latency delays the command.
	Latency time.Duration
	// Bandwidth limits this connection's output from now on, in bytes a second.
	Bandwidth int
	// Unsolicited lines are sent before the answer, without CRLF here.
	Unsolicited []string
	// UnsolicitedAfter lines are sent after the data, before the tagged reply.
	UnsolicitedAfter []string
	// Raw bytes are sent as they are, before the answer.
	Raw string
	// No, Bad and Bye refuse without running the command: a tagged NO or BAD
	// with this text, an untagged BYE followed by closing.
	No, Bad, Bye string
	// Close cuts the connection instead of running the command.
	Close bool
	// Stall stops answering until the client closes the connection.
	Stall bool
	// CutAfter cuts the connection after so many bytes of this command's
	// answer; StallAfter stops sending there. Use -1 for none at all (0 means
	// the field is not set).
	CutAfter, StallAfter int64
	// CloseMidLiteral cuts the connection after so many bytes of the first
	// literal longer than that.
	CloseMidLiteral int64
	// ByeAfter is an untagged BYE sent after the data, instead of the tagged
	// reply.
	ByeAfter string
	// Throttled appends " [THROTTLED]" to the tagged OK.
	Throttled bool
	// DropItem leaves an item such as "X-GM-LABELS" or "UID" out of FETCH
	// replies.
	DropItem string
	// WrongSize is added to RFC822.SIZE.
	WrongSize int64
	// WrongLiteral is added to the size announced by body literals; the bytes
	// stay the same, so everything after them is out of step.
	WrongLiteral int64
	// FailUIDs are left out of FETCH; the reply is then NO Some messages could
	// not be FETCHed (Failure). FailIDs does the same by message.
	FailUIDs []uint32
	FailIDs  []MsgID
	// EmptyUIDs get an empty body.
	EmptyUIDs []uint32
	// Run is called before the command, without any lock held.
	Run func()
}

type faultTable struct {
	mu   sync.Mutex
	rows []*faultRow
}

type faultRow struct {
	Fault
	seen int
	hits int
}

// AddFault appends a row. It returns a function that takes it out again.
func (s *Server) AddFault(f Fault) (remove func()) {
	row := &faultRow{Fault: f}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rows = append(s.faults.rows, row)
	return func() {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		s.faults.rows = slices.DeleteFunc(s.faults.rows, func(r *faultRow) bool { return r == row })
	}
}

// ClearFaults empties the table.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rows = nil
}

func (r *faultRow) spent() bool { return r.Times >= 0 && r.hits >= max(r.Times, 1) }

func (w When) matches(name, line, mailboxName string, conn int) bool {
	switch {
	case w.Byte > 0, w.Conn != 0 && w.Conn != conn:
		return false
	case w.Command == "" && name == "CONNECT":
		return false
	case strings.HasPrefix(w.Command, "*"):
		if strings.TrimPrefix(name, "UID ") != w.Command[1:] {
			return false
		}
	case w.Command != "" && w.Command != name:
		return false
	}
	return (w.Mailbox == "" || w.Mailbox == mailboxName) &&
		(w.Contains == "" || strings.Contains(strings.ToUpper(line), strings.ToUpper(w.Contains)))
}

// take merges the actions of all rows that strike this command.
func (s *Server) take(name, line, mailboxName string, conn int) Action {
	s.faults.mu.Lock()
	var hit []*faultRow
	for _, r := range s.faults.rows {
		if !r.When.matches(name, line, mailboxName, conn) {
			continue
		}
		r.seen++
		if r.seen >= r.When.Nth && !r.spent() {
			r.hits++
			hit = append(hit, r)
		}
	}
	s.faults.mu.Unlock()
	var do Action
	for _, r := range hit {
		do.merge(r.Do)
		s.countFault(r.Name)
	}
	return do
}

func (s *Server) countFault(name string) {
	s.stats.update(func(c *Counters) { c.FaultsHit[name]++ })
}

// byteFault finds the nearest output fault at or behind an offset.
func (s *Server) byteFault(conn int, from int64) *faultRow {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	var best *faultRow
	for _, r := range s.faults.rows {
		if r.When.Byte > from && !r.spent() && (r.When.Conn == 0 || r.When.Conn == conn) &&
			(best == nil || r.When.Byte < best.When.Byte) {
			best = r
		}
	}
	return best
}

// strike marks a byte fault as happened; false if another connection was first.
func (s *Server) strike(r *faultRow) bool {
	s.faults.mu.Lock()
	spent := r.spent()
	if !spent {
		r.hits++
	}
	s.faults.mu.Unlock()
	if !spent {
		s.countFault(r.Name)
	}
	return !spent
}

// merge adds b's set fields to a.
func (a *Action) merge(b Action) {
	a.Latency += b.Latency
	a.Unsolicited = append(a.Unsolicited, b.Unsolicited...)
	a.UnsolicitedAfter = append(a.UnsolicitedAfter, b.UnsolicitedAfter...)
	a.FailUIDs = append(a.FailUIDs, b.FailUIDs...)
	a.FailIDs = append(a.FailIDs, b.FailIDs...)
	a.EmptyUIDs = append(a.EmptyUIDs, b.EmptyUIDs...)
	a.WrongSize += b.WrongSize
	a.WrongLiteral += b.WrongLiteral
	a.Close = a.Close || b.Close
	a.Stall = a.Stall || b.Stall
	a.Throttled = a.Throttled || b.Throttled
	a.Raw += b.Raw
	for _, s := range []struct {
		to   *string
		from string
	}{{&a.No, b.No}, {&a.Bad, b.Bad}, {&a.Bye, b.Bye}, {&a.ByeAfter, b.ByeAfter}, {&a.DropItem, b.DropItem}} {
		if s.from != "" {
			*s.to = s.from
		}
	}
	for _, n := range []struct {
		to   *int64
		from int64
	}{{&a.CutAfter, b.CutAfter}, {&a.StallAfter, b.StallAfter}, {&a.CloseMidLiteral, b.CloseMidLiteral}} {
		if n.from != 0 {
			*n.to = n.from
		}
	}
	if b.Bandwidth != 0 {
		a.Bandwidth = b.Bandwidth
	}
	if before := a.Run; before != nil && b.Run != nil {
		a.Run = func() { before(); b.Run() }
	} else if b.Run != nil {
		a.Run = b.Run
	}
}
