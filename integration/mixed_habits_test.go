package integration

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// habits are what clients do, with how often of a thousand.
var habits = []struct {
	often int
	do    func(*reader) error
}{
	{120, (*reader).selectAny},
	{100, (*reader).allFlags},
	{120, (*reader).headers},
	{110, (*reader).bodies},
	{60, (*reader).pieces},
	{70, (*reader).structures},
	{100, (*reader).searchFlag},
	{40, (*reader).searchUIDs},
	{30, (*reader).searchMessageID},
	{80, (*reader).noop},
	{50, func(c *reader) error { return c.idle(time.Duration(c.rng.IntN(400)) * time.Millisecond) }},
	{40, (*reader).status},
	{30, (*reader).change},
	{30, (*reader).pipelined},
	{10, (*reader).leave},
	{10, (*reader).breakOff},
}

// live does things until stop is closed, then takes leave after a last comparison.
func (c *reader) live(stop <-chan struct{}) error {
	if err := c.connect(); err != nil {
		return err
	}
	defer func() { c.conn.Close() }()
	for {
		select {
		case <-stop:
			return c.farewell()
		case <-time.After(time.Duration(c.rng.IntN(150)) * time.Millisecond):
		}
		n := c.rng.IntN(1000)
		for _, h := range habits {
			if n -= h.often; n < 0 {
				if err := h.do(c); err != nil {
					return err
				}
				break
			}
		}
	}
}

// selectAny opens a mailbox, one of those that change more often than others.
func (c *reader) selectAny() error {
	name := c.names[c.rng.IntN(len(c.names))]
	if c.rng.IntN(2) == 0 {
		name = []string{"INBOX", "Churn", "Receipts", `"[Gmail]/All Mail"`}[c.rng.IntN(4)]
	}
	return c.open(name)
}

func (c *reader) open(name string) error {
	b := &box{name: name, selected: c.oracle.clock.Add(1)}
	c.box = b
	c.onOther = func(line string) error {
		fmt.Sscanf(line, "OK [UIDVALIDITY %d]", &b.validity)
		fmt.Sscanf(line, "OK [UIDNEXT %d]", &b.next)
		return nil
	}
	answer, err := c.do([]string{"SELECT", "EXAMINE"}[c.rng.IntN(2)], name)
	if err != nil {
		return err
	}
	if strings.HasPrefix(answer, "NO [NONEXISTENT]") { // a label that was renamed since LIST
		c.box = nil
		return nil
	}
	if !strings.HasPrefix(answer, "OK [READ-ONLY]") || b.validity == 0 || b.next == 0 {
		return fmt.Errorf("mailbox %s: %q, UIDVALIDITY %d, UIDNEXT %d", name, answer, b.validity, b.next)
	}
	b.grown = len(b.rows)
	if before := c.nextByBox[b.validity]; b.next < before {
		return fmt.Errorf("mailbox %s: UIDNEXT %d, and was %d", name, b.next, before)
	}
	c.nextByBox[b.validity] = b.next
	return nil
}

// some gives up to n successive messages of the selected mailbox; ok is false when there is none.
func (c *reader) some(n int) (from, to int, ok bool) {
	if c.box == nil || len(c.box.rows) == 0 {
		return 0, 0, false
	}
	from = 1 + c.rng.IntN(len(c.box.rows))
	return from, min(from+c.rng.IntN(n), len(c.box.rows)), true
}

// fetch reads messages by their sequence numbers. Each must be answered, unless the server says that some are expunged.
func (c *reader) fetch(from, to int, items string) error {
	seen := map[int]bool{}
	c.onFetch = func(seq int, items fetchData) error {
		if len(items) > 1 {
			seen[seq] = true
		}
		return nil
	}
	answer, err := c.do("FETCH", fmt.Sprintf("%d:%d %s", from, to, items))
	if err != nil || strings.HasPrefix(answer, "NO [EXPUNGEISSUED]") {
		return err
	}
	if !strings.HasPrefix(answer, "OK") {
		return fmt.Errorf("FETCH is answered %q", answer)
	}
	for n := from; n <= to; n++ {
		if !seen[n] {
			return fmt.Errorf("FETCH %d:%d leaves out %d", from, to, n)
		}
	}
	return nil
}

