package imapd

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

// What is put together in parts, by several processors or one, and what is kept of that, is what short commands are answered: small messages, large ones that are sent from their files, missing and damaged ones, with summaries and without.
func TestPartsAreTheWhole(t *testing.T) {
	if runtime.GOMAXPROCS(0) == 1 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	}
	allProcs := runtime.GOMAXPROCS(0)
	s := newArchive(t)
	var b archive.Batch
	var refs []archive.Ref
	for i := range 1000 {
		text := fmt.Sprintf("From: a%d@example.org\r\nSubject: =?utf-8?q?n=C3=BC?= %d\r\nContent-Type: text/plain\r\n\r\n%s", i, i, strings.Repeat("text\r\n", i))
		switch {
		case i%100 == 50:
			text += strings.Repeat("a large message\r\n", 20000)
		case i%100 == 51:
			text = "Subject: " + strings.Repeat("long ", 20000) + "\r\n" + text
		}
		refs = append(refs, sha256.Sum256([]byte(text)))
		b.Copies = append(b.Copies, s.copyOf(text, "INBOX"))
	}
	s.record(b)
	file := func(i int) string { return filepath.Join(s.w.Dir(), refs[i].String()[:2], refs[i].String()+".eml") }
	for _, i := range []int{300, 600} { // put back for the check of the archive
		text, err := os.ReadFile(file(i))
		check(t, err)
		defer os.WriteFile(file(i), text, 0o600)
	}
	check(t, os.Remove(file(300)))
	check(t, os.Truncate(file(600), 10))
	for _, summaries := range []bool{false, true} {
		if summaries {
			if _, err := s.w.Summarize(context.Background(), nil); err != nil {
				t.Fatal(err)
			}
		}
		c := login(t, serve(t, s.w.Reader, testOptions()))
		c.ok("SELECT INBOX")
		addr := serve(t, s.w.Reader, testOptions()) // has kept nothing when what is put together by several is asked for
		for _, items := range []string{
			"(UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (From Subject)])", "(ENVELOPE BODYSTRUCTURE INTERNALDATE)", "(UID BODY.PEEK[])", "(BODY.PEEK[TEXT]<3.100> BODY.PEEK[1.MIME])",
			"(X-GM-MSGID X-GM-LABELS EMAILID BODY.PEEK[HEADER])", "(PREVIEW)", "(UID FLAGS)",
		} {
			for _, set := range []string{"1:200,300:700,900", "10:265", "1:*"} {
				want := inPieces(c, strings.Replace(set, "*", "1000", 1), items)
				for _, procs := range []int{allProcs, 1} {
					if procs == 1 && set != "1:*" {
						continue
					}
					runtime.GOMAXPROCS(procs)
					got := answerTo(t, addr, "FETCH "+set+" "+items)
					runtime.GOMAXPROCS(allProcs)
					if got != want {
						t.Errorf("FETCH %s %s: the answers differ (%d bytes, %d of short commands)", set, items, len(got), len(want))
					}
				}
				if n := strings.Count(want, " FETCH ("); n < 200 {
					t.Errorf("FETCH %s %s: %d responses", set, items, n)
				}
			}
		}
	}
}

// inPieces asks for a few messages at a time and returns all answers, with the end of one that could not be given as a whole, or else the last.
func inPieces(c *client, set, items string) string {
	c.t.Helper()
	c.conn.SetDeadline(time.Now().Add(time.Minute)) // as long as answers that are asked for one by one
	var all strings.Builder
	end := ""
	for run := range strings.SplitSeq(set, ",") {
		var from, to int
		if n, _ := fmt.Sscanf(run, "%d:%d", &from, &to); n == 1 {
			to = from
		}
		for ; from <= to; from += aheadBodies - 1 {
			got, tagged := c.do(fmt.Sprintf("FETCH %d:%d %s", from, min(to, from+aheadBodies-2), items))
			all.WriteString(got)
			if end == "" || !strings.HasPrefix(tagged, "OK") {
				end = tagged
			}
		}
	}
	return all.String() + end
}

func answerTo(t *testing.T, addr, command string) string {
	c := login(t, addr)
	defer c.conn.Close()
	c.ok("SELECT INBOX")
	got, tagged := c.do(command)
	return got + tagged
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
