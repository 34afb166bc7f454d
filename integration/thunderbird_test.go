package integration

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/need"
	"mailkeep/integration/program"
	"mailkeep/integration/proxy"
	"mailkeep/integration/thunderbird"
	"mailkeep/web"
)

// desk is a person at a Thunderbird, with an archive and a live account in it.
type desk struct {
	*thunderbird.Thunderbird
	source *gmailsim.Server
	from   login // the source of the archive
	kept   login
	want   account // what the archive holds, in the order of UIDs
	said   *proxy.Transcript
	live   login
	large  login  // another archive, with one large mailbox
	page   string // address of the page that serves settings
}

// restored is the mailbox of the live account into which messages are dragged.
const restored = "Aus dem Archiv/Übung & mehr"

// largeSize is the number of messages in the large mailbox.
const largeSize = 20_000

// A real Thunderbird on the archive of a Gmail account: all that its users do with old mail, and what they try in vain.
func TestThunderbird(t *testing.T) {
	need.Program(t, "Xvfb", "xvfb") // before the slow preparations
	d := newDesk(t)
	for _, step := range []struct {
		name string
		run  func(*desk, *testing.T)
	}{
		{"settings found from an address", (*desk).testLookUp},
		{"folders with their names and special uses", (*desk).testFolders},
		{"message lists", (*desk).testHeaders},
		{"every folder is read-only", (*desk).testReadOnly},
		{"dragging restores", (*desk).testDrag},
		{"messages as they were written", (*desk).testRead},
		{"search in bodies on the server", (*desk).testSearch},
		{"what would change the archive is greyed or refused", (*desk).testRefusals},
		{"a mailbox of 20,000", (*desk).testLarge},
	} {
		t.Run(step.name, func(t *testing.T) {
			start := time.Now()
			now := *d
			now.Thunderbird = d.For(t)
			step.run(&now, t)
			if alerts := now.Alerts(); len(alerts) > 0 {
				t.Errorf("Thunderbird complains: %+v", alerts)
			}
			t.Logf("%.1f s", time.Since(start).Seconds())
		})
	}
	d.Keep("conversation.txt", []byte(d.said.String()))
	checkAnswers(t, d.said)
	compareAccounts(t, d.want, served(t, d.kept))
}

// newDesk makes the archives by backing up, and starts everything.
func newDesk(t *testing.T) *desk {
	s, from := gmail(t, gmailsim.Options{})
	if err := s.Load(gmailsim.Sample(400, 1), gmailsim.SampleLabels...); err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t, from)
	run(t, k, "backup")
	d := &desk{source: s, from: login{from.Addr, from.User, from.Password}, said: &proxy.Transcript{}}
	d.kept = serve(t, k)
	relay, err := proxy.Record(d.kept.addr, d.said)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { relay.Close() })
	d.want = served(t, d.kept)

	large := largeArchive(t)
	d.large = serve(t, large)
	live := dovecot.New(t, dovecot.Options{NoFsync: true, Users: []dovecot.User{{Name: "live"}}})
	d.live = login{live.Addr, "live", "pass"}
	c := connect(t, d.live)
	defer c.Close()
	for _, err := range []error{c.Create(restored, nil).Wait(), c.Subscribe("INBOX").Wait(), c.Subscribe(restored).Wait()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d.page = servePage(t, d.kept)
	_, pagePort, err := net.SplitHostPort(d.page)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(pagePort)
	if err != nil {
		t.Fatal(err)
	}
	d.Thunderbird = thunderbird.Start(t, thunderbird.Options{
		Accounts: []thunderbird.Account{
			{Addr: relay.Addr, User: d.kept.user, Password: d.kept.password, Name: "Archive"},
			{Addr: live.Addr, User: "live", Password: "pass", Name: "Live"},
			{Addr: d.large.addr, User: d.large.user, Password: d.large.password, Name: "Large archive"},
		},
		Prefs: map[string]any{
			// What a test has not asked for would come at any time.
			"mail.server.default.autosync_offline_stores": false,
			// Every host is the page that serves settings.
			"network.proxy.http_port": number,
		},
	})
	t.Logf("Thunderbird %s", d.Version)
	return d
}

