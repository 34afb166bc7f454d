package archive_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

func TestRenamesOntoTakenNames(t *testing.T) {
	s := newSource(t, archive.IMAP)
	a, b, c := s.folder("A", "", 1), s.folder("B", "", 2), s.folder("C", "", 3)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: a, UID: 1, Ref: s.put("a")}, {Folder: b, UID: 1, Ref: s.put("b")}, {Folder: c, UID: 1, Ref: s.put("c")}}})
	s.record(archive.Batch{Renamed: []archive.Rename{{Folder: a, Name: "B", Mailbox: "B"}, {Folder: b, Name: "A", Mailbox: "A"}}})
	s.want("A: 1=b", "B: 1=a", "C: 1=c")
	s.record(archive.Batch{Renamed: []archive.Rename{{Folder: a, Name: "C", Mailbox: "C"}, {Folder: c, Name: "D", Mailbox: "D"}}})
	s.want("A: 1=b", "C: 1=a", "D: 1=c")
	// One that is gone keeps its messages and makes way.
	s.record(archive.Batch{Dropped: []archive.FolderID{c}})
	s.record(archive.Batch{Renamed: []archive.Rename{{Folder: a, Name: "D", Mailbox: "D"}}})
	today := time.Now().UTC().Format(time.DateOnly)
	s.want("A: 1=b", "D: 1=a", "D (until "+today+"): 1=c!", "Gone from server: 1=c!")
}

// A label was renamed between the list of folders and the messages: these bring it by its new name, the next list tells of the renaming.
func TestLabelSeenBeforeItsRenaming(t *testing.T) {
	s := newSource(t, archive.Gmail)
	all, old := s.folder("All Mail", `\All`, 1), s.folder("Old", "", 2)
	one := archive.Copy{Folder: all, UID: 1, Ref: s.put("one"), SourceID: "1", Mailboxes: []string{"All Mail", "Old"}}
	two := archive.Copy{Folder: all, UID: 2, Ref: s.put("two"), SourceID: "2", Mailboxes: []string{"All Mail", "Old"}}
	s.record(archive.Batch{Copies: []archive.Copy{one, two}})
	one.Mailboxes[1] = "New"
	s.record(archive.Batch{Copies: []archive.Copy{one}})
	s.want("All Mail: 1=one 2=two", "New: 1=one", "Old: 2=two")
	s.record(archive.Batch{Renamed: []archive.Rename{{Folder: old, Name: "New", Mailbox: "New"}}})
	s.want("All Mail: 1=one 2=two", "New: 2=two", "New (until "+time.Now().UTC().Format(time.DateOnly)+"): 1=one")
	two.Mailboxes[1] = "New"
	s.record(archive.Batch{Copies: []archive.Copy{one, two}})
	s.want("All Mail: 1=one 2=two", "New: 2=two 3=one")
}

func TestSourceHasAMailboxCalledLikeOurs(t *testing.T) {
	for _, kind := range []archive.Kind{archive.IMAP, archive.Gmail} {
		t.Run(string(kind), func(t *testing.T) {
			s := newSource(t, kind)
			box := s.folder(archive.GoneMailbox, "", 1)
			s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("x"), SourceID: "1", Mailboxes: []string{archive.GoneMailbox}}}})
			s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 1}}})
			s.want("Gone from server: 1=x!", "Gone from server (restored): 1=x!")
		})
	}
}

