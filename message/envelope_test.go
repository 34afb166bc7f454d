package message

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseAddresses(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{" , ,, ", ""},
		{"user@domain", "user@domain"},
		{"user@domain (Real (nested) Name)", "Real (nested) Name <user@domain>"},
		{"(Real Name) <user@domain>", "Real Name <user@domain>"},
		{"Name <user@domain>", "Name <user@domain>"},
		{"\"Q. \\\"Name\\\", x\" <user@domain>", `Q. "Name", x <user@domain>`},
		{"A\r\n\tB  \"C\" <user@domain> (comment)", "A B C <user@domain>"},
		{"J.R.R. Tolkien <j@x>", "J.R.R. Tolkien <j@x>"},
		{"=?utf-8?q?a?= <a@b>", "=?utf-8?q?a?= <a@b>"},
		{"<@a,@b:user@domain>", "<@a,@b:user@domain>"},
		{"<user (c)@ (c) domain . org (c)>", "user@domain.org"},
		{"user . name @ domain . org", "user.name@domain.org"},
		{"\"quoted local\"@domain", "quoted local@domain"},
		{"<\"quoted local\"@domain>", "quoted local@domain"},
		{"user@[127.0.0.1 x]", "user@[127.0.0.1 x]"},
		{"a@b, c@d;e@f", "a@b, c@d, e@f"},
		{"g: a@b, C <c@d>;, e@f", "[g, a@b, C <c@d>, ], e@f"},
		{"empty:;, undisclosed recipients: ;", "[empty, ], [undisclosed recipients, ]"},
		{"not closed: a@b", "[not closed, a@b, ]"},
		{"g: inner: a@b;", "[g, inner, a@b, ]"},
		{"nobody", "nobody"},
		{"several words", "several words <>"},
		{"Name <>", "Name <>"},
		{"<>", "<>"},
		{"<user>", "user"},
		{"<two words>", "two words"},
		{"Name <user@domain", "Name <user@domain>"},
		{"user@domain>", "user@domain"},
		{"me@x <me@x>", "me@x <me@x>"},
		{"Mary Smith mary@x", "Mary Smith <mary@x>"},
		{"a@b Thu Jan 1", "a@b"},
		{"a@b@c", "a@b@c"},
		{":::", ""},
		{"<<a@b>>", "<a@b"},
		{"\"not closed <a@b>", "not closed <a@b>"},
		{"(not closed a@b", ""},
		{"a@b (x), c@d (y)", "x <a@b>, y <c@d>"},
		{"\xe4\xf6 <a@b>", "\xe4\xf6 <a@b>"},
		{"a@", "a"},
		{"@b", "@b"},
	}
	for _, test := range tests {
		if got := describeAddresses(ParseAddresses(test.in)); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func describeAddresses(list []Address) string {
	var out []string
	for _, a := range list {
		s := a.Mailbox
		if a.Host != "" {
			s += "@" + a.Host
		}
		if a.Route != "" {
			s = "<" + a.Route + ":" + s + ">"
		}
		switch {
		case a.Group == GroupStart:
			s = "[" + s
		case a.Group == GroupEnd:
			s = "]"
		case a.Name != "" || s == "":
			s = strings.TrimLeft(a.Name+" <"+s+">", " ")
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestAppendEnvelope(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"nothing", "", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"empty values", "Date:\nSubject: \nFrom: \nMessage-ID:\n\n", `("" "" NIL NIL NIL NIL NIL NIL NIL "")`},
		{"all", "Date: d\r\nSubject: s\r\nFrom: F <f@x>\r\nSender: s@x\r\nReply-To: r@x\r\nTo: t@x\r\nCc: c@x\r\nBcc: b@x\r\nIn-Reply-To: <i@x>\r\nMessage-Id: <m@x>\r\n\r\n",
			`("d" "s" (("F" NIL "f" "x")) ((NIL NIL "s" "x")) ((NIL NIL "r" "x")) ((NIL NIL "t" "x")) ((NIL NIL "c" "x")) ((NIL NIL "b" "x")) "<i@x>" "<m@x>")`},
		{"Sender and Reply-To from From", "From: f@x\nSender: \n\n", `(NIL NIL ((NIL NIL "f" "x")) ((NIL NIL "f" "x")) ((NIL NIL "f" "x")) NIL NIL NIL NIL NIL)`},
		{"addresses of two fields", "To: a@x\nCc: c@x\nTo:\nto: b@x\n\n", `(NIL NIL NIL NIL NIL ((NIL NIL "a" "x")(NIL NIL "b" "x")) ((NIL NIL "c" "x")) NIL NIL NIL)`},
		{"second From", "From: a@x\nFrom: b@x\n\n", `(NIL NIL ((NIL NIL "a" "x")(NIL NIL "b" "x")) ((NIL NIL "a" "x")(NIL NIL "b" "x")) ((NIL NIL "a" "x")(NIL NIL "b" "x")) NIL NIL NIL NIL NIL)`},
		{"first of texts", "Subject: 1\nSubject: 2\n\n", `(NIL "1" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"group", "To: g: a@x;, b@x\n\n", `(NIL NIL NIL NIL NIL ((NIL NIL "g" NIL)(NIL NIL "a" "x")(NIL NIL NIL NIL)(NIL NIL "b" "x")) NIL NIL NIL NIL)`},
		{"no domain", "To: a\n\n", `(NIL NIL NIL NIL NIL ((NIL NIL "a" "")) NIL NIL NIL NIL)`},
		{"folds", "Subject: a\r\n\t b\r\n c\r\nIn-Reply-To: <a>\r\n\t<b>\r\n\r\n", "(NIL \"a b c\" NIL NIL NIL NIL NIL NIL \"<a>\t<b>\" NIL)"},
		{"8-bit and NUL", "Subject: \xc3\xa4\nTo: \xe4 <a\x00@x>\n\n", "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL (({1}\r\n\xe4 NIL \"a\" \"x\")) NIL NIL NIL NIL)"},
		{"quotes", "Subject: a \"b\" \\\n\n", `(NIL "a \"b\" \\" NIL NIL NIL NIL NIL NIL NIL NIL)`},
		{"only up to the empty line", "\nSubject: s\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"no colon", "Subject\nDate d\n\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"},
		{"CR in a value", "Subject: a\rb\n\n", "(NIL {3}\r\na\rb NIL NIL NIL NIL NIL NIL NIL NIL)"},
	}
	for _, test := range tests {
		if got := string(AppendEnvelope([]byte("x"), []byte(test.in))); got != "x"+test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got[1:], test.want)
		}
	}
}

func TestAppendString(t *testing.T) {
	long := strings.Repeat("x", maxQuoted+1)
	tests := []struct{ in, want string }{
		{"", `""`}, {"a b", `"a b"`}, {`a"\`, `"a\"\\"`}, {"a\nb", "{3}\r\na\nb"}, {"ä", "{2}\r\nä"}, {"a\x00b", `"ab"`}, {"\x00\xff", "{1}\r\n\xff"},
		{long, fmt.Sprintf("{%d}\r\n%s", len(long), long)}, {"\t\x7f", "\"\t\x7f\""},
	}
	for _, test := range tests {
		if got := string(AppendString(nil, test.in)); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
		if got := string(AppendString(nil, []byte(test.in))); got != test.want {
			t.Errorf("%q as bytes: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestAppendHeaderFields(t *testing.T) {
	const header = "From: a\r\nTo: b,\r\n\tc\r\nnot a field\r\nto : d\r\nX: e\r\n\r\n"
	tests := []struct {
		fields []string
		not    bool
		want   string
	}{
		{[]string{"to"}, false, "To: b,\r\n\tc\r\nto : d\r\n\r\n"},
		{[]string{"X", "FROM", "x"}, false, "From: a\r\nX: e\r\n\r\n"},
		{[]string{"none", "not a field"}, false, "\r\n"},
		{nil, false, "\r\n"},
		{[]string{"To"}, true, "From: a\r\nnot a field\r\nX: e\r\n\r\n"},
		{nil, true, header},
	}
	for _, test := range tests {
		if got := string(AppendHeaderFields(nil, []byte(header), test.fields, test.not)); got != test.want {
			t.Errorf("%q %v: got %q, want %q", test.fields, test.not, got, test.want)
		}
	}
	if got := string(AppendHeaderFields(nil, []byte("A: b"), []string{"a"}, false)); got != "A: b\r\n\r\n" {
		t.Errorf("header without line end: got %q", got)
	}
}

func TestHeader(t *testing.T) {
	h := Header("Subject: =?utf-8?q?=C3=A4?=\r\n =?utf-8?q?b?=\r\n\tc\r\nTo: a@x\r\nTO: B <b@x>\r\n\r\nSubject: no\r\n")
	if got := h.Text("subject"); got != "äb c" {
		t.Errorf("text %q", got)
	}
	if got := h.Get("Subject"); got != "=?utf-8?q?=C3=A4?= =?utf-8?q?b?=\tc" {
		t.Errorf("unfolded %q", got)
	}
	if got := describeAddresses(h.Addresses("to")); got != "a@x, B <b@x>" {
		t.Errorf("addresses %q", got)
	}
	if got := h.Get("none") + h.Text("none"); got != "" {
		t.Errorf("missing field %q", got)
	}
}

func TestSection(t *testing.T) {
	b := []byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nX: 1\n\none\n--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/x; boundary=c\n\n" +
		"--c\nX: 2\n\ntwo\n--c\nContent-Type: message/rfc822\n\nSubject: s\n\nthree\n--c--\n--b--\n")
	tests := []struct {
		path      string
		specifier string
		want      string // "-": no such section
	}{
		{"1", "", "one"}, {"1", "MIME", "X: 1\n\n"}, {"1", "HEADER", "-"}, {"1", "TEXT", "-"}, {"1.1", "", "-"}, {"3", "", "-"}, {"0", "", "-"}, {"-1", "", "-"},
		{"2", "MIME", "Content-Type: message/rfc822\n\n"}, {"2", "HEADER", "Content-Type: multipart/x; boundary=c\n\n"},
		{"2.1", "", "two"}, {"2.1", "MIME", "X: 2\n\n"}, {"2.2", "", "Subject: s\n\nthree"}, {"2.2", "HEADER", "Subject: s\n\n"}, {"2.2", "TEXT", "three"},
		{"2.2.1", "", "three"}, {"2.2.1", "MIME", "Subject: s\n\n"}, {"2.2.2", "", "-"}, {"2.2.1.1", "", "-"}, {"2.3", "", "-"},
		{"", "HEADER", "Content-Type: multipart/mixed; boundary=b\n\n"}, {"", "MIME", "-"}, {"", "OTHER", "-"}, {"", "", string(b)},
	}
	root := Parse(b)
	for _, test := range tests {
		var path []int
		for _, n := range strings.FieldsFunc(test.path, func(r rune) bool { return r == '.' }) {
			var v int
			fmt.Sscan(n, &v)
			path = append(path, v)
		}
		got := "-"
		if start, end, ok := root.Section(path, test.specifier); ok {
			got = string(b[start:end])
		}
		if got != test.want {
			t.Errorf("[%s.%s]: got %q, want %q", test.path, test.specifier, got, test.want)
		}
	}
}
