package message

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// seedMessages are small messages that together reach every branch of the parser.
var seedMessages = []string{
	"",
	"Subject: s\r\n\r\nbody\r\n",
	"From: a <b@c>, \"d\\\"\" <@r:e@f>, g: h@i;, (x) j@k\nTo\n: v\nDate: Thu, 15 Feb 2007 01:02:03 +0200 (c)\n\n",
	"Content-Type: multipart/mixed; boundary=\"b\"\n\npre\n--b\nContent-Type: text/html; charset=utf-7\n\n<p>&auml;+AOQ-</p>\n--b\n\n--b--\npost",
	"Content-Type: multipart/digest; boundary*0*=''%62; boundary*1=b\n\n--bb\n\nSubject: =?utf-8?q?=41?= =?x?b?QUE=?=\n\n--bb--",
	"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQ29udGVudC1UeXBlOiBtZXNzYWdlL3JmYzgyMgoKQTogYgoK",
	"Content-Type: text/plain; charset=iso-2022-jp\nContent-Transfer-Encoding: quoted-printable\n\n=1B$BFn=1B(B=\n=zz\x00",
	"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Disposition: attachment; filename*=utf-8''%C3%A4\nContent-Language: a, b\n--b",
	"Content-Type: message/rfc822\n\nno field \xe8",
}

// seed adds the seeds of this package, and messages of the corpus where it is at hand.
func seed(f *testing.F) {
	for _, s := range seedMessages {
		f.Add([]byte(s))
	}
	files, _ := filepath.Glob(filepath.Join(os.TempDir(), "mailkeep-corpus-*", "dev", "cpython", "test_email_data", "*.txt"))
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil && len(b) < 8<<10 {
			f.Add(b)
		}
	}
}

func TestSeedsArePresent(t *testing.T) {
	if len(seedMessages) == 0 {
		t.Fatal("the fuzz tests have no seeds")
	}
	for _, s := range seedMessages {
		checkMessage(t, []byte(s))
	}
}

func FuzzParse(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) { checkMessage(t, b) })
}

func FuzzEnvelope(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, ok := list(AppendEnvelope(nil, b)).([]any)
		if !ok || len(fields) != envFields {
			t.Fatalf("%q", fields)
		}
		for _, addresses := range fields[envFrom : envBcc+1] {
			checkAddresses(t, addresses)
		}
	})
}

// checkAddresses asserts the grammar of an address list: groups that begin, end and do not nest.
func checkAddresses(t *testing.T, v any) {
	list, _ := v.([]any)
	inGroup := false
	for _, a := range list {
		fields := a.([]any)
		if len(fields) != 4 {
			t.Fatalf("address %q", fields)
		}
		switch {
		case fields[2] == nil && (fields[3] != nil || !inGroup):
			t.Fatalf("stray end of a group in %q", list)
		case fields[2] == nil:
			inGroup = false
		case fields[3] == nil && inGroup:
			t.Fatalf("group in a group in %q", list)
		case fields[3] == nil:
			inGroup = true
		}
	}
	if inGroup {
		t.Fatalf("group without an end in %q", list)
	}
}

func FuzzDecodeWords(f *testing.F) {
	for _, s := range []string{"=?utf-8?q?a_=41?= =?utf-8?b?QQ==?=", "=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "=?utf-7?q?+AOQ-?=", "=?x?q?", "\xff=?=?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := DecodeWords(s)
		if !utf8.ValidString(got) {
			t.Errorf("%q is not UTF-8", got)
		}
		if !strings.Contains(s, "=?") && utf8.ValidString(s) && got != s {
			t.Errorf("plain text %q became %q", s, got)
		}
		Fold(got)
	})
}

func FuzzParams(f *testing.F) {
	for _, s := range []string{"text/plain; a=b; c*0*=x''%41; c*1=\"d\\\"\"", "a/b; c=d e (f) g=h", "\"a/b\"; x", "a/b; c=(d", "multipart; boundary=x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, subtype, params := parseMediaType([]byte(s))
		if typ == "" || subtype == "" {
			t.Errorf("%q/%q", typ, subtype)
		}
		for _, p := range params {
			if !utf8.ValidString(ParamValue(params, p.Name)) {
				t.Errorf("%q is not UTF-8", p.Name)
			}
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{"Thu, 15 Feb 2007 01:02:03 +0200 (EET)", "2007-02-15T01:02:03Z", "15-Feb-07 1:2", "(", "1:2:3+0400", "T-:-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		date, ok := ParseDate(s)
		if ok && (date.Year() < 0 || date.Year() > 10001) || !ok && !date.IsZero() {
			t.Errorf("%v, %v", date, ok)
		}
	})
}

// TestHostileTimes gives each reader 256 KiB that would take a quadratic one minutes.
func TestHostileTimes(t *testing.T) {
	const size = 256 << 10
	fill := func(unit string) string { return strings.Repeat(unit, size/len(unit)) }
	values := []string{"(", "\"", "<", "<@a,", "a@", "a:", "g:;", ",", "=?a?q?", "=?a?q? ", "=?", "=?utf-8?q?=41?= ", "a=b ", ";a=b", "; a ( b) ", "a*0=", ";a*0=b", ";a*1*=%", "\\", "[", ".", " ",
		"\r\n ", "x y ", "+", "%", "1 ", "1:", "-"}
	for _, unit := range values {
		for _, field := range []string{"From", "Subject", "Content-Type: text/plain; a=b", "Content-Disposition", "Date"} {
			b := []byte(field + ": " + fill(unit) + "\n\n")
			limited(t, field+" "+unit, func() {
				root := Parse(b)
				AppendEnvelope(nil, b)
				root.AppendBodyStructure(nil, b)
				root.Filename()
				root.Header(b).Text(field)
				ParseDate(root.Header(b).Get(field))
			})
		}
	}
	for _, unit := range []string{"<", "<a='", "<a=\"'>", "<style>", "<script></x", "<!--", "</", "&", "&amp;", "<a ", "<p>"} {
		limited(t, "HTML "+unit, func() { stripHTML(fill(unit)) })
	}
	for _, unit := range []string{"--", "--\n", "--b\n", "--b--\n", "\n", "\n--", "a: b\n", "=\n", "=", "+AA", "--b\nContent-Type: message/rfc822\n\n",
		"--b\nContent-Type: multipart/mixed; boundary=b\n\n", "--b\nContent-Type: multipart/mixed; boundary=\"" + strings.Repeat("b", 3000) + "\"\n\n--" + strings.Repeat("b", 2999) + "\n"} {
		for _, head := range []string{"Content-Type: multipart/mixed; boundary=b\n\n", "Content-Type: text/html; charset=utf-7\nContent-Transfer-Encoding: quoted-printable\n\n",
			"Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n"} {
			b := []byte(head + fill(unit))
			limited(t, "body "+unit, func() { checkMessage(t, b) })
		}
	}
	nested := bytes.Repeat([]byte("Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n"), size/80)
	limited(t, "encoded messages", func() { checkMessage(t, nested) })
}

// limited fails the test when run takes, three times, far longer than any of these readers needs for that much, also on a busy machine under the race detector.
func limited(t *testing.T, name string, run func()) {
	t.Helper()
	var took time.Duration
	for range 3 {
		begin := time.Now()
		run()
		if took = time.Since(begin); took < 4*time.Second {
			return
		}
	}
	t.Errorf("%.60q took %v", name, took)
}
