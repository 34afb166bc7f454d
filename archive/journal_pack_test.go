package archive_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// packedJournal is the journal of a busy archive with all groups packed that become shorter by it, and that archive's folder.
func packedJournal(t *testing.T) (dir string, text []byte) {
	t.Helper()
	dir = busy(t)
	plain, err := os.ReadFile(journalFile(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	text, err = archive.PackJournal(plain)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) >= len(plain)*9/10 {
		t.Fatalf("%d bytes packed are %d", len(plain), len(text))
	}
	return dir, text
}

func TestRebuildFromPackedJournal(t *testing.T) {
	dir, text := packedJournal(t)
	want := dump(t, dir)
	rewrite(t, journalFile(t, dir), string(text))
	if err := os.Remove(filepath.Join(dir, "gmail.db")); err != nil {
		t.Fatal(err)
	}
	if done := rebuilt(t, dir); done.Source != archive.FromJournal || len(done.Damage) != 0 {
		t.Errorf("%+v", done)
	}
	sameDump(t, dir, want)
	goesOn(t, dir)
}

// A group that is long is packed as it is written, in lines of bounded length, and read again as it was. So is a snapshot.
func TestLongGroupsArePacked(t *testing.T) {
	s := sourceInMemory(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	const n = 6000 // more than one packed line holds
	copies := make([]archive.Copy, n)
	for i := range copies {
		copies[i] = archive.Copy{Folder: box, UID: uint32(i + 1), Ref: s.put(mail(i % 20)), Fingerprint: archive.FingerprintOf([]byte(mail(i)), int64(i)), Flags: []string{`\Seen`, "$" + strings.Repeat("x", i%40)}}
	}
	s.record(archive.Batch{Copies: copies})
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: n + 1, Ref: s.put("small")}}})
	dir := s.w.Dir()
	want := dump(t, dir)
	for _, what := range []string{"journal", "snapshot"} {
		var sum int64
		packed := 0
		files, err := filepath.Glob(filepath.Join(dir, "journal", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sum += int64(len(text))
			for line := range bytes.Lines(text) {
				if bytes.HasPrefix(line, []byte{0x28, 0xb5}) {
					packed++
				}
				if bytes.IndexByte(line, 0) >= 0 || len(line) > 1<<20 {
					t.Errorf("%s: a line of %d bytes", what, len(line))
				}
			}
		}
		if packed < 2 || sum > n*100 {
			t.Errorf("%s: %d packed lines, %d bytes", what, packed, sum)
		}
		archivetest.Check(t, dir)
		if what == "journal" {
			s.compact()
		}
	}
	if err := s.w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "gmail.db")); err != nil {
		t.Fatal(err)
	}
	rebuilt(t, dir)
	sameDump(t, dir, want)
}

// reading is what the two readers of a journal make of it: the batches' numbers, and what is wrong.
type reading struct {
	strict, lenient []archive.ModSeq
	strictErr       error
	damage          []archive.JournalDamage
}

