package archive

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// isCorrupt tells whether SQLite found its file broken.
func isCorrupt(err error) bool {
	var lite *sqlite.Error
	if !errors.As(err, &lite) {
		return false
	}
	code := lite.Code() & 0xff
	return code == sqlite3.SQLITE_CORRUPT || code == sqlite3.SQLITE_NOTADB
}

// sqliteText is what SQLite says, without what was being done.
func sqliteText(err error) string {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Error()
	}
	return err.Error()
}

// mostFindings bounds what is reported of one rule, of one damaged database, and of one table that differs.
const mostFindings = 100

// integrity lets SQLite check its file. What it finds first is returned when the database cannot be read beside it; then the Reader is given up.
func (c *checker) integrity(ctx context.Context) (*Finding, error) {
	pragma := "PRAGMA quick_check(100)"
	if c.o.Journal {
		pragma = "PRAGMA integrity_check(100)"
	}
	lines, err := integrityLines(ctx, c.reader, pragma)
	if err != nil && !isCorrupt(err) {
		return nil, err
	}
	if err != nil {
		lines = append(lines, sqliteText(err))
	}
	if len(lines) == 0 {
		return nil, nil
	}
	for _, line := range lines[1:] {
		if err := c.found(ctx, Finding{Kind: DatabaseDamaged, Path: databaseFile, Problem: "is damaged: " + line}); err != nil {
			return nil, err
		}
	}
	// What a broken tree says about messages is not worth the alarms it would raise: the journal speaks from here on.
	err = c.reader.Close()
	c.reader = nil
	return &Finding{Kind: DatabaseDamaged, Path: databaseFile, Problem: "is damaged: " + lines[0]}, err
}

// integrityLines returns what is wrong. SQLite puts several sentences into one row.
func integrityLines(ctx context.Context, r *Reader, pragma string) ([]string, error) {
	var rows, lines []string
	err := r.db.SelectContext(ctx, &rows, pragma)
	for _, row := range rows {
		for line := range strings.Lines(row) {
			if line = strings.TrimSpace(line); line != "" && line != "ok" && !strings.HasPrefix(line, "***") {
				lines = append(lines, line)
			}
		}
	}
	return lines, err
}

// rule is a query that lists what breaks an invariant, one text column each.
type rule struct {
	kind             FindingKind
	invariant, query string
}

