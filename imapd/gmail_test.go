package imapd

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// gmailArchive holds one message with all kinds of labels, and one without.
func gmailArchive(t *testing.T) *mailSource {
	s := newArchive(t)
	for name, use := range map[string]string{
		"[Gmail]/Alle Nachrichten": `\All`, "[Gmail]/Gesendet": `\Sent`, "[Gmail]/Markiert": `\Flagged`, "[Gmail]/Wichtig": `\Important`, "[Gmail]/Entwürfe": `\Drafts`,
		"[Gmail]/Spam": `\Junk`, "[Gmail]/Papierkorb": `\Trash`, "work": "",
	} {
		s.mailbox(name, use)
	}
	s.add(simple, "[Gmail]/Alle Nachrichten,INBOX,[Gmail]/Markiert,[Gmail]/Gesendet,work/project x,Übung,R&D,Receipts,NIL")
	c := s.copyOf("Subject: 2\r\n\r\n", "[Gmail]/Alle Nachrichten")
	c.SourceID, c.ThreadID = "1876409439502535953", "18446744073709551615"
	s.record(archive.Batch{Copies: []archive.Copy{c}})
	return s
}

// X-GM-EXT-1 is announced where Thunderbird then shows every mailbox at its place.
func TestGmailCapability(t *testing.T) {
	for _, test := range []struct {
		name      string
		accounts  []string
		mailboxes []string
		announced bool
	}{
		{"nothing", []string{"a"}, nil, true},
		{"Gmail's own folder", []string{"a"}, []string{"[Gmail]/All Mail", "[Google Mail]/Spam", "x", "x/y"}, true},
		{"a level that is no mailbox", []string{"a"}, []string{"[Gmail]/All Mail", "x/y"}, false},
		{"a label that looks like Gmail's folder", []string{"a"}, []string{"x", "x/[Gmail]/y"}, false},
		{"two accounts", []string{"a", "b"}, []string{"x"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := archivetest.New(t)
			for _, account := range test.accounts {
				s := newSource(t, w, account)
				for _, name := range test.mailboxes {
					s.mailbox(name, "")
				}
			}
			c := login(t, serve(t, w.Reader, testOptions()))
			if got := c.ok("CAPABILITY"); strings.Contains(got, " X-GM-EXT-1") != test.announced {
				t.Errorf("announced should be %v: %s", test.announced, got)
			}
		})
	}
}