// fetchUIDs reads messages by their UIDs, all of the selected mailbox when uids is nil. Those that are left out must turn out to be expunged.
func (c *reader) fetchUIDs(uids []uint32, items string) error {
	set := "1:*"
	if uids != nil {
		set = numberSet(uids)
	}
	asked, b := len(c.box.rows), c.box
	var missing []uint32
	for _, r := range b.rows {
		if r.uid != 0 && (uids == nil || slices.Contains(uids, r.uid)) {
			missing = append(missing, r.uid)
		}
	}
	answered := map[uint32]bool{}
	c.onFetch = func(seq int, _ fetchData) error {
		answered[b.rows[seq-1].uid] = true
		return nil
	}
	if err := c.ok("UID FETCH", set+" "+items); err != nil {
		return err
	}
	if uids == nil && len(answered) < asked {
		missing = append(missing, 0)
	}
	missing = slices.DeleteFunc(missing, func(uid uint32) bool { return uid != 0 && answered[uid] })
	return c.mustVanish("UID FETCH "+set, missing)
}

// mustVanish checks that messages which an answer left out are expunged with the next NOOP; 0 stands for some whose UIDs are not known.
func (c *reader) mustVanish(command string, missing []uint32) error {
	if len(missing) == 0 {
		return nil
	}
	if err := c.ok("NOOP", ""); err != nil {
		return err
	}
	for _, r := range c.box.rows {
		if r.uid != 0 && slices.Contains(missing, r.uid) {
			return fmt.Errorf("%.100s left out UID %d, which is still there", command, r.uid)
		}
	}
	return nil
}

// allFlags is what Thunderbird asks whenever it opens a mailbox.
func (c *reader) allFlags() error {
	if c.box == nil {
		return nil
	}
	return c.fetchUIDs(nil, "(FLAGS)")
}

func (c *reader) headers() error {
	from, to, ok := c.some(40)
	if !ok {
		return nil
	}
	return c.fetch(from, to, "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")
}

func (c *reader) structures() error {
	from, to, ok := c.some(30)
	if !ok {
		return nil
	}
	return c.fetch(from, to, "(UID ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE FLAGS)")
}

// bodies reads whole messages, now and then slowly.
func (c *reader) bodies() error {
	from, to, ok := c.some(12)
	if !ok {
		return nil
	}
	if c.rng.IntN(10) > 0 {
		return c.fetch(from, to, []string{"(UID BODY.PEEK[])", "(UID BODY[] FLAGS)", "(UID BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] RFC822.SIZE)"}[c.rng.IntN(3)])
	}
	tag, err := c.send("FETCH", fmt.Sprintf("%d:%d (UID BODY.PEEK[])", from, to))
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(c.rng.IntN(300)) * time.Millisecond)
	_, err = c.await(tag, "FETCH")
	return err
}

