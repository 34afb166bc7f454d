package archive

import (
	"context"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"
)

// salvage makes a database of what there is when the journal is not whole. The caller closes it.
func (b *rebuilder) salvage(ctx context.Context) (*sqlx.DB, error) {
	lossy := true
	from := newDatabase
	switch {
	case !b.journal.lossy && b.journal.last > 0 && b.journal.last >= b.oldSeq: // only a newer snapshot is damaged
		lossy = false
	case b.old != nil && b.oldSeq > 0:
		b.done.Source, from = FromDatabase, tmpDir+"/"+workDatabase
		if err := b.copyOld(ctx); err != nil {
			return nil, err
		}
	case b.journal.last > 0:
		b.done.Source = FromDamagedJournal
	default:
		b.done.Source = FromFiles
	}
	work, err := connect(b.path(from), "journal_mode(MEMORY)", "synchronous(OFF)", "cache_size(-65536)")
	if err != nil {
		return nil, err
	}
	work.SetMaxOpenConns(1)
	if b.done.Source == FromDatabase {
		lossy, err = b.catchUp(ctx, work)
	}
	if err == nil && lossy {
		err = b.mend(ctx, work)
	}
	return work, closing(err, work)
}

// copyOld copies gmail.db to where it can be changed.
func (b *rebuilder) copyOld(ctx context.Context) error {
	path := b.path(tmpDir + "/" + workDatabase)
	if err := removeDatabase(path); err != nil {
		return err
	}
	_, err := b.old.ExecContext(ctx, "VACUUM INTO ?", path)
	return err
}

// catchUp applies what the journal has behind the copy of gmail.db, as a Writer would. It tells whether anything is missing in spite of that.
func (b *rebuilder) catchUp(ctx context.Context, work *sqlx.DB) (lossy bool, err error) {
	if err := migrate(work); err != nil {
		return false, err
	}
	var at position
	if err := work.GetContext(ctx, &at, "SELECT file, offset FROM applied"); err != nil {
		return false, err
	}
	// An error is damage that was noted already.
	_, _ = readJournal(b.path(journalDir), at, func(g group) error { return replay(ctx, work, g) })
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if err := work.GetContext(ctx, &b.done.Batch, "SELECT seq FROM applied"); err != nil {
		return false, err
	}
	problem, err := inconsistency(ctx, work)
	return problem != "" || b.done.Batch < b.journal.last, err
}

// mend makes the rows of a database that lacks facts consistent, shows the messages that no fact tells of in RecoveredMailbox, and numbers that as a batch of its own.
func (b *rebuilder) mend(ctx context.Context, work *sqlx.DB) error {
	if err := work.GetContext(ctx, &b.done.Batch, "SELECT max(seq, ?, ?) + 1 FROM applied", b.oldSeq, b.journal.last); err != nil {
		return err
	}
	tx, err := work.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	m := &mender{tx: tx, ctx: ctx, seq: b.done.Batch, now: b.now.Unix()}
	steps := []func() error{
		m.parents, m.dangling,
		func() error { return b.recover(ctx, m) },
		m.gone, m.unseen,
		// A lost fact may have given out UIDs: none must be given again. No fact is shorter than this.
		func() error { return m.counters(min(b.journal.lost/shortestFact+1, mostRoom)) },
	}
	if err := inOrder(steps...); err != nil {
		return err
	}
	return tx.Commit()
}

// mostRoom bounds the UIDs that are left out, of the 4 billion that a mailbox has: it shall have some left.
const mostRoom = 1 << 28

// shortestFact is the length in bytes of the shortest line that gives out a UID: {"enter":{"item":1,"in":[[1,1]]}}.
const shortestFact = 38

// mender changes rows so that they agree with each other.
type mender struct {
	tx  *sqlx.Tx
	ctx context.Context
	seq ModSeq
	now int64
}

func (m *mender) exec(query string, args ...any) error {
	if _, err := m.tx.ExecContext(m.ctx, query, args...); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	return nil
}

func (m *mender) all(statements ...string) error {
	return each(statements, func(s string) error { return m.exec(s) })
}