func TestServerSaysOddThings(t *testing.T) {
	s := newSource(t, archive.IMAP)
	s.record(archive.Batch{Folders: []archive.FolderSpec{{Name: "B\xe9", Mailbox: "B\xe9"}, {Name: "B\xe8", Mailbox: "B\xe8"}}})
	one, two := s.folderRow(`B\xe9`).ID, s.folderRow(`B\xe8`).ID
	s.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: one, UIDValidity: 1}, {Folder: two, UIDValidity: 1}}})
	zone := func(seconds int) time.Time { return time.Date(2020, 2, 29, 23, 59, 59, 5, time.FixedZone("", seconds)) }
	for i, date := range []time.Time{zone(86400), zone(-86400 * 3), zone(61), zone(-3599), time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), {}} {
		s.record(archive.Batch{Copies: []archive.Copy{{Folder: one, UID: uint32(i + 1), Ref: s.put(fmt.Sprint(i)), Date: date, SourceID: "\xff\x00", ThreadID: "\xfe",
			Flags: []string{"a\tb", "\\\u017feen", "(x)", `"`, "\xe9", "", `\`, "[Mailbox]", "$Ok", "$ok", `\Seen`}}}})
	}
	s.record(archive.Batch{Holes: []archive.HoleReport{{Location: archive.Location{Folder: two, UID: math.MaxUint32}, Reason: "\xe9\x00\n"}},
		States: []archive.FolderResult{{Folder: two, State: archive.FolderState{UIDValidity: 1, UIDNext: math.MaxUint32, ModSeq: math.MaxUint64, Messages: math.MaxUint32}}}})
	entries, _, err := s.w.Entries(ctx, s.folderRow(`B\xe9`).Mailbox)
	if err != nil || len(entries) != 7 || entries[0].Flags != `$Ok [Mailbox] \Seen` {
		t.Errorf("entries: %+v, %v", entries, err)
	}
	if f := s.folderRow(`B\xe8`); f.ModSeq != 0 || f.UIDNext != math.MaxUint32 {
		t.Errorf("folder: %+v", f)
	}
}

func TestHolesEndWithTheirPlace(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box, other := s.folder("INBOX", "", 1), s.folder("Other", "", 1)
	at := func(f archive.FolderID, uid uint32) archive.HoleReport {
		return archive.HoleReport{Location: archive.Location{Folder: f, UID: uid}, Reason: "no"}
	}
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("x")}}, Holes: []archive.HoleReport{at(box, 1), at(box, 2), at(other, 1)}})
	s.record(archive.Batch{Gone: []archive.Location{{Folder: box, UID: 1}}})
	s.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: box, UIDValidity: 2}}, Dropped: []archive.FolderID{other}})
	if holes, err := s.w.Holes(ctx, 0); err != nil || len(holes) != 0 {
		t.Errorf("left in the failure ledger: %+v, %v", holes, err)
	}
}

func TestCopyWithoutMailboxIsShown(t *testing.T) {
	s := newSource(t, archive.Gmail)
	s.record(archive.Batch{Folders: []archive.FolderSpec{{Name: "Hidden"}}})
	box := s.folderRow("Hidden").ID
	s.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: box, UIDValidity: 1}}})
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("x"), SourceID: "1", Mailboxes: []string{}}}})
	s.want("Hidden: 1=x")
}

func TestOneCopyReturns(t *testing.T) {
	s := newSource(t, archive.IMAP)
	a, b := s.folder("A", "", 1), s.folder("B", "", 1)
	x := s.put("x")
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: a, UID: 1, Ref: x}, {Folder: b, UID: 1, Ref: x}}})
	s.record(archive.Batch{Gone: []archive.Location{{Folder: a, UID: 1}, {Folder: b, UID: 1}}})
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: b, UID: 2, Ref: x}}})
	s.want("A:", "B: 1=x", "Gone from server:")
}

func TestCancelledBatchLeavesNothing(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	before := s.shows()
	var b archive.Batch
	b.Account = s.account.ID
	for i := range uint32(200) {
		b.Copies = append(b.Copies, archive.Copy{Folder: box, UID: i + 1, Ref: s.put(fmt.Sprint(i))})
	}
	for wait := time.Duration(0); ; wait += wait/4 + 200*time.Microsecond {
		cancelled, cancel := context.WithTimeout(ctx, wait)
		_, err := s.w.Record(cancelled, b)
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("cancelled after %s: %v", wait, err)
		}
		if s.shows() != before {
			t.Fatalf("cancelled after %s: recorded in part", wait)
		}
	}
}

func TestDamagedFileIsHealed(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	ref := s.put("good")
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: ref}}})
	path := filepath.Join(s.w.Dir(), ref.String()[:2], ref.String()+".eml")
	for _, damage := range []string{"bad!", "goo", ""} {
		rewrite(t, path, damage)
		s.put("good")
		s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: uint32(2 + len(damage)), Ref: ref}}})
		if b, err := s.w.ReadMessage(ref); err != nil || string(b) != "good" {
			t.Errorf("%q became %q, %v", damage, b, err)
		}
	}
	// Without its bytes at hand a damaged message gets no further row.
	rewrite(t, path, "short")
	_, err := s.w.Record(ctx, archive.Batch{Account: s.account.ID, Copies: []archive.Copy{{Folder: box, UID: 9, Ref: ref}}})
	if err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("recorded over a damaged file: %v", err)
	}
	rewrite(t, path, "good")
}

func TestUIDsEnd(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.w.Close()
	copied := filepath.Join(t.TempDir(), "MailStore")
	copyTree(t, s.w.Dir(), copied)
	alter(t, copied, fmt.Sprintf("UPDATE mailbox SET uidnext = %d", uint32(math.MaxUint32-1)))
	w, err := archive.OpenWriter(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s.w = w
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("last")}}})
	if _, err := w.Record(ctx, archive.Batch{Account: s.account.ID, Copies: []archive.Copy{{Folder: box, UID: 2, Ref: s.put("one more")}}}); err == nil {
		t.Error("a UID was given twice")
	}
}

func TestClosedWriterTouchesNothing(t *testing.T) {
	s := newSource(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	ref := s.put("x")
	s.w.Close()
	if _, _, err := s.w.Put(strings.NewReader("y")); err == nil {
		t.Error("put into a closed archive")
	}
	if _, err := s.w.Record(ctx, archive.Batch{Account: s.account.ID, Copies: []archive.Copy{{Folder: box, UID: 1, Ref: ref}}}); err == nil {
		t.Error("recorded in a closed archive")
	}
	if _, err := os.Stat(filepath.Join(s.w.Dir(), ref.String()[:2])); err == nil {
		t.Error("a file was put in place without the lock")
	}
}

func TestStrangersInJournalFolder(t *testing.T) {
	dir, _, _, second := twoBatches(t)
	for _, name := range []string{"._2026-11.jsonl", "9999 copy.jsonl", "2026-11.sync-conflict.jsonl"} {
		if err := os.WriteFile(filepath.Join(dir, "journal", name), []byte("not ours"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := reopened(t, dir); got != second {
		t.Errorf("readers see\n%s", got)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "journal", "9999 copy.jsonl")); string(b) != "not ours" {
		t.Error("a stranger's file was changed")
	}
	archivetest.Check(t, dir)
}

// TestFlippedLastGroup: a whole last group that fails its checksum is damage. Cutting it off would give its UIDs out again.
func TestFlippedLastGroup(t *testing.T) {
	whole, early, _, _ := twoBatches(t)
	dir := t.TempDir()
	copyTree(t, whole, dir)
	path := journalFile(t, dir)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)-200] ^= 1
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	replaceDatabase(t, early, dir)
	if w, err := archive.OpenWriter(dir); err == nil {
		w.Close()
		t.Error("opened over a damaged journal")
	}
}
