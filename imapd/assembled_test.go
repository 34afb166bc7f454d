package imapd

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"mailkeep/archive"
)

// What is kept of an answer is not given when a message has other flags, or another number, by now.
func TestAssembledIsNeverOutOfDate(t *testing.T) {
	s := newArchive(t)
	var b archive.Batch
	for i := range 400 {
		b.Copies = append(b.Copies, s.copyOf(fmt.Sprintf("Subject: %d\r\n\r\n", i), "INBOX"))
	}
	s.record(b)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for n, step := range []struct {
		change func()
		number int // of messages afterwards
	}{
		{func() {}, 400},
		{func() {}, 400},
		{func() { s.change(b.Copies[100].UID, "INBOX", `\Flagged`) }, 400},
		{func() { s.change(b.Copies[10].UID, "Elsewhere") }, 399},
		{func() { s.change(b.Copies[390].UID, "Elsewhere") }, 398},
		{func() { s.add("Subject: new\r\n\r\n", "INBOX", `\Seen`) }, 399},
	} {
		step.change()
		c.ok("NOOP")
		for _, items := range []string{"(FLAGS)", "(UID BODY.PEEK[HEADER.FIELDS (Subject)])", "(UID BODY.PEEK[HEADER.FIELDS (Subject)]<0.12>)"} {
			want := strings.TrimSuffix(inPieces(c, fmt.Sprintf("1:%d", step.number), items), "OK FETCH completed")
			if got := c.ok("FETCH 1:* " + items); got != want {
				t.Errorf("step %d, %s: %d bytes that differ from the %d of short commands", n, items, len(got), len(want))
			}
		}
	}
}

func TestAssembledIsBounded(t *testing.T) {
	var c assembled
	defer c.close()
	rows, out := make([]row, 1000), bytes.Repeat([]byte("r"), 100_000)
	for i := range rows {
		key := assembledKey{first: &rows[i], n: aheadRows, index: i, kind: "kind"}
		c.put(&key, out)
		if c.get(&key) == nil {
			t.Fatalf("part %d is not kept", i)
		}
		if n := len(c.young) + len(c.old); n*len(out) > assembledBytes {
			t.Fatalf("%d parts of %d bytes are kept", n, len(out))
		}
		if key.n--; c.get(&key) != nil {
			t.Fatal("a shorter part is taken for the longer one")
		}
	}
	if c.get(&assembledKey{}) != nil {
		t.Error("what is not to be kept is found")
	}
}

// panicking is the header field of a message over which the item X-PANICS does.
const panicking = "MIME-Version: 1.0; panics"

func init() {
	extraItems["X-PANICS"] = func(_ *fetcher, dst []byte, src *source) ([]byte, error) {
		if all, err := src.load(); err != nil || bytes.Contains(all, []byte(panicking)) {
			return dst[:cap(dst)+int(src.row.uid)], err
		}
		return append(dst, '1'), nil
	}
}

// lockedText is a log that several goroutines write to.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A panic costs one response, wherever it happens, and is told with the command and the message.
func TestPanicCostsOneMessage(t *testing.T) {
	s := newArchive(t)
	var b archive.Batch
	for i := range 300 {
		text := fmt.Sprintf("Subject: %d\r\n\r\n", i)
		if i == 99 {
			text = panicking + "\r\n" + text
		}
		b.Copies = append(b.Copies, s.copyOf(text, "INBOX"))
	}
	s.record(b)
	o, log := testOptions(), new(lockedText)
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	c := login(t, serve(t, s.w.Reader, o))
	c.ok("SELECT INBOX")
	for _, set := range []string{"95:105", "1:300"} {
		got, tagged := c.do("FETCH " + set + " (UID X-PANICS)")
		if !strings.HasPrefix(tagged, "NO [SERVERBUG] message UID 100 ") {
			t.Error(tagged)
		}
		if strings.Contains(got, "* 100 FETCH") || !strings.Contains(got, "* 99 FETCH (UID 99 X-PANICS 1)\r\n* 101 FETCH (UID 101 X-PANICS 1)\r\n") {
			t.Errorf("FETCH %s: %q", set, got)
		}
		for _, told := range []string{"command=FETCH uid=100 ", "out of range", "goroutine"} {
			if !strings.Contains(log.String(), told) {
				t.Errorf("the log lacks %q: %s", told, log)
			}
		}
		if strings.Contains(log.String(), "panics") {
			t.Errorf("the log tells what is in the message: %s", log)
		}
	}
	c.ok("NOOP")
}
