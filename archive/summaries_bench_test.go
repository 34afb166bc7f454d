package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mailkeep/archive"
	"mailkeep/integration/bench/gen"
	"mailkeep/message"
)

// benchArchive makes an archive of n messages in one mailbox, without summaries.
func benchArchive(b *testing.B, n int, profile gen.Profile) (w *archive.Writer, entries []archive.Entry, bytesOf int64) {
	b.Helper()
	w, err := archive.OpenWriter(filepath.Join(b.TempDir(), "MailStore"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { w.Close() })
	account, err := w.EnsureAccount(ctx, "bench", archive.Gmail)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.Record(ctx, archive.Batch{Account: account.ID, Folders: []archive.FolderSpec{{Name: "All", Mailbox: "All"}}, Renumber: []archive.Renumbering{{Folder: 1, UIDValidity: 1}}}); err != nil {
		b.Fatal(err)
	}
	corpus := gen.New(n, 2, profile)
	var copies []archive.Copy
	for i := range n {
		raw := corpus.Message(i).Raw
		bytesOf += int64(len(raw))
		ref, _, err := w.Put(bytes.NewReader(raw))
		if err != nil {
			b.Fatal(err)
		}
		copies = append(copies, archive.Copy{Folder: 1, UID: uint32(i + 1), Ref: ref, SourceID: fmt.Sprint(1<<60 + i), Mailboxes: []string{"All"}})
		if len(copies) == 1000 || i == n-1 {
			if _, err := w.Record(ctx, archive.Batch{Account: account.ID, Copies: copies}); err != nil {
				b.Fatal(err)
			}
			copies = copies[:0]
		}
	}
	if entries, _, err = w.Entries(ctx, 1); err != nil {
		b.Fatal(err)
	}
	return w, entries, bytesOf
}

var profiles = map[string]gen.Profile{"small": gen.Small, "full": gen.Full}

// BenchmarkSummarize derives the summaries of a whole archive; one operation is one message. It also reports what they take up.
func BenchmarkSummarize(b *testing.B) {
	for name, profile := range profiles {
		b.Run(name, func(b *testing.B) {
			const n = 5000
			w, _, size := benchArchive(b, n, profile)
			folder := filepath.Join(w.Dir(), "summaries")
			b.SetBytes(size / n)
			b.ResetTimer()
			for i := 0; i < b.N; i += n {
				os.RemoveAll(folder)
				if _, err := w.Summarize(ctx, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			var disk int64
			files, _ := filepath.Glob(filepath.Join(folder, "*"))
			for _, f := range files {
				if info, err := os.Stat(f); err == nil {
					disk += info.Size()
				}
			}
			b.ReportMetric(float64(disk)/n, "disk-B/msg")
			b.ReportMetric(float64(size)/n, "mail-B/msg")
		})
	}
}

// BenchmarkSummaries reads summaries in order, in no order, and every twentieth; and makes Thunderbird's header list of them.
func BenchmarkSummaries(b *testing.B) {
	const n = 5000
	w, entries, _ := benchArchive(b, n, gen.Small)
	if _, err := w.Summarize(ctx, nil); err != nil {
		b.Fatal(err)
	}
	get := func(b *testing.B, step int) {
		s := w.Summaries()
		defer s.Close()
		i := 0
		for b.Loop() {
			if s.Get(entries[i].Message, entries[i].Ref) == nil {
				b.Fatal("there is no summary")
			}
			i = (i + step) % n
		}
	}
	b.Run("in order", func(b *testing.B) { get(b, 1) })
	b.Run("each twentieth", func(b *testing.B) { get(b, 20) })
	b.Run("random", func(b *testing.B) { get(b, 2741) })
	b.Run("header list", func(b *testing.B) {
		set, _ := message.NewFieldSet([]string{"From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Priority", "X-Priority", "References", "Newsgroups", "In-Reply-To", "Content-Type", "Reply-To",
			"Received"})
		s := w.Summaries()
		defer s.Close()
		var out []byte
		i := 0
		for b.Loop() {
			sum, err := message.OpenSummary(s.Get(entries[i].Message, entries[i].Ref))
			if err != nil {
				b.Fatal(err)
			}
			out, _ = sum.AppendFields(out[:0], set)
			i = (i + 1) % n
		}
	})
	b.Run("nothing to derive", func(b *testing.B) {
		for b.Loop() {
			if n, err := w.Summarize(ctx, nil); n != 0 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
}