// pageHost is the name of the machine on which the archive's page is.
const pageHost = "archive.example.org"

// servePage serves the page of an archive and gives its address.
func servePage(t *testing.T, l login) string {
	t.Helper()
	host, port, err := net.SplitHostPort(l.addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(web.Handler(web.Options{
		Servers: []web.Server{{Host: host, Port: n, Security: web.Plain}}, Logins: []web.Login{{User: "somebody"}, {User: l.user}}, Hosts: []string{pageHost},
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// testLookUp lets Thunderbird find the settings of an address by itself. It asks over HTTPS first, which leads nowhere here.
func (d *desk) testLookUp(t *testing.T) {
	host, port, err := net.SplitHostPort(d.kept.addr)
	if err != nil {
		t.Fatal(err)
	}
	got := d.LookUp(d.kept.user + "@" + pageHost)
	if got.Type != "imap" || got.Hostname != host || strconv.Itoa(got.Port) != port || got.SocketType != 0 || got.Auth != 3 || got.Username != d.kept.user {
		t.Errorf("Thunderbird finds %+v", got)
	}
	if !strings.HasSuffix(got.Sender, ".invalid") {
		t.Errorf("Thunderbird would send by %q", got.Sender)
	}
}

// largeArchive is an archive with a mailbox "Large".
func largeArchive(t *testing.T) *program.Keeper {
	s, from := gmail(t, gmailsim.Options{})
	for i := range largeSize {
		date := time.Unix(1_000_000_000+int64(i)*600, 0).UTC()
		err := deliver(s, date, "Large", "Message-ID: <%d@example.org>\r\nDate: %s\r\nFrom: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: letter %d\r\n\r\nText %d.\r\n",
			i, date.Format(time.RFC1123Z), i, i)
		if err != nil {
			t.Fatal(err)
		}
	}
	k := newKeeper(t, from)
	k.User = "large" // accounts of a profile need different names on one host
	if err := k.Configure(from); err != nil {
		t.Fatal(err)
	}
	run(t, k, "backup")
	return k
}

func deliver(s *gmailsim.Server, date time.Time, label, format string, args ...any) error {
	_, err := s.Deliver(gmailsim.Message{Body: fmt.Appendf(nil, format, args...), Date: date, Labels: []string{label}, Flags: []string{`\Seen`}})
	return err
}

// checkAnswers looks for commands that the server has not understood, and for refusals with another sentence than that of an archive.
func checkAnswers(t *testing.T, said *proxy.Transcript) {
	t.Helper()
	tagged := regexp.MustCompile(`^\S+ (OK|NO|BAD)\b`)
	for _, line := range said.Lines() {
		if line.Client {
			continue
		}
		m := tagged.FindStringSubmatch(line.Text)
		if m != nil && (m[1] == "BAD" || m[1] == "NO" && !strings.Contains(line.Text, "[NOPERM] this is an archive")) {
			t.Errorf("the server says %q", line.Text)
		}
	}
}

// special is what Thunderbird takes Gmail's mailboxes for: it gives them an icon, and translates their names.
var special = map[string][]string{
	"INBOX":             {"Inbox"},
	"[Gmail]/All Mail":  {"Archive", "AllMail"},
	"[Gmail]/Drafts":    {"Drafts"},
	"[Gmail]/Sent Mail": {"SentMail"},
	"[Gmail]/Spam":      {"Junk"},
	"[Gmail]/Trash":     {"Trash"},
}

// shownOtherwise are the folders with another name in Thunderbird than their last part: special ones, and what it takes for modified UTF-7 even where the
// server has said that names are UTF-8.
var shownOtherwise = map[string]string{"INBOX": "Inbox", "[Gmail]/Sent Mail": "Sent", "Notes&-Ideas": "Notes&Ideas"}

func (d *desk) testFolders(t *testing.T) {
	parents := map[string]bool{}
	for name := range d.want {
		for p := path.Dir(name); p != "."; p = path.Dir(p) {
			if _, ok := d.want[p]; !ok {
				parents[p] = true
			}
		}
	}
	d.Expand(d.kept.user, append(slices.Collect(maps.Keys(d.want)), slices.Collect(maps.Keys(parents))...)...)
	d.Expand(d.live.user, dovecot.EncodeName(restored))
	d.Expand(d.large.user, "Large")
	found := map[string]bool{}
	for _, f := range d.Folders(d.kept.user) {
		found[f.Name] = true
		_, exists := d.want[f.Name]
		if !exists && !parents[f.Name] && f.Name != archive.GoneMailbox {
			t.Errorf("folder %q is not on the server", f.Name)
		}
		shown := shownOtherwise[f.Name]
		if shown == "" {
			shown = path.Base(f.Name)
		}
		if f.Shown != shown {
			t.Errorf("folder %q is shown as %q, want %q", f.Name, f.Shown, shown)
		}
		if f.Parent != strings.TrimPrefix(path.Dir(f.Name), ".") {
			t.Errorf("folder %q is below %q", f.Name, f.Parent)
		}
		if f.Under != f.Parent {
			t.Errorf("folder %q is shown under %q, want %q", f.Name, f.Under, f.Parent)
		}
		if f.NoSelect != parents[f.Name] {
			t.Errorf("folder %q: not selectable is %v", f.Name, f.NoSelect)
		}
		if !slices.Equal(f.Special, special[f.Name]) {
			t.Errorf("folder %q is taken for %v, want %v", f.Name, f.Special, special[f.Name])
		}
	}
	for name := range d.want {
		if !found[name] {
			t.Errorf("there is no folder %q", name)
		}
	}
}

func (d *desk) testHeaders(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(d.want)) {
		want := d.want[name]
		d.Update(d.kept.user, name, len(want))
		for i, h := range d.Headers(d.kept.user, name) {
			m := want[i]
			if h.Size != m.size || h.Read != slices.Contains(m.flags, `\seen`) || h.Starred != slices.Contains(m.flags, `\flagged`) {
				t.Errorf("%q, UID %d: %+v, want %d bytes and flags %v", name, h.UID, h, m.size, m.flags)
			}
			header := parseLetter(t, m.raw)
			if h.MessageID != header.id || h.Subject != listed(header.subject) {
				t.Errorf("%q, UID %d: message %q with subject %q, want %q, %q", name, h.UID, h.MessageID, h.Subject, header.id, listed(header.subject))
			}
		}
	}
	for _, f := range d.Folders(d.kept.user) {
		unread := 0
		for _, m := range d.want[f.Name] {
			if !slices.Contains(m.flags, `\seen`) {
				unread++
			}
		}
		if f.Total != len(d.want[f.Name]) || f.Unread != unread {
			t.Errorf("%q: %d messages, %d unread; want %d, %d", f.Name, f.Total, f.Unread, len(d.want[f.Name]), unread)
		}
	}
	d.Show(d.kept.user, "INBOX")
	d.Picture("inbox")
}

// listed is how a message list shows a subject: with at most one "Re: " before it.
func listed(subject string) string { return replies.ReplaceAllString(subject, "Re: ") }

var replies = regexp.MustCompile(`(?i)^(re: *)+`)

func (d *desk) testReadOnly(t *testing.T) { d.ReadOnly(d.kept.user) }

// testDrag drags without a key held down, which between accounts moves, unless the source is read-only.
func (d *desk) testDrag(t *testing.T) {
	target := dovecot.EncodeName(restored) // Dovecot does not speak UTF-8
	var want []mail
	for _, name := range []string{"INBOX", "Семья", "R&D", "work/Clients/Åkerlund & Söner"} {
		headers := d.Headers(d.kept.user, name)
		var uids []int
		for i := 0; i < len(headers); i += 1 + len(headers)/8 {
			uids = append(uids, headers[i].UID)
			want = append(want, d.want[name][i])
		}
		if did := d.Drop(d.kept.user, name, uids, d.live.user, target); did != "copy" {
			t.Errorf("dropping messages of %q on a live account is a %s", name, did)
		}
		if n := len(d.Headers(d.kept.user, name)); n != len(headers) {
			t.Errorf("%q shows %d messages after the drag, had %d", name, n, len(headers))
		}
	}
	got := readAccount(t, d.live)[restored]
	if len(got) != len(want) {
		t.Fatalf("%d messages have arrived, want %d", len(got), len(want))
	}
	for i, m := range want {
		g := got[i]
		if !bytes.Equal(g.raw, m.raw) {
			t.Errorf("copy %d differs: %q, want %q", i, g.raw, m.raw)
		}
		if !slices.Equal(g.flags, m.flags) {
			t.Errorf("copy %d has flags %v, want %v", i, g.flags, m.flags)
		}
		// Thunderbird never asks for the internal date, and gives copies that of the Date field.
		if date := parseLetter(t, m.raw).date; !g.date.Equal(date) {
			t.Errorf("copy %d has the date %v, want %v", i, g.date, date)
		}
	}
	d.Show(d.live.user, target)
	d.Update(d.live.user, target, len(want))
	d.Picture("restored")
	// The other way nothing is taken.
	for _, name := range []string{"INBOX", "[Gmail]/Trash", "family"} {
		if did := d.Drop(d.live.user, target, []int{d.Headers(d.live.user, target)[0].UID}, d.kept.user, name); did != "none" {
			t.Errorf("dropping a message on %q of the archive is a %s", name, did)
		}
	}
}

func (d *desk) testRead(t *testing.T) {
	read, kinds := 0, map[string]int{}
	for name, step := range map[string]int{"[Gmail]/All Mail": 20, "work": 5, "日本語/手紙": 2, "star * name": 2, "[Gmail]/Spam": 8} {
		for i, h := range d.Headers(d.kept.user, name) {
			if i%step != 0 {
				continue
			}
			shown := d.Open(d.kept.user, name, h.UID)
			want := parseLetter(t, d.want[name][i].raw)
			for _, text := range want.texts {
				if !strings.Contains(squeeze(shown.Text), squeeze(text)) {
					t.Errorf("%q, UID %d: shown is %q, which lacks %q", name, h.UID, shown.Text, text)
				}
			}
			if !slices.Equal(shown.Attachments, want.files) {
				t.Errorf("%q, UID %d: attachments %q, want %q", name, h.UID, shown.Attachments, want.files)
			}
			read++
			kinds[want.kind]++
			if kinds[want.kind] == 1 {
				d.Picture("message-" + strings.ReplaceAll(want.kind, "/", "-"))
			}
		}
	}
	t.Logf("%d messages read: %v", read, kinds)
	if read < 25 || len(kinds) < 3 {
		t.Errorf("only %d messages of these kinds were read: %v", read, kinds)
	}
}

func (d *desk) testSearch(t *testing.T) {
	for _, search := range []struct{ mailbox, where, text string }{
		{"[Gmail]/All Mail", "Body", "ladder"},
		{"[Gmail]/All Mail", "Body", "привезти"},
		{"[Gmail]/All Mail", "Body", "打ち合わせ"},
		{"[Gmail]/All Mail", "Body", "réunion"},
		{"[Gmail]/All Mail", "Body", "no such words"},
		{"[Gmail]/All Mail", "Subject", "Minutes of Tuesday"},
		{"Семья", "Body", "и"},
		{"R&D", "Body", "t"},
	} {
		got := d.Search(d.kept.user, search.mailbox, search.where, search.text)
		var want []int
		for i, h := range d.Headers(d.kept.user, search.mailbox) {
			m := parseLetter(t, d.want[search.mailbox][i].raw)
			in := append(m.texts, m.hidden...)
			if search.where == "Subject" {
				in = []string{h.Subject}
			}
			if slices.ContainsFunc(in, func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(search.text)) }) {
				want = append(want, h.UID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s %q in %q: found %v, want %v", search.where, search.text, search.mailbox, got, want)
		}
		t.Logf("%s %q in %q: %d", search.where, search.text, search.mailbox, len(got))
	}
}

func (d *desk) testRefusals(t *testing.T) {
	const mailbox = "work"
	user := d.kept.user
	h := d.Headers(user, mailbox)[0]
	d.Open(user, mailbox, h.UID)
	for name, enabled := range d.Commands("cmd_deleteMessage", "cmd_shiftDeleteMessage", "cmd_moveMessage") {
		if enabled && !strings.Contains(name, "Folder") {
			t.Errorf("%s is not greyed", name)
		}
	}
	refused := func(what string, do func()) {
		t.Helper()
		do()
		alerts := d.Alerts()
		if len(alerts) != 1 || !strings.Contains(alerts[0].Text, "this is an archive: mail in it can be read and copied elsewhere, but not added, changed or deleted") {
			t.Errorf("%s: Thunderbird says %+v", what, alerts)
		}
	}
	refused("a new folder", func() { d.CreateFolder(user, "made by a test") })
	refused("another name", func() { d.RenameFolder(user, mailbox, "renamed by a test") })
	refused("deleting", func() { d.DeleteMessage(user, mailbox, h.UID) })
	m := d.want[mailbox][0]
	d.Command("cmd_markAsFlagged")
	d.Refresh(user, mailbox, h.UID, slices.Contains(m.flags, `\seen`), slices.Contains(m.flags, `\flagged`))
	d.Picture("refused")
	if n := len(d.Headers(user, mailbox)); n != len(d.want[mailbox]) {
		t.Errorf("%d messages in %q, want %d", n, mailbox, len(d.want[mailbox]))
	}
	for _, f := range d.Folders(user) {
		if strings.Contains(f.Name, "by a test") {
			t.Errorf("there is a folder %q", f.Name)
		}
	}
	for _, line := range d.said.Lines() {
		if line.Client && regexp.MustCompile(`(?i)^\S+ (uid store|store|append|expunge)`).MatchString(line.Text) {
			t.Errorf("Thunderbird says %q, although it knows that the mailbox is read-only", line.Text)
		}
	}
}

func (d *desk) testLarge(t *testing.T) {
	start := time.Now()
	d.Update(d.large.user, "Large", largeSize) // not shown: Thunderbird would draw the list anew for each of them, which takes it several times as long
	t.Logf("%d headers in %.1f s", largeSize, time.Since(start).Seconds())
	// Their order is that in which they were backed up.
	uid := map[string]int{}
	for _, h := range d.Headers(d.large.user, "Large") {
		if uid[h.Subject] = h.UID; !h.Read {
			t.Errorf("%+v is not read", h)
		}
	}
	for i := range largeSize {
		if uid[fmt.Sprintf("letter %d", i)] == 0 {
			t.Errorf("letter %d is missing", i)
		}
	}
	last := uid[fmt.Sprintf("letter %d", largeSize-1)]
	if len(uid) != largeSize || last == 0 {
		t.Fatalf("%d letters, want %d", len(uid), largeSize)
	}
	const text = "Text 19999."
	if got := d.Search(d.large.user, "Large", "Body", text); !slices.Equal(got, []int{last}) {
		t.Errorf("%q is found in %v, want %d", text, got, last)
	}
	if shown := d.Open(d.large.user, "Large", last); strings.TrimSpace(shown.Text) != text {
		t.Errorf("the last letter is shown as %q", shown.Text)
	}
	d.Picture("large")
}
