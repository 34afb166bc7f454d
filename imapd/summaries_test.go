package imapd

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

// Whether a message has a summary must not show in any answer.
func TestSummariesChangeNoAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("reads some 60 MB of messages several times; run without -short")
	}
	s := newArchive(t)
	var batch archive.Batch
	messages := corpusMessages(t)
	for _, m := range messages {
		batch.Copies = append(batch.Copies, s.copyOf(string(m), "INBOX"))
	}
	s.record(batch)
	plain := answers(t, serve(t, s.w.Reader, testOptions()), len(messages))
	if n, err := s.w.Summarize(context.Background(), nil); err != nil || n == 0 {
		t.Fatalf("%d summaries, %v", n, err)
	}
	addr := serve(t, s.w.Reader, testOptions()) // one that has kept nothing
	for command, got := range answers(t, addr, len(messages)) {
		if want := plain[command]; got != want {
			at := 0
			for at < min(len(got.start), len(want.start)) && got.start[at] == want.start[at] {
				at++
			}
			t.Errorf("%s: with summaries %d bytes, without %d; from byte %d: %.200q, %.200q", command, got.size, want.size, at, got.start[at:], want.start[at:])
		}
	}
}

// answer is what a command was answered: a sum of it all, as many answers are too large to be kept, and how it begins.
type answer struct {
	sum   [sha256.Size]byte
	size  int64
	start string
}

func (c *client) answer(command string) answer {
	c.t.Helper()
	c.n++
	tag := fmt.Sprintf("t%d", c.n)
	c.send(tag + " " + command + "\r\n")
	sum, start := sha256.New(), &beginning{}
	tagged := c.copyUntil(tag, io.MultiWriter(sum, start))
	if strings.HasPrefix(tagged, "BAD") {
		c.t.Fatalf("%s: %s", command, tagged)
	}
	io.WriteString(io.MultiWriter(sum, start), tagged)
	return answer{[sha256.Size]byte(sum.Sum(nil)), start.size, string(start.kept)}
}

// beginning keeps the first bytes of what is written to it, and counts the others.
type beginning struct {
	kept []byte
	size int64
}

func (b *beginning) Write(p []byte) (int, error) {
	b.size += int64(len(p))
	b.kept = append(b.kept, p[:min(len(p), max(0, 4096-len(b.kept)))]...)
	return len(p), nil
}

func answers(t *testing.T, addr string, n int) map[string]answer {
	t.Helper()
	c := login(t, addr)
	c.conn.SetDeadline(time.Now().Add(10 * time.Minute)) // the race detector takes its time
	c.ok("SELECT INBOX")
	commands := []string{
		"UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received)])",
		"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (Subject DATE)] BODY.PEEK[HEADER.FIELDS (From)]<3.20> BODY.PEEK[HEADER.FIELDS.NOT (Received)])",
		"FETCH 1:* (BODY.PEEK[HEADER.FIELDS (DKIM-Signature Subject)] BODY.PEEK[HEADER.FIELDS (X-Unheard-Of To)])",
		"FETCH 1:* (ENVELOPE INTERNALDATE)", "FETCH 1:* (BODY BODYSTRUCTURE)", "FETCH 1:* (ENVELOPE BODY)",
		"FETCH 1:* (BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.100> RFC822.HEADER)",
		"FETCH 1:* (BODY.PEEK[1] BODY.PEEK[1.MIME] BODY.PEEK[2]<10.50> BODY.PEEK[2.1] BODY.PEEK[2.HEADER] BODY.PEEK[1.2.HEADER.FIELDS (Subject)])",
		"FETCH 1:* (BINARY.SIZE[1] BINARY.SIZE[2] BINARY.PEEK[1])", "FETCH 1:* BINARY.PEEK[2]<5.20>", "FETCH 1:* (X-GM-MSGID X-GM-THRID EMAILID THREADID)",
		"FETCH 1:* BODY.PEEK[]",
	}
	for _, key := range []string{"SUBJECT re", "FROM a", "TO example", "CC @", "BCC x", "HEADER Message-ID \"\"", "HEADER DKIM-Signature \"\"", "HEADER X-Mailer a", "HEADER Received by",
		"SENTSINCE 1-Jan-2005", "SENTBEFORE 1-Jan-2010", "SENTON 3-Mar-2021", "NOT SENTSINCE 1-Jan-1990", "OR SUBJECT a FROM b", "TEXT test", "BODY the", "SUBJECT e TEXT a"} {
		commands = append(commands, "SEARCH CHARSET UTF-8 "+key)
	}
	for i := range n {
		commands = append(commands, fmt.Sprintf("FETCH %d (BODY.PEEK[HEADER] ENVELOPE BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[1])", i+1))
	}
	found := make(map[string]answer)
	for _, command := range commands {
		found[command] = c.answer(command)
	}
	return found
}
