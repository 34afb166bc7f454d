package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"

	"mailkeep/archive"
	"mailkeep/integration/bench/gen"
)

// batchSize is how many messages are recorded in one transaction.
const batchSize = 2000

// fillArchive makes an archive as a backup of Gmail would have left it, without a server to back up from.
func (e *env) fillArchive(ctx context.Context, dir string, c corpus) (err error) {
	// A message of the tiny kind takes one block of 4 KiB, and about 1 KB in the map and the journal.
	need := int64(c.n) * 6000
	if free, err := freeDisk(dir); err != nil || free < 2*need {
		return errors.Join(err, fmt.Errorf("%d messages need up to %.1f GB, and %q has %.1f GB; half of what is free is left alone", c.n, float64(need)/1e9, dir, float64(free)/1e9))
	}
	e.note("make an archive of %d messages", c.n)
	w, err := archive.OpenWriter(filepath.Join(dir, "MailStore"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	f, err := newFiller(ctx, w)
	if err != nil {
		return err
	}
	messages := c.make()
	tally := messages.NewTally()
	err = messages.Each(func(m gen.Message) error {
		tally.Add(m)
		return f.add(m)
	})
	if err := firstError(err, f.flush()); err != nil {
		return err
	}
	e.note("derive the summaries of its messages")
	if _, err := w.Summarize(ctx, nil); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, "tally.json"), tally)
}

// filler records messages in batches, one of them while the messages of the next are put into the archive.
type filler struct {
	ctx       context.Context
	w         *archive.Writer
	batch     archive.Batch
	folder    archive.FolderID
	recording errgroup.Group // at most one
}

func newFiller(ctx context.Context, w *archive.Writer) (*filler, error) {
	a, err := w.EnsureAccount(ctx, "bench", archive.Gmail)
	if err != nil {
		return nil, err
	}
	const all = "[Gmail]/All Mail"
	folder := archive.FolderSpec{Name: all, Delimiter: "/", SpecialUse: `\All`, Mailbox: gen.AllMail}
	if _, err := w.Record(ctx, archive.Batch{Account: a.ID, Folders: []archive.FolderSpec{folder}}); err != nil {
		return nil, err
	}
	folders, err := w.Folders(ctx, a.ID)
	if err != nil || len(folders) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%d folders, want 1", len(folders)))
	}
	f := &filler{ctx: ctx, w: w, folder: folders[0].ID, batch: archive.Batch{Account: a.ID}}
	// The folder's UIDs are counted under one UIDVALIDITY.
	f.batch.Renumber = []archive.Renumbering{{Folder: f.folder, UIDValidity: 1}}
	return f, nil
}

func (f *filler) add(m gen.Message) error {
	ref, _, err := f.w.Put(bytes.NewReader(m.Raw))
	if err != nil {
		return err
	}
	f.batch.Copies = append(f.batch.Copies, archive.Copy{Folder: f.folder, UID: uint32(m.ID + 1), Ref: ref, Flags: m.Flags, Mailboxes: m.Mailboxes,
		SourceID: strconv.Itoa(1<<40 + m.ID), ThreadID: strconv.Itoa(1<<40 + m.ID), Date: m.Date})
	if len(f.batch.Copies) < batchSize {
		return nil
	}
	return f.record()
}

// record begins to record the batch, after the one before it.
func (f *filler) record() error {
	err := f.recording.Wait()
	b := f.batch
	f.batch = archive.Batch{Account: b.Account}
	f.recording.Go(func() error {
		_, err := f.w.Record(f.ctx, b)
		return err
	})
	return err
}

// flush waits until everything is recorded.
func (f *filler) flush() error { return firstError(f.record(), f.recording.Wait()) }
