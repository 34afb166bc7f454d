package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/gofrs/flock"
)

// ErrSummarizing says that summaries are being derived already, by another process or goroutine.
var ErrSummarizing = errors.New("summaries are being derived already")

// Summarize derives the summaries that are missing, in the order of MessageIDs, and returns how many. It may run in a Reader of any process, beside a Writer; only one does the
// work, others get [ErrSummarizing] at once. It may be interrupted at any moment, and goes on the next time where it was. When nothing is missing it costs a
// query and a few reads. progress, unless nil, is called now and then.
//
// An error means that some summaries are still missing, which harms nothing: the archive is the same without them. A full disk gives ErrDiskFull.
func (r *Reader) Summarize(ctx context.Context, progress func(done, total int)) (int, error) {
	needed, err := r.summariesNeeded(ctx)
	if err != nil || !needed {
		return 0, err
	}
	dir := filepath.Join(r.dir, summariesDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("derive summaries: %w", noSpace(err))
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return 0, fmt.Errorf("derive summaries: %w", noSpace(err))
	}
	if !got {
		return 0, ErrSummarizing
	}
	defer lock.Close()
	n, err := r.summarize(ctx, progress)
	if err != nil {
		return n, fmt.Errorf("derive summaries: %w", noSpace(err))
	}
	return n, nil
}

// WorthSummarizing reports whether so many messages have no summary yet that to derive theirs now gives summaries as small as to wait for more would. It costs a query and a read.
func (r *Reader) WorthSummarizing(ctx context.Context) (bool, error) {
	last, err := r.lastMessage(ctx)
	if err != nil {
		return false, err
	}
	var complete MessageID
	if files := r.useSummaries(); files != nil {
		complete = readComplete(files.file(indexFile))
		r.releaseSummaries(files)
	}
	return last >= complete+dictLeast, nil
}

// summariesNeeded reports whether there may be anything to do.
func (r *Reader) summariesNeeded(ctx context.Context) (bool, error) {
	last, err := r.lastMessage(ctx)
	if err != nil {
		return false, err
	}
	if r.summariesDamaged() || len(r.oldSummaries()) > 0 {
		return true, nil
	}
	files := r.useSummaries()
	if files == nil {
		return last > 0, nil
	}
	defer r.releaseSummaries(files)
	return readComplete(files.file(indexFile)) != last, nil
}

// lastMessage returns the highest MessageID, 0 when there are no messages.
func (r *Reader) lastMessage(ctx context.Context) (id MessageID, err error) {
	if err = r.db.GetContext(ctx, &id, "SELECT coalesce(max(id), 0) FROM message"); err != nil {
		return 0, fmt.Errorf("look for messages without a summary: %w", err)
	}
	return id, nil
}

// summariesDamaged reports whether cursors have seen something that has to be derived again.
func (r *Reader) summariesDamaged() bool {
	r.summaries.mu.Lock()
	defer r.summaries.mu.Unlock()
	return r.summaries.recheck || len(r.summaries.damaged) > 0
}

// summarize does the work; the caller holds the lock.
func (r *Reader) summarize(ctx context.Context, progress func(done, total int)) (int, error) {
	w, err := r.openSummaryWriter()
	if err != nil {
		return 0, err
	}
	defer w.close()
	from, damaged, err := r.whereToBegin(ctx, w)
	if err != nil {
		return 0, err
	}
	if err := r.fillSummaries(ctx, w, from, damaged, progress); err != nil {
		return w.written, err
	}
	for _, path := range r.oldSummaries() {
		os.Remove(path) // where it is in use, the next one does
	}
	return w.written, nil
}

// whereToBegin returns the MessageID after which there may be something to do, and the records that did not check out. What cursors have noted is taken
// as being dealt with.
func (r *Reader) whereToBegin(ctx context.Context, w *summaryWriter) (from MessageID, damaged map[MessageID]bool, err error) {
	last, err := r.lastMessage(ctx)
	if err != nil {
		return 0, nil, err
	}
	st := &r.summaries
	st.mu.Lock()
	defer st.mu.Unlock()
	damaged = st.damaged
	from = min(w.complete, maxMessageID)
	if st.recheck || from > last { // above last there may be other messages one day
		from = 0
	}
	for id := range damaged {
		from = min(from, id-1)
	}
	st.recheck, st.damaged = false, nil
	return from, damaged, nil
}

// summaryRow is a message that may need a summary.
type summaryRow struct {
	ID   MessageID `db:"id"`
	Ref  Ref       `db:"ref"`
	Size int64     `db:"size"`
}

// fillSummaries derives what is missing after from. The rows are read in portions: a long query would keep the Writer's log from being emptied.
func (r *Reader) fillSummaries(ctx context.Context, w *summaryWriter, from MessageID, damaged map[MessageID]bool, progress func(done, total int)) error {
	const portion = 1000
	done, total := 0, 0
	if err := r.db.GetContext(ctx, &total, "SELECT count(*) FROM message WHERE id > ?", from); err != nil {
		return err
	}
	for {
		var rows []summaryRow
		if err := r.db.SelectContext(ctx, &rows, "SELECT id, ref, size FROM message WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", from, int64(maxMessageID), portion); err != nil {
			return errors.Join(err, w.flush(from))
		}
		if len(rows) == 0 {
			return w.flush(from)
		}
		read, last := len(rows), rows[len(rows)-1].ID
		rows = slices.DeleteFunc(rows, func(row summaryRow) bool { return w.has(&row) && !damaged[row.ID] })
		if err := w.learn(r, rows); err != nil {
			return err
		}
		for i := range rows {
			if ctx.Err() != nil {
				return errors.Join(ctx.Err(), w.flush(from))
			}
			if err := w.add(r, &rows[i]); err != nil {
				return err
			}
			from = rows[i].ID
		}
		from = last
		if err := w.flush(from); err != nil {
			return err
		}
		if done += read; progress != nil {
			progress(min(done, total), total)
		}
	}
}