// known lists the UIDs of some messages whose UIDs were told.
func (c *reader) known(n int) []uint32 {
	var uids []uint32
	if c.box != nil {
		for range min(n, len(c.box.rows)) {
			if uid := c.box.rows[c.rng.IntN(len(c.box.rows))].uid; uid != 0 {
				uids = append(uids, uid)
			}
		}
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}

// pieces reads a part of each message, as Thunderbird does with large ones.
func (c *reader) pieces() error {
	uids := c.known(10)
	if len(uids) == 0 {
		return nil
	}
	return c.fetchUIDs(uids, fmt.Sprintf("(RFC822.SIZE BODY.PEEK[]<%d.%d>)", c.rng.IntN(3)*pieceSize, pieceSize))
}

// search asks with or without UID and returns the numbers that were found.
func (c *reader) search(byUID bool, key string) ([]uint32, error) {
	name, found, answered := "SEARCH", []uint32{}, false
	if byUID {
		name = "UID SEARCH"
	}
	c.onOther = func(line string) error {
		rest, isSearch := strings.CutPrefix(line, "SEARCH")
		if !isSearch {
			return nil
		}
		for _, word := range strings.Fields(rest) {
			n, err := strconv.ParseUint(word, 10, 32)
			if err != nil {
				return fmt.Errorf("search result %q", line)
			}
			found = append(found, uint32(n))
		}
		answered = true
		return nil
	}
	rows := len(c.box.rows)
	if err := c.ok(name, key); err != nil {
		return nil, err
	}
	if !answered {
		return nil, fmt.Errorf("%s %s has no result", name, key)
	}
	if !slices.IsSorted(found) || !byUID && len(found) > 0 && int(found[len(found)-1]) > rows {
		return nil, fmt.Errorf("%s %s finds %v of %d messages", name, key, found, rows)
	}
	return found, nil
}

// searchFlag compares the messages found with the flags that were told.
func (c *reader) searchFlag() error {
	if c.box == nil {
		return nil
	}
	if err := c.allFlags(); err != nil {
		return err
	}
	flag := mixedFlags[c.rng.IntN(3)]
	key := strings.ToUpper(flag[1:])
	var before []row
	b := c.box
	for _, r := range b.rows {
		before = append(before, row{r.uid, r.flags})
	}
	found, err := c.search(false, key)
	if err != nil {
		return err
	}
	var missing []uint32
	for i, r := range before {
		is := slices.Contains(found, uint32(i+1))
		switch has := slices.Contains(r.flags, strings.ToLower(flag)); {
		case r.flags == nil || is == has:
		case is:
			return fmt.Errorf("SEARCH %s finds message %d, UID %d, whose flags are %v", key, i+1, r.uid, r.flags)
		default:
			missing = append(missing, r.uid)
		}
	}
	return c.mustVanish("SEARCH "+key, missing)
}

// searchUIDs compares all UIDs with those that were told.
func (c *reader) searchUIDs() error {
	if c.box == nil {
		return nil
	}
	before := slices.Clone(c.box.rows)
	found, err := c.search(true, "ALL")
	if err != nil {
		return err
	}
	if len(found) > len(before) {
		return fmt.Errorf("UID SEARCH ALL finds %d of %d messages", len(found), len(before))
	}
	var missing []uint32
	for _, r := range before {
		if _, is := slices.BinarySearch(found, r.uid); r.uid != 0 && !is {
			missing = append(missing, r.uid)
		}
	}
	return c.mustVanish("UID SEARCH ALL", missing)
}

func (c *reader) searchMessageID() error {
	uids := c.known(1)
	if len(uids) == 0 {
		return nil
	}
	m := c.oracle.at(place{c.box.validity, uids[0]})
	if m == nil || m.messageID == "" {
		return nil
	}
	found, err := c.search(true, "HEADER Message-ID "+m.messageID)
	if err != nil {
		return err
	}
	for _, uid := range found {
		if other := c.oracle.at(place{c.box.validity, uid}); other != nil && other.messageID != m.messageID {
			return fmt.Errorf("the search for %s finds UID %d, which is %s", m.messageID, uid, other.messageID)
		}
	}
	if slices.Contains(found, uids[0]) {
		return nil
	}
	return c.mustVanish("UID SEARCH HEADER", uids)
}

func (c *reader) noop() error { return c.ok([]string{"NOOP", "CHECK"}[c.pick(2)], "") }

// pick is a number below n; 0 when no mailbox is selected, because most commands need one.
func (c *reader) pick(n int) int {
	if c.box == nil {
		return 0
	}
	return c.rng.IntN(n)
}

// status asks about a mailbox, or for all names again.
func (c *reader) status() error {
	if c.rng.IntN(3) == 0 {
		return c.ok("LIST", `"" % RETURN (CHILDREN)`)
	}
	name := c.names[c.rng.IntN(len(c.names))]
	told := false
	c.onOther = func(line string) error {
		told = told || strings.HasPrefix(line, "STATUS ")
		return nil
	}
	answer, err := c.do("STATUS", name+" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")
	if err == nil && !strings.HasPrefix(answer, "NO [NONEXISTENT]") && (!strings.HasPrefix(answer, "OK") || !told) {
		err = fmt.Errorf("STATUS %s: %q", name, answer)
	}
	return err
}

// change tries what an archive refuses.
func (c *reader) change() error {
	name, args := "CREATE", `"Trash"`
	if from, _, ok := c.some(1); ok {
		switch c.rng.IntN(4) {
		case 0:
			name, args = "STORE", fmt.Sprintf(`%d +FLAGS (\Deleted)`, from)
		case 1:
			name, args = "COPY", fmt.Sprintf("%d INBOX", from)
		case 2:
			name, args = "EXPUNGE", ""
		}
	}
	answer, err := c.do(name, args)
	if err == nil && !strings.HasPrefix(answer, "NO [NOPERM]") {
		err = fmt.Errorf("%s is answered %q", name, answer)
	}
	return err
}

// pipelined sends the next command before the first is answered.
func (c *reader) pipelined() error {
	from, to, ok := c.some(20)
	if !ok {
		return nil
	}
	first, err := c.send("FETCH", fmt.Sprintf("%d:%d (UID FLAGS RFC822.SIZE)", from, to))
	if err != nil {
		return err
	}
	second, err := c.send("NOOP", "")
	if err != nil {
		return err
	}
	if _, err := c.await(first, "FETCH"); err != nil {
		return err
	}
	answer, err := c.await(second, "NOOP")
	if err == nil && !strings.HasPrefix(answer, "OK") {
		err = fmt.Errorf("NOOP is answered %q", answer)
	}
	return err
}

// leave ends the session properly, or only closes the mailbox.
func (c *reader) leave() error {
	if c.pick(2) == 1 {
		err := c.ok([]string{"CLOSE", "UNSELECT"}[c.rng.IntN(2)], "")
		c.box = nil
		return err
	}
	c.onOther = func(string) error { return nil }
	if tag, err := c.send("LOGOUT", ""); err != nil {
		return err
	} else if b, err := c.read(); err != nil || !strings.HasPrefix(string(b), "* BYE") {
		return fmt.Errorf("LOGOUT is answered %q: %w", b, err)
	} else if b, err := c.read(); err != nil || !strings.HasPrefix(string(b), tag+" OK") {
		return fmt.Errorf("LOGOUT is answered %q: %w", b, err)
	}
	c.conn.Close()
	return c.connect()
}

// breakOff goes away in the middle of an answer, with or without saying so to the network.
func (c *reader) breakOff() error {
	if from, _, ok := c.some(1); ok {
		c.send("FETCH", fmt.Sprintf("%d:* (UID BODY.PEEK[])", from))
	}
	time.Sleep(time.Duration(c.rng.IntN(20)) * time.Millisecond)
	if c.rng.IntN(2) == 0 {
		c.conn.(*net.TCPConn).SetLinger(0)
	}
	c.conn.Close()
	c.tally.breaks.Add(1)
	return c.connect()
}

// farewell compares what the client was told bit by bit with what the server says at once.
func (c *reader) farewell() error {
	if c.box == nil {
		return nil
	}
	if err := c.ok("NOOP", ""); err != nil {
		return err
	}
	told := slices.Clone(c.box.rows)
	name := c.box.name
	for i := range told {
		told[i].flags = slices.Clone(told[i].flags)
	}
	if err := c.open(name); err != nil || c.box == nil {
		return err
	}
	if err := c.allFlags(); err != nil {
		return err
	}
	if len(told) != len(c.box.rows) {
		return fmt.Errorf("mailbox %s: was told of %d messages, there are %d", name, len(told), len(c.box.rows))
	}
	for i, r := range c.box.rows {
		if w := told[i]; w.uid != 0 && w.uid != r.uid || w.flags != nil && !slices.Equal(w.flags, r.flags) {
			return fmt.Errorf("mailbox %s, message %d: was told UID %d, flags %v; it is UID %d, %v", name, i+1, w.uid, w.flags, r.uid, r.flags)
		}
	}
	return nil
}

// newReader is client number n.
func newReader(n int, l login, o *oracle, t *tally) *reader {
	return &reader{login: l, local: fmt.Sprintf("127.0.0.%d", 1+n/50), oracle: o, tally: t, rng: rand.New(rand.NewPCG(uint64(n), 26)), nextByBox: map[uint32]uint32{}}
}
