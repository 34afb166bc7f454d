package imapd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

const benchMessages = 20000

// benchServer serves 20,000 small messages in one mailbox.
func benchServer(b *testing.B) (addr string, total int64) {
	s := newArchive(b)
	random := rand.New(rand.NewPCG(1, 2))
	for s.uid < benchMessages {
		var batch archive.Batch
		for range 5000 {
			body := fmt.Sprintf("Received: from a.example.org by b.example.org; Wed, 3 Mar 2021 10:00:00 +0100\r\nFrom: Person %d <p%d@example.org>\r\nTo: me@example.org\r\nSubject: Message number %d\r\n"+
				"Date: Wed, 3 Mar 2021 10:00:00 +0100\r\nMessage-ID: <%d@example.org>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", random.IntN(100), random.IntN(100), s.uid, s.uid, strings.Repeat("A line of text, as it is written.\r\n", random.IntN(60)))
			total += int64(len(body))
			batch.Copies = append(batch.Copies, s.copyOf(body, "INBOX", `\Seen`))
		}
		s.record(batch)
	}
	if _, err := s.w.Summarize(context.Background(), nil); err != nil {
		b.Fatal(err)
	}
	return serve(b, s.w.Reader, testOptions()), total
}

// BenchmarkServer measures commands about a whole mailbox on one connection; ns/msg is what counts.
func BenchmarkServer(b *testing.B) {
	addr, total := benchServer(b)
	for _, bench := range []struct{ name, command string }{
		{"flags", "UID FETCH 1:* (FLAGS)"},
		{"headers", "UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received)])"},
		{"structure", "UID FETCH 1:* (ENVELOPE BODYSTRUCTURE)"},
		{"bodies", "UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[])"},
		{"search-flags", "UID SEARCH UNSEEN"},
		{"search-subject", "UID SEARCH SUBJECT 19999"},
		{"search-body", "UID SEARCH BODY nowhere"},
		{"select", "SELECT INBOX"},
		{"status", "STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"},
		{"one-body", "UID FETCH 10000 (BODY.PEEK[])"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := login(b, addr)
			c.conn.SetDeadline(time.Now().Add(10 * time.Minute))
			c.ok("SELECT INBOX")
			c.ok("UID FETCH 1 (FLAGS)")
			if bench.name == "bodies" {
				b.SetBytes(total)
			}
			for i := 0; b.Loop(); i++ {
				tag := fmt.Sprintf("x%d", i)
				c.send(tag + " " + bench.command + "\r\n")
				discardUntil(b, c.r, tag)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchMessages, "ns/msg")
		})
	}
}

// BenchmarkLogin measures what a client that comes for a moment costs.
func BenchmarkLogin(b *testing.B) {
	addr := serve(b, newArchive(b).w.Reader, testOptions())
	for b.Loop() {
		c := login(b, addr)
		c.ok("LOGOUT")
		c.conn.Close()
	}
}

// discardUntil reads up to a tagged response.
func discardUntil(b *testing.B, r *bufio.Reader, tag string) {
	prefix := []byte(tag + " ")
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if bytes.HasPrefix(line, prefix) {
			if !bytes.HasPrefix(line[len(prefix):], []byte("OK")) {
				b.Fatalf("%s", line)
			}
			return
		}
		if size, _, ok := literalAt(line); ok {
			if _, err := io.CopyN(io.Discard, r, size); err != nil {
				b.Fatal(err)
			}
		}
	}
}
