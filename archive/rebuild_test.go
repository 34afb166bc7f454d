package archive_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

func dump(t *testing.T, dir string) string {
	t.Helper()
	text, err := archive.Dump(dir)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sameDump fails the test unless a database has these rows.
func sameDump(t *testing.T, dir, want string) {
	t.Helper()
	if got := dump(t, dir); got != want {
		t.Errorf("the database differs:\n%s", lineDifference(want, got))
	}
}

func lineDifference(want, got string) string {
	have := strings.Split(got, "\n")
	var b strings.Builder
	for line := range strings.SplitSeq(want, "\n") {
		if i := slices.Index(have, line); i >= 0 {
			have = slices.Delete(have, i, i+1)
		} else {
			fmt.Fprintln(&b, "-", line)
		}
	}
	for _, line := range have {
		fmt.Fprintln(&b, "+", line)
	}
	return b.String()
}

func rebuilt(t *testing.T, dir string) archive.Rebuilt {
	t.Helper()
	done, err := archive.Rebuild(ctx, dir, archive.RebuildOptions{})
	if err != nil {
		t.Fatalf("rebuild: %v", err)
	}
	t.Logf("%+v", done)
	archivetest.Check(t, dir)
	return done
}

// busy makes an archive that has seen everything a source can do, and closes it.
func busy(t *testing.T) string {
	t.Helper()
	s := sourceInMemory(t, archive.IMAP)
	a, b, c := s.folder("INBOX", "", 1), s.folder("Work/2024", "", 2), s.folder("Übung", `\Archive`, 3)
	put := func(f archive.FolderID, uid uint32, n int, flags ...string) archive.Copy {
		return archive.Copy{Folder: f, UID: uid, Ref: s.put(mail(n)), Flags: flags, Fingerprint: archive.FingerprintOf([]byte(mail(n)), int64(n)), SourceID: fmt.Sprint("id", n), ThreadID: "t"}
	}
	s.record(archive.Batch{Copies: []archive.Copy{put(a, 1, 1), put(a, 2, 2, `\Seen`), put(a, 3, 3, "$Label"), put(b, 1, 4), put(b, 2, 1), put(c, 9, 5)}})
	s.record(archive.Batch{Holes: []archive.HoleReport{{Location: archive.Location{Folder: a, UID: 4}, Reason: "no\n\"way\""}},
		States: []archive.FolderResult{{Folder: a, State: archive.FolderState{UIDValidity: 1, UIDNext: 5, ModSeq: 1 << 62, Messages: 4}}}})
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: a, UID: 1, Flags: []string{`\Seen`, `\Answered`}}}, Gone: []archive.Location{{Folder: a, UID: 2}, {Folder: b, UID: 2}}})
	s.record(archive.Batch{Holes: []archive.HoleReport{{Location: archive.Location{Folder: a, UID: 4}, Reason: "again"}}, Renamed: []archive.Rename{{Folder: b, Name: "Work/2025", Mailbox: "Work/2025"}}})
	s.record(archive.Batch{Dropped: []archive.FolderID{c}, Copies: []archive.Copy{put(a, 7, 2)}})
	other, err := s.w.EnsureAccount(ctx, "other@example.org", archive.Gmail)
	if err != nil {
		t.Fatal(err)
	}
	s.account = other
	all := s.folder("All", `\All`, 7)
	gmail := put(all, 1, 3)
	gmail.Mailboxes = []string{"All", "Label"}
	s.record(archive.Batch{Copies: []archive.Copy{gmail}})
	s.w.Close()
	return s.w.Dir()
}

func TestRebuildGivesTheSame(t *testing.T) {
	dir := busy(t)
	want := dump(t, dir)
	for name, spoil := range map[string]func(dir string){
		"healthy": func(string) {},
		"removed": func(dir string) { os.Remove(filepath.Join(dir, "gmail.db")) },
		"garbage": func(dir string) { rewrite(t, filepath.Join(dir, "gmail.db"), strings.Repeat("x", 9999)) },
		"empty":   func(dir string) { rewrite(t, filepath.Join(dir, "gmail.db"), "") },
		"altered": func(dir string) {
			alter(t, dir, "DELETE FROM entry; UPDATE item SET flags = 'x'; UPDATE mailbox SET uidnext = 1")
		},
		"unformed": func(dir string) { os.Remove(filepath.Join(dir, "FORMAT")) },
		"killed before": func(dir string) {
			rewrite(t, filepath.Join(dir, "gmail.db.new"), "half")
			rewrite(t, filepath.Join(dir, "gmail.db.new-journal"), "half")
			os.Remove(filepath.Join(dir, "gmail.db"))
		},
		"stray log": func(dir string) { rewrite(t, filepath.Join(dir, "gmail.db-wal"), strings.Repeat("y", 9999)) },
	} {
		t.Run(name, func(t *testing.T) {
			work := inMemory(t)
			copyTree(t, dir, work)
			spoil(work)
			done := rebuilt(t, work)
			sameDump(t, work, want)
			if done.Source != archive.FromJournal || done.Accounts != 2 || done.Messages != 5 || len(done.Damage) != 0 {
				t.Errorf("%+v", done)
			}
			for _, name := range done.Aside {
				if _, err := os.Stat(filepath.Join(work, name)); err != nil {
					t.Error(err)
				}
			}
			if had := name != "removed" && name != "killed before"; had != (len(done.Aside) > 0) {
				t.Errorf("moved aside: %q", done.Aside)
			}
			goesOn(t, work)
		})
	}
}

