package backup_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

const account = "me@example.com"

// rig is a server, an archive and the way between.
type rig struct {
	t    testing.TB
	srv  *gmailsim.Server
	addr string
	w    *archive.Writer
	dir  string
	log  *talk
	o    backup.Options

	idles bool // IDLE may be sent
}

// talk is the conversation as the server logs it.
type talk struct {
	mu    sync.Mutex
	lines strings.Builder
}

func (l *talk) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(p)
}

func (l *talk) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}

func newRig(t testing.TB, opt gmailsim.Options) *rig {
	t.Helper()
	r := &rig{t: t, log: &talk{}, dir: filepath.Join(t.TempDir(), "MailStore")}
	opt.Log = r.log
	r.srv = gmailsim.New(opt)
	r.addr = r.srv.Start(t)
	r.w = archivetest.Open(t, r.dir)
	r.o = backup.Options{Account: account, Dial: r.dial, Pause: time.Millisecond, BatchAge: 20 * time.Millisecond}
	t.Cleanup(r.onlyReads)
	return r
}

func (r *rig) dial(ctx context.Context) (*backup.Session, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", r.addr)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { c.Close() })() // neither the greeting nor the login takes a context
	return login(c)
}

func login(c net.Conn) (*backup.Session, error) {
	s, err := backup.NewSession(c, backup.SessionOptions{})
	if err != nil {
		return nil, err
	}
	if err := s.Login("user@example.com", "password"); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// onlyReads asserts that no run ever sent a command that can change anything at the source.
func (r *rig) onlyReads() {
	harmless := []string{"CAPABILITY", "LOGIN", "ID", "LIST", "STATUS", "EXAMINE", "UID FETCH", "UID SEARCH", "LOGOUT", "COMPRESS"}
	if r.idles {
		harmless = append(harmless, "IDLE")
	}
	for name, n := range r.srv.Counters().Commands {
		if !slices.Contains(harmless, name) {
			r.t.Errorf("sent %s %d times", name, n)
		}
	}
	for line := range strings.Lines(r.log.String()) {
		if marksSeen.MatchString(line) {
			r.t.Errorf("sent a FETCH that sets \\Seen: %s", line)
		}
	}
}

var marksSeen = regexp.MustCompile(`(?i) C: .*(BODY\[|BINARY\[|RFC822[ )]|RFC822\.TEXT)`)

func (r *rig) run() backup.Summary {
	r.t.Helper()
	sum, err := backup.Run(context.Background(), r.w, r.o)
	if err != nil {
		r.t.Fatalf("back up: %v", err)
	}
	return sum
}

func (r *rig) deliver(m gmailsim.Message) gmailsim.MsgID {
	r.t.Helper()
	id, err := r.srv.Deliver(m)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) appendTo(mailbox string, m gmailsim.Message) gmailsim.MsgID {
	r.t.Helper()
	id, err := r.srv.Append(mailbox, m)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// mail makes a message that no other is equal to.
func mail(n int) gmailsim.Message {
	date := time.Date(2024, 1, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Minute)
	body := fmt.Sprintf("Message-ID: <%d@example.com>\r\nDate: %s\r\nFrom: a@example.com\r\nSubject: number %d\r\n\r\nThis is number %d.\r\n",
		n, date.Format(time.RFC1123Z), n, n)
	return gmailsim.Message{Body: []byte(body), Date: date}
}

func labelled(n int, labels ...string) gmailsim.Message {
	m := mail(n)
	m.Labels = labels
	return m
}

// row is a message in a mailbox as both sides can tell it.
func row(ref archive.Ref, date time.Time, flags []string) string {
	flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return f == "" })
	slices.SortFunc(flags, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	return fmt.Sprintf("%.16s %s %s", ref, date.UTC().Format(time.DateTime), strings.Join(flags, " "))
}

// source returns what the server shows, by the archive's name of the mailbox.
func (r *rig) source(delim string) map[string][]string {
	snap := r.srv.Snapshot()
	byID := make(map[gmailsim.MsgID]gmailsim.MessageState)
	for _, m := range snap.Messages {
		byID[m.ID] = m
	}
	boxes := make(map[string][]string)
	for _, b := range snap.Mailboxes {
		if b.NoSelect || b.Hidden {
			continue
		}
		name := b.Name
		if delim != "" && delim != "/" {
			name = strings.ReplaceAll(strings.ReplaceAll(name, "/", "%2F"), delim, "/")
		} else if delim == "" {
			name = strings.ReplaceAll(name, "/", "%2F")
		}
		boxes[name] = []string{}
		for _, e := range b.Messages {
			m := byID[e.ID]
			boxes[name] = append(boxes[name], row(archive.RefOf(m.Body()), m.Date, e.Flags))
		}
		slices.Sort(boxes[name])
	}
	// Gmail has no folder for \Muted; the archive shows it beside the others.
	root, _, _ := strings.Cut(r.srv.FolderName(`\All`), "/")
	for _, m := range snap.Messages {
		if slices.Contains(m.Labels, `\Muted`) {
			boxes[root+"/Muted"] = append(boxes[root+"/Muted"], row(archive.RefOf(m.Body()), m.Date, m.Flags))
		}
	}
	if muted := boxes[root+"/Muted"]; muted != nil {
		slices.Sort(muted)
	}
	return boxes
}

// kept returns what the archive shows as present at the source, and the number of messages it shows as gone.
func (r *rig) kept() (boxes map[string][]string, gone int) {
	r.t.Helper()
	ctx := context.Background()
	a, err := r.w.AccountByName(ctx, r.o.Account)
	r.must(err)
	list, err := r.w.Mailboxes(ctx, a.ID)
	r.must(err)
	boxes = make(map[string][]string)
	for _, b := range list {
		entries, _, err := r.w.Entries(ctx, b.ID)
		r.must(err)
		live := []string{}
		for _, e := range entries {
			if e.GoneAt == 0 {
				live = append(live, row(e.Ref, e.Date, strings.Fields(e.Flags)))
			} else if b.Name == archive.GoneMailbox {
				gone++
			}
		}
		if b.GoneAt == 0 && b.Name != archive.GoneMailbox || len(live) > 0 {
			slices.Sort(live)
			boxes[b.Name] = live
		}
	}
	return boxes, gone
}

// same fails the test unless the archive shows exactly what the server has.
func (r *rig) same(delim string) {
	r.t.Helper()
	r.sameAs(r.source(delim))
}

func (r *rig) sameAs(want map[string][]string) {
	r.t.Helper()
	have, _ := r.kept()
	for name, rows := range want {
		got, ok := have[name]
		if !ok {
			r.t.Errorf("mailbox %q is missing", name)
			continue
		}
		if !slices.Equal(rows, got) {
			r.t.Errorf("mailbox %q differs: server has %d, archive %d\n%s", name, len(rows), len(got), difference(rows, got))
		}
	}
	for name := range have {
		if _, ok := want[name]; !ok {
			r.t.Errorf("mailbox %q is not at the server", name)
		}
	}
}

func difference(want, got []string) string {
	var b strings.Builder
	n := 0
	for _, line := range want {
		if !slices.Contains(got, line) && n < 10 {
			n++
			fmt.Fprintf(&b, "  missing %s\n", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) && n < 20 {
			n++
			fmt.Fprintf(&b, "  surplus %s\n", line)
		}
	}
	return b.String()
}

// onceEach fails the test if a body was sent more often than allowed.
func (r *rig) onceEach() {
	r.t.Helper()
	for id, n := range r.srv.BodiesServed() {
		if n > 1 {
			r.t.Errorf("message %s was downloaded %d times", id.Hex(), n)
		}
	}
}

func warned(sum backup.Summary, kind backup.WarningKind) bool {
	return slices.ContainsFunc(sum.Warnings, func(w backup.Warning) bool { return w.Kind == kind })
}
