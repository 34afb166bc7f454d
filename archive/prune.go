package archive

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// PrunePolicy says which items prune lets go of: those that fulfil all of its conditions. A policy without conditions chooses nothing.
type PrunePolicy struct {
	// Text is the policy in the user's words, for the journal.
	Text string
	// Account bounds the choice to one account; 0 means all. It is no condition by itself.
	Account AccountID
	// GoneBefore chooses what the source has not had since then, or longer.
	GoneBefore time.Time
	// Mailboxes chooses what is shown in one of these, and in no others but these, Beside and GoneMailbox: what is also shown elsewhere is kept whole.
	Mailboxes []MailboxID
	Beside    []MailboxID
	// Tombstones keeps what is pruned from coming back with a later backup. Without them the folders where it was are read again as a whole.
	Tombstones bool
}

// PrunePlan is what Prune would do.
type PrunePlan struct {
	Policy   PrunePolicy
	Items    []ItemID // ascending
	Messages int64    // of their messages: those that no other item has, whose files go
	Bytes    int64    // of these files
	Accounts []Account
	Boxes    []PruneCount  // what goes from each mailbox
	Kept     []PruneCount  // what is kept because these mailboxes show it too
	KeptAll  int64         // items kept for that reason
	Samples  []PruneSample // some of the items, the largest messages first
}

// PruneCount counts items of one mailbox.
type PruneCount struct {
	Account string `db:"account"`
	Mailbox string `db:"mailbox"`
	Items   int64  `db:"items"`
	Bytes   int64  `db:"bytes"`
}

// PruneSample is one item of a plan.
type PruneSample struct {
	Account string
	Ref     Ref
	Size    int64
	Date    time.Time
	GoneAt  int64
}

// pruneSamples is how many items a plan shows.
const pruneSamples = 10

// idList writes numbers for an SQL "IN".
func idList[T ~int64](ids []T) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, int64(id))
	}
	return b.String()
}

// touches is the condition, for an item i, that the policy looks at it at all; chooses that it goes.
func (p *PrunePolicy) touches() (condition string, args []any) {
	var all []string
	if !p.GoneBefore.IsZero() {
		all, args = append(all, "i.gone <> 0 AND i.gone <= ?"), append(args, p.GoneBefore.Unix())
	}
	if p.Mailboxes != nil {
		all = append(all, "EXISTS (SELECT 1 FROM entry e WHERE e.item_id = i.id AND e.mailbox_id IN ("+idList(p.Mailboxes)+"))")
	}
	if len(all) == 0 {
		all = append(all, "0")
	}
	if p.Account != 0 {
		all, args = append(all, "i.account_id = ?"), append(args, p.Account)
	}
	return strings.Join(all, " AND "), args
}

// elsewhere is the condition, for an entry o, that its mailbox keeps an item from being pruned.
func (p *PrunePolicy) elsewhere() string {
	return "o.mailbox_id NOT IN (" + idList(append(slices.Clone(p.Mailboxes), p.Beside...)) + ") AND o.mailbox_id NOT IN (SELECT id FROM mailbox WHERE name = '" + GoneMailbox + "')"
}

func (p *PrunePolicy) chooses() (condition string, args []any) {
	condition, args = p.touches()
	if p.Mailboxes != nil {
		condition += " AND NOT EXISTS (SELECT 1 FROM entry o WHERE o.item_id = i.id AND " + p.elsewhere() + ")"
	}
	return condition, args
}

// PlanPrune works out what a policy chooses. It changes nothing.
func (r *Reader) PlanPrune(ctx context.Context, p PrunePolicy) (*PrunePlan, error) {
	plan := &PrunePlan{Policy: p}
	tx, err := r.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true}) // all answers of one moment
	if err == nil {
		defer tx.Rollback()
		err = plan.fill(ctx, tx)
	}
	if err != nil {
		return nil, fmt.Errorf("plan what to prune: %w", err)
	}
	return plan, nil
}

