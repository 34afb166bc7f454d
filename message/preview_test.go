package message

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPreview(t *testing.T) {
	for mail, want := range map[string]string{
		"": "",
		"Subject: x\r\n\r\n  hello\r\n\r\n\tworld \x00\x07\r\n":                                                                                     "hello world",
		"Content-Type: text/html\r\n\r\n<style>p {x: y}</style><p>h&eacute;llo<br>world</p>":                                                        "héllo world",
		"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nh=E9llo=\r\n world":                     "héllo world",
		"Content-Type: image/png\r\n\r\nnot text":                                                                                                   "",
		"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>bold</b>\r\n--b\r\n\r\nplain\r\n--b--\r\n": "plain",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n \r\n--b\r\nContent-Type: text/html\r\n\r\n<b>bold</b>\r\n--b--\r\n":           "bold",
		"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner text":                                                                      "inner text",
		"\r\n" + strings.Repeat("é", 500):                                                                                                           strings.Repeat("é", 200),
		"\r\n" + strings.Repeat("a", 200) + " b":                                                                                                    strings.Repeat("a", 200),
	} {
		if got := Parse([]byte(mail)).Preview([]byte(mail)); got != want {
			t.Errorf("%q: got %q, want %q", mail, got, want)
		}
	}
}

func FuzzPreview(f *testing.F) {
	f.Add([]byte("Content-Type: text/html\r\n\r\n<p>&#x1F469;\u200d\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := Parse(b).Preview(b)
		if utf8.RuneCountInString(got) > maxPreview || !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x00") || strings.TrimSpace(got) != got {
			t.Errorf("%q: %q", b, got)
		}
	})
}
