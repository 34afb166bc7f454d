package backup_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// matrixSize is the size of the fault matrix for one of its rows: MAILKEEP_MATRIX=2000x50 makes that many messages and points (and go test needs -timeout 0 then).
func matrixSize(personality string, row int) (messages, points int) {
	n, _ := fmt.Sscanf(os.Getenv("MAILKEEP_MATRIX"), "%dx%d", &messages, &points)
	switch {
	case n == 2:
		return messages, points
	case raced && (personality == "gmail" || row%4 == 0):
		return 110, 1
	case raced:
		return 110, 0
	}
	return 110, map[string]int{"gmail": 5, "generic": 2, "uid last": 1}[personality]
}

// point is the i-th of the points of a row, in [0, 1). Rows with enough of them begin with the very first, before the login. The golden ratio keeps the points of the others apart.
func point(row, i, points int) float64 {
	_, shift := math.Modf(0.5 + float64(row)*math.Phi)
	if points >= 5 {
		shift = 0
	}
	return (float64(i) + shift) / float64(points)
}

// matrixServers are the kinds of servers that the matrix is run against.
var matrixServers = map[string]*gmailsim.Generic{
	"gmail":    nil,
	"generic":  {Delimiter: "/", Condstore: true, ListStatus: true, ESearch: true},
	"uid last": {Delimiter: ".", Bare: true, UIDLast: true},
}

// scene is an account and what an undisturbed backup of it looks like.
type scene struct {
	personality string
	messages    int
	calm        []string          // dump after the undisturbed run
	cost        gmailsim.Counters // of that run
}

