package archive_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
)

// makeFixture writes testdata/schema-N for the schema of today: once for each schema that is released, by the program of its time.
var makeFixture = flag.String("fixture", "", "write the archive of this program to testdata/`name`, such as schema-1")

// fixtureView is what readers see of an archive, whatever its schema.
func fixtureView(t *testing.T, r *archive.Reader) string {
	t.Helper()
	var b strings.Builder
	accounts, err := r.Accounts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		fmt.Fprintf(&b, "account %d %s %s\n", a.ID, a.Name, a.Kind)
		boxes, err := r.Mailboxes(ctx, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, box := range boxes {
			fmt.Fprintf(&b, "mailbox %d %q %s validity %d next %d: %d messages, %d unseen, %d bytes, batch %d, gone %d\n", box.ID, box.Name, box.SpecialUse, box.UIDValidity, box.UIDNext,
				box.Messages, box.Unseen, box.Bytes, box.ModSeq, box.GoneAt)
			entries, _, err := r.Entries(ctx, box.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				fmt.Fprintf(&b, "  %d item %d %s %d %s [%s] %s %s batch %d gone %d\n", e.UID, e.Item, e.Ref, e.Size, e.Date.Format(time.RFC3339), e.Flags, e.SourceID, e.ThreadID, e.ModSeq, e.GoneAt)
			}
		}
		folders, err := r.Folders(ctx, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range folders {
			fmt.Fprintf(&b, "folder %d %q %q %s in %d: %+v, current %d, gone %d\n", f.ID, f.Name, f.Delimiter, f.SpecialUse, f.Mailbox, f.FolderState, f.Current, f.GoneAt)
		}
	}
	holes, err := r.Holes(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range holes {
		fmt.Fprintf(&b, "hole %+v\n", h)
	}
	return b.String()
}

// TestReleasedSchemas opens an archive of every schema that was released, brings it up to today's, and rebuilds it from its journal.
func TestReleasedSchemas(t *testing.T) {
	if *makeFixture != "" {
		writeFixture(t, filepath.Join("testdata", *makeFixture))
	}
	fixtures, err := filepath.Glob(filepath.Join("testdata", "schema-*", "MailStore"))
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("there are no fixtures: %v", err)
	}
	for _, fixture := range fixtures {
		t.Run(filepath.Base(filepath.Dir(fixture)), func(t *testing.T) {
			want, err := os.ReadFile(filepath.Join(filepath.Dir(fixture), "view.txt"))
			if err != nil {
				t.Fatal(err)
			}
			dir := inMemory(t)
			copyTree(t, fixture, dir)
			w := archivetest.Open(t, dir)
			if got := fixtureView(t, w.Reader); got != string(want) {
				t.Errorf("readers see\n%s", lineDifference(string(want), got))
			}
			w.Close()
			whole := dump(t, dir)
			if done := rebuilt(t, dir); done.Source != archive.FromJournal {
				t.Errorf("%+v", done)
			}
			sameDump(t, dir, whole)
			goesOn(t, dir)
		})
	}
}

func writeFixture(t *testing.T, to string) {
	t.Helper()
	from := busy(t)
	if err := os.CopyFS(filepath.Join(to, "MailStore"), os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(to, "MailStore", "lock"))
	r, err := archive.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := os.WriteFile(filepath.Join(to, "view.txt"), []byte(fixtureView(t, r)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestNewerIsRefused: by everything that opens an archive, with a sentence that says what to do.
func TestNewerIsRefused(t *testing.T) {
	dir, _ := letters(t, 1)
	format := inMemory(t)
	copyTree(t, dir, format)
	rewrite(t, filepath.Join(format, "FORMAT"), "mailkeep archive, format 2\n")
	database := inMemory(t)
	copyTree(t, dir, database)
	alter(t, database, "PRAGMA user_version = 99")
	snapshot := inMemory(t)
	copyTree(t, dir, snapshot)
	os.Remove(filepath.Join(snapshot, "gmail.db"))
	newer := `{"snapshot":{"seq":1,"time":"2030-01-01T00:00:00Z","schema":99,"next":{"file":"2030-01.jsonl","offset":0}}}` + "\n"
	os.WriteFile(filepath.Join(snapshot, "journal", "snapshot-000000000001.jsonl"), []byte(newer+`{"commit":{"seq":1,"time":"2030-01-01T00:00:00Z","lines":1,"crc32c":"`+archive.CRC(newer)+`"}}`+"\n"), 0o600)
	for name, open := range map[string]func(dir string) error{
		"writer": func(dir string) error {
			w, err := archive.OpenWriter(dir)
			if err == nil {
				w.Close()
			}
			return err
		},
		"reader": func(dir string) error {
			r, err := archive.Open(dir)
			if err == nil {
				r.Close()
			}
			return err
		},
		"check": func(dir string) error {
			_, err := archive.Check(ctx, dir, whole, func(archive.Finding) error { return nil })
			return err
		},
		"rebuild": func(dir string) error {
			_, err := archive.Rebuild(ctx, dir, archive.RebuildOptions{})
			return err
		},
	} {
		for what, dir := range map[string]string{"format": format, "schema": database, "snapshot": snapshot} {
			err := open(dir)
			if what == "snapshot" && name == "reader" { // which does not look at the journal
				continue
			}
			if !errors.Is(err, archive.ErrNewer) || !strings.Contains(err.Error(), "update mailkeep") {
				t.Errorf("%s of a newer %s: %v", name, what, err)
			}
		}
	}
}
