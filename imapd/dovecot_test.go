package imapd

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/integration/corpus"
	"mailkeep/integration/dovecot"
	"mailkeep/message"
)

// dovecotFolders are the parts of the corpus that Dovecot and the archive hold in the tests of this file: a mailbox each.
var dovecotFolders = []string{"list-linux-i2c", "list-openbmc", "notmuch", "aerc", "mimekit", "spamassassin", "comm-central", "thunderbird-android"}

// both fills a Dovecot and an archive with the same messages, and logs in to both.
func both(t *testing.T) (theirs, ours *client) {
	t.Helper()
	d := dovecot.New(t, dovecot.Options{NoFsync: true})
	fill, err := d.Fill("user")
	if err != nil {
		t.Fatal(err)
	}
	s := newArchive(t)
	for _, folder := range dovecotFolders {
		var batch archive.Batch
		for i, m := range mailsIn(t, filepath.Join(corpus.Dev(t), folder)) {
			date := time.Unix(1_600_000_000+int64(i*7919%100000), 0).UTC()
			if err := fill.Add(folder, dovecot.Message{Raw: m, Date: date}); err != nil {
				t.Fatal(err)
			}
			c := s.copyOf(string(m), folder)
			c.Date = date
			batch.Copies = append(batch.Copies, c)
		}
		s.record(batch)
	}
	if err := fill.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.w.Summarize(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", d.Addr)
	if err != nil {
		t.Fatal(err)
	}
	theirs = newClient(t, conn)
	conn.SetDeadline(time.Now().Add(5 * time.Minute))
	theirs.ok("LOGIN user pass")
	ours = login(t, serve(t, s.w.Reader, testOptions()))
	ours.conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return theirs, ours
}

// mailsIn returns the distinct messages in a folder, with CRLF as Dovecot sends them, in the order of their names.
func mailsIn(t *testing.T, dir string) [][]byte {
	t.Helper()
	var mails [][]byte
	seen := make(map[archive.Ref]bool)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".eml" {
			return err
		}
		b, err := os.ReadFile(path)
		b = bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		if ref := archive.RefOf(b); len(b) > 0 && !seen[ref] && !dovecotReadsLess(b) {
			seen[ref] = true
			mails = append(mails, b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(mails, func(a, b []byte) int { return bytes.Compare(a[:min(20, len(a))], b[:min(20, len(b))]) })
	return mails
}

// dovecotReadsLess reports whether there is something in a header that Dovecot 2.3 does not understand and this server does: dates in forms of their own or before 1970, names without
// an address, UTF-16 without a byte order mark.
func dovecotReadsLess(b []byte) bool {
	root := message.Parse(b)
	header := root.Header(b)
	if date := header.Get("Date"); date != "" {
		if t, err := mail.ParseDate(date); err != nil || t.Unix() < 0 {
			return true
		}
	}
	from := header.Get("From")
	return from != "" && !strings.Contains(from, "@") || strings.Contains(header.Get("Subject"), "=?utf-16?")
}

// TestSortLikeDovecot compares SORT and THREAD with Dovecot's answers.
func TestSortLikeDovecot(t *testing.T) {
	theirs, ours := both(t)
	for _, folder := range dovecotFolders {
		theirs.ok("EXAMINE " + folder)
		ours.ok("EXAMINE " + folder)
		for _, command := range []string{
			"SORT (ARRIVAL)", "SORT (REVERSE SIZE)", "SORT (DATE)", "SORT (SUBJECT)", "SORT (FROM)", "SORT (TO)", "SORT (CC)", "SORT (DISPLAYFROM)", "SORT (DISPLAYTO)",
			"SORT RETURN (MIN MAX COUNT) (REVERSE DATE)", "THREAD ORDEREDSUBJECT", "THREAD REFERENCES",
		} {
			got, want := ours.ok(command+" UTF-8 ALL"), theirs.ok(command+" UTF-8 ALL")
			got, want = strings.Replace(got, ours.tag(), "", 1), strings.Replace(want, theirs.tag(), "", 1)
			if got != want {
				t.Errorf("%s %s:\n got %.2000s\nwant %.2000s", folder, command, got, want)
			}
		}
	}
}

// tag is the tag of the last command.
func (c *client) tag() string { return fmt.Sprintf("%q", fmt.Sprintf("t%d", c.n)) }