func (p *PrunePlan) fill(ctx context.Context, tx *sqlx.Tx) error {
	chooses, args := p.Policy.chooses()
	if err := tx.SelectContext(ctx, &p.Items, "SELECT i.id FROM item i WHERE "+chooses+" ORDER BY i.id", args...); err != nil {
		return err
	}
	chosen := "WITH chosen AS MATERIALIZED (SELECT i.id, i.message_id, i.account_id FROM item i WHERE " + chooses + ") "
	err := tx.QueryRowxContext(ctx, chosen+`SELECT count(*), coalesce(sum(m.size), 0)
		FROM (SELECT message_id, count(*) AS n FROM chosen GROUP BY message_id) g JOIN message m ON m.id = g.message_id
		WHERE g.n = (SELECT count(*) FROM item o WHERE o.message_id = m.id)`, args...).Scan(&p.Messages, &p.Bytes)
	if err != nil {
		return err
	}
	if err := tx.SelectContext(ctx, &p.Accounts, "SELECT id, name, kind FROM account WHERE id IN (SELECT i.account_id FROM item i WHERE "+chooses+") ORDER BY id", args...); err != nil {
		return err
	}
	err = tx.SelectContext(ctx, &p.Boxes, chosen+`SELECT a.name AS account, b.name AS mailbox, count(*) AS items, sum(m.size) AS bytes
		FROM chosen c JOIN entry e ON e.item_id = c.id JOIN mailbox b ON b.id = e.mailbox_id JOIN account a ON a.id = b.account_id JOIN message m ON m.id = c.message_id
		GROUP BY b.id ORDER BY a.id, b.name`, args...)
	if err != nil {
		return err
	}
	if err := p.fillKept(ctx, tx); err != nil {
		return err
	}
	return p.fillSamples(ctx, tx, chosen, args)
}

func (p *PrunePlan) fillKept(ctx context.Context, tx *sqlx.Tx) error {
	if p.Policy.Mailboxes == nil {
		return nil
	}
	touches, args := p.Policy.touches()
	kept := "SELECT %s FROM item i JOIN entry o ON o.item_id = i.id AND " + p.Policy.elsewhere() +
		" JOIN mailbox b ON b.id = o.mailbox_id JOIN account a ON a.id = b.account_id WHERE " + touches
	if err := tx.GetContext(ctx, &p.KeptAll, fmt.Sprintf(kept, "count(DISTINCT i.id)"), args...); err != nil {
		return err
	}
	return tx.SelectContext(ctx, &p.Kept, fmt.Sprintf(kept, "a.name AS account, b.name AS mailbox, count(*) AS items, 0 AS bytes")+" GROUP BY b.id ORDER BY 3 DESC, b.name", args...)
}

func (p *PrunePlan) fillSamples(ctx context.Context, tx *sqlx.Tx, chosen string, args []any) error {
	rows, err := tx.QueryContext(ctx, chosen+`SELECT a.name, m.ref, m.size, i.date, i.zone, i.gone FROM chosen c JOIN item i ON i.id = c.id JOIN message m ON m.id = c.message_id
		JOIN account a ON a.id = c.account_id ORDER BY m.size DESC, i.id LIMIT ?`, append(slices.Clone(args), pruneSamples)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var s PruneSample
		var date int64
		var zone int
		if err := rows.Scan(&s.Account, &s.Ref, &s.Size, &date, &zone, &s.GoneAt); err != nil {
			return err
		}
		s.Date = zoned(date, zone)
		p.Samples = append(p.Samples, s)
	}
	return rows.Err()
}

// PruneRun is a prune that was made.
type PruneRun struct {
	ID       PruneID `db:"id"`
	Time     int64   `db:"time"` // Unix seconds
	Policy   string  `db:"policy"`
	Items    int64   `db:"items"`
	Messages int64   `db:"messages"` // files let go
	Bytes    int64   `db:"bytes"`    // of these
	Undone   int64   `db:"undone"`   // Unix seconds when it was taken back; 0 while it was not
	Restored int64   `db:"restored"` // lines of its list that an undoing has dealt with
	Held     bool    `db:"-"`        // its files are in quarantine/ still, and it can be undone
}

// Prunes returns all prunes, the oldest first.
func (r *Reader) Prunes(ctx context.Context) ([]PruneRun, error) {
	var runs []PruneRun
	if err := r.db.SelectContext(ctx, &runs, "SELECT id, time, policy, items, messages, bytes, restored, undone FROM prune ORDER BY id"); err != nil {
		return nil, fmt.Errorf("list prunes: %w", err)
	}
	for i := range runs {
		runs[i].Held = runs[i].Undone == 0 && hasManifest(r.dir, runs[i].ID)
	}
	return runs, nil
}
