package integration

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"mailkeep/archive"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/program"
	"mailkeep/integration/proxy"
)

// An account on a real server with everything that mail can be: backed up once, every message is stored once and served byte for
// byte under every folder it has, to every program; a second run moves next to nothing.
func TestDovecot(t *testing.T) {
	s := dovecot.New(t, dovecot.Options{NoFsync: true})
	fillSource(t, s, "user", 5000)
	source := login{s.Addr, "user", "pass"}
	relay, err := proxy.New(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	want := readAccount(t, source)
	k := newKeeper(t, program.Account{Name: "home", Addr: relay.Addr, User: "user", Password: "pass"})
	first := run(t, k, "backup")
	t.Logf("first backup: %s", first)
	n, size := want.distinct()

	t.Run("each message is stored once, and downloaded once unless nobody made it unique", func(t *testing.T) {
		copies, headers := want.copies()
		t.Logf("%d messages of %d bytes, %d copies with %d bytes of headers; %d bytes came from the server", n, size, copies, headers, relay.Down())
		again := want.nameless()
		t.Logf("%d copies are not known by their headers", again)
		if got := downloaded(t, first); got < n || got > n+again {
			t.Errorf("%d messages were downloaded, want %d to %d", got, n, n+again)
		}
		// Beside the messages: the header block that identifies each copy, some protocol for it, and those copies, which are small.
		if limit := size + headers + int64(copies)*400 + 200_000; relay.Down() > limit {
			t.Errorf("%d bytes came from the server, want at most %d", relay.Down(), limit)
		}
		if files := messageFiles(t, k); files != n {
			t.Errorf("%d message files, want %d", files, n)
		}
	})
	t.Run("a second run downloads nothing", func(t *testing.T) {
		relay.Reset()
		out := run(t, k, "backup")
		t.Logf("%d bytes down, %d up in %d connections: %s", relay.Down(), relay.Up(), relay.Connections(), out)
		if limit := int64(len(want))*1500 + 50_000; relay.Down() > limit {
			t.Errorf("%d bytes came from the server, want at most %d", relay.Down(), limit)
		}
	})
	l := serve(t, k)
	t.Run("served as it was", func(t *testing.T) { compareAccounts(t, want, served(t, l)) })
	t.Run("mbsync", func(t *testing.T) { testMbsync(t, k, l, want, size) })
	const mailbox, word = "Work/Clients/Acme", "xylophonist"
	hits := search(t, source, mailbox, word)
	if len(hits) == 0 {
		t.Errorf("the source has no %q to be found", word)
	}
	t.Run("curl", func(t *testing.T) { testCurl(t, l, mailbox, want[mailbox], word, hits) })
	t.Run("imaplib", func(t *testing.T) { testImaplib(t, l, mailbox, want[mailbox], len(want), word, hits) })
	// neomutt ends each message by a line end of its own, so that only well-formed ones can be compared.
	t.Run("neomutt", func(t *testing.T) {
		const common = "bopgi" // one of the made-up words that stand in many messages
		testNeomutt(t, l, want, "Newsletters", "Häuser", common, search(t, source, "Newsletters", common))
	})
	t.Run("nothing has changed", func(t *testing.T) { compareAccounts(t, want, served(t, l)) })
}

// downloaded is the number of messages that a backup says to have downloaded.
func downloaded(t *testing.T, out string) int {
	t.Helper()
	found := regexp.MustCompile(`([\d,]+) downloaded`).FindStringSubmatch(out)
	if found == nil {
		t.Fatalf("the backup tells no number of downloads: %s", out)
	}
	n, err := strconv.Atoi(strings.ReplaceAll(found[1], ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// testMbsync pulls the served archive and compares with the source; it also states what both take on disk.
func testMbsync(t *testing.T, k *program.Keeper, l login, want account, distinct int64) {
	pulledSize := comparePulled(t, l, want)
	ours := folderSize(t, k.Archive())
	t.Logf("distinct messages %d bytes; archive %d bytes (%.3f times); mbsync's Maildir %d bytes (%.3f times)",
		distinct, ours, float64(ours)/float64(distinct), pulledSize, float64(pulledSize)/float64(distinct))
	if float64(ours) > 1.1*float64(distinct) {
		t.Errorf("the archive takes %.3f times the bytes of its distinct messages, want at most 1.1", float64(ours)/float64(distinct))
	}
}

// comparePulled has mbsync pull the served archive, compares that with the source, and returns the bytes that mbsync's copy takes.
func comparePulled(t *testing.T, l login, want account) int64 {
	t.Helper()
	boxes, size := pull(t, l.addr, l.user, l.password)
	for name, messages := range want {
		got := boxes[dovecot.EncodeName(name)]
		// mbsync leaves out messages whose header no empty line ends.
		messages := slices.DeleteFunc(slices.Clone(messages), func(m mail) bool { return !strings.Contains("\n"+withoutCR(m.raw), "\n\n") })
		if len(got) != len(messages) {
			t.Errorf("mailbox %q: mbsync has %d messages, want %d", name, len(got), len(messages))
			continue
		}
		compareSets(t, name, messages, got)
	}
	return size
}

// withoutCR takes away the carriage returns, all of which mbsync drops.
func withoutCR(raw []byte) string { return strings.ReplaceAll(string(raw), "\r", "") }

// compareSets compares the messages of a mailbox in any order: bytes, the flags that a Maildir has, dates.
func compareSets(t *testing.T, name string, want []mail, got []pulled) {
	t.Helper()
	type key struct {
		raw, flags string
		date       int64
	}
	count := map[key]int{}
	for _, m := range want {
		count[key{withoutCR(m.raw), maildirFlags(m.flags), m.date.Unix()}]++
	}
	for _, m := range got {
		count[key{withoutCR(m.raw), m.flags, m.date.Unix()}]--
	}
	for k, n := range maps.All(count) {
		if n != 0 {
			t.Errorf("mailbox %q: %+d of a message of %d bytes with flags %q and date %d: %.80q", name, -n, len(k.raw), k.flags, k.date, k.raw)
		}
	}
}

// maildirFlags gives IMAP's flags as mbsync writes them into a file name.
func maildirFlags(flags []string) string {
	var out []string
	for flag, letter := range map[string]string{`\draft`: "D", `\flagged`: "F", `\answered`: "R", `\seen`: "S", `\deleted`: "T", "$forwarded": "P"} {
		if slices.Contains(flags, flag) {
			out = append(out, letter)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// Several accounts, one of them with another hierarchy delimiter, share the archive; each is a folder at the top.
func TestTwoAccounts(t *testing.T) {
	one := dovecot.New(t, dovecot.Options{NoFsync: true})
	two := dovecot.New(t, dovecot.Options{NoFsync: true, Separator: ".", Users: []dovecot.User{{Name: "other"}}})
	fillSource(t, one, "user", 100)
	fillSource(t, two, "other", 150) // the first hundred are the same
	k := newKeeper(t,
		program.Account{Name: "one", Addr: one.Addr, User: "user", Password: "pass"},
		program.Account{Name: "two", Addr: two.Addr, User: "other", Password: "pass"})
	run(t, k, "backup")
	want := account{}
	for name, messages := range readAccount(t, login{one.Addr, "user", "pass"}) {
		want["one/"+name] = messages
	}
	for name, messages := range readAccount(t, login{two.Addr, "other", "pass"}) {
		want["two/"+name] = messages
	}
	n, _ := want.distinct()
	if files := messageFiles(t, k); files != n {
		t.Errorf("%d message files, want %d", files, n)
	}
	got := served(t, serve(t, k))
	for name := range got {
		if strings.HasSuffix(name, "/"+archive.GoneMailbox) && len(got[name]) == 0 {
			delete(got, name)
		}
	}
	compareAccounts(t, want, got)
}
