package imapd

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

// searchArchive has the messages that TestSearch counts on.
func searchArchive(t testing.TB) *mailSource {
	s := newArchive(t)
	add := func(date time.Time, body string, flags ...string) {
		c := s.copyOf(body, "INBOX", flags...)
		c.Date = date
		s.record(archive.Batch{Copies: []archive.Copy{c}})
	}
	zone := time.FixedZone("", -10*3600)
	add(time.Date(2020, 1, 1, 23, 30, 0, 0, zone), "From: Ann Smith <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"+
		"Date: Tue, 31 Dec 2019 23:30:00 -1000\r\n\r\nFirst body\r\n", `\Seen`)
	add(time.Date(2020, 1, 2, 0, 30, 0, 0, time.UTC), "From: Bob\r\nCc: ann@example.org\r\nSubject: plain subject\r\nX-Empty:\r\nDate: nonsense\r\n\r\n"+strings.Repeat("long ", 100), `\Flagged`, "$Forwarded")
	add(time.Date(2020, 1, 3, 12, 0, 0, 0, time.UTC), "Subject: SMALLER\r\nDate: Thu, 2 Jan 2020 01:00:00 +0900\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nD=E9j=E0 vu\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>some<b>thing</b> else\r\n--b--\r\n", `\Answered`, `\Draft`, `\Deleted`)
	add(time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), "", `\Seen`)
	return s
}

