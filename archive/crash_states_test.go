//go:build linux

package archive_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/archive/crashtest"
)

// The environment by which the test calls itself under strace, and the one by which everything is tried rather than a part.
const (
	crashWorkload = "MAILKEEP_CRASH_WORKLOAD"
	crashFull     = "MAILKEEP_CRASH" // "full": every state
)

// crashWorkloads are what a crash may interrupt. Each calls mark with the Reader's archive after each step that has to last.
var crashWorkloads = map[string]func(t *testing.T, dir string, mark func(*archive.Reader)){
	"backup":     backupWorkload,
	"compaction": compactionWorkload,
	"rebuild":    rebuildWorkload,
	"prune":      pruneWorkload,
}

// After a crash at any moment the archive opens, its invariants hold, and it is as it was after the last step that had been reported as done, or after the next one,
// whole: nothing reported is lost (T2), no state of a folder says more than is recorded (T5), labels, flags, dates and UIDs are those that readers saw (T6, T12).
func TestCrashStates(t *testing.T) {
	if name := os.Getenv(crashWorkload); name != "" {
		crashWorkloads[name](t, os.Getenv("DIR"), marker(t, os.Getenv("MARKS")))
		return
	}
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed; apt-get install strace")
	}
	oneIn, tears := 20, 1
	if os.Getenv(crashFull) == "full" {
		oneIn, tears = 1, 6
	}
	for name := range crashWorkloads {
		t.Run(name, func(t *testing.T) {
			ops := recordWorkload(t, name)
			said := saidBy(t, ops)
			n := 0
			for state := range crashtest.States(ops, tears, oneIn, 1) {
				checkCrash(t, state, said)
				if n++; t.Failed() {
					break
				}
			}
			t.Logf("%d calls, %d steps, %d different states after a crash", len(ops)-len(said)+1, len(said)-1, n)
			if n < 30 {
				t.Errorf("only %d states", n)
			}
		})
	}
}

func recordWorkload(t *testing.T, name string) []crashtest.Op {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	marks := filepath.Join(dir, "marks")
	if err := os.WriteFile(marks, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	store := filepath.Join(dir, "MailStore")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	limit, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(limit, self, "-test.run=^TestCrashStates$", "-test.count=1")
	cmd.Env = append(os.Environ(), crashWorkload+"="+name, "DIR="+store, "MARKS="+marks)
	ops, err := crashtest.Record(limit, cmd, store, marks)
	if err != nil {
		t.Fatal(err)
	}
	return ops
}

// marker returns what appends an archive's description to a file, one line each.
func marker(t *testing.T, path string) func(*archive.Reader) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return func(r *archive.Reader) {
		if _, err := f.WriteString(base64.StdEncoding.EncodeToString([]byte(everything(t, r))) + "\n"); err != nil {
			t.Fatal(err)
		}
	}
}

// saidBy lists what was there after each mark; the first is what was there before all.
func saidBy(t *testing.T, ops []crashtest.Op) []string {
	t.Helper()
	said := []string{""}
	for _, op := range ops {
		if op.Kind != crashtest.Mark {
			continue
		}
		text, err := base64.StdEncoding.DecodeString(string(op.Data))
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(text))
	}
	if len(said) < 5 {
		t.Fatalf("the recording has %d marks", len(said)-1)
	}
	return said
}

// checkCrash opens what a crash left.
func checkCrash(t *testing.T, state crashtest.State, said []string) {
	t.Helper()
	dir := filepath.Join(memory(t), "MailStore")
	defer os.RemoveAll(filepath.Dir(dir))
	if err := state.Folder.Build(dir); err != nil {
		t.Fatal(err)
	}
	w, err := archive.OpenWriter(dir)
	if err != nil {
		t.Errorf("%v: %v", state, err)
		return
	}
	defer w.Close()
	have := everything(t, w.Reader)
	allowed := said[state.Marks:min(state.Marks+2, len(said))]
	if !slices.Contains(allowed, have) {
		t.Errorf("%v: there is\n%s\nafter step %d there was\n%s", state, have, state.Marks, strings.Join(allowed, "\nand after the next\n"))
	}
	findings, err := w.Check(ctx, archive.CheckOptions{Digests: true, Journal: true})
	if err != nil {
		t.Errorf("%v: %v", state, err)
	}
	for _, f := range findings {
		if f.Harmless() {
			continue
		}
		t.Errorf("%v: %v", state, f)
	}
}

