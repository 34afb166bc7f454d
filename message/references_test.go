package message

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBaseSubject(t *testing.T) {
	for _, c := range []struct {
		subject, base string
		reply         bool
	}{
		{"", "", false},
		{"hello", "hello", false},
		{"  hello \t world  ", "hello world", false},
		{"Re: hello", "hello", true},
		{"RE : hello", "hello", true},
		{"re[4]: hello", "hello", true},
		{"Re [x] : hello", "hello", true},
		{"fwd: FW: Re: hello", "hello", true},
		{"[list] Re: [list] hello", "hello", true},
		{"[list] hello", "hello", false},
		{"[list] [other]hello", "hello", false},
		{"[list]", "[list]", false},
		{"[a][b]", "[b]", false},
		{"Re: [list]", "[list]", true},
		{"hello (fwd)", "hello", true},
		{"hello (FWD) (fwd) ", "hello", true},
		{"[fwd: Re: hello (fwd)]", "hello", true},
		{"[Fwd: [fwd: hello]]", "hello", true},
		{"[fwd:]", "", true},
		{"(fwd)", "", true},
		{"Re:", "", true},
		{"Regarding: hello", "Regarding: hello", false},
		{"Re hello", "Re hello", false},
		{"re", "re", false},
		{"fwd", "fwd", false},
		{"[not closed", "[not closed", false},
		{"[a[b]: hello", "[a[b]: hello", false},
		{"Re: Re", "Re", true},
		{"AW: hello", "AW: hello", false},
		{"[fwd", "[fwd", false},
	} {
		if base, reply := BaseSubject(c.subject); base != c.base || reply != c.reply {
			t.Errorf("%q: got %q, %v, want %q, %v", c.subject, base, reply, c.base, c.reply)
		}
	}
}

func TestMessageIDs(t *testing.T) {
	for value, want := range map[string][]string{
		"":                                 nil,
		"<a@b>":                            {"a@b"},
		"<a@b> <c@d>\r\n\t<e@f>":           {"a@b", "c@d", "e@f"},
		"<a@b><c@d>":                       {"a@b", "c@d"},
		`<"01KF8JCEOCBS0045PS"@xxx.yyy>`:   {"01KF8JCEOCBS0045PS@xxx.yyy"},
		`<"a\"b"@c>`:                       {`a"b@c`},
		"(comment <x@y>) < a @ b (c) >":    {"a@b"},
		`Your message "about <x@y>" <a@b>`: {"a@b"},
		"no brackets a@b":                  nil,
		"<no-at>":                          nil,
		"<@b> <a@> <>":                     nil,
		"<never closed@x <a@b>":            {"a@b"},
		"<a@b@c>":                          {"a@b@c"},
		"<a@b":                             nil,
	} {
		if got := slices.Collect(MessageIDs(value)); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

func TestReferences(t *testing.T) {
	for header, want := range map[string][]string{
		"References: <a@b> <c@d>\r\nIn-Reply-To: <e@f>\r\n\r\n": {"a@b", "c@d"},
		"References: nothing\r\nIn-Reply-To: <e@f> <g@h>\r\n":   {"e@f"},
		"Subject: x\r\n": nil,
	} {
		if got := Header(header).References(); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
	if got := Header("Message-Id: x <a@b> <c@d>\r\n").MessageID(); got != "a@b" {
		t.Errorf("got %q", got)
	}
}

// Subjects and references take time in proportion to their length.
func TestLongSubjectsAndReferences(t *testing.T) {
	start := time.Now()
	for _, s := range []string{"[a]", "[a] ", "Re: ", "[fwd:", "(fwd) ", "[", "]", "Re[", "<a@b>", "<a", "(", `"`, `<"`, "@", "<(", `\`} {
		long := strings.Repeat(s, 300000)
		BaseSubject(long)
		for range MessageIDs(long) {
		}
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("took %v", d)
	}
}

func FuzzBaseSubject(f *testing.F) {
	for _, s := range []string{"Re: [x] y (fwd)", "[fwd: Re[2]: [a][b] (fwd)]", "[a]", "re"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		base, _ := BaseSubject(s)
		if again, reply := BaseSubject(base); again != base || reply {
			t.Errorf("%q became %q, and that %q, %v", s, base, again, reply)
		}
	})
}

func FuzzMessageIDs(f *testing.F) {
	for _, s := range []string{`<"a b"@c> (x) <d@e>`, "<a@b <c@d>", `<"\@`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for id := range MessageIDs(s) {
			if !strings.Contains(id, "@") || len(id) > len(s) {
				t.Errorf("%q holds %q", s, id)
			}
		}
	})
}