// goesOn records a message more, and opens once more.
func goesOn(t *testing.T, dir string) {
	t.Helper()
	w := archivetest.Open(t, dir)
	accounts, err := w.Accounts(ctx)
	if err != nil || len(accounts) == 0 {
		t.Fatalf("accounts %v, %v", accounts, err)
	}
	s := &source{t, w, accounts[0]}
	box := s.folder("After", "", 77)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put(mail(9999))}}})
	want := dump(t, dir)
	w.Close()
	again, err := archive.OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	sameDump(t, dir, want)
}

func TestRebuildJournalFromDatabase(t *testing.T) {
	dir := busy(t)
	want := dump(t, dir)
	for name, spoil := range map[string]func(dir string){
		"removed": func(dir string) { os.RemoveAll(filepath.Join(dir, "journal")) },
		"flipped": func(dir string) {
			text, _ := os.ReadFile(journalFile(t, dir))
			text[len(text)/2] ^= 1
			os.WriteFile(journalFile(t, dir), text, 0o600)
		},
		"its end lost": func(dir string) {
			text, _ := os.ReadFile(journalFile(t, dir))
			os.WriteFile(journalFile(t, dir), text[:len(text)/2], 0o600)
		},
		"told twice": func(dir string) { // each batch whole, with facts that do not fit the others
			text, _ := os.ReadFile(journalFile(t, dir))
			lines := strings.SplitAfter(string(text), "\n")
			group := lines[0] + lines[0]
			lines[1] = `{"commit":{"seq":1,"time":"2026-01-01T00:00:00Z","lines":2,"crc32c":"` + archive.CRC(group) + `"}}` + "\n"
			os.WriteFile(journalFile(t, dir), []byte(lines[0]+strings.Join(lines, "")), 0o600)
		},
		"another's": func(dir string) {
			text, _ := os.ReadFile(journalFile(t, letters0(t)))
			os.WriteFile(journalFile(t, dir), text, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			work := inMemory(t)
			copyTree(t, dir, work)
			spoil(work)
			done := rebuilt(t, work)
			sameDump(t, work, want)
			if done.Source != archive.FromDatabase || done.Recovered != 0 || len(done.Damage) == 0 {
				t.Errorf("%+v", done)
			}
			goesOn(t, work)
			// The journal alone gives it again.
			want := dump(t, work)
			os.Remove(filepath.Join(work, "gmail.db"))
			if done := rebuilt(t, work); done.Source != archive.FromJournal {
				t.Errorf("%+v", done)
			}
			sameDump(t, work, want)
		})
	}
}

func letters0(t *testing.T) string {
	dir, _ := letters(t, 3)
	return dir
}