func TestSearch(t *testing.T) {
	s := searchArchive(t)
	sizes := make([]int64, 5)
	boxes, err := s.w.Mailboxes(t.Context(), 0)
	if err != nil || len(boxes) != 1 {
		t.Fatal(boxes, err)
	}
	entries, _, err := s.w.Entries(t.Context(), boxes[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries {
		sizes[i+1] = e.Size
	}
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	tests := []struct{ key, want string }{
		{"ALL", "1 2 3 4"}, {"1:2,4", "1 2 4"}, {"*", "4"}, {"10:*", "4"}, {"10:20", ""}, {"UID 2:3", "2 3"}, {"UID 99", ""}, {"UID *", "4"}, {"2:3 NOT 3", "2"},
		{"SEEN", "1 4"}, {"UNSEEN", "2 3"}, {"FLAGGED", "2"}, {"UNFLAGGED", "1 3 4"}, {"ANSWERED", "3"}, {"UNANSWERED", "1 2 4"}, {"DELETED", "3"}, {"UNDELETED", "1 2 4"},
		{"DRAFT", "3"}, {"UNDRAFT", "1 2 4"}, {"RECENT", ""}, {"NEW", ""}, {"OLD", "1 2 3 4"}, {"KEYWORD $forwarded", "2"}, {"UNKEYWORD $Forwarded", "1 3 4"}, {"KEYWORD none", ""},
		{"FROM ann", "1"}, {"FROM \"ann smith\"", "1"}, {"TO bob", "1"}, {"CC ANN", "2"}, {"BCC x", ""}, {"SUBJECT subject", "2"}, {"SUBJECT \"\"", "1 2 3"},
		{"SUBJECT SMALLER", "3"}, {"SUBJECT SMALLER 3", "3"}, {"SUBJECT SMALLER 1", ""}, {"HEADER X-Empty \"\"", "2"}, {"HEADER Subject \"\"", "1 2 3"}, {"HEADER subject plain", "2"}, {"HEADER SMALLER 0", ""},
		{"BODY first", "1"}, {"BODY \"something else\"", "3"}, {"BODY <p>", "3"}, {"BODY ann", ""}, {"TEXT ann", "1 2"}, {"TEXT body", "1"}, {"TEXT \"\"", "1 2 3 4"}, {"BODY \"\"", "1 2 3 4"},
		{"TEXT \"subject: plain\"", "2"},
		{"ON 1-Jan-2020", "1"}, {"ON 2-Jan-2020", "2"}, {"SINCE 2-Jan-2020", "2 3"}, {"BEFORE 2-Jan-2020", "1 4"}, {"BEFORE 1-Jan-1970", "4"}, {"SINCE 1-Jan-1900", "1 2 3 4"}, {"SINCE 2-Jan-2020 BEFORE 3-Jan-2020", "2"},
		{"SENTON 31-Dec-2019", "1"}, {"SENTON 2-Jan-2020", "3"}, {"SENTSINCE 1-Jan-2020", "3"}, {"SENTBEFORE 1-Jan-2020", "1"}, {"NOT SENTSINCE 1-Jan-1900", "2 4"},
		{"ON \"1-Jan-2020\"", "1"},
		{fmt.Sprintf("LARGER %d", sizes[1]-1), "1 2 3"}, {fmt.Sprintf("LARGER %d", sizes[2]), ""}, {fmt.Sprintf("SMALLER %d", sizes[1]), "4"}, {fmt.Sprintf("SMALLER %d", sizes[1]+1), "1 4"},
		{"LARGER 0", "1 2 3"}, {"SMALLER 0", ""}, {"SMALLER 1", "4"}, {"NOT LARGER 0", "4"}, {"NOT SMALLER 0", "1 2 3 4"}, {"SMALLER 00", ""},
		{fmt.Sprintf("SMALLER %d SINCE 1-Jan-1900", sizes[1]), "4"}, {fmt.Sprintf("SMALLER %d LARGER 1", sizes[1]+1), "1"}, {fmt.Sprintf("SMALLER %d SMALLER %d", sizes[1], sizes[2]), "4"},
		{fmt.Sprintf("OR SMALLER %d FLAGGED ALL", sizes[1]), "2 4"}, {fmt.Sprintf("(SMALLER %d SENTSINCE 1-Jan-1900)", sizes[1]+1), "1"},
		{"OR SEEN FLAGGED", "1 2 4"}, {"OR (SEEN FROM ann) (DRAFT)", "1 3"}, {"NOT (SEEN FROM ann)", "2 3 4"}, {"NOT NOT SEEN", "1 4"}, {"OR OR SEEN DRAFT BODY long", "1 2 3 4"},
		{"NOT ALL", ""}, {"OR BODY first BODY long", "1 2"}, {"SEEN NOT BODY first", "4"},
		{"CHARSET UTF-8 SUBJECT {6+}\r\nGRÜß", "1"}, {"CHARSET UTF-8 SUBJECT {6+}\r\ngrüß SEEN", "1"}, {"CHARSET utf-8 BODY {8+}\r\nDÉJÀ v", "3"}, {"CHARSET US-ASCII BODY vu", "3"}, {"SUBJECT {7+}\r\nsmaller SMALLER 0", ""},
	}
	for _, test := range tests {
		if got := c.ok("SEARCH " + test.key); got != strings.TrimRight("* SEARCH "+test.want, " ")+"\r\n" {
			t.Errorf("%s: got %q, want %q", test.key, got, test.want)
		}
	}
}

func TestSearchReturn(t *testing.T) {
	s := searchArchive(t)
	s.change(2, "Elsewhere") // UIDs 1 3 4
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	c.talk(`
		C: a SEARCH RETURN (MIN MAX COUNT ALL) ALL
		S: * ESEARCH (TAG "a") ALL 1:3 MIN 1 MAX 3 COUNT 3
		S: a OK SEARCH completed
		C: b UID SEARCH RETURN () ALL
		S: * ESEARCH (TAG "b") UID ALL 1,3:4
		S: b OK UID SEARCH completed
		C: c UID SEARCH RETURN (MIN COUNT) KEYWORD none
		S: * ESEARCH (TAG "c") UID COUNT 0
		S: c OK UID SEARCH completed
		C: d SEARCH RETURN (NONSENSE) ALL
		S: d BAD ~
		C: e UID SEARCH RETURN (SAVE) NOT UID 3
		S: e OK UID SEARCH completed
		C: f FETCH $ (UID)
		S: * 1 FETCH (UID 1)
		S: * 3 FETCH (UID 4)
		S: f OK FETCH completed
		C: g UID SEARCH UID $ SMALLER 1
		S: * SEARCH 4
		S: g OK UID SEARCH completed
		C: h UID SEARCH NOT $
		S: * SEARCH 3
		S: h OK UID SEARCH completed
		C: i SEARCH RETURN (SAVE MAX) ALL
		S: * ESEARCH (TAG "i") MAX 3
		S: i OK SEARCH completed
		C: j UID FETCH $ (FLAGS)
		S: * 3 FETCH (UID 4 FLAGS (\Seen))
		S: j OK UID FETCH completed
		C: k SEARCH RETURN (SAVE ALL) 1
		S: * ESEARCH (TAG "k") ALL 1
		S: k OK SEARCH completed
		C: l SELECT INBOX
	`)
	c.until("l")
	c.talk(`
		C: m FETCH $ (UID)
		S: m OK FETCH completed
		C: n SEARCH $
		S: * SEARCH
		S: n OK SEARCH completed
	`)
}

// A client that goes away takes its search with it.
func TestSearchIsAborted(t *testing.T) {
	s := newArchive(t)
	body := "Subject: x\r\n\r\n" + strings.Repeat("some words in a line\r\n", 2000)
	for range 10 {
		var b archive.Batch
		for i := range 60 {
			b.Copies = append(b.Copies, s.copyOf(fmt.Sprint(s.uid, i, body), "INBOX"))
		}
		s.record(b)
	}
	ln := listen(t)
	server := serveOn(t, s.w.Reader, testOptions(), ln)
	var whole, took time.Duration
	for range 3 { // the machine may be busy with something else just then
		c := login(t, ln.Addr().String())
		c.ok("SELECT INBOX")
		start := time.Now()
		c.ok("SEARCH BODY nowhere")
		whole = time.Since(start)
		c.send("a SEARCH BODY nowhere\r\n")
		time.Sleep(whole / 20)
		start = time.Now()
		c.conn.Close()
		for server.gate.count() > 0 {
			time.Sleep(time.Millisecond)
		}
		if took = time.Since(start); took < whole/2 {
			return
		}
	}
	t.Errorf("a search that takes %v went on for %v after its client had gone", whole, took)
}

// A client that has sent all its commands may close its sending side and still read the answers.
func TestSearchWithPipelinedEnd(t *testing.T) {
	s := newArchive(t)
	s.add(simple, "INBOX")
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.send("a SELECT INBOX\r\nb SEARCH BODY hello\r\nc LOGOUT\r\n")
	if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.until("a")
	if got, _ := c.until("b"); got != "* SEARCH 1\r\n" {
		t.Error(got)
	}
	c.until("c")
	c.closed()
}

func TestSearchTranslation(t *testing.T) {
	tests := []struct{ in, want string }{
		{" SMALLER 5\r\n", " NOT NOT SMALLER 5\r\n"},
		{" smaller 5 LARGER 3\r\n", " NOT NOT smaller 5 LARGER 3\r\n"},
		{" SMALLER 0 LARGER 0\r\n", " NOT ALL NOT SMALLER 1\r\n"},
		{" (SMALLER 5)\r\n", " (NOT NOT SMALLER 5)\r\n"},
		{" SMALLER\r\n", " SMALLER\r\n"},
		{" SMALLER x\r\n", " SMALLER x\r\n"},
		{" SMALLER 99999999999999999999\r\n", " SMALLER 99999999999999999999\r\n"},
		{" SUBJECT \"SMALLER 5\" SMALLER 6\r\n", " SUBJECT \"SMALLER 5\" NOT NOT SMALLER 6\r\n"},
		{" SUBJECT SMALLER 5\r\n", " SUBJECT SMALLER 5\r\n"},
		{" HEADER LARGER SMALLER SMALLER 5\r\n", " HEADER LARGER SMALLER NOT NOT SMALLER 5\r\n"},
		{" HEADER \"LARGER\" SMALLER LARGER 0\r\n", " HEADER \"LARGER\" SMALLER NOT SMALLER 1\r\n"},
		{" BODY \"a\\\" SMALLER 5\" LARGER 0\r\n", " BODY \"a\\\" SMALLER 5\" NOT SMALLER 1\r\n"},
		{" BODY {3}\r\n", " BODY {3}\r\n"},
	}
	for _, test := range tests {
		if got := string(new(searchTranslator).translate([]byte(test.in))); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
	s := new(searchTranslator)
	s.translate([]byte(" BODY {3}\r\n"))
	if got := string(s.translate([]byte(" SMALLER 5 HEADER {1}\r\n"))); got != " NOT NOT SMALLER 5 HEADER {1}\r\n" {
		t.Error(got)
	}
	if got := string(s.translate([]byte(" SMALLER SMALLER 0\r\n"))); got != " SMALLER NOT ALL\r\n" {
		t.Error(got)
	}
}
