package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailkeep/archive"
)

// Preview is what a run would fetch from one mailbox of the server.
type Preview struct {
	Mailbox  string // the server's name
	Messages int64  // there now
	New      int64  // not in the archive under this mailbox
	Bytes    int64  // of the new ones, as the server says. Copies of messages that are here already are among them: only reading their headers would tell
	LeftOut  int64  // new, and outside of MaxAge and MaxSize
	Excluded bool   // by Include or Exclude; the numbers are zero then
}

// DryRun tells what Run would look at and fetch, and writes nothing anywhere. r may be nil: there is no archive yet.
func DryRun(ctx context.Context, r *archive.Reader, o Options) ([]Preview, error) {
	o = o.withDefaults()
	o.Connections = 1
	d := &dryRun{archive: r, o: o}
	d.pool = newPool(o, func(*Session) error { return nil }, newReport(o.Progress))
	defer d.pool.close()
	return d.run(ctx)
}

type dryRun struct {
	archive *archive.Reader
	o       Options
	pool    *pool
}

func (d *dryRun) run(ctx context.Context) ([]Preview, error) {
	kind := archive.IMAP
	var boxes []listing
	err := d.pool.do(ctx, "", "list mailboxes", func(s *Session) error {
		if s.caps.Has(capGmail) {
			kind = archive.Gmail
		}
		var err error
		boxes, err = s.list()
		return err
	})
	if err != nil {
		return nil, classify(err, "list mailboxes")
	}
	known, err := d.known(ctx)
	if err != nil {
		return nil, err
	}
	plan := makePlan(kind, boxes, known, d.o)
	read := make(map[string]bool)
	var all []Preview
	for i := range plan.folders {
		f := &plan.folders[i]
		read[f.name] = true
		if !f.source {
			continue
		}
		one, err := d.mailbox(ctx, f)
		if err != nil {
			return all, fmt.Errorf("look at mailbox %q: %w", f.name, classify(err, "read a mailbox"))
		}
		all = append(all, one)
	}
	for _, b := range boxes {
		if !read[b.name] {
			all = append(all, Preview{Mailbox: b.name, Excluded: true})
		}
	}
	return all, nil
}

func (d *dryRun) known(ctx context.Context) ([]archive.Folder, error) {
	if d.archive == nil {
		return nil, nil
	}
	account, err := d.archive.AccountByName(ctx, d.o.Account)
	if errors.Is(err, archive.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, archiveFailure(err)
	}
	known, err := d.archive.Folders(ctx, account.ID)
	return known, archiveFailure(err)
}

func (d *dryRun) mailbox(ctx context.Context, f *planned) (one Preview, err error) {
	var have uidSet
	if f.known.ID != 0 && f.known.Current != 0 {
		err := d.archive.Copies(ctx, f.known.ID, func(k archive.Known) error {
			have.add(k.UID)
			return nil
		})
		if err != nil {
			return one, archiveFailure(err)
		}
		buried, err := d.archive.Buried(ctx, f.known.ID)
		if err != nil {
			return one, archiveFailure(err)
		}
		for _, uid := range buried {
			have.add(uid)
		}
	}
	err = d.pool.do(ctx, f.name, "read a mailbox", func(s *Session) error {
		one = Preview{Mailbox: f.name}
		return s.preview(f, have, d.o, &one)
	})
	if refused(err) != nil {
		return Preview{Mailbox: f.name}, nil // it cannot be opened; a run says so
	}
	return one, err
}

// preview fills one in. have are the UIDs that the archive has under the UIDVALIDITY it knows.
func (s *Session) preview(f *planned, have uidSet, o Options, one *Preview) error {
	data, err := s.examine(f.name, false)
	if err != nil {
		return err
	}
	if data.UIDValidity != f.known.Current {
		have = nil
	}
	one.Messages = int64(data.NumMessages)
	if data.NumMessages == 0 {
		return nil
	}
	listed, err := s.listUIDs(1)
	if err != nil {
		return err
	}
	fresh := listed.minus(have)
	if o.MaxAge > 0 || o.MaxSize > 0 {
		wanted, err := s.search(o.selection(time.Now()))
		if err != nil {
			return err
		}
		one.LeftOut = fresh.minus(wanted).count()
		fresh = fresh.and(wanted)
	}
	one.New = fresh.count()
	for len(fresh) > 0 {
		var head uidSet
		head, fresh = fresh.cut(chunkFlags)
		err := s.fetchMeta(head, wants{fixed: true}, 0, func(m *meta) error {
			one.Bytes += max(m.size, 0)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
