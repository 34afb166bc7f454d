package backup_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// digests lists all files of an archive but the database, its journal of moments, and quarantine.
func digests(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	all := map[string][32]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(path, "gmail.db") || strings.HasPrefix(path, "quarantine/") || path == "traffic.json" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, path))
		all[path] = sha256.Sum256(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func pathOf(ref archive.Ref) string { return ref.String()[:2] + "/" + ref.String() + ".eml" }

// rot damages the files of an archive: 100 with one flipped byte, 10 cut short, 10 removed, 10 swapped in pairs. It returns the kind of finding for each path.
func rot(t *testing.T, dir string, paths []string) map[string]archive.FindingKind {
	t.Helper()
	if len(paths) < 130 {
		t.Fatalf("the archive has %d messages only", len(paths))
	}
	want := map[string]archive.FindingKind{}
	read := func(i int) []byte {
		text, err := os.ReadFile(filepath.Join(dir, paths[i]))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	write := func(i int, text []byte, kind archive.FindingKind) {
		os.Remove(filepath.Join(dir, paths[i]))
		if text != nil {
			if err := os.WriteFile(filepath.Join(dir, paths[i]), text, 0o400); err != nil {
				t.Fatal(err)
			}
		}
		want[paths[i]] = kind
	}
	for i := range 100 {
		text := read(i)
		text[i*len(text)/100] ^= 1 << (i % 8)
		write(i, text, archive.FileDamaged)
	}
	for i := 100; i < 110; i++ {
		text := read(i)
		write(i, text[:len(text)*(i-100)/10], archive.FileTruncated)
	}
	for i := 110; i < 120; i++ {
		write(i, nil, archive.FileMissing)
	}
	for i := 120; i < 130; i += 2 {
		one, other := read(i), read(i+1)
		write(i, other, archive.FileSwapped)
		write(i+1, one, archive.FileSwapped)
	}
	return want
}

// TestBitRot damages 130 of an archive's files: the check names each of them and nothing else, the repair mends them, from each other or from the server, and touches nothing else.
func TestBitRot(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	var bodies []gmailsim.Message
	for i := range 150 {
		bodies = append(bodies, labelled(i, `\Inbox`, "Label"))
	}
	r.must(r.srv.Load(bodies))
	r.run()
	r.w.Close()
	before := digests(t, r.dir)
	var paths []string
	for path := range before {
		if strings.HasSuffix(path, ".eml") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	want := rot(t, r.dir, paths)

	var findings []archive.Finding
	_, err := archive.Check(context.Background(), r.dir, archive.CheckOptions{Digests: true, Journal: true}, func(f archive.Finding) error {
		findings = append(findings, f)
		return nil
	})
	r.must(err)
	found := map[string]archive.FindingKind{}
	for _, f := range findings {
		if found[f.Path] = f.Kind; f.Message == nil || pathOf(*f.Message) != f.Path {
			t.Errorf("%v does not name its message", f)
		}
	}
	if !maps.Equal(found, want) {
		t.Errorf("found\n%v\nwant\n%v", found, want)
	}

	r.w = archivetest.Open(t, r.dir)
	done, err := r.w.Repair(context.Background(), findings)
	r.must(err)
	if len(done.Restored) != 10 || len(done.Left) != 120 || len(done.Aside) != 120 {
		t.Errorf("moved %d files, restored %d, left %d", len(done.Aside), len(done.Restored), len(done.Left))
	}
	got, err := backup.Refetch(context.Background(), r.w, r.o, done.Left)
	r.must(err)
	if len(got.Fetched) != 120 || len(got.Differ)+len(got.Absent) != 0 {
		t.Errorf("fetched %d, differ %d, absent %d", len(got.Fetched), len(got.Differ), len(got.Absent))
	}
	r.w.Close()
	if after := digests(t, r.dir); !maps.Equal(before, after) {
		t.Errorf("the archive is not what it was: %d files, and %d before", len(after), len(before))
	}
	for _, path := range done.Aside {
		if _, err := os.Stat(filepath.Join(r.dir, path)); err != nil {
			t.Error(err)
		}
	}
}

// TestRefetchByID finds messages that are not where they were: the server renumbered its mailboxes, or the message was moved.
func TestRefetchByID(t *testing.T) {
	for name, generic := range map[string]*gmailsim.Generic{"gmail": nil, "object ids": {Delimiter: "/", ObjectID: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: generic})
			var refs []archive.Ref
			for i := range 4 {
				if generic == nil {
					r.deliver(labelled(i, `\Inbox`))
				} else {
					r.appendTo("INBOX", mail(i))
				}
				refs = append(refs, archive.RefOf(mail(i).Body))
			}
			r.run()
			box := "INBOX"
			if generic == nil {
				box = r.srv.FolderName(`\All`)
			}
			r.must(r.srv.ChangeUIDValidity(box))
			got := r.refetch(refs[:3])
			if !slices.Equal(sorted(got.Fetched), sorted(refs[:3])) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func sorted(refs []archive.Ref) []archive.Ref {
	return slices.SortedFunc(slices.Values(refs), func(a, b archive.Ref) int { return bytes.Compare(a[:], b[:]) })
}

// refetch removes the messages' files and fetches them again.
func (r *rig) refetch(refs []archive.Ref) backup.Refetched {
	r.t.Helper()
	for _, ref := range refs {
		r.must(os.Remove(filepath.Join(r.dir, pathOf(ref))))
	}
	got, err := backup.Refetch(context.Background(), r.w, r.o, refs)
	r.must(err)
	return got
}

// TestRefetchAcceptsNothingElse asks for messages that the server has no more, does not deliver, or that the archive never had.
func TestRefetchAcceptsNothingElse(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	var ids []gmailsim.MsgID
	var refs []archive.Ref
	for i := range 5 {
		ids = append(ids, r.deliver(labelled(i, `\Inbox`)))
		refs = append(refs, archive.RefOf(mail(i).Body))
	}
	r.run()
	kept := map[archive.Ref][]byte{}
	for _, ref := range refs {
		text, err := r.w.ReadMessage(ref)
		r.must(err)
		kept[ref] = text
	}
	r.must(r.srv.Expunge(ids[0]))
	r.must(r.srv.ReplaceBody(ids[4], mail(77).Body))
	r.srv.AddFault(gmailsim.Fault{Name: "spoiled", When: gmailsim.When{Command: "*FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{FailIDs: []gmailsim.MsgID{ids[1]}}, Times: -1})
	got := r.refetch(refs)
	if !slices.Equal(sorted(got.Fetched), sorted(refs[2:4])) || !slices.Equal(sorted(got.Absent), sorted(refs[:2])) || !slices.Equal(got.Differ, refs[4:]) {
		t.Errorf("%+v", got)
	}
	stranger := archive.RefOf([]byte("stranger"))
	if got, err := backup.Refetch(context.Background(), r.w, r.o, []archive.Ref{stranger}); err != nil || len(got.Absent) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	o := r.o
	o.Account = "somebody else"
	if got, err := backup.Refetch(context.Background(), r.w, o, refs[:1]); err != nil || len(got.Absent) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	o = r.o
	o.Retries = -1
	o.Dial = func(context.Context) (*backup.Session, error) { return nil, errors.New("unplugged") }
	if got, err := backup.Refetch(context.Background(), r.w, o, refs[:1]); err == nil || len(got.Absent) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	for ref, text := range kept {
		if err := os.WriteFile(filepath.Join(r.dir, pathOf(ref)), text, 0o600); err != nil && !errors.Is(err, fs.ErrPermission) {
			t.Fatal(err)
		}
	}
}
