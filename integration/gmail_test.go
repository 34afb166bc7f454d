package integration

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/program"
)

// gmail starts a simulated account and gives it with its entry for the configuration.
func gmail(t *testing.T, opt gmailsim.Options) (*gmailsim.Server, program.Account) {
	t.Helper()
	s := gmailsim.New(opt)
	return s, program.Account{Name: "me", Addr: s.Start(t), User: "user@example.com", Password: "password"}
}

// shown is what every mailbox of a simulated account holds.
func shown(s *gmailsim.Server) account {
	snap := s.Snapshot()
	messages := map[gmailsim.MsgID]mail{}
	for _, m := range snap.Messages {
		raw := m.Body()
		messages[m.ID] = mail{raw: raw, sum: sha256.Sum256(raw), size: len(raw), date: m.Date.UTC().Truncate(time.Second)}
	}
	all := account{}
	for _, box := range snap.Mailboxes {
		if box.NoSelect || box.Hidden {
			continue
		}
		all[box.Name] = nil
		for _, u := range box.Messages {
			all[box.Name] = append(all[box.Name], withFlags(messages[u.ID], u.Flags))
		}
	}
	// Muted is a label without a mailbox at Gmail; it is served like any other.
	muted := path.Dir(s.FolderName(`\All`)) + "/Muted"
	for _, m := range snap.Messages {
		if slices.Contains(m.Labels, `\Muted`) {
			all[muted] = append(all[muted], withFlags(messages[m.ID], m.Flags))
		}
	}
	return all
}

// withFlags gives a message with flags as compare wants them.
func withFlags(m mail, flags []string) mail {
	for _, f := range flags {
		if f := strings.ToLower(f); f != `\recent` {
			m.flags = append(m.flags, f)
		}
	}
	slices.Sort(m.flags)
	return m
}

// compareLabels compares mailboxes of one account with each other, whatever the order of their messages.
func compareLabels(t *testing.T, want, got account) {
	t.Helper()
	for name, messages := range want {
		served, ok := got[name]
		if !ok {
			t.Errorf("mailbox %q is missing; there are %q", name, slices.Sorted(maps.Keys(got)))
			continue
		}
		count := map[string]int{}
		key := func(m mail) string { return fmt.Sprintf("%x %q %d %v", m.sum[:8], m.flags, m.size, m.date) }
		for _, m := range messages {
			count[key(m)]++
		}
		for _, m := range served {
			count[key(m)]--
		}
		for k, n := range count {
			if n != 0 {
				t.Errorf("mailbox %q: %+d of %s", name, -n, k)
			}
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("mailbox %q is served, but not at the source", name)
		}
	}
}

// oddLabels are labels that programs have stumbled over.
var oddLabels = []string{"R&D", "work/project x", "Übung/日本語/🎉", "+x", "(paren)", "[brackets]", `say "hi"`, "50%", "star*", "a.b.c", "Receipts/2024/12"}

// An account with every kind of label, and every message of the corpus, byte for byte under each of its labels.
func TestGmail(t *testing.T) {
	for _, locale := range []string{"en-US", "de", "ja"} {
		t.Run(locale, func(t *testing.T) { testGmail(t, locale) })
	}
}

