package imapd

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"mailkeep/archive"
)

// prune lets go of all that is in a mailbox.
func (s *mailSource) prune(name string) {
	s.t.Helper()
	ctx := context.Background()
	boxes, err := s.w.Mailboxes(ctx, s.account)
	if err != nil {
		s.t.Fatal(err)
	}
	policy := archive.PrunePolicy{Text: name, Tombstones: true}
	for _, b := range boxes {
		if b.Name == name {
			policy.Mailboxes = append(policy.Mailboxes, b.ID)
		}
	}
	plan, err := s.w.PlanPrune(ctx, policy)
	if err == nil {
		_, err = s.w.Prune(ctx, plan, nil)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// Readers in the middle of serving see an expunge and never an error.
func TestPruneUnderReaders(t *testing.T) {
	s := newArchive(t)
	const n = 30
	filler := strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n", 8<<10) // 512 KiB: more than sockets hold
	for i := range n {
		s.add(fmt.Sprintf("Subject: %d\r\n\r\n%s", i, filler), "INBOX")
	}
	s.add("Subject: stays\r\n\r\nbody", "INBOX,Keep")
	addr := serve(t, s.w.Reader, testOptions())
	idle, vanished, fetching, later := login(t, addr), login(t, addr), login(t, addr), login(t, addr)
	for _, c := range []*client{idle, fetching, later} {
		c.ok("SELECT INBOX")
	}
	later.ok("FETCH 1:* (UID)")
	vanished.ok("ENABLE QRESYNC")
	vanished.ok("SELECT INBOX")
	for _, c := range []*client{idle, vanished} {
		c.talk("C: i IDLE\nS: + idling")
	}
	fetching.send("f FETCH 1:* (UID BODY.PEEK[])\r\n")
	fetching.expect("* 1 FETCH (UID 1 BODY[] {~}")

	s.prune("INBOX")
	for i := n; i > 0; i-- {
		idle.expect(fmt.Sprintf("* %d EXPUNGE", i))
	}
	vanished.expect(fmt.Sprintf("* VANISHED 1:%d", n))

	got, tagged := fetching.until("f")
	if !strings.HasPrefix(tagged, "OK") && !strings.HasPrefix(tagged, "NO [EXPUNGEISSUED]") {
		t.Errorf("the FETCH under way ended with %s", tagged)
	}
	if strings.Contains(got, "EXPUNGE") || strings.Contains(got, "BYE") || !strings.Contains(got, "Subject: stays") {
		t.Error("the FETCH under way told something else than messages")
	}
	if told := fetching.ok("NOOP"); strings.Count(told, "EXPUNGE") != n {
		t.Errorf("told %s", told)
	}
	// A client that knows the messages and asks for one now.
	got, tagged = later.do("FETCH 1:3 (BODY.PEEK[])")
	if strings.Contains(got, "Subject") || !strings.HasPrefix(tagged, "OK") && !strings.HasPrefix(tagged, "NO [EXPUNGEISSUED]") {
		t.Errorf("got %.100q, %s", got, tagged)
	}
	if got, tagged := later.do("SEARCH BODY nothing"); !strings.HasPrefix(tagged, "OK") {
		t.Errorf("got %.100q, %s", got, tagged)
	}
	later.ok("NOOP")
	if got := later.ok("UID SEARCH ALL"); got != fmt.Sprintf("* SEARCH %d\r\n", n+1) {
		t.Errorf("got %q", got)
	}

	// Undone, they arrive like new ones.
	if _, err := s.w.UndoPrune(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
	idle.expect(fmt.Sprintf("* %d EXISTS", n+1))
	if got := later.ok("NOOP"); !strings.Contains(got, fmt.Sprintf("* %d EXISTS", n+1)) {
		t.Errorf("got %q", got)
	}
	if got := later.ok(fmt.Sprintf("UID FETCH %d (BODY.PEEK[HEADER.FIELDS (SUBJECT)])", n+2)); !strings.Contains(got, "Subject: 0") {
		t.Errorf("got %q", got)
	}
}
