package integration

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/corpus"
	"mailkeep/integration/dovecot"
)

// mail is one message in one mailbox, as a server gives it.
type mail struct {
	raw   []byte // nil when only the sum was asked for
	sum   [sha256.Size]byte
	size  int
	flags []string // lower case, sorted, without \Recent
	date  time.Time
}

// account is everything in an account, by mailbox (UTF-8 names, "/" between levels).
type account map[string][]mail

// readAccount reads all selectable mailboxes over IMAP. Messages that come in more than one mailbox share their bytes.
func readAccount(t *testing.T, l login) account {
	t.Helper()
	c := connect(t, l)
	defer c.Close()
	list, err := c.List("", "*", nil).Collect()
	if err != nil {
		t.Fatal(err)
	}
	all, known := account{}, map[[sha256.Size]byte][]byte{}
	for _, box := range list {
		if slices.Contains(box.Attrs, imap.MailboxAttrNoSelect) || slices.Contains(box.Attrs, imap.MailboxAttrNonExistent) {
			continue
		}
		all[strings.ReplaceAll(box.Mailbox, string(box.Delim), "/")] = readMailbox(t, c, box.Mailbox, known)
	}
	return all
}

func connect(t *testing.T, l login) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(l.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Login(l.user, l.password).Wait(); err != nil {
		c.Close()
		t.Fatal(err)
	}
	return c
}

func readMailbox(t *testing.T, c *imapclient.Client, name string, known map[[sha256.Size]byte][]byte) []mail {
	t.Helper()
	selected, err := c.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	if selected.NumMessages == 0 {
		return nil
	}
	var set imap.SeqSet
	set.AddRange(1, 0)
	section := &imap.FetchItemBodySection{Peek: true}
	got, err := c.Fetch(set, &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{section}}).Collect()
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	out := make([]mail, 0, len(got))
	for _, g := range got {
		raw := g.FindBodySection(section)
		m := mail{sum: sha256.Sum256(raw), size: len(raw), date: g.InternalDate.UTC()}
		if int(g.RFC822Size) != len(raw) {
			t.Errorf("%q, UID %d: RFC822.SIZE %d, and %d bytes", name, g.UID, g.RFC822Size, len(raw))
		}
		if known[m.sum] == nil {
			known[m.sum] = raw
		}
		m.raw = known[m.sum]
		for _, f := range g.Flags {
			if f := strings.ToLower(string(f)); f != `\recent` {
				m.flags = append(m.flags, f)
			}
		}
		slices.Sort(m.flags)
		out = append(out, m)
	}
	return out
}