// parents makes the accounts and mailboxes that rows belong to and whose facts were lost.
func (m *mender) parents() error {
	err := m.all(
		"DELETE FROM item WHERE message_id NOT IN (SELECT id FROM message)",
		"DELETE FROM entry WHERE item_id NOT IN (SELECT id FROM item)",
		`INSERT INTO account (id, name, kind) SELECT account_id, '`+RecoveredAccount+` ' || account_id, 'imap'
			FROM (SELECT account_id FROM item UNION SELECT account_id FROM mailbox UNION SELECT account_id FROM folder) WHERE account_id NOT IN (SELECT id FROM account)`,
	)
	if err != nil {
		return err
	}
	var lost []struct {
		ID      MailboxID `db:"id"`
		Account AccountID `db:"account_id"`
	}
	err = m.tx.SelectContext(m.ctx, &lost, `SELECT mailbox_id AS id, min(account_id) AS account_id FROM entry JOIN item ON item.id = item_id
		WHERE mailbox_id NOT IN (SELECT id FROM mailbox) GROUP BY mailbox_id ORDER BY mailbox_id`)
	if err != nil {
		return err
	}
	for _, l := range lost {
		if err := m.newMailbox(l.ID, l.Account, fmt.Sprintf("%s mailbox %d", RecoveredMailbox, l.ID)); err != nil {
			return err
		}
	}
	return nil
}

// newMailbox creates a mailbox with a UIDVALIDITY that none had.
func (m *mender) newMailbox(id MailboxID, account AccountID, name string) error {
	return m.exec(`INSERT INTO mailbox (id, account_id, name, uidvalidity, modseq) SELECT ?, ?, ?, max(coalesce(max(uidvalidity), 0) + 1, ?), ? FROM mailbox`,
		id, account, name, m.now+validityRoom, m.seq)
}

// validityRoom keeps UIDVALIDITYs clear of those that lost facts gave out: the time, or a few more where many mailboxes were made at once.
const validityRoom = 1 << 16

// dangling removes what refers to nothing, and makes the next backup read all folders again as a whole: what their states say was recorded may be what was lost (A6).
func (m *mender) dangling() error {
	return m.all(
		"DELETE FROM location WHERE item_id NOT IN (SELECT id FROM item) OR folder_id NOT IN (SELECT id FROM folder)",
		"DELETE FROM hole WHERE folder_id NOT IN (SELECT id FROM folder)",
		"DELETE FROM buried WHERE folder_id NOT IN (SELECT id FROM folder) OR tombstone_id NOT IN (SELECT id FROM tombstone)",
		"DELETE FROM vanished WHERE mailbox_id NOT IN (SELECT id FROM mailbox) OR EXISTS (SELECT 1 FROM entry e WHERE e.mailbox_id = vanished.mailbox_id AND e.uid = vanished.uid)",
		"UPDATE folder SET uidvalidity = 0, uidnext = 0, source_modseq = 0, messages = 0",
		"UPDATE folder SET mailbox_id = 0 WHERE mailbox_id NOT IN (SELECT id FROM mailbox)",
	)
}

// gone marks as gone what is at no place of the source as far as is known; the next backup finds it again. What is marked is shown in the mailbox for that, and nothing else is.
func (m *mender) gone() error {
	err := inOrder(
		func() error {
			return m.exec("UPDATE item SET gone = 0, modseq = ? WHERE gone <> 0 AND id IN (SELECT item_id FROM location)", m.seq)
		},
		func() error {
			return m.exec("UPDATE item SET gone = ?, modseq = ? WHERE gone = 0 AND id NOT IN (SELECT item_id FROM location)", m.now, m.seq)
		},
		func() error {
			return m.exec(`INSERT INTO vanished (mailbox_id, modseq, uid) SELECT mailbox_id, ?, uid FROM entry JOIN item ON item.id = item_id JOIN mailbox ON mailbox.id = mailbox_id
				WHERE item.gone = 0 AND name = ?`, m.seq, GoneMailbox)
		},
		func() error {
			return m.exec(`DELETE FROM entry WHERE mailbox_id IN (SELECT id FROM mailbox WHERE name = ?) AND item_id IN (SELECT id FROM item WHERE gone = 0)`, GoneMailbox)
		},
	)
	if err != nil {
		return err
	}
	return m.enter(GoneMailbox, `gone <> 0 AND NOT EXISTS (SELECT 1 FROM entry JOIN mailbox ON mailbox.id = mailbox_id WHERE item_id = item.id AND name = '`+GoneMailbox+`')`)
}

