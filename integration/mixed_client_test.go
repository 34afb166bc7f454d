package integration

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// answerTime is how long a client waits for the next byte of an answer.
const answerTime = 2 * time.Minute

// tally is what all clients together have done.
type tally struct {
	mu       sync.Mutex
	commands map[string]int
	slowest  map[string]time.Duration

	exists, expunges, flags, bodies, bytes, logins, breaks atomic.Int64
}

func (t *tally) count(name string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.commands[name]++
	t.slowest[name] = max(t.slowest[name], took)
}

// row is one message of the selected mailbox, as far as the server has told.
type row struct {
	uid   uint32   // 0: not told yet
	flags []string // sorted; nil: not told yet
}

// box is the selected mailbox.
type box struct {
	name     string
	validity uint32
	next     uint32 // UIDNEXT of SELECT
	selected int64  // the oracle's clock when it was
	rows     []row  // by sequence number
	grown    int    // rows from this index on have come after SELECT
}

// reader is a client that believes nothing: it does RFC 9051's bookkeeping and checks every answer with it.
type reader struct {
	login  login
	local  string // address to connect from
	oracle *oracle
	tally  *tally
	rng    *rand.Rand

	conn  net.Conn
	r     *bufio.Reader
	tag   int
	names []string // as LIST has them
	box   *box     // nil: none is selected

	name      string // of the command that is being answered
	fixed     bool   // it forbids EXPUNGE (RFC 9051 section 7.5.1)
	onFetch   func(seq int, items fetchData) error
	onOther   func(line string) error
	last      []string // the conversation's end
	nextByBox map[uint32]uint32
}

// note keeps the end of the conversation for reports.
func (c *reader) note(direction string, b []byte) {
	if len(c.last) > 12 {
		c.last = c.last[1:]
	}
	c.last = append(c.last, fmt.Sprintf("%s %.200q", direction, b))
}

func (c *reader) connect() error {
	d := net.Dialer{Timeout: answerTime, LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.local)}}
	conn, err := d.Dial("tcp", c.login.addr)
	if err != nil {
		return err
	}
	c.conn, c.r, c.box = conn, bufio.NewReaderSize(conn, 32<<10), nil
	greeting, err := c.read()
	if err != nil || !bytes.HasPrefix(greeting, []byte("* OK ")) {
		return fmt.Errorf("greeting %q: %w", greeting, err)
	}
	c.tally.logins.Add(1)
	if err := c.ok("LOGIN", c.login.user+" "+c.login.password); err != nil {
		return err
	}
	c.names = nil
	c.onOther = func(line string) error {
		rest, isList := strings.CutPrefix(line, "LIST (")
		attributes, name, _ := strings.Cut(rest, `) "/" `)
		if attributes = strings.ToLower(attributes); isList && !strings.Contains(attributes, `\noselect`) && !strings.Contains(attributes, `\nonexistent`) {
			c.names = append(c.names, name)
		}
		return nil
	}
	if err := c.ok("LIST", `"" *`); err != nil {
		return err
	}
	if len(c.names) == 0 {
		return errors.New("LIST names no mailbox")
	}
	return nil
}

func (c *reader) read() ([]byte, error) {
	c.conn.SetReadDeadline(time.Now().Add(answerTime))
	b, err := readResponse(c.r)
	c.tally.bytes.Add(int64(len(b)))
	c.note("S:", b)
	return b, err
}

// send writes a command and returns its tag.
func (c *reader) send(name, args string) (string, error) {
	c.tag++
	tag := fmt.Sprintf("a%d", c.tag)
	line := strings.TrimSuffix(tag+" "+name+" "+args, " ") + "\r\n"
	c.note("C:", []byte(line))
	c.conn.SetWriteDeadline(time.Now().Add(answerTime))
	_, err := io.WriteString(c.conn, line)
	return tag, err
}

// do sends a command and reads up to its answer, which it returns without the tag.
func (c *reader) do(name, args string) (string, error) {
	started := time.Now()
	tag, err := c.send(name, args)
	if err != nil {
		return "", err
	}
	answer, err := c.await(tag, name)
	if err == nil {
		c.tally.count(name, time.Since(started))
	}
	return answer, err
}

