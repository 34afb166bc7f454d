package archive

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

const entryColumns = `SELECT e.uid, i.id, m.id, m.ref, m.size, i.date, i.zone, i.flags, i.source_id, i.thread_id, i.modseq, i.gone
	FROM entry e JOIN item i ON i.id = e.item_id JOIN message m ON m.id = i.message_id `

// entryFields is how many columns those are.
const entryFields = 12

// Entries returns all of a mailbox with the ModSeq that they stand for, both of one moment, ascending by UID.
func (r *Reader) Entries(ctx context.Context, id MailboxID) ([]Entry, ModSeq, error) {
	var entries []Entry
	seq, err := r.ScanEntries(ctx, id, func(e *Entry) { entries = append(entries, *e) })
	if err != nil {
		return nil, 0, err
	}
	return entries, seq, nil
}

// ScanEntries is Entries without the list: it hands the entries to visit one after another, in memory that is used again for the next. It is made for mailboxes of a
// million messages, of which the caller keeps less than there is.
func (r *Reader) ScanEntries(ctx context.Context, id MailboxID, visit func(*Entry)) (ModSeq, error) {
	seq, err := r.scanEntries(ctx, id, visit)
	if err != nil {
		return 0, fmt.Errorf("list mailbox %d: %w", id, err)
	}
	return seq, nil
}

func (r *Reader) scanEntries(ctx context.Context, id MailboxID, visit func(*Entry)) (ModSeq, error) {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var seq ModSeq
	if err := tx.QueryRowContext(ctx, "SELECT seq FROM mailbox, applied WHERE id = ?", id).Scan(&seq); err != nil {
		return 0, err
	}
	// Past database/sql, which takes longer to convert the values than SQLite to find them.
	err = conn.Raw(func(driverConn any) error {
		rows, err := driverConn.(driver.QueryerContext).QueryContext(ctx, entryColumns+"WHERE e.mailbox_id = ? ORDER BY e.uid", []driver.NamedValue{{Ordinal: 1, Value: int64(id)}})
		if err != nil {
			return err
		}
		return errors.Join(eachEntry(ctx, rows, visit), rows.Close())
	})
	return seq, err
}

// eachEntry takes the results of a query for entryColumns.
func eachEntry(ctx context.Context, rows driver.Rows, visit func(*Entry)) error {
	values := make([]driver.Value, len(rows.Columns()))
	shared := make(sharedStrings)
	var e Entry
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = e.set(values, shared)
		}
		if err != nil {
			return err
		}
		visit(&e)
	}
}

// sharedStrings keeps one of equal strings: a mailbox has few distinct flag lists.
type sharedStrings map[string]string

func (s sharedStrings) one(text string) string {
	known, ok := s[text]
	if !ok {
		s[text], known = text, text
	}
	return known
}

// set fills e from one row of entryColumns. The schema has no NULL in them, and their types, but SQLite does not insist.
func (e *Entry) set(v []driver.Value, shared sharedStrings) error {
	var numbers [8]int64
	for i, k := range [...]int{0, 1, 2, 4, 5, 6, 10, 11} {
		n, ok := v[k].(int64)
		if !ok {
			return fmt.Errorf("column %d is %T, not a number", k, v[k])
		}
		numbers[i] = n
	}
	var texts [3]string
	for i := range texts {
		text, ok := v[7+i].(string)
		if !ok {
			return fmt.Errorf("column %d is %T, not a text", 7+i, v[7+i])
		}
		texts[i] = text
	}
	if err := e.Ref.Scan(v[3]); err != nil {
		return err
	}
	e.UID, e.Item, e.Message = UID(numbers[0]), ItemID(numbers[1]), MessageID(numbers[2])
	e.Size, e.Date = numbers[3], zoned(numbers[4], int(numbers[5]))
	e.Flags, e.SourceID, e.ThreadID = shared.one(texts[0]), texts[1], texts[2]
	e.ModSeq, e.GoneAt = ModSeq(numbers[6]), numbers[7]
	return nil
}

// listEntries collects the results of a query for entryColumns.
func listEntries(rows *sql.Rows, err error) ([]Entry, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []Entry
	shared := make(sharedStrings)
	values, targets := make([]driver.Value, entryFields), make([]any, entryFields)
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		var e Entry
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		if err := e.set(values, shared); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// vanishedAtATime is how many UIDs Vanished reads at a time: of a large mailbox all may have vanished.
const vanishedAtATime = 1000

// Vanished calls visit with the UIDs of the entries that were taken out of a mailbox after the batch since, some at a time, each time ascending. The slice is visit's to change until it
// returns. Meanwhile nothing of the database is held, so that visit may take long; entries that are taken out while it runs come as well. An error of visit is returned as it is.
func (r *Reader) Vanished(ctx context.Context, id MailboxID, since ModSeq, visit func([]UID) error) error {
	type entry struct {
		ModSeq ModSeq
		UID    UID
	}
	last := entry{since, math.MaxUint32}
	for {
		var page []entry
		err := r.db.SelectContext(ctx, &page, `SELECT modseq, uid FROM vanished WHERE mailbox_id = ? AND (modseq, uid) > (?, ?)
			ORDER BY modseq, uid LIMIT ?`, id, last.ModSeq, last.UID, vanishedAtATime)
		if err != nil {
			return fmt.Errorf("list what has vanished from mailbox %d: %w", id, err)
		}
		if len(page) == 0 {
			return nil
		}
		last = page[len(page)-1]
		uids := make([]UID, len(page))
		for i := range page {
			uids[i] = page[i].UID
		}
		slices.Sort(uids)
		if err := visit(uids); err != nil {
			return err
		}
		if len(page) < vanishedAtATime {
			return nil
		}
	}
}
