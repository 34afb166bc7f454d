package archive_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// prune plans and carries out, and returns both.
func (s *source) prune(p archive.PrunePolicy) (*archive.PrunePlan, archive.Pruned) {
	s.t.Helper()
	plan, err := s.w.PlanPrune(ctx, p)
	if err != nil {
		s.t.Fatal(err)
	}
	done, err := s.w.Prune(ctx, plan, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return plan, done
}

func (s *source) undo(id archive.PruneID) archive.Undone {
	s.t.Helper()
	done, err := s.w.UndoPrune(ctx, id, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return done
}

// gone is the policy for all that vanished at the source.
func gone() archive.PrunePolicy {
	return archive.PrunePolicy{Text: "gone", GoneBefore: time.Now().Add(time.Minute), Tombstones: true}
}

func (s *source) boxes(names ...string) (ids []archive.MailboxID) {
	s.t.Helper()
	all, err := s.w.Mailboxes(ctx, s.account.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range all {
		if slices.Contains(names, b.Name) {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

func (s *source) hasFile(body string) bool {
	_, err := s.w.ReadMessage(archive.RefOf([]byte(body)))
	if err != nil && !errors.Is(err, archive.ErrNotFound) {
		s.t.Fatal(err)
	}
	return err == nil
}

func TestPruneWhatIsGone(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one"), Flags: []string{`\Seen`}}, {Folder: box, UID: 2, Ref: s.put("two")}, {Folder: box, UID: 3, Ref: s.put("three")}}})
	s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 1}, {Folder: box, UID: 3}}})
	other := source{t, s.w, archive.Account{}}
	var err error
	if other.account, err = s.w.EnsureAccount(ctx, "you@example.org", archive.IMAP); err != nil {
		t.Fatal(err)
	}
	theirs := other.folder("INBOX", "", 1)
	other.record(archive.Batch{Copies: []archive.Copy{{Folder: theirs, UID: 1, Ref: other.put("three")}}})

	late := gone()
	late.GoneBefore = time.Now().Add(-time.Hour)
	if plan, done := s.prune(late); len(plan.Items) != 0 || done.Items != 0 {
		t.Errorf("pruned %+v", done)
	}
	plan, done := s.prune(gone())
	if len(plan.Items) != 2 || plan.Messages != 1 || plan.Bytes != 3 || len(plan.Samples) != 2 || len(plan.Accounts) != 1 || len(plan.Boxes) != 2 {
		t.Errorf("planned %+v", plan)
	}
	if done.Items != 2 || done.Messages != 1 || done.Bytes != 3 || done.ID != 1 {
		t.Errorf("pruned %+v", done)
	}
	s.want("Gone from server:", "INBOX: 2=two")
	if s.hasFile("one") || !s.hasFile("three") {
		t.Error("the wrong file is gone")
	}
	archivetest.Check(t, s.w.Dir())

	// The source has one of them again: it stays away.
	if back := s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 9, Ref: s.put("one")}}}); back.Buried != 1 || back.Items != 0 {
		t.Errorf("recorded %+v", back)
	}
	s.want("Gone from server:", "INBOX: 2=two")
	if uids, _ := s.w.Buried(ctx, box); !slices.Equal(uids, []uint32{9}) {
		t.Errorf("buried at %v", uids)
	}
	if back := s.undo(0); back.Items != 2 || back.Lost != 0 {
		t.Errorf("undone %+v", back)
	}
	s.want("Gone from server: 3=three!", "INBOX: 2=two 4=one[\\Seen] 5=three!") // one of them was seen at the source again
	if _, err := s.w.UndoPrune(ctx, 0, nil); !errors.Is(err, archive.ErrNotFound) {
		t.Errorf("undone twice: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.w.Dir(), "quarantine", "prune-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the quarantine is not empty: %v", err)
	}
}

