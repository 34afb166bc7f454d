package imapd

import (
	"fmt"
	"strings"
	"testing"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

func TestListPatterns(t *testing.T) {
	s := newArchive(t)
	for _, name := range []string{"INBOX", "INBOX/Sub", "a", "a/b", "a/b/c", "ab"} {
		s.mailbox(name, "")
	}
	c := login(t, serve(t, s.w.Reader, testOptions()))
	tests := []struct{ args, want string }{
		{`"" ""`, `""`},
		{`"" "Trash"`, ``},
		{`"" "inbox"`, `INBOX`},
		{`"" "iNbOx/Sub"`, `"INBOX/Sub"`},
		{`"" "%"`, `INBOX "a" "ab"`},
		{`"" "*"`, `INBOX "INBOX/Sub" "a" "a/b" "a/b/c" "ab"`},
		{`"" "a%"`, `"a" "ab"`},
		{`"" "a*"`, `"a" "a/b" "a/b/c" "ab"`},
		{`"" "%/%"`, `"INBOX/Sub" "a/b"`},
		{`"" "*b"`, `"INBOX/Sub" "a/b" "ab"`},
		{`"" "a/%/c"`, `"a/b/c"`},
		{`"a/" "%"`, `"a/b"`},
		{`"a/" "*"`, `"a/b" "a/b/c"`},
		{`"a" "%"`, `"a" "ab"`},
		{`"inb" "ox"`, `INBOX`},
		{`"A/" "*"`, ``},
		{`"" ("a" "ab" "a%")`, `"a" "ab"`},
		{`"" "%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%*****************************q"`, ``},
	}
	for _, verb := range []string{"LIST", "LSUB"} {
		for _, test := range tests {
			if verb == "LSUB" && strings.Contains(test.args, "(") {
				continue
			}
			var got []string
			for line := range strings.SplitSeq(strings.TrimSpace(c.ok(verb+" "+test.args)), "\r\n") {
				if _, name, ok := strings.Cut(line, `"/" `); ok {
					got = append(got, name)
				}
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("%s %s: got %s, want %s", verb, test.args, strings.Join(got, " "), test.want)
			}
		}
	}
}

func TestListExtended(t *testing.T) {
	s := newArchive(t)
	s.mailbox("INBOX", "")
	s.mailbox("Sent", `\Sent`)
	s.mailbox("odd", "no attribute")
	s.mailbox("x/y", `\Important`)
	s.add(simple, "INBOX,Sent", `\Seen`)
	s.add(simple+"2", "INBOX", `\Deleted`)
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.talk(`
		C: a list (subscribed) "" "*" return (special-use)
		S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
		S: * LIST (\HasNoChildren \Subscribed \Sent) "/" "Sent"
		S: * LIST (\HasNoChildren \Subscribed) "/" "odd"
		S: * LIST (\Noselect \NonExistent \HasChildren \Subscribed) "/" "x"
		S: * LIST (\HasNoChildren \Subscribed \Important) "/" "x/y"
		S: a OK LIST completed
		C: b LIST (SPECIAL-USE) "" "*" RETURN (CHILDREN)
		S: * LIST (\HasNoChildren \Sent) "/" "Sent"
		S: * LIST (\HasNoChildren \Important) "/" "x/y"
		S: b OK LIST completed
		C: c LIST "" "%" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT SIZE))
		S: * LIST (\HasNoChildren) "/" INBOX
		S: * STATUS INBOX (MESSAGES 2 UIDNEXT 3 UNSEEN 1 SIZE ~)
		S: * LIST (\HasNoChildren \Sent) "/" "Sent"
		S: * STATUS "Sent" (MESSAGES 1 UIDNEXT 2 UNSEEN 0 SIZE ~)
		S: * LIST (\HasNoChildren) "/" "odd"
		S: * STATUS "odd" (MESSAGES 0 UIDNEXT 1 UNSEEN 0 SIZE 0)
		S: * LIST (\Noselect \NonExistent \HasChildren) "/" "x"
		S: c OK LIST completed
		C: d LIST (SUBSCRIBED RECURSIVEMATCH) "" "x"
		S: * LIST (\Noselect \NonExistent \HasChildren \Subscribed) "/" "x" (CHILDINFO ("SUBSCRIBED"))
		S: d OK LIST completed
		C: e LIST (RECURSIVEMATCH) "" "x"
		S: e BAD ~
		C: f LIST (NONSENSE) "" "x"
		S: f BAD ~
		C: g LSUB "" "%"
		S: * LSUB (\HasNoChildren \Subscribed) "/" INBOX
		S: * LSUB (\HasNoChildren \Subscribed \Sent) "/" "Sent"
		S: * LSUB (\HasNoChildren \Subscribed) "/" "odd"
		S: * LSUB (\Noselect \NonExistent \HasChildren \Subscribed) "/" "x"
		S: g OK LSUB completed
		C: h STATUS inbox (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE DELETED DELETED-STORAGE)
		S: * STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY ~ UNSEEN 1 DELETED 1 SIZE ~ DELETED-STORAGE ~ RECENT 0)
		S: h OK STATUS completed
		C: i STATUS x (MESSAGES)
		S: i NO [NONEXISTENT] there is no mailbox "x"
		C: j STATUS INBOX (NONSENSE)
		S: j BAD ~
		C: k SELECT x
		S: k NO [CANNOT] ~
		C: l SELECT nowhere
		S: l NO [NONEXISTENT] ~
		C: m FETCH 1 (FLAGS)
		S: m BAD ~
		C: n NAMESPACE
		S: * NAMESPACE (("" "/")) NIL NIL
		S: n OK NAMESPACE completed
	`)
}

func TestOddMailboxNames(t *testing.T) {
	s := newArchive(t)
	names := []string{"R&D", "Entwürfe", `say "hi"`, `back\slash`, "日本語/台北", "tab\there", "line\r\nbreak", "😀", "a+x", "]", "~", "%*", "&-", " blank ", "{5}", "a//b"}
	for _, name := range names {
		s.add(simple+name, name)
	}
	addr := serve(t, s.w.Reader, testOptions())
	c := login(t, addr)
	list := c.ok(`LIST "" "*"`)
	for _, name := range names {
		wire := string(appendWire(nil, name))
		if !strings.Contains(list, `"/" `+wire+"\r\n") {
			t.Errorf("%q is not listed as %s in\n%s", name, wire, list)
		}
		if got := c.ok("SELECT " + wire); !strings.Contains(got, "* 1 EXISTS") {
			t.Errorf("%q: %s", name, got)
		}
		if got := c.ok("STATUS " + wire + " (MESSAGES)"); !strings.HasPrefix(got, "* STATUS "+wire+" (MESSAGES 1)") {
			t.Errorf("%q: %s", name, got)
		}
		if got := c.ok("MYRIGHTS " + wire); got != "* MYRIGHTS "+wire+" lr\r\n" {
			t.Errorf("%q: %s", name, got)
		}
	}
	c.ok("ENABLE UTF8=ACCEPT")
	list = c.ok(`LIST "" "*"`)
	for _, name := range names {
		if strings.Contains(name, "\r\n") {
			continue // goes as a literal
		}
		wire := string(appendUTF8(nil, name))
		if !strings.Contains(list, `"/" `+wire+"\r\n") {
			t.Errorf("with UTF8=ACCEPT %q is not listed as %s in\n%s", name, wire, list)
		}
		if name == "tab\there" {
			continue
		}
		literal := fmt.Sprintf("{%d+}\r\n%s", len(name), name)
		for _, command := range []string{"SELECT " + wire, "MYRIGHTS " + wire, "EXAMINE " + literal, "MYRIGHTS " + literal, "SUBSCRIBE " + literal} {
			if _, tagged := c.do(command); !strings.HasPrefix(tagged, "OK") {
				t.Errorf("with UTF8=ACCEPT %s: %s", command, tagged)
			}
		}
		if got := c.ok("STATUS " + literal + " (MESSAGES)"); !strings.HasPrefix(got, "* STATUS "+wire+" (MESSAGES 1)") {
			t.Errorf("with UTF8=ACCEPT %q: %s", literal, got)
		}
		if got := c.ok("STATUS " + wire + " (MESSAGES)"); !strings.HasPrefix(got, "* STATUS "+wire+" (MESSAGES 1)") {
			t.Errorf("with UTF8=ACCEPT %q: %s", name, got)
		}
	}
}

// appendWire quotes a name in modified UTF-7.
func appendWire(dst []byte, name string) []byte { return appendUTF8(dst, modifiedUTF7(name)) }

func TestSeveralAccounts(t *testing.T) {
	w := archivetest.New(t)
	one := newSource(t, w, "one@example.org")
	two := newSource(t, w, "two@example.org")
	one.add(simple, "INBOX,Work")
	two.add(simple, "INBOX")
	two.add(simple+"x", "INBOX")
	o := testOptions()
	o.Logins = append(o.Logins, Login{User: "two", Verify: verify, Account: "two@example.org"}, Login{User: "none", Verify: verify, Account: "none@example.org"})
	addr := serve(t, w.Reader, o)
	login(t, addr).talk(`
		C: a LIST "" *
		S: * LIST (\HasNoChildren) "/" INBOX
		S: * LIST (\Noselect \HasChildren) "/" "one@example.org"
		S: * LIST (\HasNoChildren) "/" "one@example.org/INBOX"
		S: * LIST (\HasNoChildren) "/" "one@example.org/Work"
		S: * LIST (\Noselect \HasChildren) "/" "two@example.org"
		S: * LIST (\HasNoChildren) "/" "two@example.org/INBOX"
		S: a OK LIST completed
		C: b STATUS two@example.org/INBOX (MESSAGES)
		S: * STATUS "two@example.org/INBOX" (MESSAGES 2)
		S: b OK STATUS completed
		C: c SELECT INBOX
		S: * 0 EXISTS
		S: * 0 RECENT
		S: * OK [UIDVALIDITY 1] ~
		S: * OK [UIDNEXT 1] ~
		S: * FLAGS ~
		S: * OK [PERMANENTFLAGS ()] ~
		S: * OK [HIGHESTMODSEQ ~
		S: * OK [MAILBOXID ~
		S: c OK [READ-ONLY] SELECT completed
		C: d FETCH 1:* (FLAGS)
		S: d OK FETCH completed
		C: e UID SEARCH ALL
		S: * SEARCH
		S: e OK UID SEARCH completed
		C: f NOOP
		S: f OK NOOP completed
		C: g STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED)
		S: * STATUS INBOX (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1 UNSEEN 0 DELETED 0)
		S: g OK STATUS completed
	`)
	c := dial(t, addr)
	c.ok(`LOGIN two "pass word"`)
	c.talk(`
		C: a LIST "" *
		S: * LIST (\HasNoChildren) "/" INBOX
		S: a OK LIST completed
		C: b STATUS INBOX (MESSAGES)
		S: * STATUS INBOX (MESSAGES 2)
		S: b OK STATUS completed
		C: c STATUS one@example.org/INBOX (MESSAGES)
		S: c NO [NONEXISTENT] ~
	`)
	c = dial(t, addr)
	c.ok(`LOGIN none "pass word"`)
	c.talk(`
		C: a LIST "" *
		S: * LIST (\HasNoChildren) "/" INBOX
		S: a OK LIST completed
	`)
}

func TestTreeNames(t *testing.T) {
	box := func(id archive.MailboxID, account archive.AccountID, name string) archive.Mailbox {
		return archive.Mailbox{ID: id, Account: account, Name: name}
	}
	tests := []struct {
		name     string
		accounts []archive.Account
		boxes    []archive.Mailbox
		want     string
	}{
		{"inbox in another case", []archive.Account{{ID: 1, Name: "a"}}, []archive.Mailbox{box(1, 1, "Inbox")}, "INBOX=1"},
		{"two inboxes", []archive.Account{{ID: 1, Name: "a"}}, []archive.Mailbox{box(1, 1, "Inbox"), box(2, 1, "INBOX")}, "INBOX=2 Inbox (2)=1"},
		{"account called inbox", []archive.Account{{ID: 1, Name: "inbox"}, {ID: 2, Name: "b"}}, []archive.Mailbox{box(1, 1, "x"), box(2, 2, "x")},
			"INBOX=0 b=- b/x=2 inbox/x=1"},
		{"account with a slash", []archive.Account{{ID: 1, Name: "a/b"}, {ID: 2, Name: "c"}}, []archive.Mailbox{box(1, 1, "x")}, "INBOX=0 a=- a/b=- a/b/x=1 c=-"},
		{"not UTF-8", []archive.Account{{ID: 1, Name: "a"}}, []archive.Mailbox{box(1, 1, "x\xff"), box(2, 1, "x\xfe")}, "INBOX=0 x\uFFFD=1 x\uFFFD (2)=2"},
		{"nothing", nil, nil, "INBOX=0"},
	}
	for _, test := range tests {
		var got []string
		for _, n := range buildTree(test.accounts, test.boxes).nodes {
			id := "-"
			if n.exists {
				id = string('0' + rune(n.box))
			}
			got = append(got, n.name+"="+id)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %q, want %q", test.name, strings.Join(got, " "), test.want)
		}
	}
}
