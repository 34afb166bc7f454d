package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

var ctx = context.Background()

// source is an account under test, with helpers that record one thing each.
type source struct {
	t       *testing.T
	w       *archive.Writer
	account archive.Account
}

func newSource(t *testing.T, kind archive.Kind) *source {
	t.Helper()
	w := archivetest.New(t)
	account, err := w.EnsureAccount(ctx, "me@example.org", kind)
	if err != nil {
		t.Fatal(err)
	}
	return &source{t, w, account}
}

func (s *source) record(b archive.Batch) archive.Recorded {
	s.t.Helper()
	b.Account = s.account.ID
	done, err := s.w.Record(ctx, b)
	if err != nil {
		s.t.Fatal(err)
	}
	return done
}

// folder makes a folder shown by a mailbox of the same name, read under a UIDVALIDITY.
func (s *source) folder(name, use string, validity uint32) archive.FolderID {
	s.t.Helper()
	s.record(archive.Batch{Folders: []archive.FolderSpec{{Name: name, Delimiter: "/", SpecialUse: use, Mailbox: name}}})
	id := s.folderRow(name).ID
	s.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: id, UIDValidity: validity}}})
	return id
}

func (s *source) folderRow(name string) archive.Folder {
	s.t.Helper()
	folders, err := s.w.Folders(ctx, s.account.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range folders {
		if f.Name == name {
			return f
		}
	}
	s.t.Fatalf("there is no folder %q", name)
	return archive.Folder{}
}

func (s *source) put(body string) archive.Ref {
	s.t.Helper()
	ref, size, err := s.w.Put(strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if size != int64(len(body)) || ref != archive.RefOf([]byte(body)) {
		s.t.Fatalf("put %q: %s, %d bytes", body, ref, size)
	}
	return ref
}

// shows describes the archive's mailboxes: "INBOX: 1=hello 2=world[\Seen]", gone items with a "!".
func (s *source) shows() string {
	s.t.Helper()
	boxes, err := s.w.Mailboxes(ctx, s.account.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, box := range boxes {
		entries, _, err := s.w.Entries(ctx, box.ID)
		if err != nil {
			s.t.Fatal(err)
		}
		line := box.Name + ":"
		for _, e := range entries {
			body, err := s.w.ReadMessage(e.Ref)
			if err != nil {
				s.t.Fatal(err)
			}
			line += fmt.Sprintf(" %d=%s", e.UID, body)
			if e.Flags != "" {
				line += "[" + e.Flags + "]"
			}
			if e.GoneAt != 0 {
				line += "!"
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (s *source) want(lines ...string) {
	s.t.Helper()
	if have, want := s.shows(), strings.Join(lines, "\n"); have != want {
		s.t.Errorf("the archive shows\n%s\nwant\n%s", have, want)
	}
}

func TestGmailLabels(t *testing.T) {
	s := newSource(t, archive.Gmail)
	all := s.folder("[Gmail]/All Mail", `\All`, 11)
	trash := s.folder("[Gmail]/Trash", `\Trash`, 12)
	one, two := s.put("one"), s.put("two")
	s.record(archive.Batch{Copies: []archive.Copy{
		{Folder: all, UID: 5, Ref: one, SourceID: "100", Flags: []string{`\Seen`, `\Recent`}, Mailboxes: []string{"[Gmail]/All Mail", "Work", "Büro"}},
		{Folder: all, UID: 9, Ref: two, SourceID: "200", Mailboxes: []string{"[Gmail]/All Mail"}},
	}})
	s.want(`Büro: 1=one[\Seen]`, `Work: 1=one[\Seen]`, `[Gmail]/All Mail: 1=one[\Seen] 2=two`, `[Gmail]/Trash:`)

	// Other labels and flags, no bytes: the id is known.
	done := s.record(archive.Batch{Copies: []archive.Copy{
		{Folder: all, UID: 5, SourceID: "100", Flags: []string{`\Flagged`, `\Seen`}, Mailboxes: []string{"[Gmail]/All Mail", "Büro", "Later"}},
	}})
	if done.Entered != 1 || done.Left != 1 || done.Flags != 1 || done.NewFiles != 0 {
		t.Errorf("relabelling recorded %+v", done)
	}
	s.want(`Büro: 1=one[\Flagged \Seen]`, `Later: 1=one[\Flagged \Seen]`, `Work:`, `[Gmail]/All Mail: 1=one[\Flagged \Seen] 2=two`, `[Gmail]/Trash:`)

	// Moved to Trash: seen there first, then missing in All Mail. Nothing is gone.
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: trash, UID: 1, SourceID: "200", Mailboxes: []string{"[Gmail]/Trash"}}}})
	done = s.record(archive.Batch{Gone: []archive.Location{{Folder: all, UID: 9}}})
	if done.Gone != 0 {
		t.Errorf("a move to Trash counts %d gone", done.Gone)
	}
	// Deleted for ever: kept where it was, marked.
	s.record(archive.Batch{Gone: []archive.Location{{Folder: trash, UID: 1}}})
	s.want(`Büro: 1=one[\Flagged \Seen]`, `Gone from server: 1=two!`, `Later: 1=one[\Flagged \Seen]`, `Work:`, `[Gmail]/All Mail: 1=one[\Flagged \Seen]`, `[Gmail]/Trash: 1=two!`)

	// And back again: no bytes, a new UID.
	done = s.record(archive.Batch{Copies: []archive.Copy{{Folder: all, UID: 12, SourceID: "200", Mailboxes: []string{"[Gmail]/All Mail"}}}})
	if done.Returned != 1 {
		t.Errorf("the return recorded %+v", done)
	}
	s.want(`Büro: 1=one[\Flagged \Seen]`, `Gone from server:`, `Later: 1=one[\Flagged \Seen]`, `Work:`, `[Gmail]/All Mail: 1=one[\Flagged \Seen] 3=two`, `[Gmail]/Trash:`)
}

func TestCopiesInFolders(t *testing.T) {
	s := newSource(t, archive.IMAP)
	inbox, work := s.folder("INBOX", "", 1), s.folder("Work", "", 2)
	hello := s.put("hello")
	fp := archive.FingerprintOf([]byte("Subject: hello\r\n\r\n"), 5)
	done := s.record(archive.Batch{Copies: []archive.Copy{
		{Folder: inbox, UID: 3, Ref: hello, Fingerprint: fp, Flags: []string{`\Seen`}, Date: time.Date(2001, 1, 1, 1, 2, 3, 0, time.FixedZone("", 5400))},
		{Folder: work, UID: 7, Ref: hello},
	}})
	if done.NewFiles != 1 || done.NewBytes != 5 || done.Items != 2 {
		t.Errorf("two copies of one message recorded %+v", done)
	}
	s.want(`INBOX: 1=hello[\Seen]`, `Work: 1=hello`)
	entries, _, err := s.w.Entries(ctx, s.folderRow("INBOX").Mailbox)
	if err != nil || entries[0].Date.Format(time.RFC3339) != "2001-01-01T01:02:03+01:30" {
		t.Errorf("the internal date came back as %v, %v", entries[0].Date, err)
	}
	found, err := s.w.ByFingerprint(ctx, []archive.Fingerprint{fp, {1}})
	if err != nil || len(found) != 1 || found[fp] != hello {
		t.Errorf("by fingerprint: %v, %v", found, err)
	}

	// Deleted in one folder while the other still has it: it leaves the first.
	s.record(archive.Batch{Gone: []archive.Location{{Folder: inbox, UID: 3}}})
	s.want(`INBOX:`, `Work: 1=hello`)
	// Moved back in one pass.
	done = s.record(archive.Batch{Copies: []archive.Copy{{Folder: inbox, UID: 4, Ref: hello}}, Gone: []archive.Location{{Folder: work, UID: 7}}})
	if done.Gone != 0 {
		t.Errorf("a move counts %d gone", done.Gone)
	}
	s.want(`INBOX: 2=hello`, `Work:`)
	// Gone, and found elsewhere by a later run.
	s.record(archive.Batch{Gone: []archive.Location{{Folder: inbox, UID: 4}}})
	s.want(`Gone from server: 1=hello!`, `INBOX: 2=hello!`, `Work:`)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: work, UID: 8, Ref: hello}}})
	s.want(`Gone from server:`, `INBOX:`, `Work: 2=hello`)
	// Gone, and back in the same folder.
	s.record(archive.Batch{Gone: []archive.Location{{Folder: work, UID: 8}}})
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: work, UID: 9, Ref: hello}}})
	s.want(`Gone from server:`, `INBOX:`, `Work: 2=hello`)
}

