package wire

import (
	"io"
	"strings"
	"testing"
)

func TestConnCommands(t *testing.T) {
	const gmail, object = "X-GM-MSGID X-GM-THRID X-GM-LABELS", "EMAILID THREADID"
	tests := []struct{ name, in, out string }{
		{"Gmail", `T1 UID FETCH 1:* (UID BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Gmail")] FLAGS)` + "\r\n", "T1 UID FETCH 1:* (UID " + gmail + " FLAGS)\r\n"},
		{"atom, case, no PEEK", "t fetch 1 (body[header.fields (x-mailkeep-object)])\r\n", "t fetch 1 (" + object + ")\r\n"},
		{"both", `T1 FETCH 1 (BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Gmail")] BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Object")]) (CHANGEDSINCE 5)` + "\r\n",
			"T1 FETCH 1 (" + gmail + " " + object + ") (CHANGEDSINCE 5)\r\n"},
		{"alone", `T1 FETCH 1 BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Gmail")]` + "\r\n", "T1 FETCH 1 (" + gmail + ")\r\n"},
		{"other fields", `T1 FETCH 1 (BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Gmail" "To")] BODY.PEEK[HEADER.FIELDS.NOT ("X-Mailkeep-Gmail")])` + "\r\n", ""},
		{"partial", `T1 FETCH 1 (BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Gmail")]<0.5>)` + "\r\n", ""},
		{"in a string", `T1 FETCH 1 (BODY.PEEK[HEADER.FIELDS ("a (BODY[HEADER.FIELDS (X-Mailkeep-Gmail)])")])` + "\r\n", ""},
		{"in another command", `T1 SEARCH BODY.PEEK[HEADER.FIELDS ("X-Mailkeep-Gmail")]` + "\r\n", ""},
		{"in message data", "T1 APPEND a {94+}\r\nT1 FETCH 1 (BODY.PEEK[HEADER.FIELDS (\"X-Mailkeep-Gmail\")])\r\nT2 FETCH 1 BODY[HEADER.FIELDS (A)]\r\n\r\n", ""},
		{"after message data", "T1 APPEND a {3}\r\na\r\n\r\nT2 FETCH 1 (BODY[HEADER.FIELDS (X-Mailkeep-Object)])\r\n", "T1 APPEND a {3}\r\na\r\n\r\nT2 FETCH 1 (" + object + ")\r\n"},
		{"literals in a command", "T1 LOGIN {1}\r\na {1}\r\nb\r\nT2 FETCH 1 (BODY[HEADER.FIELDS ({1}\r\nA)] FLAGS)\r\n", ""},
		{"continuation data", "DONE\r\nAGZldGNo\r\n*\r\n\r\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			want := test.out
			if want == "" {
				want = test.in
			}
			for step := 1; step <= len(test.in); step++ {
				w := &wireConn{r: strings.NewReader("")}
				c := NewConn(w)
				for rest := test.in; rest != ""; {
					n := min(step, len(rest))
					if m, err := io.WriteString(c, rest[:n]); err != nil || m != n {
						t.Fatalf("wrote %d of %d: %v", m, n, err)
					}
					rest = rest[n:]
				}
				if got := w.w.String(); got != want {
					t.Fatalf("in pieces of %d: got  %q\nwant %q", step, got, want)
				}
			}
		})
	}
}

func TestConnLongCommand(t *testing.T) {
	c := NewConn(&wireConn{r: strings.NewReader("")})
	_, err := io.WriteString(c, "T1 SEARCH "+strings.Repeat("x", maxCommand))
	if err == nil || !strings.Contains(err.Error(), "command line of more than") {
		t.Errorf("got %v", err)
	}
	if _, err := io.WriteString(c, "T2 NOOP\r\n"); err == nil {
		t.Error("the connection was used further")
	}
}

// TestConnRestoresNames opens mailboxes whose names the client would have refused to list.
func TestConnRestoresNames(t *testing.T) {
	w := &wireConn{r: strings.NewReader("* LIST () \"/\" \"a\\\"&b\"\r\n* LIST () \"/\" \"\xdcbung\"\r\n* LIST () \"/\" \"R&-D\"\r\n")}
	c := NewConn(w)
	out, err := io.ReadAll(c)
	if want := "* LIST () \"/\" \"a\\\"&-b\"\r\n* LIST () \"/\" \"&ANw-bung\"\r\n* LIST () \"/\" \"R&-D\"\r\n"; err != nil || string(out) != want {
		t.Fatalf("got %q, %v", out, err)
	}
	io.WriteString(c, "T1 EXAMINE \"a\\\"&-b\" (CONDSTORE)\r\nT2 STATUS \"&ANw-bung\" (MESSAGES)\r\nT3 SELECT \"\xc3\x9cbung\"\r\nT4 EXAMINE \"R&-D\"\r\nT5 CREATE \"&ANw-bung\"\r\n")
	want := "T1 EXAMINE \"a\\\"&b\" (CONDSTORE)\r\nT2 STATUS \"\xdcbung\" (MESSAGES)\r\nT3 SELECT \"\xdcbung\"\r\nT4 EXAMINE \"R&-D\"\r\nT5 CREATE \"&ANw-bung\"\r\n"
	if got := w.w.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
