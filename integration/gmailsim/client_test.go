package gmailsim

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// go-imap's client takes the server for an ordinary one.
func TestGoIMAPClient(t *testing.T) {
	s := New(Options{TLS: true, Locale: "de"})
	if err := s.Load(Sample(60, 3)); err != nil {
		t.Fatal(err)
	}
	c, err := imapclient.DialTLS(s.Start(t), &imapclient.Options{TLSConfig: s.ClientTLS()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("user@example.com", "password").Wait(); err != nil {
		t.Fatal(err)
	}
	boxes, err := c.List("", "*", &imap.ListOptions{ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, b := range boxes {
		for _, a := range b.Attrs {
			if a == imap.MailboxAttrAll {
				all = b.Mailbox
			}
		}
	}
	sel, err := c.Select(all, &imap.SelectOptions{ReadOnly: true, CondStore: true}).Wait()
	if err != nil || sel.NumMessages == 0 || sel.HighestModSeq == 0 {
		t.Fatalf("select %q: %+v, %v", all, sel, err)
	}
	search, err := c.UIDSearch(&imap.SearchCriteria{}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
	if err != nil || search.Count != sel.NumMessages {
		t.Fatalf("search: %+v, %v", search, err)
	}
	msgs, err := c.Fetch(imap.UIDSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{
		UID: true, Flags: true, InternalDate: true, RFC822Size: true, Envelope: true, ModSeq: true,
		BodyStructure: &imap.FetchItemBodyStructure{Extended: true}, BodySection: []*imap.FetchItemBodySection{{Peek: true}},
	}).Collect()
	if err != nil || len(msgs) != int(sel.NumMessages) {
		t.Fatalf("fetched %d of %d: %v", len(msgs), sel.NumMessages, err)
	}
	box, err := s.Snapshot().Mailbox(all)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range msgs {
		want, err := s.Message(box.Messages[i].ID)
		if err != nil {
			t.Fatal(err)
		}
		if uint32(m.UID) != box.Messages[i].UID || m.RFC822Size != want.Size || !bytes.Equal(m.BodySection[0].Bytes, want.Body()) ||
			!m.InternalDate.Equal(want.Date.Truncate(time.Second)) || m.Envelope.MessageID == "" || m.BodyStructure == nil {
			t.Fatalf("message %d: %+v", i, m)
		}
	}
	if got := s.Counters().Bodies; got != len(msgs) {
		t.Fatalf("%d bodies served for %d messages", got, len(msgs))
	}
	if err := c.Logout().Wait(); err != nil {
		t.Fatal(err)
	}
}

// Every part that BODYSTRUCTURE names can be fetched with the size it says.
func TestStructureAgreesWithParts(t *testing.T) {
	s := New(Options{})
	if err := s.Load(Sample(60, 4)); err != nil {
		t.Fatal(err)
	}
	c, err := imapclient.DialInsecure(s.Start(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("user@example.com", "password").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Select("[Gmail]/All Mail", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	msgs, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{BodyStructure: &imap.FetchItemBodyStructure{}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	parts := 0
	for _, m := range msgs {
		m.BodyStructure.Walk(func(path []int, part imap.BodyStructure) bool {
			single, ok := part.(*imap.BodyStructureSinglePart)
			if !ok {
				return true
			}
			parts++
			sec := &imap.FetchItemBodySection{Part: path, Peek: true}
			got, err := c.Fetch(imap.SeqSetNum(m.SeqNum), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{sec}}).Collect()
			if err != nil {
				t.Fatal(err)
			}
			if n := len(got[0].FindBodySection(sec)); n != int(single.Size) {
				t.Errorf("message %d part %v: %d bytes, structure says %d", m.SeqNum, path, n, single.Size)
			}
			return true
		})
	}
	if parts < 2*len(msgs)/2 {
		t.Fatalf("only %d parts in %d messages", parts, len(msgs))
	}
}

func TestAuthenticate(t *testing.T) {
	s := New(Options{Tokens: []string{"good"}})
	addr := s.Start(t)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	try := func(lines ...string) string {
		c := dial(t, addr)
		c.read()
		got := ""
		for _, l := range lines {
			c.send(l + "\r\n")
			got = c.read()
			for strings.HasPrefix(got, "* ") {
				got = c.read()
			}
		}
		return got
	}
	const yes = "a OK user@example.com authenticated (Success)"
	const no = "a NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"
	for _, tc := range []struct {
		want  string
		lines []string
	}{
		{yes, []string{"a AUTHENTICATE PLAIN " + b64("\x00user@example.com\x00password")}},
		{yes, []string{"a AUTHENTICATE PLAIN", b64("\x00user@example.com\x00password")}},
		{no, []string{"a AUTHENTICATE PLAIN", b64("\x00user@example.com\x00no")}},
		{"a BAD Authentication cancelled", []string{"a AUTHENTICATE PLAIN", "*"}},
		{"a BAD Invalid SASL argument.", []string{"a AUTHENTICATE PLAIN !!!"}},
		{yes, []string{"a AUTHENTICATE XOAUTH2 " + b64("user=user@example.com\x01auth=Bearer good\x01\x01")}},
		{no, []string{"a AUTHENTICATE XOAUTH2 " + b64("user=user@example.com\x01auth=Bearer bad\x01\x01"), ""}},
		{yes, []string{"a AUTHENTICATE OAUTHBEARER " + b64("n,a=user@example.com,\x01host=h\x01port=993\x01auth=Bearer good\x01\x01")}},
		{no, []string{"a AUTHENTICATE OAUTHBEARER " + b64("n,a=other@example.com,\x01auth=Bearer good\x01\x01"), ""}},
		{"a NO [CANNOT] Unsupported mechanism (Failure)", []string{"a AUTHENTICATE GSSAPI"}},
	} {
		if got := try(tc.lines...); got != tc.want {
			t.Errorf("%q: got %s", tc.lines, got)
		}
	}
	s.SetCredentials("new", "fresh")
	if got := try(`a LOGIN user@example.com password`); got != no {
		t.Errorf("old password: %s", got)
	}
}

func TestCompressIsRawDeflate(t *testing.T) {
	s := filled(t, 20)
	addr := s.Start(t)
	c := login(t, addr)
	c.ok("a COMPRESS DEFLATE")
	w, err := flate.NewWriter(c.conn, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	raw := c.in
	c.in = bufio.NewReader(flate.NewReader(raw))
	do := func(cmd string) []string {
		t.Helper()
		if _, err := io.WriteString(w, cmd+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		return c.until(cmd[:1])
	}
	if got := do("b CAPABILITY")[0]; strings.Contains(got, "COMPRESS") {
		t.Fatalf("offered twice: %s", got)
	}
	do("c SELECT INBOX")
	if got := do("d UID FETCH 1:* (BODY.PEEK[])"); !strings.HasPrefix(got[len(got)-1], "d OK") {
		t.Fatal(got)
	}
	z := login(t, addr)
	z.ok("a COMPRESS DEFLATE")
	zw := zlib.NewWriter(z.conn)
	io.WriteString(zw, "b NOOP\r\n")
	if err := zw.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := z.rest(); got != "" {
		t.Fatalf("a zlib header must close the connection, got %q", got)
	}
}

func TestStartTLS(t *testing.T) {
	s := New(Options{Generic: &Generic{Delimiter: "/", StartTLS: true}})
	c := dial(t, s.Start(t))
	c.read()
	c.play("C: a LOGIN user@example.com password\nS: a NO [PRIVACYREQUIRED] Use STARTTLS first\n" +
		"C: b STARTTLS\nS: b OK Begin TLS negotiation now")
	secure := tls.Client(c.conn, s.ClientTLS())
	c.conn, c.in = secure, bufio.NewReader(secure)
	c.ok("c LOGIN user@example.com password")
}

func TestPythonIMAPLib(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed (Debian package python3)")
	}
	s := New(Options{})
	if err := s.Load(Sample(40, 5)); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(s.Start(t), ":")
	script := fmt.Sprintf(`
import imaplib
m = imaplib.IMAP4(%q, %s)
m.login("user@example.com", "password")
assert "X-GM-EXT-1" in m.capabilities, m.capabilities
typ, boxes = m.list()
assert typ == "OK" and any(b'\\All' in b for b in boxes), boxes
typ, n = m.select('"[Gmail]/All Mail"')
assert typ == "OK" and int(n[0]) > 10, n
typ, data = m.uid("FETCH", "1:*", "(X-GM-MSGID X-GM-THRID X-GM-LABELS BODY.PEEK[])")
assert typ == "OK" and sum(isinstance(d, tuple) for d in data) == int(n[0])
typ, data = m.uid("SEARCH", None, "X-GM-RAW", '"has:attachment"')
assert typ == "OK" and len(data[0].split()) > 0, data
typ, data = m.create("imaplib/label")
assert typ == "OK"
typ, data = m.append("imaplib/label", "", imaplib.Time2Internaldate(1000000000), b"Message-ID: <p@example.org>\r\nSubject: hi\r\n\r\nhello\r\n")
assert typ == "OK", data
typ, data = m.uid("STORE", "1", "+X-GM-LABELS", "(imaplib/label)")
assert typ == "OK" and b"imaplib/label" in data[0], data
typ, data = m.status("imaplib/label", "(MESSAGES)")
assert b"MESSAGES 2" in data[0], data
m.close()
m.logout()
print("fine")
`, host, port)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, "-c", script).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "fine" {
		t.Fatalf("imaplib: %v\n%s", err, out)
	}
}

// Several clients read, store, idle and append while the account changes
// under them; at the end a fresh look agrees with the snapshot.
func TestManyClientsAndMutations(t *testing.T) {
	s := New(Options{MaxConns: -1})
	if err := s.Load(Sample(80, 6)); err != nil {
		t.Fatal(err)
	}
	addr := s.Start(t)
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			busyClient(t, addr, k)
		}()
	}
	mutate(t, s)
	wg.Wait()
	checkCounters(t, s)
	c := login(t, addr)
	for _, b := range s.Snapshot().Mailboxes {
		if b.NoSelect {
			continue
		}
		got := c.ok(fmt.Sprintf("a EXAMINE %s", mailboxWire(b.Name, false)))
		if !strings.Contains(strings.Join(got, "\n"), fmt.Sprintf("* %d EXISTS", len(b.Messages))) {
			t.Errorf("%s: %d in the snapshot, %q", b.Name, len(b.Messages), got)
		}
	}
}

func busyClient(t *testing.T, addr string, k int) {
	c := dial(t, addr)
	c.conn.SetDeadline(time.Now().Add(60 * time.Second))
	c.read()
	c.do("a LOGIN user@example.com password")
	rng := rand.New(rand.NewPCG(uint64(k), 1))
	boxes := []string{"INBOX", `"[Gmail]/All Mail"`, `"[Gmail]/Trash"`, "work"}
	for i := range 60 {
		switch rng.IntN(6) {
		case 0:
			c.do("b SELECT " + boxes[rng.IntN(len(boxes))])
		case 1:
			c.do("c UID FETCH 1:* (UID FLAGS MODSEQ X-GM-LABELS X-GM-MSGID BODY.PEEK[HEADER])")
		case 2:
			c.do(fmt.Sprintf("d UID STORE %d:%d +X-GM-LABELS (busy%d)", i, i+5, k))
		case 3:
			c.do(fmt.Sprintf(`e STORE %d -FLAGS (\Seen)`, i+1))
		case 4:
			c.do(fmt.Sprintf("f UID MOVE %d work", i+1))
		case 5:
			c.send("g IDLE\r\n")
			if line := c.read(); strings.HasPrefix(line, "+") {
				c.send("DONE\r\n")
				c.until("g")
			}
		}
	}
}

func mutate(t *testing.T, s *Server) {
	rng := rand.New(rand.NewPCG(9, 9))
	for i := range 150 {
		id, err := s.Deliver(Message{Body: rfcMail(fmt.Sprint("m", i), "x"), Labels: []string{`\Inbox`, "work"}, Date: march})
		if err != nil {
			t.Error(err)
			return
		}
		switch rng.IntN(5) {
		case 0:
			err = s.MoveToTrash(id)
		case 1:
			err = s.SetFlags(id, `\Seen`, `\Flagged`)
		case 2:
			err = s.SetLabels(id, "work", fmt.Sprint("l", i%7))
		case 3:
			err = s.Expunge(id)
		case 4:
			err = s.RemoveLabels(id, `\Inbox`)
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// checkCounters recounts what the store keeps as it goes.
func checkCounters(t *testing.T, s *Server) {
	t.Helper()
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	for _, b := range s.st.boxes {
		unseen, last := 0, uint32(0)
		for _, p := range b.places {
			if !p.msg.flags.has(flagSeen) {
				unseen++
			}
			if p.uid <= last || p.gone || p.msg.in(b) != p || s.st.msgs[p.msg.id] != p.msg {
				t.Fatalf("%q: broken place %+v after UID %d", b.name, p, last)
			}
			last = p.uid
		}
		if unseen != b.unseen || last >= b.uidNext {
			t.Fatalf("%q: unseen %d, counted %d; uidnext %d, last %d", b.name, b.unseen, unseen, b.uidNext, last)
		}
	}
	for id, m := range s.st.msgs {
		exiled := m.in(s.st.system[kindTrash]) != nil || m.in(s.st.system[kindSpam]) != nil
		if exiled && len(m.places) != 1 || !exiled && m.in(s.st.system[kindAll]) == nil {
			t.Fatalf("message %d has places %v", id, s.st.labelsOf(m, nil))
		}
		if starred := m.in(s.st.system[kindStarred]) != nil; !exiled && starred != m.flags.has(flagFlagged) {
			t.Fatalf("message %d: starred %v, flags %v", id, starred, m.flags.names())
		}
	}
}