func TestBothCopiesVanishTogether(t *testing.T) {
	s := newSource(t, archive.IMAP)
	inbox, work := s.folder("INBOX", "", 1), s.folder("Work", "", 2)
	ref := s.put("x")
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: inbox, UID: 1, Ref: ref}, {Folder: work, UID: 1, Ref: ref}}})
	done := s.record(archive.Batch{Gone: []archive.Location{{Folder: inbox, UID: 1}, {Folder: work, UID: 1}}})
	if done.Gone != 2 {
		t.Errorf("recorded %+v, want both gone", done)
	}
	s.want(`Gone from server: 1=x! 2=x!`, `INBOX: 1=x!`, `Work: 1=x!`)
}

func TestRenumberedFolderKeepsUIDs(t *testing.T) {
	for _, kind := range []archive.Kind{archive.IMAP, archive.Gmail} {
		t.Run(string(kind), func(t *testing.T) {
			s := newSource(t, kind)
			box := s.folder("INBOX", "", 1)
			var copies []archive.Copy
			for i := uint32(1); i <= 3; i++ {
				copies = append(copies, archive.Copy{Folder: box, UID: i, Ref: s.put(fmt.Sprint("m", i)), SourceID: fmt.Sprint(i), Mailboxes: []string{"INBOX"}})
			}
			s.record(archive.Batch{Copies: copies, States: []archive.FolderResult{{Folder: box, State: archive.FolderState{UIDValidity: 1, UIDNext: 4, Messages: 3}}}})
			before := s.shows()
			s.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: box, UIDValidity: 50}}})
			// The third did not survive; the others stand in another order.
			s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 10, Ref: copies[1].Ref, SourceID: "2"}, {Folder: box, UID: 11, Ref: copies[0].Ref, SourceID: "1"}}})
			if s.shows() != before {
				t.Errorf("readers see\n%s\nand before\n%s", s.shows(), before)
			}
			done := s.record(archive.Batch{States: []archive.FolderResult{{Folder: box, State: archive.FolderState{UIDValidity: 50, UIDNext: 12, Messages: 2}}}})
			if done.Gone != 1 {
				t.Errorf("recorded %+v, want one gone", done)
			}
			s.want(`Gone from server: 1=m3!`, `INBOX: 1=m1 2=m2 3=m3!`)
			if state := s.folderRow("INBOX").FolderState; state.UIDValidity != 50 || state.Messages != 2 {
				t.Errorf("the folder's state is %+v", state)
			}
		})
	}
}