// await reads up to the answer of a command that was sent.
func (c *reader) await(tag, name string) (string, error) {
	c.name, c.fixed = name, name == "FETCH" || name == "STORE" || name == "SEARCH"
	defer func() { c.name, c.fixed, c.onFetch, c.onOther = "", false, nil, nil }()
	for {
		b, err := c.read()
		if err != nil {
			return "", err
		}
		if rest, found := bytes.CutPrefix(b, []byte(tag+" ")); found {
			return string(rest), nil
		}
		if err := c.untagged(b); err != nil {
			return "", err
		}
	}
}

// ok is do for a command that must succeed.
func (c *reader) ok(name, args string) error {
	answer, err := c.do(name, args)
	if err == nil && !strings.HasPrefix(answer, "OK") {
		err = fmt.Errorf("%s %.100s is answered %.200q", name, args, answer)
	}
	return err
}

// untagged does the bookkeeping for one untagged response.
func (c *reader) untagged(b []byte) error {
	rest, found := bytes.CutPrefix(b, []byte("* "))
	if !found {
		return fmt.Errorf("neither untagged nor the answer: %.200q", b)
	}
	first, after, _ := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseUint(string(first), 10, 32)
	if err != nil {
		if bytes.HasPrefix(rest, []byte("BYE")) {
			return fmt.Errorf("the server says %.200q", rest)
		}
		if c.onOther != nil {
			return c.onOther(string(rest))
		}
		return nil
	}
	kind, data, _ := bytes.Cut(after, []byte(" "))
	if c.box == nil {
		return fmt.Errorf("%.100q, and no mailbox is selected", b)
	}
	switch string(kind) {
	case "EXISTS":
		return c.exists(int(n))
	case "EXPUNGE":
		return c.expunge(int(n))
	case "FETCH":
		return c.fetched(int(n), data)
	case "RECENT":
		return nil
	}
	return fmt.Errorf("unknown response %.100q", b)
}

func (c *reader) exists(n int) error {
	c.tally.exists.Add(1)
	if n < len(c.box.rows) {
		return fmt.Errorf("%d EXISTS, but there were %d and none was expunged", n, len(c.box.rows))
	}
	c.box.rows = append(c.box.rows, make([]row, n-len(c.box.rows))...)
	return nil
}

func (c *reader) expunge(n int) error {
	c.tally.expunges.Add(1)
	if c.fixed {
		return fmt.Errorf("%d EXPUNGE while %s is answered", n, c.name)
	}
	b := c.box
	if n < 1 || n > len(b.rows) {
		return fmt.Errorf("%d EXPUNGE, but there are only %d", n, len(b.rows))
	}
	if uid := b.rows[n-1].uid; uid != 0 {
		c.oracle.expunged(place{b.validity, uid})
	}
	b.rows = slices.Delete(b.rows, n-1, n)
	if n <= b.grown {
		b.grown--
	}
	return nil
}

func (c *reader) fetched(n int, data []byte) error {
	if n < 1 || n > len(c.box.rows) {
		return fmt.Errorf("%d FETCH, but there are only %d", n, len(c.box.rows))
	}
	items, err := parseFetch(data)
	if err != nil {
		return fmt.Errorf("FETCH response %.200q: %w", data, err)
	}
	if uid, told := items["UID"]; told {
		if err := c.hasUID(n, string(uid)); err != nil {
			return err
		}
	}
	if flags, told := items["FLAGS"]; told {
		c.tally.flags.Add(1)
		c.box.rows[n-1].flags = flagList(flags)
	}
	if err := c.checkItems(c.box.rows[n-1].uid, items); err != nil {
		return fmt.Errorf("message %d, UID %d: %w", n, c.box.rows[n-1].uid, err)
	}
	if c.onFetch != nil {
		return c.onFetch(n, items)
	}
	return nil
}

// flagList sorts a list of flags as mail.flags has them. It is never nil.
func flagList(list []byte) []string {
	flags := []string{}
	for _, f := range strings.Fields(strings.Trim(string(list), "()")) {
		if f = strings.ToLower(f); f != `\recent` {
			flags = append(flags, f)
		}
	}
	slices.Sort(flags)
	return flags
}