// TestRebuildWithBothDamaged loses gmail.db and a line of the journal, with MAILKEEP_REBUILD=full each in turn: all that can be read is kept under its UIDs, every message stays visible, no UID is
// given twice, and the journal is whole again.
func TestRebuildWithBothDamaged(t *testing.T) {
	dir := busy(t)
	text, err := os.ReadFile(journalFile(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	before := uidsOf(t, dir)
	lines := strings.SplitAfter(string(text), "\n")
	lines = lines[:len(lines)-1]
	for n := range lines {
		if os.Getenv("MAILKEEP_REBUILD") != "full" && n%7 != 2 {
			continue
		}
		work := inMemory(t)
		copyTree(t, dir, work)
		os.Remove(filepath.Join(work, "gmail.db"))
		spoiled := slices.Clone(lines)
		spoiled[n] = strings.Repeat("#", len(lines[n])-1) + "\n"
		os.WriteFile(journalFile(t, work), []byte(strings.Join(spoiled, "")), 0o600)
		done := rebuilt(t, work)
		if done.Source != archive.FromDamagedJournal || len(done.Damage) == 0 || done.Messages != 5 {
			t.Errorf("without line %d, %s%+v", n+1, lines[n], done)
		}
		if d := done.Damage[0]; d.FirstLine > n+1 || d.LastLine < n+1 {
			t.Errorf("line %d is lost, and told is %s", n+1, d)
		}
		after := uidsOf(t, work)
		kept := 0
		for place, ref := range after {
			if was, ok := before[place]; ok && was != ref {
				t.Errorf("without line %d: %s was %.8s and is %.8s", n+1, place, was, ref)
			} else if ok {
				kept++
			}
		}
		if kept < len(before)/2 {
			t.Errorf("without line %d, %s%d of %d entries are left", n+1, lines[n], kept, len(before))
		}
		if t.Failed() {
			t.Fatalf("line %d: %s", n+1, lines[n])
		}
		if n%14 == 2 {
			goesOn(t, work)
		}
	}
}

// uidsOf lists what readers see: "uidvalidity/uid" to the message.
func uidsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	r, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	boxes, err := r.Mailboxes(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, box := range boxes {
		entries, _, err := r.Entries(ctx, box.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			all[fmt.Sprintf("%d/%d", box.UIDValidity, e.UID)] = e.Ref.String()
		}
	}
	return all
}

func TestRebuildFromFilesAlone(t *testing.T) {
	s := sourceInMemory(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	bodies := []string{
		"Received: from a by b; Mon, 3 Jun 2024 10:00:00 +0200\r\nDate: Mon, 1 Jan 2001 00:00:00 +0000\r\nSubject: late\r\n\r\nx",
		"Date: Sat, 2 Mar 2002 12:00:00 -0500\r\nSubject: early\r\n\r\nx",
		"Received: from a by b; not a date\r\nDate: Sun, 1 Feb 2015 08:00:00 +0000\r\n\r\nx",
		"no header at all",
	}
	for i, body := range bodies {
		s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: uint32(i + 1), Ref: s.put(body)}}})
	}
	s.w.Close()
	work := inMemory(t)
	copyTree(t, s.w.Dir(), work)
	os.Remove(filepath.Join(work, "gmail.db"))
	os.RemoveAll(filepath.Join(work, "journal"))
	os.MkdirAll(filepath.Join(work, "00"), 0o700)
	rewrite(t, filepath.Join(work, "00", archive.Ref{}.String()+".eml"), "damaged")
	done := rebuilt(t, work)
	if done.Source != archive.FromFiles || done.Recovered != 4 || done.Account != archive.RecoveredAccount {
		t.Errorf("%+v", done)
	}
	r, err := archive.Open(work)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	accounts, _ := r.Accounts(ctx)
	boxes, err := r.Mailboxes(ctx, 0)
	if err != nil || len(accounts) != 1 || accounts[0].Name != archive.RecoveredAccount || len(boxes) != 2 {
		t.Fatalf("%v, %v, %v", accounts, boxes, err)
	}
	for _, box := range boxes {
		entries, _, err := r.Entries(ctx, box.ID)
		if err != nil || len(entries) != 4 {
			t.Fatalf("%s: %v, %v", box.Name, entries, err)
		}
		for i, want := range []string{bodies[1], bodies[2], bodies[0], bodies[3]} { // by date
			if entries[i].Ref != archive.RefOf([]byte(want)) || entries[i].UID != archive.UID(i+1) {
				t.Errorf("%s: UID %d is %s of %s", box.Name, entries[i].UID, entries[i].Ref, entries[i].Date)
			}
		}
		if got := entries[0].Date.Format("2006-01-02 15:04 -0700"); got != "2002-03-02 12:00 -0500" {
			t.Errorf("the date is %s", got)
		}
	}
	goesOn(t, work)
}

func TestRebuildRefuses(t *testing.T) {
	dir, _ := letters(t, 1)
	w, err := archive.OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Rebuild(ctx, dir, archive.RebuildOptions{}); err == nil {
		t.Error("rebuilt beside a Writer")
	}
	w.Close()
	photos := inMemory(t)
	os.WriteFile(filepath.Join(photos, "cat.jpg"), nil, 0o600)
	for _, dir := range []string{photos, inMemory(t), filepath.Join(photos, "none")} {
		if _, err := archive.Rebuild(ctx, dir, archive.RebuildOptions{}); err == nil {
			t.Errorf("%q was rebuilt", dir)
		}
		if _, err := os.Stat(filepath.Join(dir, "lock")); err == nil {
			t.Errorf("%q was touched", dir)
		}
	}
}