// Whatever byte is damaged, it costs the one group that it stands in, and everybody is told.
func TestPackedJournalDamaged(t *testing.T) {
	_, text := packedJournal(t)
	dir := t.TempDir()
	read := func(text []byte) (r reading) {
		rewrite(t, filepath.Join(dir, "2026-11.jsonl"), string(text))
		var err error
		r.strict, r.lenient, r.strictErr, r.damage, err = archive.ReadJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	asWritten := read(text)
	whole := asWritten.strict
	if asWritten.strictErr != nil || len(whole) < 8 {
		t.Fatalf("%d batches, %v", len(whole), asWritten.strictErr)
	}
	lastGroup := bytes.LastIndex(text[:len(text)-1], []byte(`{"commit"`))
	lastGroup = bytes.LastIndex(text[:lastGroup], []byte(`{"commit"`))
	inPacked := false
	for at := range text {
		if at == 0 || text[at-1] == '\n' {
			inPacked = text[at] == 0x28
		}
		if inPacked && at%2 == 0 {
			spoilt := slices.Clone(text)
			spoilt[at] ^= 1 << (at / 2 % 8)
			r := read(spoilt)
			// A zero byte in the last group means that a power cut kept it from being written.
			unwritten := spoilt[at] == 0 && at > lastGroup
			if len(r.lenient) != len(whole)-1 || !unwritten && (r.strictErr == nil || len(r.damage) != 1) {
				t.Fatalf("byte %d: batches %d of %d, the Writer says %v, the damage is %v", at, r.lenient, whole, r.strictErr, r.damage)
			}
		}
		if at%5 == 0 {
			r := read(text[:at])
			if r.strictErr != nil || len(r.damage) != 0 || !slices.Equal(r.strict, r.lenient) || !slices.Equal(r.strict, whole[:len(r.strict)]) {
				t.Fatalf("torn at byte %d: batches %d, %v, %v", at, r.strict, r.strictErr, r.damage)
			}
		}
	}
}

// UIDs that a lost group gave out are not given again, though nobody can tell how many they were.
func TestPackedGroupLost(t *testing.T) {
	s := sourceInMemory(t, archive.IMAP)
	box := s.folder("INBOX", "", 1)
	s.record(archive.Batch{Copies: []archive.Copy{{Folder: box, UID: 1, Ref: s.put("first")}}})
	const n = 1500
	copies := make([]archive.Copy, n)
	for i := range copies {
		copies[i] = archive.Copy{Folder: box, UID: uint32(i + 2), Ref: s.put("second")}
	}
	s.record(archive.Batch{Copies: copies})
	s.folder("Sent", "", 2)
	dir := s.w.Dir()
	if err := s.w.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(journalFile(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	group := bytes.Index(text, []byte{0x28, 0xb5, 0x2f, 0xfd})
	line := group + bytes.IndexByte(text[group:], '\n')
	end := line + 1 + bytes.IndexByte(text[line+1:], '\n') + 1
	for name, spoilt := range map[string][]byte{
		"at its first byte": slices.Concat(text[:group], []byte("x"), text[group+1:]),
		"in the middle":     slices.Concat(text[:(group+line)/2], []byte("xyz"), text[(group+line)/2+3:]),
		"taken out":         slices.Concat(text[:group], text[end:]),
	} {
		t.Run(name, func(t *testing.T) {
			work := inMemory(t)
			copyTree(t, dir, work)
			rewrite(t, journalFile(t, work), string(spoilt))
			if err := os.Remove(filepath.Join(work, "gmail.db")); err != nil {
				t.Fatal(err)
			}
			if done := rebuilt(t, work); done.Source != archive.FromDamagedJournal || len(done.Damage) == 0 {
				t.Errorf("%+v", done)
			}
			boxes, err := archivetest.Open(t, work).Mailboxes(ctx, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range boxes {
				if b.Name == "INBOX" && (b.UIDNext <= n+1 || b.UIDNext > 1<<29) {
					t.Errorf("the next UID is %d, and up to %d were given", b.UIDNext, n+1)
				}
			}
		})
	}
}

// A packed line of a stranger does not take the memory of the machine.
func TestPackedLineBounded(t *testing.T) {
	var frame bytes.Buffer
	enc, err := zstd.NewWriter(&frame)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 512 {
		if _, err := enc.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	line := frame.Bytes()
	for _, escape := range []struct{ from, to string }{{"\x1b", "\x1be"}, {"\x00", "\x1b0"}, {"\n", "\x1bn"}} {
		line = bytes.ReplaceAll(line, []byte(escape.from), []byte(escape.to))
	}
	dir := t.TempDir()
	rewrite(t, filepath.Join(dir, "2026-11.jsonl"), string(line)+"\n{}\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, strictErr, damage, err := archive.ReadJournal(dir)
	runtime.ReadMemStats(&after)
	if err != nil || strictErr == nil || len(damage) != 1 {
		t.Errorf("%v, %v, %v", err, strictErr, damage)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("a line of %d bytes took %d MB", len(line), used>>20)
	}
}
