package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gofrs/flock"

	"mailkeep/archive"
	"mailkeep/archive/archivetest"
	"mailkeep/message"
)

// mail is message number n, of some length.
func mail(n int) string {
	return fmt.Sprintf("From: Person %d <p%d@example.org>\r\nTo: me@example.org\r\nSubject: number %d\r\nMessage-ID: <%d.%x@example.org>\r\n\r\n%s\r\n",
		n%50, n%50, n, n, uint64(n)*0x9E3779B97F4A7C15, strings.Repeat("text ", n%300))
}

// filled returns a source with n messages in one mailbox, of which the first is number first.
func filled(t *testing.T, first, n int) (*source, []archive.Entry) {
	t.Helper()
	s := newSource(t, archive.IMAP)
	s.folder("INBOX", "", 1)
	return s, s.fill(first, n)
}

func (s *source) fill(first, n int) []archive.Entry {
	s.t.Helper()
	folder := s.folderRow("INBOX")
	var batch archive.Batch
	for i := first; i < first+n; i++ {
		batch.Copies = append(batch.Copies, archive.Copy{Folder: folder.ID, UID: uint32(i), Ref: s.put(mail(i))})
	}
	s.record(batch)
	entries, _, err := s.w.Entries(ctx, folder.Mailbox)
	if err != nil {
		s.t.Fatal(err)
	}
	return entries
}

func summarize(t *testing.T, r *archive.Reader, want int) {
	t.Helper()
	if n, err := r.Summarize(ctx, nil); err != nil || n != want {
		t.Errorf("%d summaries derived, %v; want %d", n, err, want)
	}
}

// present returns how many entries have a summary, each of which must be right.
func present(t *testing.T, r *archive.Reader, entries []archive.Entry) int {
	t.Helper()
	s := r.Summaries()
	defer s.Close()
	n := 0
	for _, e := range entries {
		got := s.Get(e.Message, e.Ref)
		if got == nil {
			continue
		}
		n++
		b, err := r.ReadMessage(e.Ref)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, message.Summarize(nil, b)) {
			t.Fatalf("message %d has the summary of another", e.Message)
		}
	}
	return n
}

func wantPresent(t *testing.T, r *archive.Reader, entries []archive.Entry, want int) {
	t.Helper()
	if n := present(t, r, entries); n != want {
		t.Errorf("%d of %d messages have summaries, want %d", n, len(entries), want)
	}
}

func worth(t *testing.T, r *archive.Reader, want bool) {
	t.Helper()
	if got, err := r.WorthSummarizing(ctx); err != nil || got != want {
		t.Errorf("worth summarizing: %v, %v", got, err)
	}
}

func summaryFiles(t *testing.T, dir string) (index, data string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "summaries", "*.index"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%q %v", found, err)
	}
	return found[0], strings.TrimSuffix(found[0], "index") + "data"
}

// words is the file of dictionaries beside an index.
func words(index string) string { return strings.TrimSuffix(index, "index") + "words" }

