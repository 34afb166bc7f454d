package archive_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
)

// checked returns what a whole check finds, as "kind path".
func checked(t *testing.T, dir string, o archive.CheckOptions) ([]string, archive.Checked) {
	t.Helper()
	var found []string
	done, err := archive.Check(ctx, dir, o, func(f archive.Finding) error {
		if f.Path == "" || f.Problem == "" {
			t.Errorf("a finding without a name or a problem: %+v", f)
		}
		t.Log(f)
		found = append(found, fmt.Sprintf("%s %s", f.Kind, f.Path))
		return nil
	})
	if err != nil {
		t.Fatalf("check: %v", err)
	}
	return found, done
}

var whole = archive.CheckOptions{Digests: true, Journal: true}

// letters makes an archive with n messages and closes it.
func letters(t *testing.T, n int) (dir string, refs []archive.Ref) {
	t.Helper()
	s := sourceInMemory(t, archive.Gmail)
	box := s.folder("All", `\All`, 1)
	for first := 0; first < n; first += 20 {
		var b archive.Batch
		for i := first; i < min(n, first+20); i++ {
			refs = append(refs, s.put(mail(i)))
			b.Copies = append(b.Copies, archive.Copy{Folder: box, UID: uint32(i + 1), Ref: refs[i], SourceID: fmt.Sprint(1000 + i), Mailboxes: []string{"All", fmt.Sprint("Label ", i%3)}})
		}
		s.record(b)
	}
	s.w.Close()
	return s.w.Dir(), refs
}

func messagePath(dir string, ref archive.Ref) string {
	return filepath.Join(dir, ref.String()[:2], ref.String()+".eml")
}

func inArchive(ref archive.Ref) string { return ref.String()[:2] + "/" + ref.String() + ".eml" }