func TestPruneByLabel(t *testing.T) {
	s := newSource(t, archive.Gmail)
	all := s.folder("All", `\All`, 1)
	letter := func(uid uint32, labels ...string) archive.Copy {
		body := fmt.Sprint("letter ", uid)
		return archive.Copy{Folder: all, UID: uid, Ref: s.put(body), SourceID: fmt.Sprint(uid), Mailboxes: append(labels, "All"), Date: time.Unix(1e9+int64(uid), 0)}
	}
	copies := []archive.Copy{letter(1, "News"), letter(2, "News", "Keep"), letter(3, "Keep"), letter(4, "News")}
	s.record(archive.Batch{Copies: copies})
	s.record(archive.Batch{States: []archive.FolderResult{{Folder: all, State: archive.FolderState{UIDValidity: 1, UIDNext: 5, Messages: 4}}}})
	policy := archive.PrunePolicy{Text: "label News", Mailboxes: s.boxes("News"), Beside: s.boxes("All"), Tombstones: true}
	plan, done := s.prune(policy)
	if len(plan.Items) != 2 || plan.KeptAll != 1 || len(plan.Kept) != 1 || plan.Kept[0].Mailbox != "Keep" || done.Items != 2 || done.Messages != 2 {
		t.Errorf("planned %+v, pruned %+v", plan, done)
	}
	before := s.shows()
	if s.hasFile("letter 1") || !s.hasFile("letter 2") || s.folderRow("All").UIDNext != 5 {
		t.Errorf("files or state: %+v", s.folderRow("All"))
	}
	// Offered again in all ways: by its id alone, with its bytes, under other UIDs after a renumbering.
	byID, _, err := s.w.Tombstoned(ctx, s.account.ID, []string{"1", "3"}, nil)
	if err != nil || len(byID) != 1 || byID["1"] != archive.RefOf([]byte("letter 1")) {
		t.Errorf("found %v, %v", byID, err)
	}
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: all, UID: 1, SourceID: "1", Mailboxes: []string{"News", "All"}}, letter(4, "News")}})
	s.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: all, UIDValidity: 2}}})
	for i := range copies {
		copies[i].UID += 10
	}
	s.record(archive.Batch{Copies: copies})
	s.record(archive.Batch{States: []archive.FolderResult{{Folder: all, State: archive.FolderState{UIDValidity: 2, UIDNext: 15, Messages: 4}}}})
	if after := s.shows(); after != before {
		t.Errorf("readers see\n%s\nwant\n%s", after, before)
	}
	if uids, _ := s.w.Buried(ctx, all); !slices.Equal(uids, []uint32{11, 14}) {
		t.Errorf("buried at %v", uids)
	}
	archivetest.Check(t, s.w.Dir())
	// One of them leaves the source; then the prune is undone: one is at the source, one is gone.
	s.record(archive.Batch{Gone: []archive.Location{{Folder: all, UID: 14}}})
	if back := s.undo(done.ID); back.Items != 2 {
		t.Errorf("undone %+v", back)
	}
	s.want("All: 2=letter 2 3=letter 3 5=letter 1 6=letter 4!", "Gone from server: 1=letter 4!", "Keep: 1=letter 2 2=letter 3", "News: 2=letter 2 4=letter 1 5=letter 4!")
	entries, _, err := s.w.Entries(ctx, s.boxes("News")[0])
	if err != nil || len(entries) != 3 || entries[1].Date.Unix() != 1e9+1 || entries[1].SourceID != "1" {
		t.Errorf("found %+v, %v", entries, err)
	}
}

func TestForgetTombstones(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("Lists", "", 1)
	copies := []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}, {Folder: box, UID: 2, Ref: s.put("two")}}
	s.record(archive.Batch{Copies: copies})
	s.record(archive.Batch{States: []archive.FolderResult{{Folder: box, State: archive.FolderState{UIDValidity: 1, UIDNext: 3, Messages: 2}}}})
	s.prune(archive.PrunePolicy{Text: "label Lists", Mailboxes: s.boxes("Lists"), Tombstones: true})
	if n, err := s.w.ForgetTombstones(ctx, 0); err != nil || n != 2 {
		t.Errorf("forgot %d: %v", n, err)
	}
	if state := s.folderRow("Lists").FolderState; state != (archive.FolderState{}) {
		t.Errorf("the folder counts as recorded: %+v", state) // A6
	}
	copies[0].Ref, copies[1].Ref = s.put("one"), s.put("two")
	s.record(archive.Batch{Copies: copies})
	s.want("Lists: 3=one 4=two")
	if back := s.undo(0); back.Present != 2 || back.Items != 0 {
		t.Errorf("undone %+v", back)
	}
}

// What somebody moves out of a mailbox that was not pruned is not the mail that was pruned from another one.
func TestTombstoneSparesOtherCopies(t *testing.T) {
	s := newSource(t, archive.IMAP)
	lists, work, home := s.folder("Lists", "", 1), s.folder("Work", "", 2), s.folder("Home", "", 3)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: lists, UID: 1, Ref: s.put("one")}, {Folder: work, UID: 1, Ref: s.put("one")}}})
	_, done := s.prune(archive.PrunePolicy{Text: "label Lists", Mailboxes: s.boxes("Lists"), Tombstones: true})
	if done.Items != 1 || done.Messages != 0 || !s.hasFile("one") {
		t.Errorf("pruned %+v", done)
	}
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: home, UID: 1, Ref: s.put("one")}, {Folder: lists, UID: 2, Ref: s.put("one")}}, Gone: []archive.Location{{Folder: work, UID: 1}}})
	s.want("Home: 1=one", "Lists:", "Work:")
}

