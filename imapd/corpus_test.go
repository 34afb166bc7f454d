package imapd

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailkeep/archive"
	"mailkeep/integration/corpus"
	"mailkeep/message"
)

// strangeMessages are what other servers refuse or change.
func strangeMessages() []string {
	return []string{
		"", "\r\n", "\n", "x", "Subject: header only", "Subject: header only\r\n", "Subject: header and empty line\r\n\r\n", "\r\nbody only\r\n", "no header at all\r\nbody",
		"Subject: bare LF\n\nbody\nmore\n", "Subject: bare CR\rX: y\r\r\nbody\r", "Subject: NUL \x00 here\r\n\r\nbody \x00\r\n", "Subject: 8bit \xff\xfe\r\n\r\n\x80\x81\r\n",
		"Subject: folded\r\n \r\n\r\nbody", ": no name\r\n\r\nbody", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\nno parts", "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp5",
		"Subject: " + strings.Repeat("x", 1<<20) + "\r\n\r\nafter a long line\r\n", strings.Repeat("X-Many: y\r\n", 10000) + "\r\nbody", strings.Repeat("no empty line\r\n", 100000),
		"Content-Type: multipart/mixed; boundary=\"\x01\"\r\n\r\n--\x01\r\nSubject: (\r\n\r\n)\r\n--\x01--\r\n",
		strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 1000) + "deep",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 11000),
		"Subject: ends in the middle of an encoded word =?utf-8?b?w7\r\nFrom: =?x?q?=?= <a@b\r\n\r\n.\r\n..\r\n. \r\nFrom me\r\n>From you\r\n",
	}
}

// corpusMessages returns the distinct messages of the corpus and the strange ones.
func corpusMessages(t *testing.T) [][]byte {
	seen := make(map[archive.Ref]bool)
	var all [][]byte
	add := func(b []byte) {
		if ref := archive.RefOf(b); !seen[ref] {
			seen[ref] = true
			all = append(all, b)
		}
	}
	for _, m := range strangeMessages() {
		add([]byte(m))
	}
	err := filepath.WalkDir(corpus.Dev(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) == ".jsonl" || filepath.Ext(path) == ".tsv" {
			return err
		}
		b, err := os.ReadFile(path)
		add(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCorpusIsServedByteExact(t *testing.T) {
	if testing.Short() {
		t.Skip("reads some 60 MB of messages; run without -short")
	}
	all := corpusMessages(t)
	s := newArchive(t)
	for chunk := range slices.Chunk(all, 500) {
		var b archive.Batch
		for _, m := range chunk {
			b.Copies = append(b.Copies, s.copyOf(string(m), "INBOX"))
		}
		s.record(b)
	}
	c := login(t, serve(t, s.w.Reader, testOptions()))
	c.ok("SELECT INBOX")
	for i, m := range all {
		root := message.Parse(m)
		for _, items := range sectionsOf(root) {
			if len(items) > 200 {
				items = items[:200] // of thousands of parts alike
			}
			c.checkSections(i+1, m, root, items)
		}
	}
	t.Logf("%d messages", len(all))
}

// sectionQuery is one item to ask for.
type sectionQuery struct {
	path      []int
	specifier string
	partial   *[2]int64
}

func (q sectionQuery) name() string {
	name := "BODY[" + string(appendPath(nil, q.path))
	if len(q.path) > 0 && q.specifier != "" {
		name += "."
	}
	return name + q.specifier + "]"
}

// sectionsOf returns the sections to ask for of a message, in groups that go into one command.
func sectionsOf(root *message.Part) [][]sectionQuery {
	whole := []sectionQuery{
		{}, {specifier: "HEADER"}, {specifier: "TEXT"}, {partial: &[2]int64{0, 10}}, {partial: &[2]int64{5, 100000}}, {specifier: "TEXT", partial: &[2]int64{3, 50000}},
	}
	var parts []sectionQuery
	var walk func(p *message.Part, path []int)
	walk = func(p *message.Part, path []int) {
		for i := range max(1, len(p.Children)) {
			child := append(slices.Clone(path), i+1)
			part := p
			if p.Multipart() {
				part = p.Children[i]
			}
			parts = append(parts, sectionQuery{path: child}, sectionQuery{path: child, specifier: "MIME"})
			if part.Embedded != nil {
				parts = append(parts, sectionQuery{path: child, specifier: "HEADER"}, sectionQuery{path: child, specifier: "TEXT"})
			}
			if inner := part.Embedded; inner != nil && part.Multipart() == false {
				walk(inner, child)
			} else if part != p && part.Multipart() {
				walk(part, child)
			}
		}
	}
	walk(root, nil)
	return [][]sectionQuery{whole, parts}
}

// checkSections fetches sections of message n and compares the answer byte by byte.
func (c *client) checkSections(n int, m []byte, root *message.Part, queries []sectionQuery) {
	c.t.Helper()
	var items []string
	var want bytes.Buffer
	fmt.Fprintf(&want, "* %d FETCH (", n)
	for i, q := range queries {
		start, end, ok := root.Section(q.path, q.specifier)
		if !ok {
			c.t.Fatalf("message %d has no section %s", n, q.name())
		}
		item, name := strings.Replace(q.name(), "BODY", "BODY.PEEK", 1), q.name()
		if p := q.partial; p != nil {
			item += fmt.Sprintf("<%d.%d>", p[0], p[1])
			name += fmt.Sprintf("<%d>", p[0])
			start = min(start+p[0], end)
			end = min(start+p[1], end)
		}
		items = append(items, item)
		if i > 0 {
			want.WriteByte(' ')
		}
		fmt.Fprintf(&want, "%s {%d}\r\n", name, end-start)
		want.Write(m[start:end])
	}
	want.WriteString(")\r\n")
	if got := c.ok(fmt.Sprintf("FETCH %d (%s)", n, strings.Join(items, " "))); got != want.String() {
		i := 0
		for i < len(got) && i < want.Len() && got[i] == want.Bytes()[i] {
			i++
		}
		from := max(0, i-40)
		c.t.Errorf("message %d (%s), byte %d:\ngot  %.200q\nwant %.200q", n, archive.RefOf(m), i, got[from:], want.Bytes()[from:])
	}
}
