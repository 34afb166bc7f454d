package imapd

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// transcriptArchive is what the mail programs of the transcripts have read.
func transcriptArchive(t testing.TB) *mailSource {
	s := newArchive(t)
	for _, box := range [][2]string{{"[Gmail]/All Mail", `\All`}, {"[Gmail]/Sent Mail", `\Sent`}, {"[Gmail]/Trash", `\Trash`}} {
		s.mailbox(box[0], box[1])
	}
	s.add(simple, "[Gmail]/All Mail,INBOX,R&D", `\Seen`)
	s.add("From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: ann@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nDate: Thu, 4 Mar 2021 11:00:00 +0100\r\n"+
		"Message-ID: <2@example.org>\r\nReferences: <1@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"+
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe aus M=C3=BCnchen\r\n", "[Gmail]/All Mail,INBOX,Übung/日本語", `\Flagged`)
	s.add("From: bob@example.org\r\nTo: ann@example.org\r\nSubject: files\r\nDate: Fri, 5 Mar 2021 12:00:00 +0100\r\nMessage-ID: <3@example.org>\r\n"+
		"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee below\r\n"+
		"--b\r\nContent-Type: application/pdf; name=\"a.pdf\"\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--\r\n",
		"[Gmail]/All Mail,[Gmail]/Sent Mail,R&D", `\Seen`, `\Answered`)
	return s
}

// comment is a line that names the program.
var comment = regexp.MustCompile(`(?m)^#.*\n`)

// The connections of real mail programs, as they were recorded or, where the first line names a source, as their source or others tell: each sends the same again, and gets the same answers. What changes from run to run, and the list of
// capabilities, is a ~ in them.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/clients/*.txt")
	if err != nil || len(files) < 17 {
		t.Fatalf("%d transcripts, %v", len(files), err)
	}
	s := transcriptArchive(t)
	addr := serve(t, s.w.Reader, testOptions())
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			replay(t, addr, comment.ReplaceAllString(string(raw), ""))
		})
	}
}

// replay plays a conversation from its greeting on.
func replay(t *testing.T, addr, transcript string) {
	t.Helper()
	greeting, rest, _ := strings.Cut(transcript, "\n")
	c := dial(t, addr)
	if !strings.HasPrefix(greeting, "S: * OK ") {
		t.Fatalf("a transcript begins with %q", greeting)
	}
	c.talk(rest)
}