func TestFolderRenamedAndDropped(t *testing.T) {
	s := newSource(t, archive.IMAP)
	a := s.folder("A", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: a, UID: 1, Ref: s.put("x")}}})
	before, _ := s.w.Mailbox(ctx, s.folderRow("A").Mailbox)
	s.record(archive.Batch{Renamed: []archive.Rename{{Folder: a, Name: "B.C", Mailbox: "B/C"}}})
	s.want(`B/C: 1=x`)
	after, _ := s.w.Mailbox(ctx, s.folderRow("B.C").Mailbox)
	if before.UIDValidity != after.UIDValidity || before.ID != after.ID {
		t.Errorf("renaming made %+v of %+v", after, before)
	}
	// A new folder under the old name is another mailbox with a higher UIDVALIDITY.
	s.folder("A", "", 9)
	fresh, _ := s.w.Mailbox(ctx, s.folderRow("A").Mailbox)
	if fresh.UIDValidity <= before.UIDValidity {
		t.Errorf("UIDVALIDITY %d follows %d", fresh.UIDValidity, before.UIDValidity)
	}
	s.record(archive.Batch{Dropped: []archive.FolderID{a, s.folderRow("A").ID}})
	s.want(`B/C: 1=x!`, `Gone from server: 1=x!`) // the empty one is not shown
	if s.folderRow("B.C").GoneAt == 0 {
		t.Error("the dropped folder is not marked")
	}
}