// search asks a server which messages of a mailbox hold a word in their bodies; the answer counts from 0.
func search(t *testing.T, l login, mailbox, word string) []int {
	t.Helper()
	c := connect(t, l)
	defer c.Close()
	if _, err := c.Select(mailbox, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		t.Fatal(err)
	}
	found, err := c.Search(&imap.SearchCriteria{Body: []string{word}}, nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, n := range found.AllSeqNums() {
		out = append(out, int(n)-1)
	}
	return out
}

// distinct is the number and the bytes of the account's different messages.
func (a account) distinct() (n int, size int64) {
	seen := map[[sha256.Size]byte]bool{}
	for _, box := range a {
		for _, m := range box {
			if !seen[m.sum] {
				seen[m.sum] = true
				n++
				size += int64(m.size)
			}
		}
	}
	return n, size
}

// copies is the number of messages counted in every mailbox, and the bytes of their header blocks.
func (a account) copies() (n int, headers int64) {
	for _, box := range a {
		for _, m := range box {
			n++
			if end := bytes.Index(m.raw, []byte("\r\n\r\n")); end >= 0 {
				headers += int64(end) + 4
			} else {
				headers += int64(m.size)
			}
		}
	}
	return n, headers
}

var (
	folded   = regexp.MustCompile(`\r?\n[ \t]+`)
	authored = [...]*regexp.Regexp{regexp.MustCompile(`(?im)^message-id:[ \t]*[^\s]`), regexp.MustCompile(`(?im)^date:[ \t]*[^\s]`)}
	passed   = regexp.MustCompile(`(?im)^received:.*[ \t]id[ \t]+<?[-.\w]{6,}.*;.*\d\d:\d\d:\d\d`)
)

// nameless counts copies that a header does not tell to be copies: those beyond the first of a message to which neither its author nor a server gave a name and a time,
// and every double within a mailbox.
func (a account) nameless() int {
	n, met := 0, map[[sha256.Size]byte]bool{}
	for _, box := range a {
		here := map[[sha256.Size]byte]bool{}
		for _, m := range box {
			header, _, _ := bytes.Cut(m.raw, []byte("\r\n\r\n"))
			header = folded.ReplaceAll(header, []byte(" "))
			named := authored[0].Match(header) && authored[1].Match(header) || passed.Match(header)
			if here[m.sum] || met[m.sum] && !named {
				n++
			}
			here[m.sum], met[m.sum] = true, true
		}
	}
	return n
}

// compareAccounts reports every difference; the order of messages within a mailbox counts.
func compareAccounts(t *testing.T, want, got account) {
	t.Helper()
	for name, w := range want {
		g, ok := got[name]
		if !ok {
			t.Errorf("mailbox %q is missing", name)
			continue
		}
		if len(g) != len(w) {
			t.Errorf("mailbox %q: %d messages, want %d", name, len(g), len(w))
			continue
		}
		for i := range w {
			if w[i].sum != g[i].sum {
				t.Errorf("mailbox %q, message %d: other bytes (%d, want %d)", name, i+1, g[i].size, w[i].size)
			}
			if !slices.Equal(w[i].flags, g[i].flags) {
				t.Errorf("mailbox %q, message %d: flags %q, want %q", name, i+1, g[i].flags, w[i].flags)
			}
			if !w[i].date.Equal(g[i].date) {
				t.Errorf("mailbox %q, message %d: date %v, want %v", name, i+1, g[i].date, w[i].date)
			}
		}
	}
}

// oddNames are mailbox names that programs have stumbled over.
var oddNames = []string{"R&D", `a "quoted" name`, "50% off", "back\\slash", "star*", "tilde~", "Büro/日本語/🎉", "INBOX/below", "Aé&b-c"}

// fillSource puts n messages into a Dovecot account: the whole corpus, as far as it is there, then made-up ones; each in one to
// five folders, with flags and keywords and dates that do not follow from the messages.
func fillSource(t *testing.T, s *dovecot.Server, user string, n int) {
	t.Helper()
	f, err := s.Fill(user)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(20, 26))
	files := corpusMessages(t)
	made := gen.New(max(n-len(files), 0), 2, gen.Full)
	names := append([]string{"INBOX", "Work/Clients/Acme", "Büro", "日本語", "Empty/Parent/Child"}, oddNames...)
	for i := range n {
		var raw []byte
		homes := []string{names[r.IntN(len(names))]}
		if i < len(files) {
			if raw, err = os.ReadFile(files[i].path); err != nil {
				t.Fatal(err)
			}
			homes[0] = "Corpus/" + files[i].folder
		} else {
			m := made.Message(i - len(files))
			raw = m.Raw
			homes = append(homes, m.Mailboxes[1:]...)
		}
		for range r.IntN(3) {
			homes = append(homes, names[r.IntN(len(names))])
		}
		slices.Sort(homes)
		homes = slices.Compact(homes)
		m := dovecot.Message{Raw: raw, Same: i + 1, Flags: someFlags(r), Date: someDate(r)}
		if i%4 == 0 {
			m.Same = 0 // files of their own, so that the copies can have their own dates
		}
		for _, home := range homes[:min(len(homes), 5)] {
			if err := f.Add(home, m); err != nil {
				t.Fatal(err)
			}
			m.Flags, m.Date = someFlags(r), someDate(r)
		}
	}
	if err := f.Mailbox("Nothing here"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// someDate is any second from 2001 to 2023.
func someDate(r *rand.Rand) time.Time { return time.Unix(978307200+r.Int64N(700_000_000), 0) }

func someFlags(r *rand.Rand) []string {
	var out []string
	for _, f := range []string{`\Seen`, `\Answered`, `\Flagged`, `\Draft`, `\Deleted`, "$Forwarded", "$Label1", "NonJunk"} {
		if r.IntN(5) == 0 {
			out = append(out, f)
		}
	}
	return out
}

type corpusFile struct{ path, folder string }

// corpusMessages lists the messages of the shared corpus in a fixed order.
func corpusMessages(t *testing.T) []corpusFile {
	t.Helper()
	root := corpus.Dev(t)
	index, err := os.ReadFile(filepath.Join(root, "index.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var kind, out = -1, []corpusFile(nil)
	for line := range strings.Lines(string(index)) {
		col := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if kind < 0 {
			kind = slices.Index(col, "kind")
			continue
		}
		if col[kind] != "eml" {
			continue
		}
		path := filepath.Join(root, filepath.FromSlash(col[0]))
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("corpus message %q: %v", col[0], err)
		}
		folder, _, _ := strings.Cut(col[0], "/")
		out = append(out, corpusFile{path, folder})
	}
	if len(out) < 3000 {
		t.Fatalf("the corpus has only %d messages", len(out))
	}
	slices.SortStableFunc(out, func(a, b corpusFile) int { return cmp.Compare(a.path, b.path) })
	return out
}
