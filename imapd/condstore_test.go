package imapd

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// number finds a number in a response.
func number(t *testing.T, pattern, s string) int {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(s)
	if m == nil {
		t.Fatalf("no %s in %q", pattern, s)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const highestPattern = `HIGHESTMODSEQ (\d+)`

func TestCondstore(t *testing.T) {
	s := newArchive(t)
	uids := []uint32{s.add("1"+simple, "INBOX,other"), s.add("2"+simple, "INBOX"), s.add("3"+simple, "INBOX", `\Seen`), s.add("4"+simple, "other")}
	addr := serve(t, s.w.Reader, testOptions())
	c := login(t, addr)
	selected := c.ok("SELECT INBOX (CONDSTORE)")
	was := number(t, `\* OK \[HIGHESTMODSEQ (\d+)\]`, selected)
	if got := number(t, `HIGHESTMODSEQ (\d+)\)`, c.ok("STATUS INBOX (HIGHESTMODSEQ)")); got != was {
		t.Errorf("STATUS says %d, SELECT %d", got, was)
	}
	if got := c.ok(fmt.Sprintf("FETCH 1:* (FLAGS) (CHANGEDSINCE %d)", was)); got != "" {
		t.Errorf("nothing has changed: %q", got)
	}
	if got := c.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 0)"); strings.Count(got, "MODSEQ (") != 3 {
		t.Errorf("all have changed since 0: %q", got)
	}
	s.change(uids[1], "INBOX", `\Flagged`)
	if got := c.ok("NOOP"); !fits("* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (~))\r\n", got) {
		t.Errorf("a change is told with MODSEQ: %q", got)
	}
	// A message that gets a label is new in its mailbox, and its labels have changed elsewhere.
	s.change(uids[3], "other,INBOX")
	if got := c.ok("NOOP"); got != "* 4 EXISTS\r\n" {
		t.Errorf("got %q", got)
	}
	got := c.ok(fmt.Sprintf("UID FETCH 1:* (X-GM-LABELS FLAGS) (CHANGEDSINCE %d)", was))
	if !fits("* 2 FETCH (UID 2 FLAGS ~ MODSEQ (~))\r\n* 4 FETCH (UID 4 ~ MODSEQ (~))\r\n", got) {
		t.Errorf("changed are 2 and 4: %q", got)
	}
	now := number(t, highestPattern, c.ok("STATUS INBOX (HIGHESTMODSEQ MESSAGES)"))
	for command, want := range map[string]string{
		fmt.Sprintf("SEARCH MODSEQ %d", was+1):                                    fmt.Sprintf("* SEARCH 2 4 (MODSEQ %d)\r\n", now),
		fmt.Sprintf(`UID SEARCH MODSEQ "/flags/\\draft" all %d UID 1:3`, was+1):   fmt.Sprintf("* SEARCH 2 (MODSEQ %d)\r\n", now-1),
		fmt.Sprintf("SEARCH MODSEQ %d", now+1):                                    "* SEARCH\r\n",
		fmt.Sprintf("SEARCH RETURN (ALL COUNT) MODSEQ %d", was+1):                 fmt.Sprintf("* ESEARCH (TAG \"~\") ALL 2,4 COUNT 2 MODSEQ %d\r\n", now),
		fmt.Sprintf("SEARCH RETURN (MIN) MODSEQ %d", was+1):                       fmt.Sprintf("* ESEARCH (TAG \"~\") MIN 2 MODSEQ %d\r\n", now-1),
		fmt.Sprintf("SEARCH RETURN (SAVE) MODSEQ %d", was+1):                      "",
		fmt.Sprintf("SEARCH RETURN (MAX) OR MODSEQ %d SEEN", was+1):               fmt.Sprintf("* ESEARCH (TAG \"~\") MAX 4 MODSEQ %d\r\n", now),
		fmt.Sprintf("SORT (REVERSE ARRIVAL SIZE) UTF-8 NOT NOT MODSEQ %d", was+1): fmt.Sprintf("* SORT 2 4 (MODSEQ %d)\r\n", now),
		`FETCH 3 (MODSEQ)`: "* 3 FETCH (MODSEQ (~))\r\n",
		fmt.Sprintf("FETCH 1:* BODY[HEADER.FIELDS (X)] (CHANGEDSINCE %d)", now-1): "* 4 FETCH (MODSEQ (~) BODY[HEADER.FIELDS (X)] {2}\r\n\r\n)\r\n",
	} {
		if got := c.ok(command); !fits(want, got) {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	for _, command := range []string{
		"SELECT INBOX (NONSENSE)", "SELECT INBOX (CONDSTORE", "SELECT INBOX ()", "SELECT INBOX (CONDSTORE CONDSTORE)", "SELECT INBOX (QRESYNC (1 1))", "FETCH 1 FLAGS (CHANGEDSINCE x)",
		"FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)", "UID FETCH 1 FLAGS (VANISHED)", "FETCH 1 FLAGS (NONSENSE)", "FETCH 1 (FLAGS) (CHANGEDSINCE 1",
		"SEARCH MODSEQ", "SEARCH MODSEQ x", `SEARCH MODSEQ "/flags/\\seen" 5`, "SEARCH MODSEQ 99999999999999999999", "FETCH 1 (CHANGEDSINCE 1)", "FETCH (CHANGEDSINCE 1)",
	} {
		if _, tagged := c.do(command); !strings.HasPrefix(tagged, "BAD") {
			t.Errorf("%s: %s", command, tagged)
		}
	}
	for _, command := range []string{"STORE 1 (UNCHANGEDSINCE 1) +FLAGS (x)", "UID STORE 1 (UNCHANGEDSINCE 320162338) FLAGS.SILENT (\\Deleted)"} {
		if untagged, tagged := c.do(command); !strings.HasPrefix(tagged, "NO [NOPERM]") || untagged != "" {
			t.Errorf("%s: %s%s", command, untagged, tagged)
		}
	}
}

// Each of the commands of RFC 7162 section 3.1 makes the server tell MODSEQ from then on, and says where the mailbox stands; others do not.
func TestWhatEnablesCondstore(t *testing.T) {
	for command, enables := range map[string]bool{
		"NOOP": false, "SEARCH ALL": false, "STATUS other (MESSAGES)": false, "ENABLE UTF8=ACCEPT": false, "UID FETCH 1 FLAGS": false,
		"ENABLE CONDSTORE": true, "ENABLE QRESYNC": true, "FETCH 1 MODSEQ": true, "FETCH 1 FLAGS (CHANGEDSINCE 9)": true, "SEARCH MODSEQ 1": true, "STATUS other (HIGHESTMODSEQ)": true,
		"EXAMINE {5+}\r\nINBOX (CONDSTORE)": true,
	} {
		s := newArchive(t)
		uid := s.add(simple, "INBOX,other")
		c := login(t, serve(t, s.w.Reader, testOptions()))
		c.ok("SELECT INBOX")
		got := c.ok(command)
		if strings.Contains(got, "* OK [HIGHESTMODSEQ ") != enables {
			t.Errorf("%s: %q", command, got)
		}
		if word := strings.TrimPrefix(command, "ENABLE "); word != command && !strings.Contains(got, "* ENABLED "+word+"\r\n") {
			t.Errorf("%s: %q", command, got)
		}
		s.change(uid, "INBOX,other", `\Flagged`)
		if got := c.ok("NOOP"); strings.Contains(got, "MODSEQ") != enables {
			t.Errorf("after %s: %q", command, got)
		}
	}
}

func TestQresync(t *testing.T) {
	s := newArchive(t)
	var uids []uint32
	for i := range 10 {
		uids = append(uids, s.add(fmt.Sprint(i, simple), "INBOX"))
	}
	addr := serve(t, s.w.Reader, testOptions())
	c := login(t, addr)
	if got := c.ok("ENABLE QRESYNC UTF8=ACCEPT X-NONSENSE"); got != "* ENABLED UTF8=ACCEPT QRESYNC\r\n" {
		t.Errorf("got %q", got)
	}
	selected := c.ok("SELECT INBOX")
	was, validity := number(t, highestPattern, selected), number(t, `UIDVALIDITY (\d+)`, selected)
	for _, i := range []int{1, 2, 3, 6} {
		s.change(uids[i], "Elsewhere")
	}
	s.change(uids[8], "INBOX", `\Flagged`)
	s.add("new"+simple, "INBOX")
	if got := c.ok("NOOP"); !fits("* VANISHED 2:4,7\r\n* 7 EXISTS\r\n* 5 FETCH (UID 9 FLAGS (\\Flagged) MODSEQ (~))\r\n", got) {
		t.Errorf("got %q", got)
	}
	if got := c.ok(fmt.Sprintf("UID FETCH 1:6 (FLAGS) (CHANGEDSINCE %d VANISHED)", was)); got != "* VANISHED (EARLIER) 2:4\r\n" {
		t.Errorf("got %q", got)
	}
	if got := c.ok(fmt.Sprintf("UID FETCH 4:* UID (VANISHED CHANGEDSINCE %d)", was)); !fits("* VANISHED (EARLIER) 4,7\r\n* 5 FETCH (UID 9 MODSEQ (~))\r\n* 7 FETCH (UID 11 MODSEQ (~))\r\n", got) {
		t.Errorf("got %q", got)
	}
	// Another session comes back.
	c = login(t, addr)
	c.ok("ENABLE QRESYNC")
	const changed = "* 5 FETCH (UID 9 FLAGS (\\Flagged) MODSEQ (~))\r\n* 7 FETCH (UID 11 FLAGS () MODSEQ (~))\r\n"
	for parameters, want := range map[string]string{
		fmt.Sprintf("(%d %d)", validity, was):                "* VANISHED (EARLIER) 2:4,7\r\n" + changed,
		fmt.Sprintf("(%d %d 1:10)", validity, was):           "* VANISHED (EARLIER) 2:4,7\r\n* 5 FETCH (UID 9 ~)\r\n",
		fmt.Sprintf("(%d %d 3,7:6)", validity, was):          "* VANISHED (EARLIER) 3,7\r\n",
		fmt.Sprintf("(%d %d 1:99 (1,5 1,5))", validity, was): "* VANISHED (EARLIER) 2:4,7\r\n" + changed,
		fmt.Sprintf("(%d %d (1,5 1,5))", validity, was):      "* VANISHED (EARLIER) 2:4,7\r\n" + changed,
		fmt.Sprintf("(%d %d)", validity+1, was):              "",
		fmt.Sprintf("(%d %d)", validity, was+1000):           "",
	} {
		got := c.ok("SELECT INBOX (QRESYNC " + parameters + ")")
		_, after, _ := strings.Cut(got, "[MAILBOXID ")
		_, after, _ = strings.Cut(after, "\r\n")
		if !fits(want, after) {
			t.Errorf("%s: got %q, want %q", parameters, after, want)
		}
		if n := strings.Count(got, "HIGHESTMODSEQ"); n != 1 {
			t.Errorf("%d times HIGHESTMODSEQ in %q", n, got)
		}
	}
	for _, bad := range []string{"(1)", "(1 0)", "(0 1)", "(1 1 *)", "(1 1 1:*)", "(1 1 1 2)", "(1 1 (1))", "(1 1 (1 1)", "(x 1)", "(1 1 1 (1 1) 1)", "1 1", "(1 1))"} {
		if _, tagged := c.do("SELECT INBOX (QRESYNC " + bad + ")"); !strings.HasPrefix(tagged, "BAD") {
			t.Errorf("%s: %s", bad, tagged)
		}
	}
}

// What a client has not been told to be gone is not told to have been gone earlier, and no mod-sequence goes beyond what it knows.
func TestQresyncBeforeExpungeIsTold(t *testing.T) {
	s := newArchive(t)
	var uids []uint32
	for i := range 4 {
		uids = append(uids, s.add(fmt.Sprint(i, simple), "INBOX"))
	}
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("ENABLE QRESYNC")
	was := number(t, highestPattern, c.ok("SELECT INBOX"))
	s.change(uids[1], "Elsewhere")
	s.change(uids[2], "INBOX", `\Flagged`)
	untagged, _ := c.do("FETCH 1:4 (MODSEQ)")
	for _, m := range regexp.MustCompile(`MODSEQ \((\d+)\)`).FindAllStringSubmatch(untagged, -1) {
		if n, _ := strconv.Atoi(m[1]); n > was {
			t.Errorf("MODSEQ %d before the client knows what vanished at %d: %q", n, was+1, untagged)
		}
	}
	got := c.ok(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)", was))
	if strings.Contains(got, "EARLIER") || !strings.Contains(got, "* VANISHED 2\r\n") {
		t.Errorf("got %q", got)
	}
	if got := c.ok(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)", was)); !fits("* VANISHED (EARLIER) 2\r\n* 2 FETCH (UID 3 FLAGS (\\Flagged) MODSEQ (~))\r\n", got) {
		t.Errorf("got %q", got)
	}
}