func TestHoles(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	at := archive.Location{Folder: box, UID: 4}
	s.record(archive.Batch{Holes: []archive.HoleReport{{Location: at, Reason: "NO some messages could not be fetched"}}})
	s.record(archive.Batch{Holes: []archive.HoleReport{{Location: at, Reason: "again"}, {Location: archive.Location{Folder: box, UID: 5}, Reason: "x"}}})
	holes, err := s.w.Holes(ctx, s.account.ID)
	if err != nil || len(holes) != 2 || holes[0].Tries != 2 || holes[0].Reason != "again" || holes[0].Name != "INBOX" {
		t.Fatalf("holes: %+v, %v", holes, err)
	}
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 4, Ref: s.put("late")}}, Gone: []archive.Location{{Folder: box, UID: 5}}})
	if holes, _ := s.w.Holes(ctx, 0); len(holes) != 0 {
		t.Errorf("still holes: %+v", holes)
	}
	s.want("INBOX: 1=late")
}

func TestSourceShowsOtherBytes(t *testing.T) {
	for _, kind := range []archive.Kind{archive.IMAP, archive.Gmail} {
		t.Run(string(kind), func(t *testing.T) {
			s := newSource(t, kind)
			box := s.folder("INBOX", "", 1)
			s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("old"), SourceID: "7"}}})
			s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("new"), SourceID: "7"}}})
			s.want("Gone from server: 1=old!", "INBOX: 1=old! 2=new")
		})
	}
}

func TestPlaceTakenByAnotherID(t *testing.T) {
	s := newSource(t, archive.Gmail)
	box := s.folder("All", `\All`, 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("old"), SourceID: "7"}}})
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("new"), SourceID: "8"}}})
	s.want("All: 1=old! 2=new", "Gone from server: 1=old!")
}

func TestRecordRefuses(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	before := s.shows()
	for name, b := range map[string]archive.Batch{
		"no bytes":            {Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("ok")}, {Folder: box, UID: 2}}},
		"bytes never put":     {Copies: []archive.Copy{{Folder: box, UID: 1, Ref: archive.RefOf([]byte("nowhere"))}}},
		"unknown folder":      {Copies: []archive.Copy{{Folder: 99, UID: 1, Ref: s.put("ok")}}},
		"state not of a pass": {States: []archive.FolderResult{{Folder: box, State: archive.FolderState{UIDValidity: 2}}}},
	} {
		b.Account = s.account.ID
		if _, err := s.w.Record(ctx, b); err == nil {
			t.Errorf("%s: recorded", name)
		}
	}
	if s.shows() != before {
		t.Errorf("a refused batch left\n%s", s.shows())
	}
	if _, err := s.w.Record(ctx, archive.Batch{Account: 77}); err == nil {
		t.Error("recorded for an account that does not exist")
	}
	if _, err := s.w.EnsureAccount(ctx, s.account.Name, archive.Gmail); err == nil {
		t.Error("an account changed its kind")
	}
	// The archive still works.
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("ok")}}})
	s.want("INBOX: 1=ok")
}