func TestSummaries(t *testing.T) {
	s, entries := filled(t, 1, 1500)
	r := s.w.Reader
	wantPresent(t, r, entries, 0)
	worth(t, r, true)
	last, calls := 0, 0
	n, err := r.Summarize(ctx, func(done, total int) {
		if calls++; done <= last || total != 1500 {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || n != 1500 || last != 1500 || calls < 2 {
		t.Errorf("%d derived, %v, progress %d in %d calls", n, err, last, calls)
	}
	wantPresent(t, r, entries, 1500)
	index, _ := summaryFiles(t, s.w.Dir())
	if info, err := os.Stat(words(index)); err != nil || info.Size() < 16<<10 {
		t.Errorf("there is no dictionary: %v", err)
	}
	summarize(t, r, 0)
	worth(t, r, false)
	entries = s.fill(1501, 10)
	worth(t, r, false) // too few
	wantPresent(t, r, entries, 1500)
	summarize(t, r, 10)
	wantPresent(t, r, entries, 1510)
	other, err := archive.Open(s.w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	summarize(t, other, 0)
	rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	wantPresent(t, other, entries, 1510)
}

func TestSummariesOfNothing(t *testing.T) {
	w := archivetest.New(t)
	worth(t, w.Reader, false)
	summarize(t, w.Reader, 0)
	if _, err := os.Stat(filepath.Join(w.Dir(), "summaries")); err == nil {
		t.Error("a folder was made for nothing")
	}
	s := w.Summaries()
	if s.Get(1, archive.Ref{1}) != nil || s.Get(0, archive.Ref{}) != nil || s.Get(-1, archive.Ref{}) != nil || s.Get(1<<62, archive.Ref{}) != nil {
		t.Error("there is a summary of nothing")
	}
	s.Close()
	s.Close()
}

// TestSummariesDamaged spoils the files in every way; whatever is there afterwards is right, and what is not is derived again.
func TestSummariesDamaged(t *testing.T) {
	s, entries := filled(t, 1, 150)
	random := rand.New(rand.NewPCG(1, 2))
	for name, way := range map[string]struct {
		times int // 1 where nothing is left to chance
		spoil func(v vandal, index, data string)
	}{
		"bytes of the data":  {4, func(v vandal, _, data string) { v.noise(data, 20) }},
		"bytes of the index": {4, func(v vandal, index, _ string) { v.noise(index, 20) }},
		"data cut":           {4, func(v vandal, _, data string) { v.cut(data) }},
		"index cut":          {4, func(v vandal, index, _ string) { v.cut(index) }},
		"both cut":           {4, func(v vandal, index, data string) { v.cut(index); v.cut(data) }},
		"data empty":         {1, func(v vandal, _, data string) { v.empty(data) }},
		"index empty":        {1, func(v vandal, index, _ string) { v.empty(index) }},
		"data zero":          {4, func(v vandal, _, data string) { v.zero(data) }},
		"index zero":         {4, func(v vandal, index, _ string) { v.zero(index) }},
		"words spoiled":      {4, func(v vandal, index, _ string) { v.noise(words(index), 3) }},
		"words cut":          {4, func(v vandal, index, _ string) { v.cut(words(index)) }},
		"words empty":        {1, func(v vandal, index, _ string) { v.empty(words(index)) }},
		"words removed":      {1, func(_ vandal, index, _ string) { os.Remove(words(index)) }},
		"data removed":       {1, func(_ vandal, _, data string) { os.Remove(data) }},
		"index removed":      {1, func(_ vandal, index, _ string) { os.Remove(index) }},
		"folder removed":     {1, func(_ vandal, index, _ string) { os.RemoveAll(filepath.Dir(index)) }},
	} {
		t.Run(name, func(t *testing.T) {
			for range way.times {
				spoilSummaries(t, s.w.Dir(), entries, func(index, data string) { way.spoil(vandal{t, random}, index, data) })
			}
		})
	}
}

// spoilSummaries damages the complete summaries of an archive while a Reader has them open: it and the next one answer with what is left, which is
// correct, and Summarize makes up for the rest.
func spoilSummaries(t *testing.T, dir string, entries []archive.Entry, spoil func(index, data string)) {
	t.Helper()
	r, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Summarize(ctx, nil); err != nil {
		t.Fatal(err)
	}
	wantPresent(t, r, entries, len(entries))
	spoil(summaryFiles(t, dir))
	before := present(t, r, entries)
	r.Close()
	if r, err = archive.Open(dir); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	again := present(t, r, entries)
	n, err := r.Summarize(ctx, nil)
	if err != nil || n < len(entries)-again {
		t.Errorf("%d, then %d were left; %d derived, %v", before, again, n, err)
	}
	wantPresent(t, r, entries, len(entries))
	summarize(t, r, 0)
}

// vandal damages files.
type vandal struct {
	t      *testing.T
	random *rand.Rand
}

// noise changes n bytes.
func (v vandal) noise(path string, n int) {
	b, err := os.ReadFile(path)
	for range n {
		b[v.random.IntN(len(b))] ^= byte(1 + v.random.IntN(255))
	}
	v.must(errors.Join(err, os.WriteFile(path, b, 0o600)))
}

// cut takes off the end.
func (v vandal) cut(path string) {
	info, err := os.Stat(path)
	v.must(err)
	v.must(os.Truncate(path, v.random.Int64N(info.Size())))
}

func (v vandal) empty(path string) { v.must(os.WriteFile(path, nil, 0o600)) }

// zero leaves what a power cut leaves of a file that has grown.
func (v vandal) zero(path string) {
	info, err := os.Stat(path)
	v.must(err)
	size := info.Size()
	v.must(errors.Join(os.Truncate(path, v.random.Int64N(size)), os.Truncate(path, size)))
}

func (v vandal) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// TestSummariesOfAnother: files that came from another archive, or from before the database was made anew with other numbers.
func TestSummariesOfAnother(t *testing.T) {
	s, entries := filled(t, 1, 300)
	other, _ := filled(t, 100, 400)
	summarize(t, other.w.Reader, 400)
	if err := os.CopyFS(filepath.Join(s.w.Dir(), "summaries"), os.DirFS(filepath.Join(other.w.Dir(), "summaries"))); err != nil {
		t.Fatal(err)
	}
	r := s.w.Reader
	wantPresent(t, r, entries, 0)
	summarize(t, r, 300)
	wantPresent(t, r, entries, 300)
	summarize(t, r, 0)
	// One file of each.
	index, _ := summaryFiles(t, s.w.Dir())
	theirs, _ := summaryFiles(t, other.w.Dir())
	b, err := os.ReadFile(theirs)
	if err = errors.Join(err, os.WriteFile(index, b, 0o600)); err != nil {
		t.Fatal(err)
	}
	if r, err = archive.Open(s.w.Dir()); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	wantPresent(t, r, entries, 0)
	summarize(t, r, 300)
	wantPresent(t, r, entries, 300)
}

// TestSummariesReplaced: a Reader that has the files open notices that they were removed, and that others took their place.
func TestSummariesReplaced(t *testing.T) {
	s, entries := filled(t, 1, 100)
	r := s.w.Reader
	summarize(t, r, 100)
	old := r.Summaries()
	defer old.Close()
	first := bytes.Clone(old.Get(entries[0].Message, entries[0].Ref))
	if err := os.RemoveAll(filepath.Join(s.w.Dir(), "summaries")); err != nil {
		t.Fatal(err)
	}
	wantPresent(t, r, entries, 0)
	summarize(t, r, 100)
	wantPresent(t, r, entries, 100)
	if again := old.Get(entries[0].Message, entries[0].Ref); first == nil || !bytes.Equal(again, first) {
		t.Error("a cursor lost its files")
	}
}

// TestSummariesPartlyReplaced: a Reader that has the files open recovers when one of them is replaced.
func TestSummariesPartlyReplaced(t *testing.T) {
	s, entries := filled(t, 1, 400)
	r := s.w.Reader
	for _, name := range []string{"data", "index", "words"} {
		if _, err := r.Summarize(ctx, nil); err != nil {
			t.Fatal(err)
		}
		wantPresent(t, r, entries, 400)
		index, _ := summaryFiles(t, s.w.Dir())
		if err := os.Remove(strings.TrimSuffix(index, "index") + name); err != nil {
			t.Fatal(err)
		}
		other, err := archive.Open(s.w.Dir())
		if err != nil {
			t.Fatal(err)
		}
		present(t, other, entries)
		if _, err := other.Summarize(ctx, nil); err != nil {
			t.Error(err)
		}
		other.Close()
		for range 3 {
			present(t, r, entries)
			if _, err := r.Summarize(ctx, nil); err != nil {
				t.Error(err)
			}
		}
		wantPresent(t, r, entries, 400)
		summarize(t, r, 0)
	}
}

func TestSummariesOfMissingFiles(t *testing.T) {
	s, entries := filled(t, 1, 20)
	dir := s.w.Dir()
	path := func(i int) string {
		name := entries[i].Ref.String()
		return filepath.Join(dir, name[:2], name+".eml")
	}
	kept := map[string][]byte{}
	for i := range 3 {
		b, err := os.ReadFile(path(i))
		if err != nil {
			t.Fatal(err)
		}
		kept[path(i)] = b
	}
	t.Cleanup(func() { // the invariants are checked at the end
		for p, b := range kept {
			os.Remove(p)
			os.WriteFile(p, b, 0o400)
		}
	})
	os.Remove(path(0))
	for i, change := range map[int]func([]byte) []byte{1: func(b []byte) []byte { return b[1:] }, 2: bytes.ToUpper} {
		os.Remove(path(i))
		if err := os.WriteFile(path(i), change(kept[path(i)]), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	r := s.w.Reader
	summarize(t, r, 17)
	wantPresent(t, r, entries[3:], 17)
	wantPresent(t, r, entries[:3], 0)
	summarize(t, r, 0)
	entries = s.fill(21, 1)
	summarize(t, r, 1)
}

func TestSummariesVersions(t *testing.T) {
	s, entries := filled(t, 1, 10)
	dir := filepath.Join(s.w.Dir(), "summaries")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0.9.data", "0.9.index", "1.0.data", "1.0.index", "1.999.data", "2.0.index", "notes.txt", "1.0.data.bak"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	summarize(t, s.w.Reader, 10)
	wantPresent(t, s.w.Reader, entries, 10)
	for name, stays := range map[string]bool{"0.9.data": false, "0.9.index": false, "1.0.data": false, "1.0.index": false, "1.999.data": true, "2.0.index": true, "notes.txt": true, "1.0.data.bak": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != stays {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSummarizeOnce(t *testing.T) {
	s, entries := filled(t, 1, 10)
	dir := filepath.Join(s.w.Dir(), "summaries")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if got, err := lock.TryLock(); !got || err != nil {
		t.Fatal(err)
	}
	if n, err := s.w.Summarize(ctx, nil); n != 0 || !errors.Is(err, archive.ErrSummarizing) {
		t.Errorf("%d, %v", n, err)
	}
	lock.Close()
	summarize(t, s.w.Reader, 10)
	wantPresent(t, s.w.Reader, entries, 10)
}

func TestSummarizeInterrupted(t *testing.T) {
	s, entries := filled(t, 1, 3500)
	ctx, cancel := context.WithCancel(ctx)
	n, err := s.w.Summarize(ctx, func(int, int) { cancel() })
	if !errors.Is(err, context.Canceled) || n == 0 || n == 3500 {
		t.Fatalf("%d, %v", n, err)
	}
	wantPresent(t, s.w.Reader, entries, n)
	summarize(t, s.w.Reader, 3500-n)
	wantPresent(t, s.w.Reader, entries, 3500)
}

// TestSummariesMeanwhile reads while others derive and the archive grows.
func TestSummariesMeanwhile(t *testing.T) {
	s, entries := filled(t, 1, 500)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				present(t, s.w.Reader, entries)
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 2 {
		wg.Go(func() {
			r, err := archive.Open(s.w.Dir())
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			for n := range 30 {
				if _, err := r.Summarize(ctx, nil); err != nil && !errors.Is(err, archive.ErrSummarizing) {
					t.Error(err)
				}
				if i == 0 && n%10 == 9 {
					os.RemoveAll(filepath.Join(s.w.Dir(), "summaries"))
				}
			}
		})
	}
	for i := range 10 {
		s.fill(501+20*i, 20)
	}
	close(done)
	wg.Wait()
	entries = s.fill(701, 1)
	for range 2 { // the first may have found a lock, or a folder that was just removed
		if _, err := s.w.Summarize(ctx, nil); err != nil {
			t.Error(err)
		}
	}
	wantPresent(t, s.w.Reader, entries, 701)
}
