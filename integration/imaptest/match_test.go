package imaptest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func parse(t *testing.T, s string) []token {
	t.Helper()
	p := &parser{script: &Script{}, lines: strings.Split(s, "\n"), at: 1}
	parts, err := p.literals(p.lines[0])
	if err != nil {
		t.Fatal(err)
	}
	out, err := tokens(parts)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return out
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, got string
		want         bool
	}{
		{"1 fetch (uid 5)", "1 FETCH (UID 5)", true},
		{"1 fetch (uid 5)", "1 FETCH (UID 6)", false},
		{"1 fetch (uid 5)", "2 FETCH (UID 5)", false},
		{"1 fetch (uid $x rfc822.size $x)", "1 FETCH (UID 5 RFC822.SIZE 5)", true},
		{"1 fetch (uid $x rfc822.size $x)", "1 FETCH (UID 5 RFC822.SIZE 6)", false},
		{"1 fetch (uid 5)", "1 FETCH (FLAGS () UID 5)", true},
		{"1 fetch (uid 5 flags (\\seen))", "1 FETCH (FLAGS (\\Seen \\Recent) UID 5)", true},
		{"1 fetch (uid 5 flags (\\seen))", "1 FETCH (FLAGS (\\Seen \\Draft) UID 5)", false},
		{"1 fetch (flags ($!unordered \\seen))", "1 FETCH (FLAGS (\\Draft \\Seen))", true},
		{"1 fetch (flags ($!unordered $!ban=\\draft \\seen))", "1 FETCH (FLAGS (\\Draft \\Seen))", false},
		{"1 fetch (flags ($!ordered \\seen \\draft))", "1 FETCH (FLAGS (\\Draft \\Seen))", false},
		{"1 fetch (flags ())", "1 FETCH (FLAGS (\\Draft))", false},
		{"search 1 2", "SEARCH 1 2", true},
		{"search 1 2", "SEARCH 1 2 3", false},
		{"search 1 2", "SEARCH 2 1", false},
		{"search", "SEARCH", true},
		{"search", "SEARCH 1", false},
		{"esearch (tag a) all 1:3", "ESEARCH (TAG \"a\") ALL 1,2,3", true},
		{"esearch (tag a) all 1:3", "ESEARCH (TAG \"a\") ALL 1,2,4", false},
		{"esearch (tag a) all 3:1,7", "ESEARCH (TAG \"a\") ALL 1:3,7", true},
		{"list () / x", "LIST (\\HasNoChildren) \"/\" x", true},
		{"list (\\noselect) / x", "LIST (\\HasNoChildren) \"/\" x", false},
		{"status x (messages 1)", "STATUS x (UIDNEXT 5 MESSAGES 1)", true},
		{"status x (messages 1)", "STATUS x (UIDNEXT 1 MESSAGES 5)", false},
		{"1 fetch (envelope (nil \"a\"))", "1 FETCH (ENVELOPE (NIL \"a\"))", true},
		{"1 fetch (envelope (nil \"a\"))", "1 FETCH (ENVELOPE (\"NIL\" \"a\"))", false},
		{"1 fetch (envelope (\"nil\" \"a\"))", "1 FETCH (ENVELOPE (NIL \"a\"))", false},
		{"1 fetch (envelope (\"a\"))", "1 FETCH (ENVELOPE (\"a\" \"b\"))", false},
		{"1 fetch (envelope ($ \"b\"))", "1 FETCH (ENVELOPE ((1 2) \"b\"))", true},
		{"1 fetch (body[header.fields (from subject)] x)", "1 FETCH (BODY[HEADER.FIELDS (\"From\" SUBJECT)] \"x\")", true},
		{"1 fetch (body[header.fields (from)] x)", "1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] \"x\")", false},
		{"1 fetch (body[text] {{{\nA\n\n}}})", "1 FETCH (BODY[TEXT] {{{\nA\n\n}}})", true},
		{"1 fetch (body[text] {{{\nA\n\n}}})", "1 FETCH (BODY[TEXT] {{{\na\n\n}}})", false},
		{"1 fetch (body[text] {{{\nA\n}}})", "1 FETCH (BODY[TEXT] \"A\")", true},
		{"1 fetch (body[text] {{{\nA\n\n}}})", "1 FETCH (BODY[TEXT] \"A\")", false},
		{"1 fetch (body[text]<5> ~{{{\nA\r\n}}})", "1 FETCH (BODY[TEXT]<5> \"A\r\")", true},
		{"ok [unseen 1]", "OK [UNSEEN 1] first (unseen", true},
		{"ok [unseen 1]", "OK [UNSEEN 2] first unseen", false},
		{"ok [permanentflags (a)]", "OK [PERMANENTFLAGS (A)] x", true},
	} {
		pattern := parse(t, c.pattern)
		prefix := isStatus(pattern[0])
		if got := matchReply(vars{}, pattern, parse(t, c.got), prefix); got != c.want {
			t.Errorf("%q against %q: %v, want %v", c.pattern, c.got, got, c.want)
		}
	}
}