func TestCheckNamesEachFile(t *testing.T) {
	whole0, refs := letters(t, 40)
	dir := inMemory(t)
	copyTree(t, whole0, dir)
	slices.SortFunc(refs, func(a, b archive.Ref) int { return strings.Compare(a.String(), b.String()) })
	read := func(ref archive.Ref) []byte {
		b, err := os.ReadFile(messagePath(dir, ref))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	flipped := read(refs[0])
	flipped[len(flipped)/2] ^= 4
	rewrite(t, messagePath(dir, refs[0]), string(flipped))
	rewrite(t, messagePath(dir, refs[1]), string(read(refs[1])[:50]))
	rewrite(t, messagePath(dir, refs[2]), string(read(refs[2]))+"\n")
	os.Remove(messagePath(dir, refs[3]))
	one, other := read(refs[4]), read(refs[5])
	rewrite(t, messagePath(dir, refs[4]), string(other))
	rewrite(t, messagePath(dir, refs[5]), string(one))
	os.Remove(messagePath(dir, refs[6]))
	if err := os.Mkdir(messagePath(dir, refs[6]), 0o700); err != nil {
		t.Fatal(err)
	}
	want := []string{"damaged " + inArchive(refs[0]), "truncated " + inArchive(refs[1]), "damaged " + inArchive(refs[2]), "missing " + inArchive(refs[3]),
		"swapped " + inArchive(refs[4]), "swapped " + inArchive(refs[5]), "unreadable " + inArchive(refs[6]), "stray " + inArchive(refs[6])}
	found, done := checked(t, dir, whole)
	if !slices.Equal(found, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"))
	}
	if done.Messages != 40 || done.Damage != 7 || done.Harmless != 1 {
		t.Errorf("%+v", done)
	}
	// Without reading, what only a digest tells stays unseen.
	quick, _ := checked(t, dir, archive.CheckOptions{})
	if slices.Contains(quick, want[0]) || !slices.Contains(quick, want[1]) || !slices.Contains(quick, want[3]) {
		t.Errorf("quick: %q", quick)
	}
}

func TestCheckTellsWhereAMessageIsShown(t *testing.T) {
	dir, refs := letters(t, 5)
	path := messagePath(dir, refs[4])
	kept, _ := os.ReadFile(path)
	defer rewrite(t, path, string(kept))
	os.Remove(path)
	_, err := archive.Check(ctx, dir, whole, func(f archive.Finding) error {
		if want := []string{"me@example.org: All, UID 5", "me@example.org: Label 1, UID 2"}; !slices.Equal(f.Shown, want) {
			t.Errorf("shown in %q, want %q", f.Shown, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCheckOrphansAreHarmless(t *testing.T) {
	dir, _ := letters(t, 3)
	orphan, broken := archive.RefOf([]byte("orphan")), archive.RefOf([]byte("broken"))
	for ref, body := range map[archive.Ref]string{orphan: "orphan", broken: "brokem"} {
		os.MkdirAll(filepath.Dir(messagePath(dir, ref)), 0o700)
		rewrite(t, messagePath(dir, ref), body)
	}
	os.MkdirAll(filepath.Join(dir, "00"), 0o700)
	rewrite(t, filepath.Join(dir, "00", "notes.txt"), "mine")
	rewrite(t, filepath.Join(dir, "00", orphan.String()+".eml"), "orphan")
	// A file that has just come may be about to get its row.
	if found, _ := checked(t, dir, whole); slices.Contains(found, "orphan "+inArchive(orphan)) {
		t.Errorf("a young file: %q", found)
	}
	old := time.Now().Add(-time.Hour)
	os.Chtimes(messagePath(dir, orphan), old, old)
	found, done := checked(t, dir, whole)
	want := []string{"orphan " + inArchive(orphan), "stray " + inArchive(broken), "stray 00/notes.txt", "stray 00/" + orphan.String() + ".eml"}
	slices.Sort(found)
	slices.Sort(want)
	if !slices.Equal(found, want) || done.Damage != 0 || done.Harmless != 4 {
		t.Errorf("found %q, %+v", found, done)
	}
}

func TestCheckWithoutDatabase(t *testing.T) {
	origin, refs := letters(t, 20)
	for name, spoil := range map[string]func(dir string){
		"missing": func(dir string) { os.Remove(filepath.Join(dir, "gmail.db")) },
		"garbage": func(dir string) { rewrite(t, filepath.Join(dir, "gmail.db"), strings.Repeat("garbage ", 5000)) },
		"empty":   func(dir string) { rewrite(t, filepath.Join(dir, "gmail.db"), "") },
		"shortened": func(dir string) {
			b, _ := os.ReadFile(filepath.Join(dir, "gmail.db"))
			rewrite(t, filepath.Join(dir, "gmail.db"), string(b[:len(b)/2]))
		},
		"overwritten": func(dir string) {
			b, _ := os.ReadFile(filepath.Join(dir, "gmail.db"))
			copy(b[8192:], strings.Repeat("\xff", len(b)-8192))
			rewrite(t, filepath.Join(dir, "gmail.db"), string(b))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := inMemory(t)
			copyTree(t, origin, dir)
			for _, f := range []string{"gmail.db-wal", "gmail.db-shm"} {
				os.Remove(filepath.Join(dir, f))
			}
			spoil(dir)
			os.Remove(messagePath(dir, refs[7]))
			found, done := checked(t, dir, whole)
			if len(found) < 2 || !strings.HasSuffix(found[0], " gmail.db") || found[len(found)-1] != "missing "+inArchive(refs[7]) {
				t.Errorf("found %q", found)
			}
			if done.Messages != 20 {
				t.Errorf("%d messages were compared: the journal knows of 20", done.Messages)
			}
			// And with the journal gone too, files still tell whether they are what their names say.
			os.RemoveAll(filepath.Join(dir, "journal"))
			rewrite(t, messagePath(dir, refs[0]), "damage")
			if found, _ := checked(t, dir, whole); !slices.Contains(found, "damaged "+inArchive(refs[0])) {
				t.Errorf("without the journal: %q", found)
			}
		})
	}
}

func TestCheckNamesTheLineOfTheJournal(t *testing.T) {
	origin, _ := letters(t, 60)
	path := journalFile(t, origin)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")
	item := slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, `"source":"1023"`) }) + 1
	for name, c := range map[string]struct {
		spoil func() string
		want  string
	}{
		"flipped":  {func() string { return strings.Replace(string(text), `"source":"1023"`, `"source":"1033"`, 1) }, "do not match their checksum (batch "},
		"no JSON":  {func() string { return strings.Replace(string(text), `"source":"1023"`, `"source:"1023"`, 1) }, fmt.Sprintf("line %d cannot be read", item)},
		"left out": {func() string { return strings.Join(slices.Delete(slices.Clone(lines), item-1, item), "") }, "do not match their checksum (batch "},
		"a batch less": {func() string {
			first := slices.IndexFunc(lines, func(s string) bool { return strings.Contains(s, `"commit"`) }) + 1
			second := first + slices.IndexFunc(lines[first:], func(s string) bool { return strings.Contains(s, `"commit"`) }) + 1
			return strings.Join(slices.Delete(slices.Clone(lines), first, second), "")
		}, "batches are missing (batch 2)"},
		"shorter": {func() string {
			last := len(lines) - 1
			for last--; !strings.Contains(lines[last-1], `"commit"`); last-- {
			}
			return strings.Join(lines[:last], "")
		}, "a part is lost"},
		"zeroed": {func() string {
			return strings.Join(lines[:item-1], "") + strings.Repeat("\x00", len(lines[item-1])-1) + "\n" + strings.Join(lines[item:], "")
		}, fmt.Sprintf("line %d cannot be read", item)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := inMemory(t)
			copyTree(t, origin, dir)
			os.WriteFile(journalFile(t, dir), []byte(c.spoil()), 0o600)
			var found []archive.Finding
			if _, err := archive.Check(ctx, dir, whole, func(f archive.Finding) error { found = append(found, f); return nil }); err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || found[0].Kind != archive.JournalDamaged || !strings.Contains(found[0].Problem, c.want) {
				t.Errorf("found %v, want %q", found, c.want)
			}
		})
	}
}

// TestCheckNamesRows changes single values of gmail.db: each is told with its table and row.
func TestCheckNamesRows(t *testing.T) {
	origin, _ := letters(t, 10)
	for statement, want := range map[string]string{
		`UPDATE item SET flags = '\Answered' WHERE id = 3`:       "table item that differs from the journal: id=3 ",
		"UPDATE item SET date = date + 1 WHERE id = 4":           "table item that differs from the journal: id=4 ",
		"DELETE FROM hole; UPDATE folder SET object_id = 'x'":    "table folder that differs from the journal: id=1 ",
		"UPDATE account SET name = 'you'":                        "table account",
		"INSERT INTO vanished VALUES (1, 1, 99)":                 "has a row in table vanished that the journal does not know: mailbox_id=1 modseq=1 uid=99",
		"DELETE FROM message WHERE id = 2; DELETE FROM location": "lacks a row in table message that the journal has: id=2 ",
	} {
		dir := inMemory(t)
		copyTree(t, origin, dir)
		alter(t, dir, statement)
		var all []string
		if _, err := archive.Check(ctx, dir, whole, func(f archive.Finding) error { all = append(all, f.String()); return nil }); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(all, "\n"), want) {
			t.Errorf("%s: found\n%s", statement, strings.Join(all, "\n"))
		}
	}
}