// unseen shows what is in no mailbox.
func (m *mender) unseen() error {
	return m.enter(RecoveredMailbox, "id NOT IN (SELECT item_id FROM entry)")
}

// enter puts the items of each account that fulfil a condition into a mailbox of the account, by their dates.
func (m *mender) enter(name, condition string) error {
	var accounts []AccountID
	if err := m.tx.SelectContext(m.ctx, &accounts, "SELECT DISTINCT account_id FROM item WHERE "+condition+" ORDER BY account_id"); err != nil {
		return err
	}
	for _, account := range accounts {
		box, err := m.mailbox(account, name)
		if err != nil {
			return err
		}
		err = m.exec(`INSERT INTO entry (mailbox_id, uid, item_id) SELECT ?1, row_number() OVER (ORDER BY date, id) - 1 +
			(SELECT max(uidnext, coalesce((SELECT max(uid) + 1 FROM entry WHERE mailbox_id = ?1), 1), coalesce((SELECT max(uid) + 1 FROM vanished WHERE mailbox_id = ?1), 1)) FROM mailbox WHERE id = ?1),
			id FROM item WHERE account_id = ?2 AND `+condition, box, account)
		if err != nil {
			return err
		}
		if err := m.exec("UPDATE item SET modseq = ? WHERE id IN (SELECT item_id FROM entry WHERE mailbox_id = ?)", m.seq, box); err != nil {
			return err
		}
	}
	return nil
}

// mailbox returns an account's mailbox of that name, and creates it if need be.
func (m *mender) mailbox(account AccountID, name string) (MailboxID, error) {
	var id MailboxID
	err := m.tx.GetContext(m.ctx, &id, "SELECT id FROM mailbox WHERE account_id = ? AND name = ?", account, name)
	if !noRows(err) {
		return id, err
	}
	// A vanished row or an entry may have been of a mailbox whose fact was lost: their numbers are not taken.
	if err := m.tx.GetContext(m.ctx, &id, "SELECT max(coalesce((SELECT max(id) FROM mailbox), 0), coalesce((SELECT max(mailbox_id) FROM entry), 0)) + 1"); err != nil {
		return 0, err
	}
	return id, m.newMailbox(id, account, name)
}

// counters counts what mailboxes hold. Each gets room for UIDs that may have been given and are not known any more, and so do the ids of items.
func (m *mender) counters(room int64) error {
	if err := m.exec("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'item'", room); err != nil {
		return err
	}
	return m.exec(`UPDATE mailbox SET modseq = ?1,
		messages = (SELECT count(*) FROM entry WHERE mailbox_id = mailbox.id),
		unseen = (SELECT count(*) FROM entry JOIN item ON item.id = item_id WHERE mailbox_id = mailbox.id AND ' ' || lower(flags) || ' ' NOT LIKE '% \seen %'),
		bytes = (SELECT coalesce(sum(size), 0) FROM entry JOIN item ON item.id = item_id JOIN message ON message.id = message_id WHERE mailbox_id = mailbox.id),
		uidnext = min(4294967295, ?2 + max(uidnext, coalesce((SELECT max(uid) + 1 FROM entry WHERE mailbox_id = mailbox.id), 1), coalesce((SELECT max(uid) + 1 FROM vanished WHERE mailbox_id = mailbox.id), 1)))`,
		m.seq, room)
}

// theAccount returns the account whose mailbox shows recovered messages: the only one that there is, or one made for them.
func (m *mender) theAccount() (Account, error) {
	var accounts []Account
	if err := m.tx.SelectContext(m.ctx, &accounts, "SELECT id, name, kind FROM account ORDER BY id"); err != nil {
		return Account{}, err
	}
	if len(accounts) == 1 {
		return accounts[0], nil
	}
	made := Account{ID: 1, Name: RecoveredAccount, Kind: IMAP}
	for _, a := range accounts {
		if strings.EqualFold(a.Name, made.Name) {
			return a, nil
		}
		made.ID = max(made.ID, a.ID+1)
	}
	return made, m.exec("INSERT INTO account (id, name, kind) VALUES (?, ?, ?)", made.ID, made.Name, made.Kind)
}