// matrixServer makes the account that all runs of the matrix back up.
func matrixServer(t testing.TB, personality string, messages int) *gmailsim.Server {
	t.Helper()
	g := matrixServers[personality]
	srv := gmailsim.New(gmailsim.Options{Generic: g})
	sample := slices.Clone(matrixSample(messages))
	if g == nil {
		if err := srv.Load(sample); err != nil {
			t.Fatal(err)
		}
		return srv
	}
	boxes := []string{"INBOX", "Work", "Lists" + g.Delimiter + "go", "Old mail"}
	for _, name := range boxes[1:] {
		if err := srv.CreateMailbox(name); err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range sample {
		m.Labels = nil
		if _, err := srv.Append(boxes[i%len(boxes)], m); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 { // a copy in another mailbox
			if _, err := srv.Append(boxes[(i+1)%len(boxes)], m); err != nil {
				t.Fatal(err)
			}
		}
	}
	return srv
}

var matrixSample = func() func(int) []gmailsim.Message {
	var mu sync.Mutex
	made := map[int][]gmailsim.Message{}
	return func(n int) []gmailsim.Message {
		mu.Lock()
		defer mu.Unlock()
		if made[n] == nil {
			made[n] = gmailsim.Sample(n, 11)
		}
		return made[n]
	}
}()

// cell is one run of the matrix: one fault at one point.
type cell struct {
	*rig
	scene *scene
	at    float64 // in [0, 1): how far the undisturbed run would be

	mu      sync.Mutex
	dialErr func() error // instead of a connection
	cancel  context.CancelFunc
}

// cellRig puts a new archive before a server that is used again and again.
func cellRig(t testing.TB, sc *scene, srv *gmailsim.Server, addr string) *cell {
	c := &cell{rig: &rig{t: t, srv: srv, addr: addr, log: &talk{}, dir: filepath.Join(t.TempDir(), "MailStore")}, scene: sc}
	c.w = archivetest.Open(t, c.dir)
	c.o = backup.Options{Account: account, Pause: time.Millisecond, BatchAge: 20 * time.Millisecond, Silence: 5 * time.Second}
	c.o.Dial = func(ctx context.Context) (*backup.Session, error) {
		c.mu.Lock()
		broken := c.dialErr
		c.mu.Unlock()
		if broken != nil {
			if err := broken(); err != nil {
				return nil, err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, c.o.Silence)
		defer cancel()
		return c.rig.dial(ctx)
	}
	return c
}

// nth turns the point into the number of one of the commands of a kind that the undisturbed run sent.
func (c *cell) nth(command string) int {
	n := 0
	for name, times := range c.scene.cost.Commands {
		if name != "LOGOUT" && (command == "" || command == name) {
			n += times
		}
	}
	return 1 + int(c.at*float64(n)*0.9) // a disturbed run may need fewer connections
}

// offset turns the point into one in the output of a connection; at least one of three gets that far.
func (c *cell) offset() int64 {
	return 1 + int64(c.at*float64(c.scene.cost.BytesOut)/float64(c.scene.cost.Logins)*0.9)
}

// weather is a row of the matrix.
type weather struct {
	name    string
	only    string // the only personality that can have it; "" for all
	strike  func(*cell) gmailsim.Fault
	ends    []error // that the disturbed run may end with; none: it must go through
	changes bool    // it changes the source: the end must equal what the source has then
	stays   bool    // the weather stays in the second run
}

// always is a fault from a point on.
func always(f gmailsim.Fault) gmailsim.Fault {
	f.Times = -1
	return f
}

// command is a fault at one of the commands of a kind.
func command(name string, do gmailsim.Action) func(*cell) gmailsim.Fault {
	return func(c *cell) gmailsim.Fault {
		return gmailsim.Fault{When: gmailsim.When{Command: name, Nth: c.nth(name)}, Do: do}
	}
}

// bodies is a fault at one of the commands that ask for bodies.
func bodies(do gmailsim.Action) func(*cell) gmailsim.Fault {
	return func(c *cell) gmailsim.Fault {
		n := max(1, c.scene.messages/50)
		return gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]", Nth: 1 + int(c.at*float64(n))}, Do: do}
	}
}

// byteAt is a fault at a byte of a connection's output.
func byteAt(do gmailsim.Action) func(*cell) gmailsim.Fault {
	return func(c *cell) gmailsim.Fault {
		return gmailsim.Fault{When: gmailsim.When{Byte: c.offset()}, Do: do}
	}
}

func (w weather) hits(personality string) bool { return w.only == "" || w.only == personality }

// outcomeOf is what became of one cell.
type outcomeOf struct {
	struck bool
	ended  string // kind of error of the disturbed run
	runs   int    // until the end
	twice  int    // messages downloaded twice
}

// runCell backs up in the weather and then again in good weather, and compares the end with the undisturbed one.
func (w weather) runCell(c *cell) (out outcomeOf) {
	c.t.Helper()
	fault := w.strike(c)
	fault.Name = "it"
	c.srv.AddFault(fault)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c.cancel = cancel
	_, err := backup.Run(ctx, c.w, c.o)
	out.ended = w.accept(c, err)
	out.struck = c.srv.Counters().FaultsHit["it"] > 0
	if !w.stays {
		c.srv.ClearFaults()
	}
	c.mu.Lock()
	c.dialErr = nil
	c.mu.Unlock()
	for out.runs = 1; out.runs < 4; {
		out.runs++
		sum, err := backup.Run(context.Background(), c.w, c.o)
		if err != nil {
			c.t.Errorf("run %d: %v", out.runs, err)
		}
		if err == nil && !sum.Unfinished && sum.Holes == 0 {
			break
		}
	}
	for id, n := range c.srv.BodiesServed() {
		if n == 2 {
			out.twice++
		}
		if n > 2 {
			c.t.Errorf("message %s was downloaded %d times", id.Hex(), n)
		}
	}
	w.compare(c)
	return out
}

// accept tells whether the disturbed run may end like this.
func (w weather) accept(c *cell, err error) string {
	if err == nil {
		return ""
	}
	for _, kind := range w.ends {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	c.t.Errorf("the disturbed run ended with: %v", err)
	return "?"
}

func (w weather) compare(c *cell) {
	if w.changes {
		delim := "/"
		if g := matrixServers[c.scene.personality]; g != nil {
			delim = g.Delimiter
		}
		c.same(delim)
		return
	}
	if got := dump(c.t, c.w); !slices.Equal(got, c.scene.calm) {
		c.t.Errorf("the end differs from that of an undisturbed run:\n%s", difference(c.scene.calm, got))
	}
}

// dump tells everything that an archive knows of the account but the order in which it was learned.
func dump(t testing.TB, w *archive.Writer) []string {
	t.Helper()
	ctx := context.Background()
	a, err := w.AccountByName(ctx, account)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	add("kind %s", a.Kind)
	folders, err := w.Folders(ctx, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		add("folder %q %q %q %+v current %d gone %v", f.Name, f.Delimiter, f.SpecialUse, f.FolderState, f.Current, f.GoneAt != 0)
		err := w.Copies(ctx, f.ID, func(k archive.Known) error {
			add("copy %q %d %s %s [%s]", f.Name, k.UID, k.Ref, k.SourceID, k.Flags)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	boxes, err := w.Mailboxes(ctx, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boxes {
		add("mailbox %q %q %d messages %d unseen %d bytes next %d gone %v", b.Name, b.SpecialUse, b.Messages, b.Unseen, b.Bytes, b.UIDNext, b.GoneAt != 0)
		entries, _, err := w.Entries(ctx, b.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			add("entry %q %s %d %s %q %q [%s] gone %v", b.Name, e.Ref, e.Size, e.Date, e.SourceID, e.ThreadID, e.Flags, e.GoneAt != 0)
		}
	}
	totals, err := w.Totals(ctx, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	add("totals %+v", totals)
	slices.Sort(lines)
	return lines
}

// newScene backs the account up without a disturbance.
func newScene(t *testing.T, personality string, messages int) *scene {
	t.Helper()
	srv := matrixServer(t, personality, messages)
	sc := &scene{personality: personality, messages: messages}
	c := cellRig(t, sc, srv, srv.Start(t))
	c.run()
	sc.cost = srv.Counters()
	sc.calm = dump(t, c.w)
	return sc
}

// TestFaultMatrix backs up the same account again and again, each time with one fault at one point, then once more in good weather. The end must be that of an undisturbed
// run, and no message may be downloaded more than twice. Its output is the table of faults.
func TestFaultMatrix(t *testing.T) {
	table := &matrixTable{rows: map[string]*matrixRow{}}
	t.Cleanup(func() { table.print(t) })
	for _, personality := range slices.Sorted(maps.Keys(matrixServers)) {
		messages, _ := matrixSize(personality, 0)
		sc := newScene(t, personality, messages)
		for row, w := range faults {
			_, points := matrixSize(personality, row)
			if !w.hits(personality) || points == 0 {
				continue
			}
			t.Run(personality+"/"+w.name, func(t *testing.T) {
				t.Parallel()
				srv := matrixServer(t, personality, messages)
				addr := srv.Start(t)
				for i := range points {
					t.Run(strconv.Itoa(i), func(t *testing.T) {
						if w.changes && i > 0 {
							srv = matrixServer(t, personality, messages)
							addr = srv.Start(t)
						}
						srv.ResetCounters()
						srv.ClearFaults()
						c := cellRig(t, sc, srv, addr)
						c.at = point(row, i, points)
						out := w.runCell(c)
						table.note(w.name, personality, out, t.Failed())
					})
				}
			})
		}
	}
}

// matrixTable gathers the results.
type matrixTable struct {
	mu   sync.Mutex
	rows map[string]*matrixRow
}

type matrixRow struct {
	cells, struck, failed, most, twice int
	ended                              map[string]int
}

func (m *matrixTable) note(name, personality string, out outcomeOf, failed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := name + "\t" + personality
	r := m.rows[key]
	if r == nil {
		r = &matrixRow{ended: map[string]int{}}
		m.rows[key] = r
	}
	r.cells++
	if out.struck {
		r.struck++
	}
	if failed {
		r.failed++
	}
	if out.ended != "" {
		r.ended[out.ended]++
	}
	r.most = max(r.most, out.runs)
	r.twice = max(r.twice, out.twice)
}

func (m *matrixTable) print(t *testing.T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var text strings.Builder
	messages, _ := matrixSize("gmail", 0)
	fmt.Fprintf(&text, "%d messages; a cell is one fault at one point\n", messages)
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tserver\tcells\tstruck\tend differs or too much downloaded\tmost runs\tmost downloaded twice\trun ended early")
	for _, key := range slices.Sorted(maps.Keys(m.rows)) {
		r := m.rows[key]
		var ended []string
		for _, why := range slices.Sorted(maps.Keys(r.ended)) {
			ended = append(ended, fmt.Sprintf("%d: %s", r.ended[why], why))
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\n", key, r.cells, r.struck, r.failed, r.most, r.twice, strings.Join(ended, "; "))
		if r.struck == 0 {
			t.Errorf("%s never struck", key)
		}
	}
	w.Flush()
	t.Log("\n" + text.String())
}

var errLookup = &net.DNSError{Err: "server misbehaving", Name: "imap.example.com", IsTemporary: true}
