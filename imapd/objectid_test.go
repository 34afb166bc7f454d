package imapd

import (
	"regexp"
	"strings"
	"testing"

	"mailkeep/archive/archivetest"
)

func TestObjectIDs(t *testing.T) {
	w := archivetest.New(t)
	s := imapSource(t, w, "home", "INBOX", "Archive", "R&D")
	s.put("INBOX", simple)
	s.put("INBOX", "In-Reply-To: <1@example.org>\r\n\r\n")
	s.put("Archive", simple)
	c := login(t, serve(t, w.Reader, testOptions()))
	idOf := func(pattern, s string) string {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(s)
		if m == nil {
			t.Fatalf("no %s in %q", pattern, s)
		}
		return m[1]
	}
	const id = `\(([A-Za-z0-9_-]{1,255})\)`
	selected := c.ok("SELECT INBOX")
	box := idOf(`\* OK \[MAILBOXID `+id+`\]`, selected)
	if other := idOf(`\[MAILBOXID `+id+`\]`, c.ok("EXAMINE Archive")); other == box {
		t.Errorf("both mailboxes are %s", box)
	}
	if _, tagged := c.do("SELECT nowhere"); strings.Contains(tagged, "MAILBOXID") {
		t.Error(tagged)
	}
	for command, want := range map[string]string{
		"STATUS INBOX (MAILBOXID)":                                            "* STATUS INBOX (MAILBOXID (" + box + "))\r\n",
		"STATUS INBOX (mailboxid UIDNEXT MESSAGES MAILBOXID)":                 "* STATUS INBOX (MESSAGES 2 UIDNEXT 3 MAILBOXID (" + box + "))\r\n",
		"STATUS INBOX (APPENDLIMIT MAILBOXID)":                                "* STATUS INBOX (APPENDLIMIT NIL MAILBOXID (" + box + "))\r\n",
		"STATUS {5+}\r\nINBOX (MAILBOXID)":                                    "* STATUS INBOX (MAILBOXID (" + box + "))\r\n",
		`LIST "" INBOX RETURN (STATUS (MAILBOXID MESSAGES) SPECIAL-USE)`:      "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 2 MAILBOXID (" + box + "))\r\n",
		`LIST () "" (INBOX) RETURN (SPECIAL-USE STATUS (MAILBOXID))`:          "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* STATUS INBOX (MAILBOXID (" + box + "))\r\n",
		`LIST "" INBOX RETURN (CHILDREN)`:                                     "* LIST (\\HasNoChildren) \"/\" INBOX\r\n",
		`LIST "" (MAILBOXID "RETURN (STATUS (MAILBOXID))") RETURN (CHILDREN)`: "",
	} {
		if got := c.ok(command); got != want {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	for _, command := range []string{"STATUS INBOX MAILBOXID", "STATUS MAILBOXID", "STATUS INBOX (MAILBOXID", `LIST "" INBOX RETURN (MAILBOXID)`, "FETCH 1 MAILBOXID"} {
		if _, tagged := c.do(command); !strings.HasPrefix(tagged, "BAD") {
			t.Errorf("%s: %s", command, tagged)
		}
	}
	c.ok("SELECT Archive")
	copied := idOf(`EMAILID `+id, c.ok("FETCH 1 EMAILID"))
	c.ok("SELECT INBOX")
	got := c.ok("UID FETCH 1:2 (EMAILID THREADID)")
	email, thread := idOf(`UID 1 EMAILID `+id, got), idOf(`UID 1 .* THREADID `+id, got)
	if email != copied || idOf(`UID 2 EMAILID `+id, got) == email || idOf(`UID 2 .* THREADID `+id, got) != thread {
		t.Errorf("%s and elsewhere %s", got, copied)
	}
	for key, want := range map[string]string{
		"EMAILID " + email: " 1", "NOT EMAILID " + email: " 2", "THREADID " + thread: " 1 2", "THREADID T0": "", "THREADID x": "", "EMAILID " + strings.ToLower(email): "",
	} {
		if got := c.ok("SEARCH " + key); got != "* SEARCH"+want+"\r\n" {
			t.Errorf("%s: got %q", key, got)
		}
	}
	c.ok("ENABLE UTF8=ACCEPT")
	if got := c.ok("STATUS {3+}\r\nR&D (MAILBOXID MESSAGES)"); !strings.HasPrefix(got, `* STATUS "R&D" (MESSAGES 0 MAILBOXID (`) && !strings.HasPrefix(got, `* STATUS R&D (MESSAGES 0 MAILBOXID (`) {
		t.Error(got)
	}
}
