package archive_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// reopen plays what ends a Writer: an orderly end, a torn last line of the journal, the loss of the database's last commits or of all of it, a rebuild, or
// a compaction of the journal.
func (m *model) reopen(dir string) {
	what := m.rnd.IntN(7)
	if what == 5 {
		if _, err := m.w.Compact(ctx); err != nil {
			m.t.Fatal(err)
		}
		m.early = nil // its journal is superseded
	}
	m.w.Close()
	path := filepath.Join(dir, "gmail.db")
	now, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	switch what {
	case 0:
		m.early = now
	case 1:
		if m.early != nil {
			err = os.WriteFile(path, m.early, 0o600)
		}
	case 2:
		err = os.Remove(path)
	case 3:
		file := journalFile(m.t, dir)
		text, _ := os.ReadFile(file)
		err = os.WriteFile(file, append(text, text[:m.rnd.IntN(40)]...), 0o600)
	}
	if err == nil && what == 4 {
		_, err = archive.Rebuild(ctx, dir, archive.RebuildOptions{})
	}
	if err != nil {
		m.t.Fatal(err)
	}
	w, err := archive.OpenWriter(dir)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { w.Close() })
	if m.rnd.IntN(2) == 0 {
		w.PackFrom(1)
	}
	m.w = w
	archivetest.Check(m.t, dir)
}

// follow brings each client up to date and compares it with the mailbox: no UID changes its message, comes back or comes late (A5).
func (m *model) follow() {
	m.t.Helper()
	boxes, err := m.w.Mailboxes(ctx, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, box := range boxes {
		c := m.clients[box.ID]
		if c == nil {
			c = &modelClient{validity: box.UIDValidity, next: 1, view: make(map[archive.UID]archive.Entry), ever: make(map[archive.UID]archive.Ref)}
			m.clients[box.ID] = c
		}
		entries, _, err := m.w.Entries(ctx, box.ID)
		if err != nil {
			m.t.Fatal(err)
		}
		c.update(m, box)
		c.compare(m, box, entries)
	}
}

func (c *modelClient) update(m *model, box archive.Mailbox) {
	changes, err := m.w.Changes(ctx, box.ID, c.seq, c.next)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, uid := range changes.Vanished {
		delete(c.view, uid)
	}
	for _, e := range changes.Changed {
		if _, ok := c.view[e.UID]; !ok {
			m.t.Errorf("mailbox %q: UID %d changed and was not there", box.Name, e.UID)
		}
		c.view[e.UID] = e
	}
	for _, e := range changes.Added {
		if _, used := c.ever[e.UID]; used || e.UID < c.next {
			m.t.Errorf("mailbox %q: UID %d is added and was used before; the next was to be %d", box.Name, e.UID, c.next)
		}
		c.view[e.UID], c.ever[e.UID] = e, e.Ref
	}
	if changes.ModSeq < c.seq || box.UIDNext < c.next || box.UIDValidity != c.validity {
		m.t.Errorf("mailbox %q went back: batch %d after %d, UIDNEXT %d after %d, UIDVALIDITY %d after %d",
			box.Name, changes.ModSeq, c.seq, box.UIDNext, c.next, box.UIDValidity, c.validity)
	}
	c.seq, c.next = changes.ModSeq, box.UIDNext
}

func (c *modelClient) compare(m *model, box archive.Mailbox, entries []archive.Entry) {
	if len(entries) != len(c.view) || int(box.Messages) != len(entries) {
		m.t.Errorf("mailbox %q: a client knows %d entries, listed are %d, counted %d", box.Name, len(c.view), len(entries), box.Messages)
	}
	for _, e := range entries {
		known := c.view[e.UID]
		if known.Ref != e.Ref || known.Flags != e.Flags || known.GoneAt != e.GoneAt || known.Item != e.Item {
			m.t.Errorf("mailbox %q: UID %d is %+v, a client knows %+v", box.Name, e.UID, e, known)
		}
	}
}

// compareReaders asks after a whole pass: does each mailbox show what its folder or label has, and is all that ever was kept?
func (m *model) compareReaders() {
	want := make(map[string][]string) // mailbox -> what is there, as "body[flag]"
	here := make(map[string]bool)
	for name, f := range m.server {
		for _, l := range f.letters {
			key, boxes := l.body, []string{name}
			if m.kind == archive.Gmail {
				key, boxes = l.id, append(boxes, l.labels...)
			}
			for _, box := range boxes {
				want[box] = append(want[box], l.body+"["+l.flag+"]")
			}
			here[key] = true
			m.kept[key] = l
		}
	}
	have, gone := make(map[string][]string), make(map[string]bool)
	boxes, err := m.w.Mailboxes(ctx, m.account.ID)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, box := range boxes {
		entries, _, err := m.w.Entries(ctx, box.ID)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, e := range entries {
			body, err := m.w.ReadMessage(e.Ref)
			if err != nil {
				m.t.Fatal(err)
			}
			switch {
			case e.GoneAt == 0:
				have[box.Name] = append(have[box.Name], string(body)+"["+e.Flags+"]")
			case box.Name == archive.GoneMailbox:
				gone[string(body)], gone[e.SourceID] = true, true
			}
		}
	}
	for _, box := range slices.Sorted(maps.Keys(want)) {
		slices.Sort(want[box])
		if slices.Sort(have[box]); !slices.Equal(want[box], have[box]) {
			m.t.Errorf("mailbox %q shows %q, the server has %q", box, have[box], want[box])
		}
		delete(have, box)
	}
	if len(have) > 0 {
		m.t.Errorf("shown and not at the server: %q", have)
	}
	for key := range m.kept {
		if !here[key] && !gone[key] {
			m.t.Errorf("%q vanished at the server and is not in %q", key, archive.GoneMailbox)
		}
		if here[key] && gone[key] {
			m.t.Errorf("%q is at the server and also in %q", key, archive.GoneMailbox)
		}
	}
}