// hasUID enters the UID of message n: it must fit between its neighbours', and be what it was.
func (c *reader) hasUID(n int, text string) error {
	v, err := strconv.ParseUint(text, 10, 32)
	if err != nil || v == 0 {
		return fmt.Errorf("message %d has the UID %q", n, text)
	}
	b, uid := c.box, uint32(v)
	if known := b.rows[n-1].uid; known != 0 {
		if known != uid {
			return fmt.Errorf("message %d has the UID %d and had %d", n, uid, known)
		}
		return nil
	}
	for i := n - 2; i >= 0; i-- {
		if before := b.rows[i].uid; before != 0 {
			if before >= uid {
				return fmt.Errorf("message %d has UID %d, message %d UID %d", i+1, before, n, uid)
			}
			break
		}
	}
	for i := n; i < len(b.rows); i++ {
		if after := b.rows[i].uid; after != 0 {
			if after <= uid {
				return fmt.Errorf("message %d has UID %d, message %d UID %d", n, uid, i+1, after)
			}
			break
		}
	}
	if n > b.grown && uid < b.next {
		return fmt.Errorf("message %d came after SELECT and has UID %d, below its UIDNEXT %d", n, uid, b.next)
	}
	if n <= b.grown && uid >= b.next {
		return fmt.Errorf("message %d was there at SELECT and has UID %d, not below its UIDNEXT %d", n, uid, b.next)
	}
	if c.oracle.goneBefore(place{b.validity, uid}, b.selected) {
		return fmt.Errorf("UID %d is back, but had been expunged before SELECT", uid)
	}
	b.rows[n-1].uid = uid
	return nil
}

// checkItems compares what a FETCH response says of a message with the original.
func (c *reader) checkItems(uid uint32, items fetchData) error {
	if uid == 0 {
		return nil
	}
	at := place{c.box.validity, uid}
	m := c.oracle.at(at)
	if body, told := items["BODY[]"]; told {
		c.tally.bodies.Add(1)
		var err error
		if m, err = c.oracle.saw(at, body); err != nil {
			return err
		}
	}
	if m == nil {
		return nil // nobody has read it yet
	}
	for name, got := range items {
		if want, ok := m.item(name); ok && !bytes.Equal(got, want) {
			return fmt.Errorf("%s is %.100q, want %.100q", name, got, want)
		}
	}
	if env, told := items["ENVELOPE"]; told && m.messageID != "" && !bytes.Contains(env, []byte(`"`+m.messageID+`"`)) {
		return fmt.Errorf("ENVELOPE %.200q is not that of %s", env, m.messageID)
	}
	if date, told := items["INTERNALDATE"]; told {
		got, err := time.Parse("_2-Jan-2006 15:04:05 -0700", string(date))
		if err != nil || !got.Equal(m.date) {
			return fmt.Errorf("INTERNALDATE %q is not %v", date, m.date)
		}
	}
	return nil
}

// item is what a FETCH item must be; ok is false for those that are looked at otherwise.
func (m *original) item(name string) (want []byte, ok bool) {
	switch name {
	case "BODY[]":
		return m.body, true
	case "BODY[HEADER]":
		return m.body[:m.header], true
	case "BODY[TEXT]":
		return m.body[m.header:], true
	case "RFC822.SIZE":
		return strconv.AppendInt(nil, int64(len(m.body)), 10), true
	case "BODY[HEADER.FIELDS (MESSAGE-ID)]":
		if m.messageID != "" {
			return []byte("Message-ID: " + m.messageID + "\r\n\r\n"), true
		}
	}
	var from int
	if n, _ := fmt.Sscanf(name, "BODY[]<%d>", &from); n == 1 {
		from = min(from, len(m.body))
		return m.body[from:min(from+pieceSize, len(m.body))], true
	}
	return nil, false
}

// pieceSize is how much of a message is asked for when it is read in pieces.
const pieceSize = 700

// idle waits some time in IDLE.
func (c *reader) idle(long time.Duration) error {
	tag, err := c.send("IDLE", "")
	if err != nil {
		return err
	}
	b, err := c.read()
	if err != nil || !bytes.HasPrefix(b, []byte("+")) {
		return fmt.Errorf("IDLE is answered %.100q: %w", b, err)
	}
	for end := time.Now().Add(long); ; {
		c.conn.SetReadDeadline(end)
		if _, err := c.r.Peek(1); errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			return err
		}
		b, err := c.read()
		if err == nil {
			err = c.untagged(b)
		}
		if err != nil {
			return err
		}
	}
	if _, err := io.WriteString(c.conn, "DONE\r\n"); err != nil {
		return err
	}
	answer, err := c.await(tag, "IDLE")
	if err == nil && !strings.HasPrefix(answer, "OK") {
		err = fmt.Errorf("IDLE ends with %q", answer)
	}
	c.tally.count("IDLE", 0)
	return err
}