func TestUnchangedBatchWritesNothing(t *testing.T) {
	s := newSource(t, archive.Gmail)
	box := s.folder("All", `\All`, 1)
	b := archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("x"), SourceID: "7", Flags: []string{`\Seen`}, Mailboxes: []string{"All", "L"}}},
		Mailboxes: []archive.MailboxSpec{{Name: "L"}}, States: []archive.FolderResult{{Folder: box, State: archive.FolderState{UIDValidity: 1, UIDNext: 2}}}}
	s.record(b)
	if done := s.record(b); done != (archive.Recorded{}) {
		t.Errorf("the same again recorded %+v", done)
	}
}

func TestChanges(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	id := s.folderRow("INBOX").Mailbox
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("a")}, {Folder: box, UID: 2, Ref: s.put("b")}}})
	entries, seq, err := s.w.Entries(ctx, id)
	if err != nil || len(entries) != 2 {
		t.Fatal(entries, err)
	}
	version, _ := s.w.Version(ctx)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Flags: []string{`\Seen`}}, {Folder: box, UID: 3, Ref: s.put("c")}, {Folder: box, UID: 4, Ref: s.put("b")}},
		Gone: []archive.Location{{Folder: box, UID: 2}}})
	if now, err := s.w.Version(ctx); err != nil || now == version {
		t.Errorf("the version stays %d, %v", now, err)
	}
	c, err := s.w.Changes(ctx, id, seq, 3)
	if err != nil {
		t.Fatal(err)
	}
	uids := func(entries []archive.Entry) (uids []archive.UID) {
		for _, e := range entries {
			uids = append(uids, e.UID)
		}
		return uids
	}
	if !slices.Equal(c.Vanished, []archive.UID{2}) || !slices.Equal(uids(c.Changed), []archive.UID{1}) || !slices.Equal(uids(c.Added), []archive.UID{3, 4}) {
		t.Errorf("changes: %+v", c)
	}
	if c, err = s.w.Changes(ctx, id, c.ModSeq, 5); err != nil || len(c.Vanished)+len(c.Changed)+len(c.Added) != 0 {
		t.Errorf("changes after that: %+v, %v", c, err)
	}
	m, err := s.w.Mailbox(ctx, id)
	if err != nil || m.Messages != 3 || m.Unseen != 2 || m.Bytes != 3 || m.UIDNext != 5 {
		t.Errorf("counters: %+v, %v", m, err)
	}
}

func TestPutFromManyGoroutines(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	var wg sync.WaitGroup
	refs := make([]archive.Ref, 40)
	for i := range refs {
		wg.Go(func() {
			body := bytes.Repeat([]byte{byte(i / 2)}, 1000*(i/2)) // each twice; one is empty
			ref, _, err := s.w.Put(bytes.NewReader(body))
			if err != nil {
				t.Error(err)
			}
			refs[i] = ref
		})
	}
	wg.Wait()
	var b archive.Batch
	for i, ref := range refs {
		b.Copies = append(b.Copies, archive.Copy{Folder: box, UID: uint32(i + 1), Ref: ref})
	}
	if done := s.record(b); done.NewFiles != 20 || done.Items != 40 {
		t.Errorf("recorded %+v", done)
	}
	left, err := os.ReadDir(filepath.Join(s.w.Dir(), "tmp"))
	if err != nil || len(left) != 0 {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
	info, err := os.Stat(filepath.Join(s.w.Dir(), refs[3].String()[:2], refs[3].String()+".eml"))
	if err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("the message's file: %v, %v", info, err)
	}
}

func TestVanishedFile(t *testing.T) {
	w := archivetest.New(t)
	if _, err := w.OpenMessage(archive.RefOf(nil)); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("open a message without a file: %v", err)
	}
	if _, err := w.ReadMessage(archive.RefOf(nil)); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("read a message without a file: %v", err)
	}
}