var rules = []rule{
	{CounterWrong, "A5", `SELECT 'mailbox ' || name || ' counts ' || messages || ' messages, ' || unseen || ' unseen, ' || bytes || ' bytes; it holds ' || n || ', ' || u || ', ' || b FROM (
		SELECT name, messages, unseen, bytes, (SELECT count(*) FROM entry WHERE mailbox_id = mailbox.id) AS n,
		(SELECT count(*) FROM entry JOIN item ON item.id = item_id WHERE mailbox_id = mailbox.id AND ' ' || lower(flags) || ' ' NOT LIKE '% \seen %') AS u,
		(SELECT coalesce(sum(size), 0) FROM entry JOIN item ON item.id = item_id JOIN message ON message.id = message_id WHERE mailbox_id = mailbox.id) AS b FROM mailbox)
		WHERE messages <> n OR unseen <> u OR bytes <> b`},
	{CounterWrong, "A5", `SELECT 'mailbox ' || name || ' gave UID ' || max(uid) || ' and would give ' || uidnext FROM mailbox JOIN entry ON mailbox_id = id GROUP BY id HAVING max(uid) >= uidnext`},
	{RowsInconsistent, "A5", `SELECT 'UID ' || uid || ' of mailbox ' || mailbox_id || ' vanished and is used again' FROM vanished JOIN entry USING (mailbox_id, uid)`},
	{RowsInconsistent, "A5", `SELECT 'entry ' || uid || ' is in mailbox ' || mailbox_id || ', which there is not' FROM entry WHERE mailbox_id NOT IN (SELECT id FROM mailbox)`},
	{RowsInconsistent, "A1", `SELECT 'item ' || id || ' has no message' FROM item WHERE message_id NOT IN (SELECT id FROM message)`},
	{RowsInconsistent, "A6", `SELECT 'entry ' || uid || ' of mailbox ' || mailbox_id || ' has no item' FROM entry WHERE item_id NOT IN (SELECT id FROM item)`},
	{RowsInconsistent, "A6", `SELECT 'UID ' || uid || ' of folder ' || folder_id || ' has no item' FROM location WHERE item_id NOT IN (SELECT id FROM item)`},
	{RowsInconsistent, "A6", `SELECT 'UID ' || uid || ' is in folder ' || folder_id || ', which there is not' FROM location WHERE folder_id NOT IN (SELECT id FROM folder)`},
	{RowsInconsistent, "A6", `SELECT 'item ' || id || ' is at no place of the source and not marked gone' FROM item WHERE gone = 0 AND id NOT IN (SELECT item_id FROM location)`},
	{RowsInconsistent, "A6", `SELECT 'item ' || id || ' is marked gone and has a place at the source' FROM item WHERE gone <> 0 AND id IN (SELECT item_id FROM location)`},
	{RowsInconsistent, "A6", `SELECT 'item ' || i.id || ' is marked gone and not in the mailbox for that' FROM item i WHERE gone <> 0
		AND NOT EXISTS (SELECT 1 FROM entry JOIN mailbox ON mailbox.id = mailbox_id WHERE item_id = i.id AND name = '` + GoneMailbox + `')`},
	{RowsInconsistent, "A6", `SELECT 'item ' || id || ' is in no mailbox' FROM item WHERE id NOT IN (SELECT item_id FROM entry)`},
	{RowsInconsistent, "A6", `SELECT 'item ' || id || ' belongs to account ' || account_id || ', which there is not' FROM item WHERE account_id NOT IN (SELECT id FROM account)`},
	{RowsInconsistent, "A6", `SELECT 'folder ' || name || ' was completed under UIDVALIDITY ' || uidvalidity || ' and is read under ' || current FROM folder WHERE uidvalidity NOT IN (0, current)`},
	{RowsInconsistent, "A6", `SELECT 'UID ' || uid || ' of folder ' || folder_id || ' is kept and pruned at once' FROM buried JOIN location USING (folder_id, validity, uid)`},
	{RowsInconsistent, "A6", `SELECT 'UID ' || uid || ' of folder ' || folder_id || ' is pruned, and nothing says so' FROM buried WHERE tombstone_id NOT IN (SELECT id FROM tombstone)`},
	{RowsInconsistent, "A8", `SELECT 'row of batch ' || max(modseq) || ', the last one is ' || seq FROM applied, (SELECT modseq FROM item UNION ALL SELECT modseq FROM mailbox UNION ALL SELECT modseq FROM vanished)
		GROUP BY seq HAVING max(modseq) > seq`},
}

// checkRows looks for rows that contradict each other. Each rule is one statement, and so sees one moment.
func (c *checker) checkRows(ctx context.Context) error {
	for _, rule := range rules {
		var problems []string
		if err := c.reader.db.SelectContext(ctx, &problems, fmt.Sprintf("%s LIMIT %d", rule.query, mostFindings)); err != nil {
			return fmt.Errorf("%s: %w", rule.query, err)
		}
		for _, p := range problems {
			if err := c.found(ctx, Finding{Kind: rule.kind, Invariant: rule.invariant, Path: databaseFile, Problem: "is inconsistent: " + p}); err != nil {
				return err
			}
		}
	}
	return nil
}

// mostShown bounds Finding.Shown.
const mostShown = 5

// shownIn tells where readers see a message. It is only for people, so that whatever goes wrong leaves it empty.
func (c *checker) shownIn(ctx context.Context, ref Ref) []string {
	if c.rows == nil {
		return nil
	}
	var places []string
	err := c.rows.db.SelectContext(ctx, &places, `SELECT account.name || ': ' || mailbox.name || ', UID ' || uid FROM message m JOIN item ON message_id = m.id
		JOIN entry ON item_id = item.id JOIN mailbox ON mailbox.id = mailbox_id JOIN account ON account.id = mailbox.account_id
		WHERE ref = ? ORDER BY mailbox.account_id, mailbox.name LIMIT ?`, ref, mostShown)
	if err != nil {
		return nil
	}
	return places
}