func testGmail(t *testing.T, locale string) {
	s, account := gmail(t, gmailsim.Options{Locale: locale})
	if err := s.Load(gmailsim.Sample(400, 7), "Empty label"); err != nil {
		t.Fatal(err)
	}
	bodies := hostile()
	if locale == "en-US" {
		for _, f := range corpusMessages(t) {
			raw, err := os.ReadFile(f.path)
			if err != nil {
				t.Fatal(err)
			}
			bodies = append(bodies, raw)
		}
	}
	for i, body := range bodies {
		labels := []string{oddLabels[i%len(oddLabels)], oddLabels[(i*7+1)%len(oddLabels)]}
		switch i % 9 {
		case 3:
			labels = []string{`\Trash`}
		case 5:
			labels = []string{`\Spam`}
		case 7:
			labels = append(labels, `\Inbox`, `\Important`, `\Starred`)
		}
		m := gmailsim.Message{Body: body, Date: time.Unix(1_200_000_000+int64(i)*7777, 0), Labels: slices.Compact(labels), Flags: []string{`\Seen`, "$Custom"}[:i%3%2+i%2]}
		if _, err := s.Deliver(m); err != nil {
			t.Fatalf("message %d with labels %q: %v", i, labels, err)
		}
	}
	k := newKeeper(t, account)
	t.Logf("first backup: %s", run(t, k, "backup"))
	c := s.Counters()
	if n := len(s.Snapshot().Messages); c.Bodies != n {
		t.Errorf("%d bodies were downloaded for %d messages", c.Bodies, n)
	}
	checkNothingChangedAtSource(t, c)
	l := serve(t, k)
	got := served(t, l)
	compareLabels(t, shown(s), got)
	checkSpecialUse(t, s, l)
	if locale == "en-US" {
		compareSignatures(t, bodies, got)
	}

	s.ResetCounters()
	out := run(t, k, "backup")
	if c := s.Counters(); c.Bodies != 0 {
		t.Errorf("a second run downloads %d bodies", c.Bodies)
	}
	t.Logf("second run: %d bytes, commands %v: %s", s.Counters().BytesOut, s.Counters().Commands, out)
	compareLabels(t, shown(s), served(t, l))
}

// The archive of a Gmail account in other programs: each label a mailbox, each message as the source had it.
func TestGmailClients(t *testing.T) {
	s, from := gmail(t, gmailsim.Options{})
	if err := s.Load(gmailsim.Sample(400, 7)); err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t, from)
	run(t, k, "backup")
	l := serve(t, k)
	want := served(t, l)
	compareLabels(t, shown(s), want)
	source := login{from.Addr, from.User, from.Password}
	const mailbox, word = "INBOX", "the"
	hits := search(t, source, mailbox, word)
	if len(hits) == 0 {
		t.Errorf("the source has no %q to be found", word)
	}
	t.Run("mbsync", func(t *testing.T) { comparePulled(t, l, want) })
	t.Run("curl", func(t *testing.T) { testCurl(t, l, mailbox, want[mailbox], word, hits) })
	t.Run("imaplib", func(t *testing.T) { testImaplib(t, l, mailbox, want[mailbox], len(want), word, hits) })
	t.Run("neomutt", func(t *testing.T) { testNeomutt(t, l, want, mailbox, "Receipts", word, hits) })
	compareLabels(t, shown(s), served(t, l))
}

// checkNothingChangedAtSource looks for commands that can change an account.
func checkNothingChangedAtSource(t *testing.T, c gmailsim.Counters) {
	t.Helper()
	for name, n := range c.Commands {
		for _, verb := range []string{"STORE", "COPY", "MOVE", "EXPUNGE", "APPEND", "SELECT", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "CLOSE"} {
			if strings.HasSuffix(name, verb) {
				t.Errorf("the backup sent %d times %s", n, name)
			}
		}
	}
}

