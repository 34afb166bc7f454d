package dovecot

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Message is one message of a mailbox to be filled.
type Message struct {
	Raw   []byte // stored as given; Dovecot sends every line end as CRLF
	Flags []string
	Date  time.Time // the internal date, to the second
	// Same, when not 0, says that messages with an equal value have equal bytes: within one Fill call they share
	// one file (hard links), as a message under many labels does.
	Same int
}

// Filler writes messages straight into a Maildir user's folders, the fastest way to fill a server. Flags beyond the
// five of IMAP become keywords. UIDs are given by Dovecot in the order of adding.
type Filler struct {
	s      *Server
	root   string
	boxes  map[string]*fillBox
	shared map[int]string // by Message.Same: a file with those bytes
	n      int
}

type fillBox struct {
	dir      string
	keywords []string
}

// Fill starts to fill a Maildir user's mailboxes. Close must be called before the user logs in.
func (s *Server) Fill(user string) (*Filler, error) {
	f := &Filler{s: s, root: filepath.Join(s.MailRoot(user), "mail"), boxes: map[string]*fillBox{}, shared: map[int]string{}}
	_, err := f.box("INBOX")
	return f, err
}

// Mailbox makes an empty mailbox; its name is UTF-8 with the levels parted by "/".
func (f *Filler) Mailbox(name string) error {
	_, err := f.box(name)
	return err
}

// Add puts a message into a mailbox, which is made when it is not there.
func (f *Filler) Add(mailbox string, m Message) error {
	b, err := f.box(mailbox)
	if err != nil {
		return err
	}
	letters, err := b.letters(m.Flags)
	if err != nil {
		return fmt.Errorf("mailbox %q: %w", mailbox, err)
	}
	f.n++
	// Dovecot numbers new files in the order of their names.
	path := filepath.Join(b.dir, "cur", fmt.Sprintf("%d.%08d.fill:2,%s", 1_000_000_000, f.n, letters))
	if old := f.shared[m.Same]; m.Same != 0 && old != "" {
		return os.Link(old, path)
	}
	if err := os.WriteFile(path, m.Raw, 0o600); err != nil {
		return err
	}
	if err := os.Chtimes(path, m.Date, m.Date); err != nil {
		return err
	}
	if m.Same != 0 {
		f.shared[m.Same] = path
	}
	return f.s.owner.give(path)
}

// Close writes the lists of keywords.
func (f *Filler) Close() error {
	for name, b := range f.boxes {
		var out bytes.Buffer
		for i, k := range b.keywords {
			fmt.Fprintf(&out, "%d %s\n", i, k)
		}
		if out.Len() == 0 {
			continue
		}
		path := filepath.Join(b.dir, "dovecot-keywords")
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			return fmt.Errorf("keywords of %q: %w", name, err)
		}
		if err := f.s.owner.give(path); err != nil {
			return fmt.Errorf("keywords of %q: %w", name, err)
		}
	}
	return nil
}

func (f *Filler) box(name string) (*fillBox, error) {
	if b := f.boxes[name]; b != nil {
		return b, nil
	}
	dir := f.root
	if name != "INBOX" {
		// Maildir++ parts the levels by dots, which a name of its own therefore cannot hold.
		if strings.Contains(name, ".") {
			return nil, fmt.Errorf("mailbox %q: a Maildir++ name cannot hold a dot", name)
		}
		dir = filepath.Join(f.root, "."+strings.ReplaceAll(EncodeName(name), "/", "."))
	}
	for _, sub := range []string{"", "cur", "new", "tmp"} {
		if err := f.s.mkdir(filepath.Join(dir, sub)); err != nil {
			return nil, fmt.Errorf("mailbox %q: %w", name, err)
		}
	}
	if dir != f.root {
		mark := filepath.Join(dir, "maildirfolder")
		if err := os.WriteFile(mark, nil, 0o600); err != nil {
			return nil, err
		}
		if err := f.s.owner.give(mark); err != nil {
			return nil, err
		}
	}
	b := &fillBox{dir: dir}
	f.boxes[name] = b
	return b, nil
}

// letters are the Maildir flags of a message, in ASCII order; keywords are lower-case letters that index the mailbox's list.
func (b *fillBox) letters(flags []string) (string, error) {
	var out []byte
	for _, flag := range flags {
		out = append(out, b.letter(flag))
	}
	if len(b.keywords) > 26 {
		return "", fmt.Errorf("%d keywords, and Maildir has letters for 26", len(b.keywords))
	}
	slices.Sort(out)
	return string(slices.Compact(out)), nil
}

func (b *fillBox) letter(flag string) byte {
	switch strings.ToLower(flag) {
	case `\draft`:
		return 'D'
	case `\flagged`:
		return 'F'
	case `\answered`:
		return 'R'
	case `\seen`:
		return 'S'
	case `\deleted`:
		return 'T'
	}
	i := slices.Index(b.keywords, flag)
	if i < 0 {
		i = len(b.keywords)
		b.keywords = append(b.keywords, flag)
	}
	return 'a' + byte(i)
}