func TestPruneWithoutTombstones(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("Spam", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}}})
	s.record(archive.Batch{States: []archive.FolderResult{{Folder: box, State: archive.FolderState{UIDValidity: 1, UIDNext: 2, Messages: 1}}}})
	s.prune(archive.PrunePolicy{Text: "excluded", Mailboxes: s.boxes("Spam")})
	if state := s.folderRow("Spam").FolderState; state != (archive.FolderState{}) {
		t.Errorf("the folder counts as recorded: %+v", state) // A6
	}
	s.undo(0)
	s.want("Spam: 2=one")
	s.prune(archive.PrunePolicy{Text: "excluded", Mailboxes: s.boxes("Spam")})
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}}})
	s.want("Spam: 3=one")
}

// A crash between the rows and the files leaves a file without a row, which the next prune moves, and undoing finds either way.
func TestPruneInterruptedBeforeTheFiles(t *testing.T) {
	for _, undo := range []bool{false, true} {
		s := newSource(t, archive.IMAP)
		box := s.folder("INBOX", "", 1)
		s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}, {Folder: box, UID: 2, Ref: s.put("two")}}})
		s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 1}}})
		s.prune(gone())
		ref := archive.RefOf([]byte("one")).String()
		in, out := filepath.Join(s.w.Dir(), ref[:2], ref+".eml"), filepath.Join(s.w.Dir(), "quarantine", "prune-1", ref+".eml")
		if err := os.Rename(out, in); err != nil {
			t.Fatal(err)
		}
		archivetest.Check(t, s.w.Dir())
		if undo {
			s.undo(1)
			s.want("Gone from server: 2=one!", "INBOX: 2=two 3=one!")
			continue
		}
		if _, err := s.w.EmptyQuarantine(ctx, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(out); err != nil {
			t.Errorf("the file was not moved: %v", err)
		}
		done, err := s.w.EmptyQuarantine(ctx, time.Now().Add(time.Hour))
		if err != nil || done.Messages != 1 || done.Bytes != 3 || done.Prunes != 1 {
			t.Errorf("emptied %+v, %v", done, err)
		}
		if _, err := s.w.UndoPrune(ctx, 1, nil); !errors.Is(err, archive.ErrNotFound) || !strings.Contains(err.Error(), "left the quarantine") {
			t.Errorf("undone: %v", err)
		}
	}
}

func TestUndoWithADamagedFile(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}, {Folder: box, UID: 2, Ref: s.put("two")}}})
	s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 1}, {Folder: box, UID: 2}}})
	s.prune(gone())
	path := filepath.Join(s.w.Dir(), "quarantine", "prune-1", archive.RefOf([]byte("one")).String()+".eml")
	rewrite(t, path, "0ne")
	if done := s.undo(1); done.Items != 1 || done.Lost != 1 {
		t.Errorf("undone %+v", done)
	}
	s.want("Gone from server: 3=two!", "INBOX: 3=two!")
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the damaged file is not left: %v", err)
	}
	if _, err := s.w.UndoPrune(ctx, 1, nil); !errors.Is(err, archive.ErrNotFound) || !strings.Contains(err.Error(), "already") {
		t.Errorf("undone twice: %v", err)
	}
}

// What cannot be brought back from quarantine/ comes back from the source, if that has it still.
func TestUndoLetsTheSourceBringBackWhatIsLost(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("Lists", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}},
		States: []archive.FolderResult{{Folder: box, State: archive.FolderState{UIDValidity: 1, UIDNext: 2, Messages: 1}}}})
	s.prune(archive.PrunePolicy{Text: "label", Mailboxes: s.boxes("Lists"), Tombstones: true})
	rewrite(t, filepath.Join(s.w.Dir(), "quarantine", "prune-1", archive.RefOf([]byte("one")).String()+".eml"), "0ne")
	if done := s.undo(1); done.Lost != 1 || done.Items != 0 {
		t.Errorf("undone %+v", done)
	}
	if state := s.folderRow("Lists").FolderState; state != (archive.FolderState{}) {
		t.Errorf("the folder counts as recorded: %+v", state) // A6
	}
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}}})
	s.want("Lists: 2=one")
}

