package imapd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// mailSource fills one account of an archive in the way of Gmail: messages with labels.
type mailSource struct {
	t       testing.TB
	w       *archive.Writer
	account archive.AccountID
	folder  archive.FolderID
	uid     uint32
}

func newSource(t testing.TB, w *archive.Writer, name string) *mailSource {
	t.Helper()
	a, err := w.EnsureAccount(context.Background(), name, archive.Gmail)
	if err != nil {
		t.Fatal(err)
	}
	s := &mailSource{t: t, w: w, account: a.ID}
	s.record(archive.Batch{Folders: []archive.FolderSpec{{Name: "[Gmail]/All Mail", Delimiter: "/"}}})
	folders, err := w.Folders(context.Background(), a.ID)
	if err != nil || len(folders) != 1 {
		t.Fatalf("folders: %v, %v", folders, err)
	}
	s.folder = folders[0].ID
	s.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: s.folder, UIDValidity: 7}}})
	return s
}

func (s *mailSource) record(b archive.Batch) {
	s.t.Helper()
	b.Account = s.account
	if _, err := s.w.Record(context.Background(), b); err != nil {
		s.t.Fatal(err)
	}
}

func (s *mailSource) mailbox(name, use string) {
	s.t.Helper()
	s.record(archive.Batch{Mailboxes: []archive.MailboxSpec{{Name: name, SpecialUse: use}}})
}

var testDate = time.Date(2021, 3, 4, 5, 6, 7, 0, time.FixedZone("", 2*3600))

// copyOf puts a message and returns what to record of it.
func (s *mailSource) copyOf(body, boxes string, flags ...string) archive.Copy {
	s.t.Helper()
	ref, _, err := s.w.Put(strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	s.uid++
	return archive.Copy{
		Folder: s.folder, UID: s.uid, Ref: ref, SourceID: strconv.Itoa(1000 + int(s.uid)), Date: testDate,
		Flags: flags, Mailboxes: strings.Split(boxes, ","),
	}
}

// add records one message in mailboxes separated by commas and returns its number at the source.
func (s *mailSource) add(body, boxes string, flags ...string) uint32 {
	s.t.Helper()
	s.record(archive.Batch{Copies: []archive.Copy{s.copyOf(body, boxes, flags...)}})
	return s.uid
}

// change gives a message other mailboxes and flags.
func (s *mailSource) change(uid uint32, boxes string, flags ...string) {
	s.t.Helper()
	s.record(archive.Batch{Copies: []archive.Copy{{
		Folder: s.folder, UID: uid, SourceID: strconv.Itoa(1000 + int(uid)), Flags: flags, Mailboxes: strings.FieldsFunc(boxes, func(r rune) bool { return r == ',' }),
	}}})
}

const password = "pass word"

func verify(p string) bool { return p == password }

// testOptions sees all accounts as user "u".
func testOptions() Options {
	return Options{
		Logins:       []Login{{User: "u", Verify: verify}},
		PollInterval: 10 * time.Millisecond,
		Logger:       slog.New(slog.NewTextHandler(io.Discard, nil)),
		Limits:       Limits{LoginDelay: time.Millisecond},
	}
}

// serve starts a server and returns its address.
func serve(t testing.TB, r *archive.Reader, o Options) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, r, o, ln)
	return ln.Addr().String()
}

func serveOn(t testing.TB, r *archive.Reader, o Options, ln net.Listener) *Server {
	t.Helper()
	s := New(r, o)
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

// client speaks IMAP as plain lines.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	n    int
}

// dial connects and reads the greeting.
func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, conn)
}

func newClient(t testing.TB, conn net.Conn) *client {
	t.Helper()
	c := &client{t: t, conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	c.expect("* OK ~")
	return c
}

// login connects as u.
func login(t testing.TB, addr string) *client {
	t.Helper()
	c := dial(t, addr)
	c.ok(`LOGIN u "` + password + `"`)
	return c
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatalf("send %q: %v", s, err)
	}
}

// line reads one line without its end.
func (c *client) line() string {
	c.t.Helper()
	s, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read: %q, %v", s, err)
	}
	return strings.TrimSuffix(s, "\r\n")
}

// expect reads a line that fits a pattern, in which ~ stands for anything.
func (c *client) expect(pattern string) string {
	c.t.Helper()
	line := c.line()
	if !fits(pattern, line) {
		c.t.Fatalf("got  %q\nwant %q", line, pattern)
	}
	return line
}

func fits(pattern, line string) bool {
	return regexp.MustCompile("^(?s:" + strings.ReplaceAll(regexp.QuoteMeta(pattern), "~", ".*") + ")$").MatchString(line)
}

// do sends a command and returns everything up to its tagged response, and that.
func (c *client) do(command string) (untagged, tagged string) {
	c.t.Helper()
	c.n++
	tag := fmt.Sprintf("t%d", c.n)
	c.send(tag + " " + command + "\r\n")
	return c.until(tag)
}

func (c *client) until(tag string) (untagged, tagged string) {
	c.t.Helper()
	var all strings.Builder
	tagged = c.copyUntil(tag, &all)
	return all.String(), tagged
}

// copyUntil writes everything up to a tagged response to w, and returns that.
func (c *client) copyUntil(tag string, w io.Writer) (tagged string) {
	c.t.Helper()
	for {
		line := c.line() + "\r\n"
		if rest, ok := strings.CutPrefix(line, tag+" "); ok {
			return strings.TrimSuffix(rest, "\r\n")
		}
		_, err := io.WriteString(w, line)
		if size, _, ok := literalAt([]byte(line)); ok && err == nil {
			_, err = io.CopyN(w, c.r, size)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// ok is do for a command that must succeed.
func (c *client) ok(command string) string {
	c.t.Helper()
	untagged, tagged := c.do(command)
	if !strings.HasPrefix(tagged, "OK") {
		c.t.Fatalf("%.1000s: %s%s", command, untagged, tagged)
	}
	return untagged
}

// talk plays a transcript: lines that begin with "C: " are sent, those with "S: " expected, as by expect. A "C: " line that ends in "\" is sent without a line end.
func (c *client) talk(transcript string) {
	c.t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(transcript), "\n") {
		line = strings.TrimLeft(line, "\t")
		if text, ok := strings.CutPrefix(line, "C: "); ok {
			if cut, ok := strings.CutSuffix(text, `\`); ok {
				c.send(cut)
			} else {
				c.send(text + "\r\n")
			}
			continue
		}
		text, ok := strings.CutPrefix(line, "S:")
		if !ok {
			c.t.Fatalf("transcript has %q", line)
		}
		text = strings.TrimPrefix(text, " ")
		got := c.line()
		if !fits(text, got) {
			c.t.Fatalf("got  %q\nwant %q", got, text)
		}
	}
}

// closed checks that the server has closed the connection.
func (c *client) closed() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Fatalf("connection not closed: %q, %v", rest, err)
	}
}

const simple = "From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: hello\r\nDate: Wed, 3 Mar 2021 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\n\r\nhello world\r\n"

// newArchive returns an empty archive with one account, me@example.org.
func newArchive(t testing.TB) *mailSource {
	t.Helper()
	return newSource(t, archivetest.New(t), "me@example.org")
}
