package integration

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/gmailsim"
	"mailkeep/integration/need"
	"mailkeep/integration/proxy"
	"mailkeep/integration/thunderbird"
)

// storedFirst are mailboxes that Thunderbird is made to store before the others, and that it recognizes among the labels of a message: it splits the list at
// blanks and looks for each word, with its quotes, among the names of folders, but for five of Gmail's own labels.
var storedFirst = []string{"[Gmail]/Drafts", "lists/choir", "lists/gophers", "work"}

// Thunderbird stores a whole archive in its profile, as it does by itself with every folder that has been opened, and is then used without a connection.
// Every message is there byte for byte; none is fetched twice from a mailbox, nor again from All Mail when it is stored under a label already.
func TestThunderbirdOffline(t *testing.T) {
	need.Program(t, "Xvfb", "xvfb")
	l := offlineArchive(t)
	want := served(t, l)
	said := &proxy.Transcript{}
	relay, err := proxy.Record(l.addr, said)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	tb := thunderbird.Start(t, thunderbird.Options{
		Accounts: []thunderbird.Account{{Addr: relay.Addr, User: l.user, Password: l.password, Name: "Archive"}},
	})
	names := slices.Sorted(maps.Keys(want))
	tb.Expand(l.user, names...)
	for _, f := range tb.Folders(l.user) {
		if f.Parent != "[Gmail]" && f.Under != f.Parent { // that folder is not shown
			t.Errorf("folder %q is shown under %q, want %q", f.Name, f.Under, f.Parent)
		}
	}
	start := time.Now()
	for _, some := range [][]string{storedFirst, names} {
		for _, name := range some {
			tb.Update(l.user, name, len(want[name]))
		}
		for _, name := range some {
			tb.Download(l.user, name, name == "[Gmail]/Spam" || name == "[Gmail]/Trash") // which Thunderbird does not store unless told to
		}
	}
	t.Logf("stored in %.1f s", time.Since(start).Seconds())
	tb.Keep("conversation.txt", []byte(said.String()))
	checkBodies(t, said, want)
	checkAnswers(t, said)

	tb.Offline(true)
	if err := relay.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range names {
		headers, sums := tb.Headers(l.user, name), tb.Sums(l.user, name)
		for i, m := range want[name] {
			if uid := headers[i].UID; sums[uid] != sha256.Sum256(asStored(m.raw)) {
				t.Errorf("%q, UID %d: stored is %.500q, in the archive %.500q", name, uid, tb.Stored(l.user, name, uid), m.raw)
			}
		}
	}
	tb.Open(l.user, "INBOX", tb.Headers(l.user, "INBOX")[3].UID)
	tb.Picture("offline")
	if alerts := tb.Alerts(); len(alerts) > 0 {
		t.Errorf("Thunderbird complains: %+v", alerts)
	}
}

// offlineArchive serves a Gmail account with ordinary messages and some that no program should have written.
func offlineArchive(t *testing.T) login {
	s, from := gmail(t, gmailsim.Options{})
	// With a label for each level, so that X-GM-EXT-1 is announced.
	if err := s.Load(gmailsim.Sample(400, 1), "lists", "Reisen", "work/Clients", "日本語"); err != nil {
		t.Fatal(err)
	}
	for i, body := range hostile() {
		if len(body) == 0 {
			continue // Thunderbird does not store what has no bytes
		}
		m := gmailsim.Message{Body: body, Date: time.Unix(1_200_000_000+int64(i), 0), Labels: []string{"Hostile", `\Inbox`}}
		if _, err := s.Deliver(m); err != nil {
			t.Fatal(err)
		}
	}
	k := newKeeper(t, from)
	run(t, k, "backup")
	return serve(t, k)
}

// asStored gives a message as Thunderbird 153 stores it. What a mail program has sent stays as it is; elsewhere Thunderbird writes CRLF for a bare LF and a blank
// for a NUL, ends the last line, puts an empty line behind a header without one, and ">" before "From " where a mailbox file would take it for the next message.
func asStored(raw []byte) []byte {
	s := bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	s = bytes.ReplaceAll(s, []byte{0}, []byte(" "))
	if !bytes.HasSuffix(s, []byte("\r\n")) {
		s = append(s, "\r\n"...)
	}
	if !bytes.HasPrefix(s, []byte("\r\n")) && !bytes.Contains(s, []byte("\r\n\r\n")) {
		s = append(s, "\r\n"...)
	}
	if bytes.HasPrefix(s, []byte("From ")) {
		s = append([]byte(">"), s...)
	}
	return s
}

var (
	// wholeMessage is a FETCH response with all bytes of a message.
	wholeMessage = regexp.MustCompile(`^\* (\d+) FETCH \(.*BODY\[\] (?:\{\d+\}|"|NIL)`)
	// selecting is a command that opens a mailbox.
	selecting = regexp.MustCompile(`(?i)^\S+ select "(.*)"$`)
)

// checkBodies looks which messages the server has sent whole.
func checkBodies(t *testing.T, said *proxy.Transcript, want account) {
	t.Helper()
	type place struct{ mailbox, number string }
	gmail, total := false, 0
	open, sent := map[int]string{}, map[place]int{}
	for _, line := range said.Lines() {
		if m := selecting.FindStringSubmatch(line.Text); m != nil && line.Client {
			open[line.Conn] = m[1]
		}
		gmail = gmail || !line.Client && strings.Contains(line.Text, " X-GM-EXT-1")
		if m := wholeMessage.FindStringSubmatch(line.Text); m != nil && !line.Client {
			at := place{open[line.Conn], m[1]}
			total++
			if sent[at]++; sent[at] == 2 {
				t.Errorf("message %s of %q was sent twice", at.number, at.mailbox)
			}
		}
	}
	if !gmail {
		t.Error("X-GM-EXT-1 is not announced")
	}
	known := storedElsewhere(want)
	for at := range sent {
		if at.mailbox == "[Gmail]/All Mail" && known[at.number] {
			t.Errorf("message %s of All Mail was sent, although it was stored under its label", at.number)
		}
	}
	distinct, _ := want.distinct()
	copies, _ := want.copies()
	t.Logf("%d messages under %d labels; %d whole messages were sent; %d of All Mail had been stored before", distinct, copies, total, len(known))
	if len(known) < 20 {
		t.Errorf("only %d messages of All Mail had been stored before", len(known))
	}
}

// storedElsewhere gives the numbers of the messages of All Mail that have just one label, of those that Thunderbird stores first.
func storedElsewhere(want account) map[string]bool {
	labels := map[[sha256.Size]byte][]string{}
	for name, messages := range want {
		for _, m := range messages {
			if name != "[Gmail]/All Mail" {
				labels[m.sum] = append(labels[m.sum], name)
			}
		}
	}
	out := map[string]bool{}
	for i, m := range want["[Gmail]/All Mail"] {
		if l := labels[m.sum]; len(l) == 1 && slices.Contains(storedFirst, l[0]) {
			out[strconv.Itoa(i+1)] = true
		}
	}
	return out
}
