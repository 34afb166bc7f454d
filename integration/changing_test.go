package integration

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/dovecot"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/need"
	"mailkeep/integration/program"
	"mailkeep/integration/proxy"
)

// changing is a served archive whose source goes on living.
type changing struct {
	source *gmailsim.Server
	keeper *program.Keeper
	served login // directly
	login        // by way of said
	said   *proxy.Transcript
	ids    []gmailsim.MsgID
}

func newChanging(t *testing.T) *changing {
	t.Helper()
	s, from := gmail(t, gmailsim.Options{Expunge: gmailsim.ExpungeForever})
	if err := s.Load(gmailsim.Sample(200, 9)); err != nil {
		t.Fatal(err)
	}
	c := &changing{source: s, keeper: newKeeper(t, from), said: &proxy.Transcript{}}
	for _, m := range s.Snapshot().Messages {
		c.ids = append(c.ids, m.ID)
	}
	for i, id := range c.ids[:30] {
		must(t, s.AddLabels(id, "old name", oddLabels[i%len(oddLabels)]))
	}
	run(t, c.keeper, "backup")
	c.served = serve(t, c.keeper)
	relay, err := proxy.Record(c.served.addr, c.said)
	must(t, err)
	t.Cleanup(func() { relay.Close() })
	c.login = login{relay.Addr, c.served.user, c.served.password}
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// live lets happen at the source what happens to mail, and backs up, while the archive is being served.
func (c *changing) live(t *testing.T) {
	t.Helper()
	s := c.source
	for i := range 7 {
		_, err := s.Deliver(gmailsim.Message{
			Body:   fmt.Appendf(nil, "Message-ID: <new%d@example.org>\r\nFrom: new@example.org\r\nSubject: news %d\r\n\r\nnews %d\r\n", i, i, i),
			Date:   time.Date(2026, 7, 1, 0, 0, i, 0, time.UTC),
			Labels: []string{`\Inbox`, oddLabels[i], "work/project x"},
		})
		must(t, err)
	}
	must(t, s.AddLabels(c.ids[60], "R&D", `\Starred`))
	must(t, s.RemoveLabels(c.ids[0], oddLabels[0]))
	must(t, s.RemoveLabels(c.ids[1], "work/project x", "old name"))
	must(t, s.SetFlags(c.ids[2], `\Answered`, `\Seen`))
	must(t, s.SetFlags(c.ids[3]))
	must(t, s.RenameLabel("old name", "new name/below"))
	must(t, s.MoveToTrash(c.ids[4]))
	run(t, c.keeper, "backup")
}

// bodies is how many whole messages the server has sent since the conversation had so many lines.
func (c *changing) bodies(from int) int {
	n := 0
	for _, line := range c.said.Lines()[from:] {
		if !line.Client && wholeMessage.MatchString(line.Text) {
			n++
		}
	}
	return n
}

// placements counts what stands in which mailbox of after, and not before.
func placements(before, after account) int {
	n := 0
	for name, messages := range after {
		known := map[[sha256.Size]byte]int{}
		for _, m := range before[name] {
			known[m.sum]++
		}
		for _, m := range messages {
			if known[m.sum]--; known[m.sum] < 0 {
				n++
			}
		}
	}
	return n
}

const changingRC = `FSync no

IMAPStore far
Host %s
Port %s
User %s
Pass %s
SSLType None

MaildirStore near
Path "%[5]s/"
Inbox "%[5]s/INBOX"
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns * "![Gmail]/All Mail" !Gone* INBOX
Create Near
Remove Near
Expunge Near
Sync Pull
CopyArrivalDate yes
SyncState *
`

// mbsync is run again and again: it fetches what is new, takes over flags, and drops what is no longer there.
func TestMbsyncAgain(t *testing.T) {
	mbsync := need.Program(t, "mbsync", "isync")
	c := newChanging(t)
	dir := t.TempDir()
	rc, mail := filepath.Join(dir, "rc"), filepath.Join(dir, "mail")
	host, port, _ := strings.Cut(c.addr, ":")
	must(t, os.Mkdir(mail, 0o700))
	must(t, os.WriteFile(rc, fmt.Appendf(nil, changingRC, host, port, c.user, c.password, mail), 0o600))
	before := account{}
	for _, step := range []struct {
		name   string
		change func(*testing.T)
	}{
		{"first", func(*testing.T) {}},
		{"nothing new", func(*testing.T) {}},
		{"after another backup", c.live},
		{"nothing new again", func(*testing.T) {}},
	} {
		t.Run(step.name, func(t *testing.T) {
			step.change(t)
			after := served(t, c.served)
			delete(after, "[Gmail]/All Mail")
			from := len(c.said.Lines())
			if out, err := client(t, 2*time.Minute, mbsync, "-c", rc, "all"); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if got, want := c.bodies(from), placements(before, after); got != want {
				t.Errorf("mbsync has fetched %d messages, want %d", got, want)
			}
			boxes, _ := readMaildirs(t, mail)
			for name, messages := range after {
				compareSets(t, name, messages, boxes[dovecot.EncodeName(name)])
				delete(boxes, dovecot.EncodeName(name))
			}
			for name, messages := range boxes {
				if _, once := before[name]; len(messages) > 0 && !once { // mbsync leaves alone what is no longer listed
					t.Errorf("mbsync has %d messages in %q", len(messages), name)
				}
			}
			maps.Copy(before, after)
		})
	}
	checkAnswers(t, c.said)
}

// neomutt, and mutt which it comes from, keep headers and messages of a mailbox between two calls, and only ask for what is new.
func TestMuttAgain(t *testing.T) {
	for _, program := range []string{"neomutt", "mutt"} {
		t.Run(program, func(t *testing.T) { testMuttAgain(t, need.Program(t, program, program)) })
	}
}

func testMuttAgain(t *testing.T, mutt string) {
	c := newChanging(t)
	dir := t.TempDir()
	before := account{}
	for i, change := range []func(*testing.T){func(*testing.T) {}, func(*testing.T) {}, c.live} {
		change(t)
		after := served(t, c.served)
		const mailbox = "work/project x"
		from := len(c.said.Lines())
		out := filepath.Join(dir, fmt.Sprintf("out%d", i))
		pipeAll(t, mutt, c.login, mailbox, dir, out)
		comparePiped(t, out, after[mailbox])
		want := placements(account{mailbox: before[mailbox]}, account{mailbox: after[mailbox]})
		if got := c.bodies(from); got != want {
			t.Errorf("run %d: %d messages were fetched, want %d of %d", i, got, want, len(after[mailbox]))
		}
		if got := c.headers(from); got > want {
			t.Errorf("run %d: %d headers were fetched, want %d of %d", i, got, want, len(after[mailbox]))
		}
		before = after
	}
	checkAnswers(t, c.said)
}

var headerFields = regexp.MustCompile(`^\* \d+ FETCH \(.*BODY\[HEADER\.FIELDS`)

// headers is how many header blocks the server has sent since the conversation had so many lines.
func (c *changing) headers(from int) int {
	n := 0
	for _, line := range c.said.Lines()[from:] {
		if !line.Client && headerFields.MatchString(line.Text) {
			n++
		}
	}
	return n
}

// pipeAll opens a mailbox in mutt or neomutt, which keeps its caches in dir, and has it write all messages to a file.
func pipeAll(t *testing.T, mutt string, l login, mailbox, dir, out string) {
	t.Helper()
	script := need.Program(t, "script", "bsdutils")
	rc := filepath.Join(dir, "rc")
	for _, cache := range []string{"headers", "messages"} {
		must(t, os.MkdirAll(filepath.Join(dir, cache), 0o700))
	}
	must(t, os.WriteFile(rc, []byte(strings.Join(append(slices.Clone(muttSettings),
		"set imap_user="+l.user, "set imap_pass="+l.password, "set folder=imap://"+l.addr+"/", "set tmpdir="+dir,
		"set header_cache="+filepath.Join(dir, "headers"), "set message_cachedir="+filepath.Join(dir, "messages"),
	), "\n")+"\n"), 0o600))
	command := fmt.Sprintf("stty rows 60 cols 160; TERM=xterm LC_ALL=C.UTF-8 exec %s -n -F %s -f 'imap://%s/%s' -e 'push \"%s\"'", mutt, rc, l.addr,
		dovecot.EncodeName(mailbox), "<tag-pattern>~A<enter><tag-prefix><pipe-message>cat > "+out+"<enter><quit>")
	if _, err := client(t, time.Minute, script, "-q", "-f", "-e", "-c", command, filepath.Join(dir, "screen")); err != nil {
		screen, _ := os.ReadFile(filepath.Join(dir, "screen"))
		t.Fatalf("%v\n%q", err, tail(screen, 3000))
	}
}
