package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mailkeep/archive"
)

// BenchmarkRecord stores batches of 500 new messages of 7 KB with 3 labels each; one operation is one message.
func BenchmarkRecord(b *testing.B) {
	w, err := archive.OpenWriter(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	account, err := w.EnsureAccount(ctx, "bench", archive.Gmail)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Record(ctx, archive.Batch{Account: account.ID, Folders: []archive.FolderSpec{{Name: "All", Mailbox: "All"}}, Renumber: []archive.Renumbering{{Folder: 1, UIDValidity: 1}}}); err != nil {
		b.Fatal(err)
	}
	body := bytes.Repeat([]byte("0123456789abcde\n"), 7<<10/16)
	b.SetBytes(int64(len(body)))
	var copies []archive.Copy
	for n := range b.N {
		copy(body, fmt.Sprintf("%015d", n))
		ref, _, err := w.Put(bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		copies = append(copies, archive.Copy{Folder: 1, UID: uint32(n + 1), Ref: ref, SourceID: fmt.Sprint(1<<60 + n), ThreadID: fmt.Sprint(1<<60 + n),
			Flags: []string{`\Seen`}, Mailboxes: []string{"All", "Inbox", fmt.Sprint("Label ", n%50)}})
		if len(copies) == 500 || n == b.N-1 {
			if _, err := w.Record(ctx, archive.Batch{Account: account.ID, Copies: copies}); err != nil {
				b.Fatal(err)
			}
			copies = copies[:0]
		}
	}
}

// BenchmarkEntries lists a mailbox of 100,000 entries; one operation is one entry.
func BenchmarkEntries(b *testing.B) {
	w, err := archive.OpenWriter(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	account, err := w.EnsureAccount(ctx, "bench", archive.Gmail)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Record(ctx, archive.Batch{Account: account.ID, Folders: []archive.FolderSpec{{Name: "All", Mailbox: "All"}}, Renumber: []archive.Renumbering{{Folder: 1, UIDValidity: 1}}}); err != nil {
		b.Fatal(err)
	}
	const size = 100_000
	batch := archive.Batch{Account: account.ID}
	for n := range size {
		ref, _, err := w.Put(bytes.NewReader(fmt.Appendf(nil, "%d", n%1000)))
		if err != nil {
			b.Fatal(err)
		}
		batch.Copies = append(batch.Copies, archive.Copy{Folder: 1, UID: uint32(n + 1), Ref: ref, SourceID: fmt.Sprint(1<<60 + n), Flags: []string{`\Seen`}})
	}
	if _, err := w.Record(ctx, batch); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for n := 0; n < b.N; n += size {
		entries, _, err := w.Entries(ctx, 1)
		if err != nil || len(entries) != size {
			b.Fatal(len(entries), err)
		}
	}
}

// BenchmarkJournal appends batches of 500 items, as BenchmarkRecord does beside all else; one operation is one message. What it takes of that is the journal's share.
func BenchmarkJournal(b *testing.B) {
	dir := b.TempDir()
	add, done := archive.AppendJournal(dir)
	for n := 0; n < b.N; n += 500 {
		if err := add(min(500, b.N-n)); err != nil {
			b.Fatal(err)
		}
	}
	if err := done(); err != nil {
		b.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(files) != 1 {
		b.Fatal(files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/float64(b.N), "bytes/message")
}

// BenchmarkRecordCopies records copies of messages that are in four folders each, a batch of 200 for one folder at a time, as the first backup of an account
// that is not Gmail does; one operation is one copy. Messages are put and their files flushed on the clock of nobody.
func BenchmarkRecordCopies(b *testing.B) {
	const folders, batch = 4, 200
	w, err := archive.OpenWriter(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	account, err := w.EnsureAccount(ctx, "bench", archive.IMAP)
	if err != nil {
		b.Fatal(err)
	}
	setup := archive.Batch{Account: account.ID}
	for i := range folders {
		setup.Folders = append(setup.Folders, archive.FolderSpec{Name: fmt.Sprint(i), Mailbox: fmt.Sprint(i)})
		setup.Renumber = append(setup.Renumber, archive.Renumbering{Folder: archive.FolderID(i + 1), UIDValidity: 1})
	}
	if _, err := w.Record(ctx, setup); err != nil {
		b.Fatal(err)
	}
	for n := 0; n < b.N; {
		b.StopTimer()
		first := n / folders
		copies := make([]archive.Copy, batch)
		for i := range copies {
			text := fmt.Appendf(nil, "Message-ID: <%d@example.org>\r\n\r\n%d\r\n", first+i, first+i)
			ref, _, err := w.Put(bytes.NewReader(text))
			if err != nil {
				b.Fatal(err)
			}
			copies[i] = archive.Copy{UID: uint32(first + i + 1), Ref: ref, Flags: []string{`\Seen`}, Fingerprint: archive.FingerprintOf(text, int64(len(text)))}
		}
		b.StartTimer()
		for folder := range folders {
			for i := range copies {
				copies[i].Folder = archive.FolderID(folder + 1)
			}
			if _, err := w.Record(ctx, archive.Batch{Account: account.ID, Copies: copies}); err != nil {
				b.Fatal(err)
			}
			n += batch
		}
	}
}
