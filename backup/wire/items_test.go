package wire

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

func TestParseGmail(t *testing.T) {
	tests := []struct {
		name, in string
		want     GmailItems
	}{
		{"everything", "X-GM-THRID 1873891894758975366\r\nX-GM-MSGID 18446744073709551615\r\nX-GM-LABELS (\"\\\\Inbox\" \"work/project x\" &ANw-bung ProbeImplicit R&-D)\r\n",
			GmailItems{math.MaxUint64, 1873891894758975366, []string{`\Inbox`, "work/project x", "Übung", "ProbeImplicit", "R&D"}, true, false}},
		{"empty list", "X-GM-LABELS ()\r\n", GmailItems{HasLabels: true}},
		{"no list", "X-GM-LABELS NIL\r\nX-GM-MSGID 5\r\n", GmailItems{MsgID: 5}},
		{"NIL id", "X-GM-MSGID NIL\r\n", GmailItems{}},
		{"nothing", "", GmailItems{}},
		{"NIL inside", "X-GM-LABELS (\\Important \"Custom Label\" NIL \"NIL\")", GmailItems{Labels: []string{`\Important`, "Custom Label", "NIL"}, HasLabels: true, BareNIL: true}},
		{"bare", "X-GM-LABELS (\\Inbox \\Sent [Mailbox] +IMNews a{5} %*)", GmailItems{Labels: []string{`\Inbox`, `\Sent`, "[Mailbox]", "+IMNews", "a{5}", "%*"}, HasLabels: true}},
		{"quoted", `X-GM-LABELS ("()" "(foobar)" "f\"o\\o" "")`, GmailItems{Labels: []string{"()", "(foobar)", `f"o\o`}, HasLabels: true}},
		{"literals", "X-GM-LABELS ({5}\r\na) \"b {1+}\r\nc {6}\r\n\\Inbox)\r\n", GmailItems{Labels: []string{`a) "b`, "c", `\Inbox`}, HasLabels: true}},
		{"user labels that look like a system's", `X-GM-LABELS ("\\foo" "\\&ANw-")`, GmailItems{Labels: []string{`\foo`, `\Ü`}, HasLabels: true}},
		{"not modified UTF-7", "X-GM-LABELS (R&D &AEE- &A- &ANw-&ANw- \xdc \"a\x01&-\")", GmailItems{Labels: []string{"R&D", "&AEE-", "&A-", "&ANw-&ANw-", "\xdc", "a\x01&-"}, HasLabels: true}},
		{"raw UTF-8", "X-GM-LABELS (\"Übung\" 日本)", GmailItems{Labels: []string{"Übung", "日本"}, HasLabels: true}},
		{"beyond the BMP", "X-GM-LABELS (&2Dzf8Q-)", GmailItems{Labels: []string{"🏱"}, HasLabels: true}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseGmail([]byte(test.in))
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %#v, %v\nwant %#v", got, err, test.want)
			}
		})
	}
}

func TestParseGmailUTF8(t *testing.T) {
	got, err := ParseGmailUTF8([]byte("X-GM-LABELS (\"Übung\" R&D &ANw-bung \"\\\\Inbox\")"))
	if want := []string{"Übung", "R&D", "&ANw-bung", `\Inbox`}; err != nil || !reflect.DeepEqual(got.Labels, want) {
		t.Errorf("got %q, %v", got.Labels, err)
	}
}

func TestParseGmailRefuses(t *testing.T) {
	for _, in := range []string{
		"X-GM-MSGID 18446744073709551616", "X-GM-MSGID -1", "X-GM-MSGID", "X-GM-MSGID (1)", "X-GM-THRID 1x", "X-GM-LABELS a", "X-GM-LABELS (a",
		"X-GM-LABELS ((a))", "X-GM-LABELS (\"a)", "X-GM-LABELS ({9}\r\na)", "FLAGS ()", ")", "\"",
		"X-GM-LABELS (" + strings.Repeat("a ", maxLabels+1) + ")",
	} {
		if got, err := ParseGmail([]byte(in)); err == nil {
			t.Errorf("%.40q: got %v and no error", in, got)
		}
	}
}

func TestParseObject(t *testing.T) {
	tests := []struct{ in, email, thread string }{
		{"EMAILID (M6d99ac3275bb4e)\r\nTHREADID (T64b478a75b7ea9)\r\n", "M6d99ac3275bb4e", "T64b478a75b7ea9"},
		{"THREADID NIL\r\nEMAILID (M-1_a)\r\n", "M-1_a", ""},
		{"", "", ""},
	}
	for _, test := range tests {
		if email, thread, err := ParseObject([]byte(test.in)); email != test.email || thread != test.thread || err != nil {
			t.Errorf("%q: got %q, %q, %v", test.in, email, thread, err)
		}
	}
	for _, in := range []string{"EMAILID M1", "EMAILID ()", "EMAILID (a b)", "EMAILID (a", "X (a)", fmt.Sprintf("EMAILID (%s)", strings.Repeat("x", 256))} {
		if email, thread, err := ParseObject([]byte(in)); err == nil {
			t.Errorf("%.40q: got %q, %q and no error", in, email, thread)
		}
	}
}

func TestSystemLabel(t *testing.T) {
	for label, want := range map[string]bool{`\Inbox`: true, `\Draft`: true, `\Drafts`: true, `\Muted`: true, `\foo`: false, "Inbox": false, "": false, `\INBOX`: false} {
		if SystemLabel(label) != want {
			t.Errorf("%q: got %v", label, !want)
		}
	}
}

func TestUTF7RoundTrip(t *testing.T) {
	for _, s := range []string{"", "a&b", "Übung", "日本語/台北", "🏱x🏱", "&-", "a\tb"} {
		if got, ok := decodeUTF7(encodeUTF7(s)); !ok || got != s {
			t.Errorf("%q became %q, then %q, %v", s, encodeUTF7(s), got, ok)
		}
	}
}