func TestGmailItems(t *testing.T) {
	s := gmailArchive(t)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	if got := c.ok("CAPABILITY"); !strings.Contains(got, " X-GM-EXT-1") {
		t.Error(got)
	}
	c.ok(`SELECT "[Gmail]/Alle Nachrichten"`)
	got := c.ok("UID FETCH 1:* (X-GM-MSGID X-GM-THRID X-GM-LABELS RFC822.SIZE X-GM-MSGID FLAGS)")
	labels := labelsIn(t, got)
	if want := `"NIL" "\\Inbox" "\\Sent" "\\Starred" "work/project x" &ANw-bung R&-D Receipts`; labels[0] != want || labels[1] != "" {
		t.Errorf("got %s\nlabels %s", got, labels)
	}
	if !strings.Contains(got, "* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 14 X-GM-MSGID 1876409439502535953 X-GM-THRID 18446744073709551615 X-GM-LABELS ())\r\n") {
		t.Error(got)
	}
	if got, want := c.ok("FETCH 2 X-GM-MSGID"), "* 2 FETCH (X-GM-MSGID 1876409439502535953)\r\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got, want := c.ok("FETCH 2 (x-gm-msgid BODY[HEADER.FIELDS (X-GM-MSGID Subject)])"),
		"* 2 FETCH (X-GM-MSGID 1876409439502535953 BODY[HEADER.FIELDS (X-GM-MSGID Subject)] {14}\r\nSubject: 2\r\n\r\n)\r\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got, want := c.ok("FETCH 2 FAST"), "* 2 FETCH (FLAGS () INTERNALDATE \" 4-Mar-2021 05:06:07 +0200\" RFC822.SIZE 14)\r\n"; got != want {
		t.Errorf("got %q", got)
	}
	if _, tagged := c.do("FETCH 2 (X-GM-MSGIDS)"); !strings.HasPrefix(tagged, "BAD") {
		t.Error(tagged)
	}
	if _, tagged := c.do("UID STORE 1 +X-GM-LABELS (x)"); !strings.HasPrefix(tagged, "NO [NOPERM]") {
		t.Error(tagged)
	}
	c.ok("SELECT INBOX")
	if got := labelsIn(t, c.ok("FETCH 1 X-GM-LABELS")); got[0] != `"NIL" "\\Sent" "\\Starred" "work/project x" &ANw-bung R&-D Receipts` {
		t.Errorf("in INBOX: %s", got)
	}
	c.ok("ENABLE UTF8=ACCEPT")
	if got := labelsIn(t, c.ok("FETCH 1 X-GM-LABELS")); got[0] != `"NIL" "\\Sent" "\\Starred" "work/project x" "Übung" R&D Receipts` {
		t.Errorf("with UTF8=ACCEPT: %s", got)
	}
}

// labelsIn returns the label lists in FETCH responses, sorted.
func labelsIn(t *testing.T, responses string) []string {
	t.Helper()
	var all []string
	for _, m := range regexp.MustCompile(`X-GM-LABELS \(((?:"[^"]*"|[^")])*)\)`).FindAllStringSubmatch(responses, -1) {
		labels := regexp.MustCompile(`"[^"]*"|[^" ]+`).FindAllString(m[1], -1)
		slices.Sort(labels)
		all = append(all, strings.Join(labels, " "))
	}
	if len(all) == 0 {
		t.Fatalf("no labels in %q", responses)
	}
	return all
}

func TestGmailSearch(t *testing.T) {
	s := gmailArchive(t)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok(`SELECT "[Gmail]/Alle Nachrichten"`)
	for key, want := range map[string]string{
		"X-GM-MSGID 1876409439502535953":                        " 2",
		"X-GM-THRID 18446744073709551615":                       " 2",
		"NOT X-GM-MSGID 1876409439502535953":                    " 1",
		"OR X-GM-MSGID 1 (SUBJECT 2 X-GM-THRID 5)":              "",
		`X-GM-LABELS "\\Inbox"`:                                 " 1",
		`X-GM-LABELS "\\starred" SMALLER 0`:                     "",
		`X-GM-LABELS "\\Trash"`:                                 "",
		`NOT X-GM-LABELS Receipts`:                              " 2",
		`X-GM-LABELS "R&D"`:                                     " 1",
		`X-GM-LABELS "R&-D"`:                                    " 1",
		`X-GM-LABELS &ANw-bung`:                                 " 1",
		"CHARSET UTF-8 X-GM-LABELS {6+}\r\nÜbung SUBJECT hello": " 1",
		`X-GM-LABELS "[Gmail]/Alle Nachrichten"`:                "",
		`HEADER X-GM-MSGID 1876409439502535953`:                 "",
		`HEADER mailkeep:NOSUCHKEY ""`:                          "",
	} {
		if got := c.ok("SEARCH " + key); got != "* SEARCH"+want+"\r\n" {
			t.Errorf("%s: got %q", key, got)
		}
	}
	for key, want := range map[string]string{
		"X-GM-MSGID x": "BAD ", "X-GM-MSGID": "BAD ", `X-GM-LABELS \Inbox`: "BAD ", "X-GM-THRID -1": "BAD ", `X-GM-RAW "has:attachment"`: "NO [CANNOT] ",
		"OR X-GM-RAW x NOT X-GM-RAW y": "NO [CANNOT] ", "X-GM-MSGID 18446744073709551616": "BAD ",
	} {
		if _, tagged := c.do("UID SEARCH " + key); !strings.HasPrefix(tagged, want) {
			t.Errorf("%s: got %q", key, tagged)
		}
	}
	c.ok("SELECT INBOX")
	if got := c.ok(`SEARCH X-GM-LABELS "\\Inbox"`); got != "* SEARCH 1\r\n" {
		t.Errorf("the label of the mailbox itself: %q", got)
	}
}

// imapSource is an account of a plain IMAP server with one folder.
func imapSource(t *testing.T, w *archive.Writer, name string, folders ...string) *mailSource {
	t.Helper()
	a, err := w.EnsureAccount(context.Background(), name, archive.IMAP)
	if err != nil {
		t.Fatal(err)
	}
	s := &mailSource{t: t, w: w, account: a.ID}
	for _, f := range folders {
		s.record(archive.Batch{Folders: []archive.FolderSpec{{Name: f, Delimiter: "/", Mailbox: f}}})
	}
	all, err := w.Folders(context.Background(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		s.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: f.ID, UIDValidity: 7}}})
		s.folder = f.ID
	}
	return s
}