// TestCompact compacts, records more, compacts again, and loses gmail.db, or finds what a crash in between leaves.
func TestCompact(t *testing.T) {
	dir := busy(t)
	want := dump(t, dir)
	compact := func() archive.Compacted {
		w := archivetest.Open(t, dir)
		done, err := w.Compact(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", done)
		w.Close()
		return done
	}
	early, old := inMemory(t), inMemory(t)
	copyTree(t, dir, early)
	done := compact()
	sameDump(t, dir, want)
	if len(done.Aside) != 1 || done.Snapshot == "" {
		t.Errorf("%+v", done)
	}
	copyTree(t, dir, old)

	// Killed before gmail.db was told where the journal goes on; or, in a power cut, before that was durable.
	replaceDatabase(t, early, old)
	sameDump(t, old, want)
	goesOn(t, old)
	after := dump(t, old)
	os.Remove(filepath.Join(old, "gmail.db"))
	rebuilt(t, old)
	sameDump(t, old, after)

	// Killed while the snapshot was being written.
	killed := inMemory(t)
	copyTree(t, early, killed)
	os.WriteFile(filepath.Join(killed, "journal", "snapshot-000000000016.jsonl.new"), []byte("half"), 0o600)
	goesOn(t, killed)

	goesOn(t, dir)
	compact()
	goesOn(t, dir)
	want = dump(t, dir)
	for _, name := range []string{"gmail.db", "gmail.db-wal", "gmail.db-shm"} {
		os.Remove(filepath.Join(dir, name))
	}
	w := archivetest.Open(t, dir)
	w.Close()
	sameDump(t, dir, want)

	// A database from before the compaction knows files that are superseded.
	replaceDatabase(t, early, dir)
	if w, err := archive.OpenWriter(dir); err == nil {
		w.Close()
		t.Error("opened over a gap")
	} else if !strings.Contains(err.Error(), "mailkeep rebuild") {
		t.Errorf("no next step: %v", err)
	}
	if done := rebuilt(t, dir); done.Source != archive.FromJournal {
		t.Errorf("%+v", done)
	}
	sameDump(t, dir, want)

	// A snapshot that is damaged: gmail.db gives a new one.
	snapshots, _ := filepath.Glob(filepath.Join(dir, "journal", "snapshot-*.jsonl"))
	text, _ := os.ReadFile(snapshots[len(snapshots)-1])
	text[len(text)/2] ^= 1
	os.WriteFile(snapshots[len(snapshots)-1], text, 0o600)
	if found, _ := checked(t, dir, whole); len(found) == 0 {
		t.Error("a damaged snapshot is not found")
	}
	if done := rebuilt(t, dir); done.Source != archive.FromDatabase {
		t.Errorf("%+v", done)
	}
	sameDump(t, dir, want)
	goesOn(t, dir)
}

// inMemory is a new folder that costs no flushing of disks, where there is one: what these tests look at is not what a disk keeps.
func inMemory(t *testing.T) string {
	t.Helper()
	const memory = "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "mailkeep-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// sourceInMemory is newSource with its archive there.
func sourceInMemory(t *testing.T, kind archive.Kind) *source {
	t.Helper()
	w := archivetest.Open(t, filepath.Join(inMemory(t), "MailStore"))
	account, err := w.EnsureAccount(ctx, "me@example.org", kind)
	if err != nil {
		t.Fatal(err)
	}
	return &source{t, w, account}
}

// With gmail.db and the journal lost no Writer begins an empty map beside the messages: those that the source has no more would be in no mailbox, and count as what an interrupted
// backup left. Rebuild shows them, also where FORMAT is lost, too, and where an empty gmail.db stands there already.
func TestMessagesWithoutAMap(t *testing.T) {
	s := sourceInMemory(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("one")}}})
	dir := s.w.Dir()
	if err := errors.Join(s.w.Close(), os.Remove(filepath.Join(dir, "gmail.db")), os.RemoveAll(filepath.Join(dir, "journal")), os.Mkdir(filepath.Join(dir, "journal"), 0o700)); err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(inMemory(t), "MailStore")
	copyTree(t, dir, bare)
	for _, name := range []string{"FORMAT", "journal", "lock", "tmp", "quarantine"} {
		if err := os.RemoveAll(filepath.Join(bare, name)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if w, err := archive.OpenWriter(dir); !errors.Is(err, archive.ErrMapLost) {
			t.Fatalf("opened %v, %v", w, err)
		}
	}
	for _, dir := range []string{dir, bare} {
		if done := rebuilt(t, dir); done.Source != archive.FromFiles || done.Recovered != 1 {
			t.Errorf("%s: %+v", dir, done)
		}
		goesOn(t, dir)
	}
}