func TestExpand(t *testing.T) {
	v := vars{"uid1": {s: "7"}, "sep": {kind: text, s: "/"}, "l": {kind: list}}
	for in, want := range map[string]string{
		"uid fetch $uid1:* flags": "uid fetch 7:* flags",
		`list "" ro${sep}%`:       `list "" ro/%`,
		"search keyword $$hello":  "search keyword $hello",
		"search $3":               "search 3",
		"unbound $other and $l $": "unbound $other and $l $",
	} {
		if got := v.expand(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// A server with wrong answers fails: a wrong status, a missing reply, an unwanted one, a cut connection.
func TestWrongAnswersFail(t *testing.T) {
	for _, c := range []struct{ script, answer, want string }{
		{"ok noop", "$tag OK done", ""},
		{"ok noop", "$tag NO done", "want ok"},
		{"no noop", "$tag BAD done", "want no"},
		{"ok search all\n* search 1 2", "* SEARCH 1 2\r\n$tag OK done", ""},
		{"ok search all\n* search 1 2", "* SEARCH 1\r\n$tag OK done", "missing reply"},
		{"ok search all\n! search 1", "* SEARCH 1\r\n$tag OK done", "unwanted reply"},
		{"examine x\n* 2 exists\nok [read-only]", "* 2 EXISTS\r\n$tag OK [READ-ONLY] done", ""},
		{"examine x\n* 2 exists\nok [read-only]", "* 2 EXISTS\r\n$tag OK [READ-WRITE] done", "want ok"},
		{"ok fetch 1 body[]\n* 1 fetch (body[] {{{\nab\n}}})", "* 1 FETCH (BODY[] {2}\r\nab)\r\n$tag OK", ""},
		{"ok fetch 1 body[]\n* 1 fetch (body[] {{{\nab\n}}})", "* 1 FETCH (BODY[] {3}\r\nabc)\r\n$tag OK", "missing reply"},
		{"ok noop", "* 1 FETCH (BODY[] {999}\r\n", "EOF"},
		{"ok noop", "* 1 FETCH ((((\r\n$tag OK", "not closed"},
		{"tag1 noop\ntag2 noop\n* 1 exists\ntag1 ok\ntag2 no", "* 1 EXISTS\r\n$tag OK\r\n$tag2 NO x", ""},
	} {
		err := runAgainst(t, c.script, c.answer)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q answered %q: %v, want %q", c.script, c.answer, err, c.want)
		}
	}
}

// runAgainst runs a script against a server that gives one answer to the first command it does not know.
func runAgainst(t *testing.T, script, answer string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("state: auth\n\n"+script+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := ReadScript(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		fmt.Fprint(nc, "* OK hello\r\n")
		r := bufio.NewReader(nc)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			tag, command, _ := strings.Cut(line, " ")
			switch {
			case strings.HasPrefix(command, "CAPABILITY"), strings.HasPrefix(command, "LOGIN"):
				fmt.Fprintf(nc, "* CAPABILITY IMAP4rev1\r\n%s OK\r\n", tag)
			default:
				next := tag
				if strings.Contains(answer, "$tag2") {
					line, _ := r.ReadString('\n')
					next, _, _ = strings.Cut(line, " ")
				}
				fmt.Fprint(nc, strings.NewReplacer("$tag2", next, "$tag", tag).Replace(answer)+"\r\n")
				return
			}
		}
	}()
	return Run(Server{Addr: l.Addr().String(), User: "u", Password: "p"}, s).Err
}