// checkSpecialUse compares what LIST says of the system folders.
func checkSpecialUse(t *testing.T, s *gmailsim.Server, l login) {
	t.Helper()
	c := connect(t, l)
	defer c.Close()
	list, err := c.List("", "*", &imap.ListOptions{ReturnSpecialUse: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	attrs := map[string][]imap.MailboxAttr{}
	for _, box := range list {
		attrs[box.Mailbox] = box.Attrs
	}
	for _, box := range s.Snapshot().Mailboxes {
		if box.Attr != "" && !box.Hidden && !slices.Contains(attrs[box.Name], imap.MailboxAttr(box.Attr)) {
			t.Errorf("mailbox %q is listed with %v, without %s", box.Name, attrs[box.Name], box.Attr)
		}
	}
}

// hostile are messages that no mail program should have written.
func hostile() [][]byte {
	return [][]byte{
		{},
		[]byte("\r\n"),
		[]byte("\n"),
		[]byte("x"),
		[]byte("Subject: header only\r\n"),
		[]byte("Subject: no line end"),
		[]byte("Subject: NUL\r\n\r\na\x00b\x00\r\n"),
		[]byte("Subject: NUL \x00 in the header\r\n\r\nbody\r\n"),
		[]byte("Subject: bare LF\n\nline\nline\n"),
		[]byte("Subject: bare CR\r\rline\rline"),
		[]byte("\xef\xbb\xbfSubject: a mark first\r\n\r\nbody"),
		[]byte("Subject: 8 bit \xff\xfe\x80\r\n\r\n\xff\xfe\x80"),
		[]byte("From the start\r\nno header at all\r\n"),
		append([]byte("X-Long: "), append(bytes.Repeat([]byte("y"), 1<<20), "\r\n\r\nbody\r\n"...)...),
		append([]byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n"), bytes.Repeat([]byte("--b\r\n\r\npart\r\n"), 10_000)...),
		[]byte("Subject: a literal {5}\r\n\r\n{5}\r\nhello)\r\n* 1 EXISTS\r\na1 OK\r\n"),
	}
}

// What changes at the source between two runs: labels added, taken away, renamed and deleted; flags; new mail; messages thrown away for ever;
// a new UIDVALIDITY. Nothing known is downloaded again, and what vanished is kept.
func TestGmailChanges(t *testing.T) {
	s, account := gmail(t, gmailsim.Options{Expunge: gmailsim.ExpungeForever})
	if err := s.Load(gmailsim.Sample(300, 8)); err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"old name", "to be deleted", "other"} {
		if err := s.CreateLabel(label); err != nil {
			t.Fatal(err)
		}
	}
	ids := func() (out []gmailsim.MsgID) {
		for _, m := range s.Snapshot().Messages {
			out = append(out, m.ID)
		}
		return out
	}()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids[:20] {
		must(s.AddLabels(id, "old name", "to be deleted"))
	}
	k := newKeeper(t, account)
	run(t, k, "backup")
	l := serve(t, k)
	compareLabels(t, shown(s), served(t, l))

	kept, err := s.Message(ids[30])
	must(err)
	for _, step := range []struct {
		name   string
		change func()
		bodies int
	}{
		{"labels added", func() { must(s.AddLabels(ids[40], "other", `\Inbox`, "brand new")) }, 0},
		{"labels removed", func() { must(s.RemoveLabels(ids[0], "old name")) }, 0},
		{"flags changed", func() { must(s.SetFlags(ids[1], `\Answered`, "$Phishing")) }, 0},
		{"new mail", func() {
			_, err := s.Deliver(gmailsim.Message{Body: []byte("Subject: new\r\n\r\nnew\r\n"), Labels: []string{`\Inbox`, "other"}})
			must(err)
		}, 1},
		{"label renamed", func() { must(s.RenameLabel("old name", "new name/below")) }, 0},
		{"label deleted", func() { must(s.DeleteLabel("to be deleted")) }, 0},
		{"moved to trash", func() { must(s.MoveToTrash(ids[50])) }, 0},
		{"new UIDVALIDITY", func() { must(s.ChangeUIDValidity(s.FolderName(`\All`))) }, 0},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.change()
			s.ResetCounters()
			run(t, k, "backup")
			if c := s.Counters(); c.Bodies != step.bodies {
				t.Errorf("%d bodies were downloaded, want %d", c.Bodies, step.bodies)
			}
			compareLabels(t, shown(s), served(t, l))
		})
	}
	t.Run("gone for ever", func(t *testing.T) {
		must(s.Expunge(ids[30]))
		run(t, k, "backup")
		got := served(t, l)
		sum := sha256.Sum256(kept.Body())
		has := func(m mail) bool { return m.sum == sum }
		for name := range kept.UIDs {
			if !slices.ContainsFunc(got[name], has) {
				t.Errorf("mailbox %q no longer shows a message that vanished at the source", name)
			}
		}
		if !slices.ContainsFunc(got[archive.GoneMailbox], has) {
			t.Errorf("%q does not show the message that vanished", archive.GoneMailbox)
		}
	})
}
