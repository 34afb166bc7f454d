package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailkeep/archive"
)

// fixtureFile reads a file of the archive of schema 1.
func fixtureFile(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "schema-1", "MailStore", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const fixtureJournal = "journal/2026-11.jsonl"

func journalSeeds(f *testing.F) {
	text := fixtureFile(f, fixtureJournal)
	if len(text) < 1000 {
		f.Fatal("the seed is empty")
	}
	f.Add(text)
	packed, err := archive.PackJournal(text)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add(packed[:len(packed)/2])
	f.Add(slices.Concat(packed[:len(packed)/3], text))
	f.Add(text[:len(text)-30])
	f.Add(append(slices.Clone(text), make([]byte, 100)...))
	f.Add([]byte(strings.Replace(string(text), `"commit"`, `"comnit"`, 3)))
	f.Add([]byte(strings.ReplaceAll(string(text), "\n", "\r\n")))
	lines := strings.SplitAfter(string(text), "\n")
	f.Add([]byte(strings.Join(lines[:5], "")))
	f.Add([]byte(strings.Join(slices.Concat(lines[:9], lines[3:]), "")))
	f.Add([]byte(`{"item":{"id":-1,"account":9,"sha256":"00","date":"9999-01-01T00:00:00Z","in":[[4294967295,4294967295]],"at":[0,0,0]}}` + "\n"))
}

// FuzzJournal reads any bytes as a journal. What a Writer reads is read past damage too, and where a Writer sees no damage there is none.
func FuzzJournal(f *testing.F) {
	journalSeeds(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, "2026-11.jsonl"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		strict, lenient, strictErr, damage, err := archive.ReadJournal(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(lenient) < len(strict) || !slices.Equal(strict, lenient[:len(strict)]) {
			t.Errorf("a Writer reads batches %d, and past damage there are %d", strict, lenient)
		}
		if (strictErr == nil) != (len(damage) == 0) {
			t.Errorf("a Writer says %v, and the damage is %v", strictErr, damage)
		}
		for _, d := range damage {
			if d.FirstLine < 1 || d.LastLine < d.FirstLine || d.Problem == "" {
				t.Errorf("damage without a place: %+v", d)
			}
		}
	})
}

// FuzzRebuild makes a database of any bytes as a journal: whatever it says, the archive opens then, is consistent, and shows its messages.
func FuzzRebuild(f *testing.F) {
	journalSeeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		for _, name := range []string{"FORMAT", "08/085ee2395869607a8e3dd142d57391a9f80814d7239fdc862996fd1d89890d6e.eml"} {
			place := filepath.Join(dir, filepath.FromSlash(name))
			if err := errors.Join(os.MkdirAll(filepath.Dir(place), 0o700), os.WriteFile(place, fixtureFile(t, name), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		place := filepath.Join(dir, filepath.FromSlash(fixtureJournal))
		if err := errors.Join(os.MkdirAll(filepath.Dir(place), 0o700), os.WriteFile(place, text, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Rebuild(ctx, dir, archive.RebuildOptions{}); err != nil {
			if errors.Is(err, archive.ErrNewer) || strings.Contains(err.Error(), "what the journal gives is inconsistent") {
				return // a whole journal, which no program of today wrote
			}
			t.Fatal(err)
		}
		w, err := archive.OpenWriter(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		findings, err := w.Check(ctx, archive.CheckOptions{Journal: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if !f.Harmless() && !f.OfFile() {
				t.Errorf("%v", f)
			}
		}
	})
}

// FuzzFormat judges any bytes as FORMAT.
func FuzzFormat(f *testing.F) {
	whole := fixtureFile(f, "FORMAT")
	for _, seed := range []string{string(whole), strings.ReplaceAll(string(whole), "\n", "\r\n"), "mailkeep archive, format 2\n", "mailkeep archive, format 1", "", "\xef\xbb\xbf" + string(whole)} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, "FORMAT"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		err := archive.CheckFormat(dir)
		first, _, _ := strings.Cut(string(text), "\n")
		ours := strings.TrimSuffix(first, "\r") == "mailkeep archive, format 1"
		if ours != (err == nil) || err != nil && !errors.Is(err, archive.ErrNewer) && !errors.Is(err, archive.ErrNotArchive) {
			t.Errorf("%q: %v", first, err)
		}
	})
}

// FuzzDatabase puts any bytes in place of gmail.db: opening, checking and rebuilding end with a sentence or well, and a rebuild gives back what the journal says.
func FuzzDatabase(f *testing.F) {
	db := fixtureFile(f, "gmail.db")
	f.Add(db)
	f.Add(db[:100])
	f.Add(db[:len(db)/2])
	f.Add(append(slices.Clone(db[:4096]), make([]byte, len(db)-4096)...))
	for _, at := range []int{18, 28, 44, 100, 105, 4096, 9000, 20000} {
		spoiled := slices.Clone(db)
		spoiled[at] ^= 0x15
		f.Add(spoiled)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "schema-1", "MailStore"))); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "gmail.db")
		if err := errors.Join(os.Remove(path), os.WriteFile(path, content, 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Check(ctx, dir, whole, func(archive.Finding) error { return nil }); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
		done, err := archive.Rebuild(ctx, dir, archive.RebuildOptions{})
		if errors.Is(err, archive.ErrNewer) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if done.Messages != 5 {
			t.Errorf("%+v", done)
		}
	})
}