// TestCheckGoesOn interrupts a check and lets the next one go on; damage found before is told again, and damage done since in what was checked is found if the file's time
// tells.
func TestCheckGoesOn(t *testing.T) {
	origin, refs := letters(t, 60)
	dir := inMemory(t)
	copyTree(t, origin, dir)
	slices.SortFunc(refs, func(a, b archive.Ref) int { return strings.Compare(a.String(), b.String()) })
	flip := func(ref archive.Ref) {
		b, err := os.ReadFile(messagePath(dir, ref))
		if err != nil {
			t.Fatal(err)
		}
		b[3] ^= 1
		rewrite(t, messagePath(dir, ref), string(b))
	}
	flip(refs[2])
	long := time.Now().Add(-time.Hour)
	os.Chtimes(messagePath(dir, refs[2]), long, long)
	flip(refs[30])
	ended := errors.New("ended")
	o := whole
	o.Resume = true
	_, err := archive.Check(ctx, dir, o, func(f archive.Finding) error {
		if f.Path == inArchive(refs[30]) {
			return ended
		}
		return nil
	})
	if !errors.Is(err, ended) {
		t.Fatalf("the check went on: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "check.json")); err != nil {
		t.Fatalf("no note of how far it came: %v", err)
	}
	found, done := checked(t, dir, o)
	if want := []string{"damaged " + inArchive(refs[2]), "damaged " + inArchive(refs[30])}; !slices.Equal(found, want) || !done.Resumed || done.Messages != 60 {
		t.Errorf("found %q, want %q; %+v", found, want, done)
	}
	if _, err := os.Stat(filepath.Join(dir, "check.json")); err == nil {
		t.Error("the note of a check that is complete stays")
	}
	// An old note, or one that is no note, says nothing.
	for _, note := range []string{"", "{", `{"version":1,"begun":"2020-01-01T00:00:00Z","digests":true,"next":"ff"}`, `{"version":1,"begun":"2999-01-01T00:00:00Z","digests":true,"next":"ff"}`,
		`{"version":9,"begun":"` + time.Now().UTC().Format(time.RFC3339) + `","digests":true,"next":"ff"}`} {
		os.WriteFile(filepath.Join(dir, "check.json"), []byte(note), 0o600)
		if found, done := checked(t, dir, o); len(found) != 2 || done.Resumed {
			t.Errorf("after note %q: %q, %+v", note, found, done)
		}
	}
}

// TestCheckBesideAWriter checks again and again while messages come and go: nothing of that is damage.
func TestCheckBesideAWriter(t *testing.T) {
	s := sourceInMemory(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := range 100 {
			ref, _, err := s.w.Put(strings.NewReader(mail(i)))
			if err != nil {
				t.Error(err)
				return
			}
			b := archive.Batch{Account: s.account.ID, Copies: []archive.Copy{{Folder: box, UID: uint32(i + 1), Ref: ref}}}
			if i > 5 {
				b.Gone = []archive.Location{{Folder: box, UID: uint32(i - 5)}}
			}
			if _, err := s.w.Record(context.Background(), b); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for n := 0; ; n++ {
		if found, _ := checked(t, s.w.Dir(), whole); len(found) > 0 {
			t.Fatalf("check %d: %q", n, found)
		}
		select {
		case <-ended:
			return
		default:
		}
	}
}