// put records a message in one of the account's folders.
func (s *mailSource) put(folder, body string) {
	s.t.Helper()
	folders, err := s.w.Folders(context.Background(), s.account)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range folders {
		if f.Name == folder {
			s.folder = f.ID
			c := s.copyOf(body, folder)
			c.SourceID = "" // the server has none
			s.record(archive.Batch{Copies: []archive.Copy{c}})
			return
		}
	}
	s.t.Fatalf("no folder %q", folder)
}

// Messages of other servers have ids too: the same for the same bytes, and one thread for all that refer to the same message.
func TestGmailItemsOfOtherServers(t *testing.T) {
	w := archivetest.New(t)
	s := imapSource(t, w, "home", "INBOX", "Archive", "Sent")
	reply := "Message-ID: <2@x>\r\nReferences: <1@example.org> <other@x>\r\n\r\n"
	s.put("INBOX", simple)
	s.put("INBOX", reply)
	s.put("INBOX", "In-Reply-To: <1@example.org>\r\n\r\n")
	s.put("INBOX", "Subject: no id\r\n\r\n")
	s.put("Archive", reply)
	s.put("Archive", simple)
	addr := serve(t, w.Reader, testOptions())
	c := login(t, addr)
	ids := func(box string) (messages, threads, labels []string) {
		c.ok("SELECT " + box)
		got := c.ok("FETCH 1:* (X-GM-MSGID X-GM-THRID X-GM-LABELS)")
		for _, m := range regexp.MustCompile(`X-GM-MSGID (\d+) X-GM-THRID (\d+) X-GM-LABELS (\(.*\))\)`).FindAllStringSubmatch(got, -1) {
			messages, threads, labels = append(messages, m[1]), append(threads, m[2]), append(labels, m[3])
		}
		return messages, threads, labels
	}
	m, th, labels := ids("INBOX")
	if len(m) != 4 || m[0] == m[1] || th[0] != th[1] || th[0] != th[2] || th[0] == th[3] {
		t.Errorf("messages %v, threads %v", m, th)
	}
	if fmt.Sprint(labels) != "[(Archive) (Archive) () ()]" {
		t.Errorf("labels %v", labels)
	}
	m2, th2, labels2 := ids("Archive")
	if len(m2) != 2 || m2[0] != m[1] || m2[1] != m[0] || th2[0] != th[0] || fmt.Sprint(labels2) != `[("\\Inbox") ("\\Inbox")]` {
		t.Errorf("messages %v, threads %v, labels %v", m2, th2, labels2)
	}
	for _, id := range append(m, th...) {
		if n, err := strconv.ParseInt(id, 10, 64); err != nil || n < derivedID {
			t.Errorf("id %s: %v", id, err)
		}
	}
	c.ok("SELECT INBOX")
	if got := c.ok("SEARCH X-GM-THRID " + th[0]); got != "* SEARCH 1 2 3\r\n" {
		t.Errorf("thread: %q", got)
	}
	if got := c.ok("SEARCH X-GM-MSGID " + m[1]); got != "* SEARCH 2\r\n" {
		t.Errorf("message: %q", got)
	}
	// A second account: mailboxes stand in top folders, and labels are their names.
	newSource(t, w, "me@gmail.com").add(simple, "INBOX,Work")
	m3, _, labels3 := ids("home/INBOX")
	if m3[0] != m[0] || labels3[0] != "(home/Archive)" {
		t.Errorf("messages %v, labels %v", m3, labels3)
	}
	if _, _, labels := ids("me@gmail.com/Work"); labels[0] != "(me@gmail.com/INBOX)" {
		t.Errorf("labels %v", labels)
	}
}

// Labels follow the archive, also where they are kept for a whole mailbox.
func TestGmailLabelsChange(t *testing.T) {
	s := newArchive(t)
	var copies []archive.Copy
	for i := range fewLabels + 50 {
		copies = append(copies, s.copyOf(fmt.Sprintf("Subject: %d\r\n\r\n", i), "INBOX,a"))
	}
	s.record(archive.Batch{Copies: copies})
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for range 2 {
		if got := c.ok("FETCH 1:* X-GM-LABELS"); strings.Count(got, "X-GM-LABELS (a))") != len(copies) {
			t.Fatalf("%.200s", got)
		}
	}
	s.change(7, "INBOX,b")
	for _, set := range []string{"7", "1:*"} {
		if got := c.ok("FETCH " + set + " X-GM-LABELS"); !strings.Contains(got, "* 7 FETCH (X-GM-LABELS (b))\r\n") {
			t.Errorf("%s: %.500s", set, got)
		}
	}
	if got := c.ok("SEARCH X-GM-LABELS b"); got != "* SEARCH 7\r\n" {
		t.Errorf("got %q", got)
	}
}
