package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

const mailboxColumns = "id, account_id, name, special_use, uidvalidity, uidnext, messages, unseen, bytes, modseq, gone"

// Mailboxes returns an account's mailboxes, or all when account is 0, by account and name. A mailbox whose source is gone is left out when it holds nothing.
func (r *Reader) Mailboxes(ctx context.Context, account AccountID) ([]Mailbox, error) {
	var boxes []Mailbox
	err := r.db.SelectContext(ctx, &boxes, "SELECT "+mailboxColumns+` FROM mailbox
		WHERE (?1 = 0 OR account_id = ?1) AND (gone = 0 OR messages > 0) ORDER BY account_id, name`, account)
	if err != nil {
		return nil, fmt.Errorf("list mailboxes: %w", err)
	}
	return boxes, nil
}

// Mailbox returns one mailbox with its counters, or ErrNotFound.
func (r *Reader) Mailbox(ctx context.Context, id MailboxID) (Mailbox, error) {
	var box Mailbox
	err := r.db.GetContext(ctx, &box, "SELECT "+mailboxColumns+" FROM mailbox WHERE id = ?", id)
	if errors.Is(err, sql.ErrNoRows) {
		return Mailbox{}, fmt.Errorf("find mailbox %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return Mailbox{}, fmt.Errorf("find mailbox %d: %w", id, err)
	}
	return box, nil
}

// FlagLists returns the different flag lists of the messages in a mailbox, in no order. It looks at all of them.
func (r *Reader) FlagLists(ctx context.Context, id MailboxID) ([]string, error) {
	var lists []string
	err := r.db.SelectContext(ctx, &lists, "SELECT DISTINCT i.flags FROM entry e JOIN item i ON i.id = e.item_id WHERE e.mailbox_id = ?", id)
	if err != nil {
		return nil, fmt.Errorf("list the flags in mailbox %d: %w", id, err)
	}
	return lists, nil
}

// Changes returns what happened to a mailbox after the batch since; next is the UID that follows the last one the caller knows, so that entries from it on count as added.
func (r *Reader) Changes(ctx context.Context, id MailboxID, since ModSeq, next UID) (Changes, error) {
	var c Changes
	tx, err := r.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return c, fmt.Errorf("list changes of mailbox %d: %w", id, err)
	}
	defer tx.Rollback()
	var changed ModSeq
	if err := tx.QueryRowContext(ctx, "SELECT seq, modseq FROM applied, mailbox WHERE id = ?", id).Scan(&c.ModSeq, &changed); err != nil {
		return c, fmt.Errorf("list changes of mailbox %d: %w", id, err)
	}
	if changed <= since {
		return c, nil
	}
	err = tx.SelectContext(ctx, &c.Vanished, "SELECT uid FROM vanished WHERE mailbox_id = ? AND modseq > ? ORDER BY uid", id, since)
	if err == nil {
		c.Added, err = listEntries(tx.QueryContext(ctx, entryColumns+"WHERE e.mailbox_id = ? AND e.uid >= ? ORDER BY e.uid", id, next))
	}
	if err == nil {
		c.Changed, err = listEntries(tx.QueryContext(ctx, entryColumns+`WHERE e.item_id IN (SELECT id FROM item WHERE modseq > ?)
			AND +e.mailbox_id = ? AND e.uid < ? ORDER BY e.uid`, since, id, next)) // the "+": few items changed, a mailbox has many
	}
	if err != nil {
		return Changes{}, fmt.Errorf("list changes of mailbox %d: %w", id, err)
	}
	return c, nil
}

// ItemMailboxes returns the mailboxes that show an item, by name.
func (r *Reader) ItemMailboxes(ctx context.Context, item ItemID) ([]Mailbox, error) {
	var boxes []Mailbox
	err := r.db.SelectContext(ctx, &boxes, "SELECT "+mailboxColumns+` FROM mailbox
		WHERE id IN (SELECT mailbox_id FROM entry WHERE item_id = ?) ORDER BY name`, item)
	if err != nil {
		return nil, fmt.Errorf("list mailboxes of item %d: %w", item, err)
	}
	return boxes, nil
}