// memory is a new folder in memory, where there is one: what is opened there has crashed already.
func memory(t *testing.T) string {
	t.Helper()
	parent := "/dev/shm"
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "mailkeep-crash-")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// everything describes what readers and the backup see of an archive.
func everything(t *testing.T, r *archive.Reader) string {
	t.Helper()
	var b strings.Builder
	say := func(what any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%+v\n", what)
	}
	accounts, err := r.Accounts(ctx)
	for _, a := range accounts {
		say(a, nil)
		folders, err := r.Folders(ctx, a.ID)
		say(folders, err)
		holes, err := r.Holes(ctx, a.ID)
		say(holes, err)
		for _, f := range folders {
			var places []string
			err := r.Copies(ctx, f.ID, func(k archive.Known) error {
				places = append(places, fmt.Sprintf("%+v", k))
				return nil
			})
			say(places, err)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := r.Mailboxes(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, box := range boxes {
		entries, _, err := r.Entries(ctx, box.ID)
		say(box, err)
		for _, e := range entries {
			say(e, nil)
		}
	}
	return b.String()
}

// crashSource is an account in a new archive, and a function that records a batch and marks it.
func crashSource(t *testing.T, dir string, mark func(*archive.Reader)) (*source, func(archive.Batch)) {
	t.Helper()
	w, err := archive.OpenWriter(dir)
	if err != nil {
		t.Fatal(err)
	}
	w.PackFrom(100) // some groups are packed, some are not
	account, err := w.EnsureAccount(ctx, "me@example.org", archive.IMAP)
	if err != nil {
		t.Fatal(err)
	}
	mark(w.Reader)
	s := &source{t, w, account}
	return s, func(b archive.Batch) {
		s.record(b)
		mark(s.w.Reader)
	}
}

// again ends the Writer, does something to the archive, and opens it again.
func (s *source) again(do func(dir string) error) {
	s.t.Helper()
	dir := s.w.Dir()
	err := s.w.Close()
	if err == nil {
		err = do(dir)
	}
	if err == nil {
		s.w, err = archive.OpenWriter(dir)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// marked makes a folder, marking each step.
func (s *source) marked(record func(archive.Batch), name string, validity uint32) archive.FolderID {
	record(archive.Batch{Folders: []archive.FolderSpec{{Name: name, Delimiter: "/", Mailbox: name}}})
	id := s.folderRow(name).ID
	record(archive.Batch{Renumber: []archive.Renumbering{{Folder: id, UIDValidity: validity}}})
	return id
}

// backupWorkload is a first backup, what comes later, and a second run, with few messages a batch and with many, which take different ways to the disk.
func backupWorkload(t *testing.T, dir string, mark func(*archive.Reader)) {
	s, record := crashSource(t, dir, mark)
	inbox, sent := s.marked(record, "INBOX", 7), s.marked(record, "Sent", 8)
	record(archive.Batch{Copies: s.letters(inbox, 1, 3)})
	record(archive.Batch{Copies: s.letters(inbox, 4, 20), States: []archive.FolderResult{{Folder: inbox, State: archive.FolderState{UIDValidity: 7, UIDNext: 21, Messages: 20}}}})
	record(archive.Batch{Copies: append(s.letters(sent, 15, 25), s.letters(sent, 26, 30)...), Holes: []archive.HoleReport{{Location: archive.Location{Folder: sent, UID: 31}, Reason: "refused"}}})
	s.again(func(string) error { return nil })
	record(archive.Batch{Copies: []archive.Copy{{Folder: inbox, UID: 2, Flags: []string{`\Seen`}}, {Folder: inbox, UID: 3, Flags: []string{`\Flagged`, `\Seen`}}}})
	record(archive.Batch{Gone: []archive.Location{{Folder: inbox, UID: 1}, {Folder: inbox, UID: 5}}, Copies: s.letters(inbox, 21, 22)})
	record(archive.Batch{Renumber: []archive.Renumbering{{Folder: sent, UIDValidity: 9}}, Copies: s.letters(sent, 15, 20)})
	record(archive.Batch{States: []archive.FolderResult{{Folder: sent, State: archive.FolderState{UIDValidity: 9, UIDNext: 32, Messages: 6}}}})
	if err := s.w.Close(); err != nil {
		t.Fatal(err)
	}
}

// compactionWorkload makes snapshots of the journal between batches, and goes on behind them.
func compactionWorkload(t *testing.T, dir string, mark func(*archive.Reader)) {
	s, record := crashSource(t, dir, mark)
	inbox := s.marked(record, "INBOX", 7)
	for n := range uint32(2) {
		record(archive.Batch{Copies: s.letters(inbox, n*10+1, n*10+4)})
		if _, err := s.w.Compact(ctx); err != nil {
			t.Fatal(err)
		}
		mark(s.w.Reader)
		record(archive.Batch{Gone: []archive.Location{{Folder: inbox, UID: n*10 + 2}}, Copies: s.letters(inbox, n*10+5, n*10+6)})
		s.again(func(string) error { return nil })
	}
	record(archive.Batch{Copies: s.letters(inbox, 30, 31)})
	if err := s.w.Close(); err != nil {
		t.Fatal(err)
	}
}

// rebuildWorkload makes the database anew from the journal, and goes on with it.
func rebuildWorkload(t *testing.T, dir string, mark func(*archive.Reader)) {
	s, record := crashSource(t, dir, mark)
	inbox := s.marked(record, "INBOX", 7)
	record(archive.Batch{Copies: s.letters(inbox, 1, 4)})
	record(archive.Batch{Gone: []archive.Location{{Folder: inbox, UID: 2}}})
	s.again(func(dir string) error {
		_, err := archive.Rebuild(ctx, dir, archive.RebuildOptions{})
		return err
	})
	mark(s.w.Reader)
	record(archive.Batch{Copies: s.letters(inbox, 5, 6)})
	if err := s.w.Close(); err != nil {
		t.Fatal(err)
	}
}

// pruneWorkload lets messages go, takes that back, and lets them go for good.
func pruneWorkload(t *testing.T, dir string, mark func(*archive.Reader)) {
	s, record := crashSource(t, dir, mark)
	inbox, junk := s.marked(record, "INBOX", 7), s.marked(record, "Junk", 8)
	record(archive.Batch{Copies: append(s.letters(inbox, 1, 6), s.letters(junk, 5, 9)...)})
	record(archive.Batch{Gone: []archive.Location{{Folder: inbox, UID: 2}, {Folder: junk, UID: 5}, {Folder: junk, UID: 8}}})
	prune := func(tombstones bool) archive.PruneID {
		plan, err := s.w.PlanPrune(ctx, archive.PrunePolicy{Text: "test", GoneBefore: time.Now().Add(time.Hour), Tombstones: tombstones})
		if err != nil {
			t.Fatal(err)
		}
		done, err := s.w.Prune(ctx, plan, nil)
		if err != nil || done.Items != 2 {
			t.Fatalf("pruned %+v, %v", done, err)
		}
		mark(s.w.Reader)
		return done.ID
	}
	if _, err := s.w.UndoPrune(ctx, prune(true), nil); err != nil {
		t.Fatal(err)
	}
	mark(s.w.Reader)
	prune(true)
	record(archive.Batch{Copies: s.letters(inbox, 10, 11)})
	emptied, err := s.w.EmptyQuarantine(ctx, time.Now().Add(time.Hour))
	if err != nil || emptied.Messages == 0 {
		t.Fatalf("emptied %+v, %v", emptied, err)
	}
	mark(s.w.Reader)
	if err := s.w.Close(); err != nil {
		t.Fatal(err)
	}
}

// letters puts made-up messages and returns them as copies under the UIDs from first to last; a message is the same in every folder.
func (s *source) letters(folder archive.FolderID, first, last uint32) []archive.Copy {
	var copies []archive.Copy
	for uid := first; uid <= last; uid++ {
		ref := s.put("Subject: " + strconv.Itoa(int(uid)) + "\r\n\r\n" + strings.Repeat("all work and no play ", int(uid*uid)))
		copies = append(copies, archive.Copy{Folder: folder, UID: uid, Ref: ref, Date: time.Unix(1_700_000_000+int64(uid), 0)})
	}
	return copies
}
