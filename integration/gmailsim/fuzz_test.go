package gmailsim

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

var fuzzSeeds = []string{
	"a LOGIN user@example.com password\r\n", "a CAPABILITY\r\n", `a LIST (SUBSCRIBED) "" ("*" "%") RETURN (STATUS (MESSAGES))` + "\r\n",
	"a SELECT INBOX (CONDSTORE)\r\n", "a UID FETCH 1:*,3 (X-GM-LABELS BODY.PEEK[1.2.HEADER.FIELDS (To {2+}\r\nCc)]<0.5> MODSEQ) (CHANGEDSINCE 4)\r\n",
	"a FETCH 1 FULL\r\n", "a FETCH 1 (BODY[1.MIME] BODY[TEXT] RFC822.TEXT)\r\n", `a UID STORE 1 (UNCHANGEDSINCE 3) +X-GM-LABELS.SILENT ("\\Inbox" &ANw-bung {3+}` + "\r\nabc)\r\n",
	`a STORE 1:2 -FLAGS (\Seen $x)` + "\r\n", "a UID SEARCH RETURN (MIN MAX) CHARSET UTF-8 OR (SEEN 1:3) NOT X-GM-RAW \"in:inbox larger:1k\" SINCE 1-Jan-2020\r\n",
	"a APPEND INBOX (\\Seen) \"01-Jan-2001 00:00:00 +0000\" {7+}\r\na: b\r\n\r\r\n", `a RENAME "a/b" "c/&ANw-"` + "\r\n", "a UID MOVE 1:* work\r\n",
	`a ID ("name" "x" "v" NIL)` + "\r\n", "a ENABLE UTF8=ACCEPT CONDSTORE\r\n", "a UID EXPUNGE 1:*\r\n", "a IDLE\r\nDONE\r\n", "a AUTHENTICATE PLAIN =\r\n",
	"a CREATE \"x\\\\y\"\r\n", "a DELETE work\r\n", "a GETQUOTAROOT INBOX\r\n", "a STATUS INBOX (UNSEEN HIGHESTMODSEQ)\r\n", "a COPY 1 \"[Gmail]/Trash\"\r\n",
}

// FuzzCommand plays any bytes to a logged-in session with a mailbox open: it
// must neither panic nor hang, and must keep its books.
func FuzzCommand(f *testing.F) {
	if len(fuzzSeeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, s := range fuzzSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		s := New(Options{})
		if err := s.Load(fuzzMail, "work"); err != nil {
			t.Fatal(err)
		}
		server, peer := net.Pipe()
		if !s.start(server) {
			t.Fatal("not started")
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(io.Discard, peer)
		}()
		peer.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(peer, "a LOGIN user@example.com password\r\nb SELECT INBOX\r\n")
		peer.Write(input)
		fmt.Fprintf(peer, "\r\nz NOOP\r\n")
		peer.Close()
		<-done
		s.Close()
		checkCounters(t, s)
	})
}

var fuzzMail = Sample(12, 2)

func FuzzMutf7(f *testing.F) {
	for _, s := range []string{"&ANw-bung", "R&-D", "&", "&-", "a&AGE-", "&2D3eAA-", "日本", "&AAA-", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if decoded, err := decodeMUTF7(s); err == nil {
			if again, err := decodeMUTF7(encodeMUTF7(decoded)); err != nil || again != decoded {
				t.Fatalf("%q -> %q -> %q, %v", s, decoded, again, err)
			}
		}
		if wire := encodeMUTF7(s); strings.IndexFunc(wire, func(r rune) bool { return r > 0x7e }) >= 0 {
			t.Fatalf("8-bit in %q", wire)
		}
	})
}

func FuzzMIME(f *testing.F) {
	for _, m := range fuzzMail {
		f.Add(m.Body)
	}
	f.Add([]byte("Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n"))
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Type: multipart/x; boundary=a\n\n--a\n--a--"))
	f.Fuzz(func(t *testing.T, body []byte) {
		root := parseMIME(body, 0, len(body), 0, "text/plain")
		structure(root, body, true)
		envelope(root.head)
		for _, sec := range []section{{kind: "HEADER"}, {kind: "TEXT"}, {path: []int{1}}, {path: []int{1, 1}, kind: "MIME"}, {path: []int{2}, kind: "HEADER"}} {
			if data, ok := sec.cut(body); ok && !bytes.Contains(body, data) {
				t.Fatalf("section %v is not in the message", sec)
			}
		}
	})
}
