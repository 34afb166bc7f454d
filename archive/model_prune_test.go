package archive_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mailkeep/archive"
)

// prunes lets go of something, and takes that back: readers see other UIDs and nothing else. Or it lets go of what is gone, for good.
func (m *model) prunes(dir string) {
	if m.rnd.IntN(3) == 0 {
		m.pruneGone()
		return
	}
	before := m.contents()
	policy := gone()
	if m.rnd.IntN(2) == 0 {
		boxes, err := m.w.Mailboxes(ctx, m.account.ID)
		if err != nil {
			m.t.Fatal(err)
		}
		policy = archive.PrunePolicy{Text: "model", Tombstones: m.rnd.IntN(3) > 0, Mailboxes: []archive.MailboxID{boxes[m.rnd.IntN(len(boxes))].ID}}
	}
	_, done := m.source.prune(policy)
	m.follow()
	if m.rnd.IntN(3) == 0 {
		m.reopen(dir)
	}
	if done.ID == 0 {
		return
	}
	back, err := m.w.UndoPrune(ctx, done.ID, nil)
	if err != nil || back.Items != done.Items || back.Lost+back.Present != 0 {
		m.t.Errorf("undone %+v of %+v, %v", back, done, err)
	}
	if after := m.contents(); after != before {
		m.t.Errorf("pruning (%+v) and undoing made\n%s\nof\n%s", policy, after, before)
	}
}

// pruneGone lets go of what vanished at the server. It may come back from there.
func (m *model) pruneGone() {
	boxes := m.boxes(archive.GoneMailbox)
	if len(boxes) == 0 {
		return
	}
	entries, _, err := m.w.Entries(ctx, boxes[0])
	if err != nil {
		m.t.Fatal(err)
	}
	for _, e := range entries {
		body, err := m.w.ReadMessage(e.Ref)
		if err != nil {
			m.t.Fatal(err)
		}
		delete(m.kept, e.SourceID)
		if m.kind == archive.IMAP {
			delete(m.kept, string(body))
		}
	}
	if _, done := m.source.prune(gone()); int(done.Items) != len(entries) {
		m.t.Errorf("pruned %+v of %d", done, len(entries))
	}
	if _, err := m.w.ForgetTombstones(ctx, 0); err != nil {
		m.t.Error(err)
	}
	m.calm = false
}

// contents is what readers see, without UIDs.
func (m *model) contents() string {
	boxes, err := m.w.Mailboxes(ctx, m.account.ID)
	if err != nil {
		m.t.Fatal(err)
	}
	var all []string
	for _, b := range boxes {
		entries, _, err := m.w.Entries(ctx, b.ID)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, e := range entries {
			body, err := m.w.ReadMessage(e.Ref)
			if errors.Is(err, archive.ErrNotFound) {
				m.t.Errorf("mailbox %q: UID %d has no file", b.Name, e.UID)
			}
			all = append(all, fmt.Sprintf("%s: %s [%s] %s %d %v", b.Name, body, e.Flags, e.SourceID, e.GoneAt, e.Date))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