func TestPruneOrphans(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}}})
	stray := archive.RefOf([]byte("stray")).String()
	folder := filepath.Join(s.w.Dir(), stray[:2])
	if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, stray+".eml"), []byte("stray"), 0o400),
		os.WriteFile(filepath.Join(folder, "notes.txt"), []byte("mine"), 0o600)); err != nil {
		t.Fatal(err)
	}
	orphans, err := s.w.Orphans(ctx)
	if err != nil || len(orphans) != 1 || orphans[0].Ref.String() != stray || orphans[0].Size != 5 {
		t.Fatalf("found %v, %v", orphans, err)
	}
	done, err := s.w.PruneOrphans(ctx, orphans, "orphans")
	if err != nil || done.Messages != 1 || s.hasFile("stray") {
		t.Errorf("pruned %+v, %v", done, err)
	}
	if back := s.undo(done.ID); back.Items != 1 || !s.hasFile("stray") {
		t.Errorf("undone %+v", back)
	}
	// Adopted when it is offered (A2), also after the list was made.
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 2, Ref: s.put("stray")}}})
	if done, err := s.w.PruneOrphans(ctx, orphans, "orphans"); err != nil || done.Messages != 0 || done.Changed != 1 || !s.hasFile("stray") {
		t.Errorf("pruned %+v, %v", done, err)
	}
}

// Ids of messages are never used again: summaries and caches go by them.
func TestPrunedMessageIDsAreNotUsedAgain(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}, {Folder: box, UID: 2, Ref: s.put("two")}}})
	s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 2}}})
	s.prune(gone())
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 3, Ref: s.put("three")}}})
	entries, _, err := s.w.Entries(ctx, s.boxes("INBOX")[0])
	if err != nil || len(entries) != 2 || entries[1].Message != 3 {
		t.Errorf("found %+v, %v", entries, err)
	}
}

// What a plan chose and is not so any more stays.
func TestPruneLeavesWhatChanged(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}, {Folder: box, UID: 2, Ref: s.put("two")}}})
	s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 1}, {Folder: box, UID: 2}}})
	plan, err := s.w.PlanPrune(ctx, gone())
	if err != nil {
		t.Fatal(err)
	}
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 3, Ref: s.put("two")}}})
	if done, err := s.w.Prune(ctx, plan, nil); err != nil || done.Items != 1 || done.Changed != 1 {
		t.Errorf("pruned %+v, %v", done, err)
	}
	s.want("Gone from server:", "INBOX: 2=two")
}

// A map that was lost does not know the prunes of before, which wait in quarantine/ all the same: the next one must not take their place.
func TestPruneLeavesForgottenPrunesAlone(t *testing.T) {
	s := sourceInMemory(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}, {Folder: box, UID: 2, Ref: s.put("two")}}})
	s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 1}}})
	s.prune(gone())
	dir := s.w.Dir()
	list, err := os.ReadFile(filepath.Join(dir, "quarantine", "prune-1", "items.jsonl"))
	if err := errors.Join(err, s.w.Close(), os.Remove(filepath.Join(dir, "gmail.db")), os.RemoveAll(filepath.Join(dir, "journal"))); err != nil {
		t.Fatal(err)
	}
	rebuilt(t, dir) // "two" is all that is left, and shown as recovered, that is as gone
	s.w = archivetest.Open(t, dir)
	if _, done := s.prune(gone()); done.ID != 2 || done.Items != 1 {
		t.Errorf("pruned %+v", done)
	}
	s.undo(2)
	one := filepath.Join(dir, "quarantine", "prune-1", archive.RefOf([]byte("one")).String()+".eml")
	if again, err := os.ReadFile(filepath.Join(filepath.Dir(one), "items.jsonl")); err != nil || string(again) != string(list) {
		t.Errorf("the list of the earlier prune is another one: %q, %v", again, err)
	}
	if _, err := os.Stat(one); err != nil {
		t.Errorf("the earlier prune lost a file: %v", err)
	}
}

// Files in quarantine/ whose list was lost wait as long as others.
func TestEmptyQuarantineWithoutAList(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}}})
	s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 1}}})
	s.prune(gone())
	folder := filepath.Join(s.w.Dir(), "quarantine", "prune-1")
	if err := os.Remove(filepath.Join(folder, "items.jsonl")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		before time.Duration
		prunes int
	}{{-time.Hour, 0}, {time.Hour, 1}} {
		done, err := s.w.EmptyQuarantine(ctx, time.Now().Add(test.before))
		if err != nil || done.Prunes != test.prunes || done.Messages != int64(test.prunes) {
			t.Errorf("emptied %+v, %v", done, err)
		}
	}
}

// A receipt from the time when the clock was wrong does not hide the ones of today.
func TestLastReceiptIsNoneOfTheFuture(t *testing.T) {
	dir := t.TempDir()
	now := time.Now().Truncate(time.Second)
	for _, at := range []time.Time{now.AddDate(20, 0, 0), now} {
		if _, err := archive.WriteReceipt(dir, archive.Receipt{Account: "me", Finished: at}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := archive.LastReceipt(dir, "me"); err != nil || !r.Finished.Equal(now) {
		t.Errorf("the last one is %+v, %v", r, err)
	}
}
