package message

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDecodeWords(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"=?utf-8?q?a_b=C3=A4?=", "a bä"},
		{"=?UTF-8?B?w6Q=?= x", "ä x"},
		{"=?utf-8?b?w6Q?=", "ä"},
		{"=?iso-8859-1*de?Q?=E4?=", "ä"},
		{"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?a?= \t =?iso-8859-1?q?=E4?=", "aä"},
		{"=?utf-8?q?=C3?= =?UTF-8?Q?=A4?=", "ä"},
		{"=?utf-8?q?a?= x =?utf-8?q?b?=", "a x b"},
		{"x=?utf-8?q?a?=y", "xay"},
		{"\"=?utf-8?q?a?=\"", "\"a\""},
		{"=?utf-8?q?a b?=", "a b"},
		{"=?utf-8?q?=3D=zz=?=", "==zz="},
		{"=?utf-8?x?a?=", "=?utf-8?x?a?="},
		{"=?utf-8?q?not closed", "=?utf-8?q?not closed"},
		{"=?=?utf-8?q?a?=", "=?a"},
		{"=??q?a?=", "=??q?a?="},
		{"=?utf-8?q??= x", " x"},
		{"=?utf-8?q?=41?=", "A"},
		{"=?nonsense?q?=E4?=", "ä"},
		{"=?us-ascii?q?=E4?=", "ä"},
		{"=?utf-8?q?=E4?=", "\uFFFD"},
		{"=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"},
		{"=?utf-7?q?+AOQ-?=", "ä"},
		{"\xc3\xa4 \xe4", "Ã¤ ä"},
		{"\xc3\xa4", "ä"},
		{"\xe4 =?utf-8?q?a?=", "ä a"},
	}
	for _, test := range tests {
		if got := DecodeWords(test.in); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestCharsets(t *testing.T) {
	tests := []struct{ charset, in, want string }{
		{"", "a", "a"}, {"utf8", "ä", "ä"}, {" \"UTF-8\" ", "ä", "ä"}, {"latin1", "\x80", "€"}, {"cp1252", "\x80", "€"}, {"koi8-r", "\xc4", "д"}, {"cp932", "\x93\xfa", "日"},
		{"gb2312", "\xc8\xd5", "日"}, {"gb18030", "\xc8\xd5", "日"}, {"big5", "\xa4\xe9", "日"}, {"ks_c_5601-1987", "\xb0\xa1", "가"}, {"iso-8859-8-i", "\xe0", "א"},
		{"hz-gb-2312", "~{HU~}", "日"}, {"utf-16", "\x00a\xd8\x3d\xde\x00", "a😀"}, {"utf-16", "\xff\xfea\x00", "a"}, {"utf-16le", "a\x00", "a"}, {"ibm850", "\x84", "ä"},
		{"utf-7", "a+AOQ-b+-c+2D3eAA-", "aäb+c😀"}, {"utf-7", "1 + 1 = +", "1 + 1 = +"}, {"x-unknown", "\xc3\xa4", "ä"}, {"utf-8", "a\xff", "a\uFFFD"},
	}
	for _, test := range tests {
		if got := toUTF8(test.charset, []byte(test.in)); got != test.want {
			t.Errorf("%s %q: got %q, want %q", test.charset, test.in, got, test.want)
		}
	}
}

func TestDecode(t *testing.T) {
	tests := []struct{ encoding, in, want string }{
		{"", "a=\n", "a=\n"}, {"7BIT", "x", "x"}, {"binary", "\x00", "\x00"},
		{"base64", "aGVs\r\nbG8=\r\n", "hello"}, {"BASE64", "aGVsbG8", "hello"}, {"base64", "aGVs bG8=!", "hello"}, {"base64", "aGk=aGk=", "hihi"}, {"base64", "a", ""},
		{"base64", "", ""}, {"base64", "=====", ""}, {"base64", "aG", "h"}, {"base64", "-----\naGVsbG8=", "hello"},
		{"quoted-printable", "a=3D=e4=\r\nb  \r\nc=\t\nd = \ne=", "a=\xe4b\r\ncd e"}, {"Quoted-Printable", "=zz=4=", "=zz=4"}, {"quoted-printable", "", ""},
	}
	for _, test := range tests {
		b := []byte("Content-Transfer-Encoding: " + test.encoding + "\n\n" + test.in)
		got, err := Decode(Parse(b), b)
		if err != nil || string(got) != test.want {
			t.Errorf("%s %q: got %q, %v, want %q", test.encoding, test.in, got, err, test.want)
		}
	}
	b := []byte("Content-Transfer-Encoding: x-uuencode\n\nx")
	if _, err := Decode(Parse(b), b); !errors.Is(err, ErrUnknownEncoding) {
		t.Errorf("unknown encoding: %v", err)
	}
	b = []byte("Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--\n")
	if got, err := Decode(Parse(b), b); err != nil || string(got) != "--b\n\nx\n--b--\n" {
		t.Errorf("encoded multipart: %q, %v", got, err)
	}
}

func TestParseDate(t *testing.T) {
	tests := []struct{ in, want string }{
		{"Thu, 15 Feb 2007 01:02:03 +0200", "2007-02-15T01:02:03+02:00"},
		{"Thu, 15 Feb 2007 01:02:03 +0200 (EET)", "2007-02-15T01:02:03+02:00"},
		{"15 Feb 07 1:02 EST", "2007-02-15T01:02:00-05:00"},
		{"Fri, 29 Nov 91 07:13:33 EST", "1991-11-29T07:13:33-05:00"},
		{"15 Feb 107 00:00:00 GMT", "2007-02-15T00:00:00Z"},
		{"Thu Feb 15 01:02:03 2007", "2007-02-15T01:02:03Z"},
		{"Thu Feb 15 01:02:03 PST 2007", "2007-02-15T01:02:03-08:00"},
		{"Thu Feb 15 01:02:03 2007 -0330", "2007-02-15T01:02:03-03:30"},
		{"2007-02-15T01:02:03Z", "2007-02-15T01:02:03Z"},
		{"2007-02-15T01:02:03.5+02:00", "2007-02-15T01:02:03+02:00"},
		{"2007-02-15 01:02:03 +0200", "2007-02-15T01:02:03+02:00"},
		{"2007-02-15", "2007-02-15T00:00:00Z"},
		{"15-Feb-2007 01:02:03 +0200", "2007-02-15T01:02:03+02:00"},
		{"Thu,15 Feb 2007 01:02:03+0200", "2007-02-15T01:02:03+02:00"},
		{"Thu, 15 February 2007 (comment (nested)) 01 : 02 : 03 +0200", ""},
		{"Thursday, February 15, 2007 1:02", "2007-02-15T01:02:00Z"},
		{"Thu,\r\n 15\r\n Feb 2007 01:02:03 Z", "2007-02-15T01:02:03Z"},
		{"Thu, 15 Feb 2007 01:02:60 +0000", "2007-02-15T01:03:00Z"},
		{"Thu, 15 Feb 2007 99:02:03 +0000", "2007-02-15T00:00:00Z"},
		{"Thu, 15 Feb 2007 01:02:03 +9999", ""},
		{"", ""}, {"yesterday", ""}, {"Feb 2007", ""}, {"15 Feb", ""}, {"99 Feb 2007", ""}, {"\x00\xff", ""}, {"----", ""}, {":::", ""},
	}
	for _, test := range tests {
		got := ""
		if date, ok := ParseDate(test.in); ok {
			got = date.Format(time.RFC3339)
		}
		if got != test.want && test.want != "" || test.want == "" && got != "" && !strings.ContainsAny(test.in, "(9") {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestStripHTML(t *testing.T) {
	tests := []struct{ in, want string }{
		{"a<b>b</b>c", "abc"}, {"a<br>b<p class=x>c</p>", "a\nb\nc\n"}, {"&amp;&uuml;&#x20ac;&nope;", "&ü€&nope;"}, {"a < b > c", "a < b > c"},
		{"<style>p{}</style>x<SCRIPT>if (a<b) </x></Script >y", "xy"}, {"<script>never closed", "never closed"}, {"a<!-- <b>x</b> -->b", "ab"}, {"a<!-- not closed", "a"},
		{"<a href='>'>x</a>", "x"}, {"<a href=\"not closed>x</a>", "x"}, {"<a", ""}, {"<", "<"}, {"</", ""}, {"<title>t</title>x", "x"}, {"a<img src=x alt=\"y\">b", "ab"},
		{"<!doctype html><html><body>x", "\n\nx"},
	}
	for _, test := range tests {
		if got := stripHTML(test.in); got != test.want {
			t.Errorf("%q: got %q, want %q", test.in, got, test.want)
		}
	}
}

func TestFold(t *testing.T) {
	for _, pair := range [][2]string{{"Hello", "hELLO"}, {"ÄÖ", "äö"}, {"Σ", "ς"}, {"é", "e\u0301"}, {"ﬁ", "fi"}, {"ДА", "да"}, {"Ａ", "a"}} {
		if Fold(pair[0]) != Fold(pair[1]) {
			t.Errorf("%q and %q differ: %q, %q", pair[0], pair[1], Fold(pair[0]), Fold(pair[1]))
		}
	}
	if !strings.Contains(Fold("Café au lait"), Fold("CAFE")) || strings.Contains(Fold("cafe"), Fold("café")) {
		t.Error("accents")
	}
	if Fold("a\xffb") == "" {
		t.Error("invalid UTF-8 is lost")
	}
}

func TestTexts(t *testing.T) {
	b := []byte("Subject: outside\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: multipart/alternative; boundary=c\n\n" +
		"--c\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=\nn\n--c\n" +
		"Content-Type: text/html\n\n<p>Some <b>bold</b> text</p>\n--c--\n" +
		"--b\nContent-Type: message/rfc822\n\nSubject: =?utf-8?q?inn=65r?=\n\ninside\n" +
		"--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogZGVlcAoKYm90dG9tCg==\n" +
		"--b\nContent-Type: text/csv\nContent-Disposition: attachment; filename=\"=?utf-8?q?=C3=A4?=.csv\"\n\nattached\n" +
		"--b\nContent-Type: application/pdf\n\nbinary\n--b--\nepilogue\n")
	root := Parse(b)
	got := slices.Collect(root.SearchTexts(b))
	want := []string{"Grün", "<p>Some <b>bold</b> text</p>", "\nSome bold text\n", "Subject: inner\n", "inside", "Subject: deep\n", "bottom\n", "attached"}
	if !slices.Equal(got, want) {
		t.Errorf("search texts\n%q, want\n%q", got, want)
	}
	if got, want := root.PlainText(b), "Grün\ninside\nbottom\n"; got != want {
		t.Errorf("plain text %q, want %q", got, want)
	}
	if got := root.Find([]int{4}).Filename(); got != "ä.csv" {
		t.Errorf("file name %q", got)
	}
	headers := strings.Join(slices.Collect(root.SearchHeaders(b)), "|")
	for _, part := range []string{"Subject: outside\n", "|Content-Type: text/plain; charset=iso-8859-1\n", "|Subject: inner\n|", "filename=\"ä.csv\"\n"} {
		if !strings.Contains(headers, part) {
			t.Errorf("%q is not in %q", part, headers)
		}
	}
	for range root.SearchTexts(b) {
		break // an iterator must bear it
	}
	for range root.SearchHeaders(b) {
		break
	}
	html := []byte("Content-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: multipart/related; boundary=d\n\n--d\nContent-Type: text/html\n\n<i>only</i>\n--d--\n" +
		"--c\nContent-Type: image/png\n\nx\n--c--\n")
	if got := Parse(html).PlainText(html); got != "only\n" {
		t.Errorf("HTML only: %q", got)
	}
}
