package archive

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jmoiron/sqlx"
)

// Finding is something that breaks an invariant of doc.go.
type Finding struct {
	Invariant string // "A1" to "A8", or "database" for damage of gmail.db itself
	Problem   string // one sentence
}

func (f Finding) String() string { return f.Invariant + ": " + f.Problem }

// CheckOptions says how deep Check looks.
type CheckOptions struct {
	Digests bool // read every message and compare its SHA-256; otherwise existence and size only
	Journal bool // apply the whole journal to an empty database and compare
}

// Check verifies the invariants and returns what breaks them, at most a hundred findings a rule. The error is for a check that could not be made.
// Its result is exact only while no Writer is at work.
func (r *Reader) Check(ctx context.Context, o CheckOptions) ([]Finding, error) {
	var all []Finding
	for _, step := range []func(context.Context, CheckOptions) ([]Finding, error){r.checkDatabase, r.checkRows, r.checkFiles, r.checkJournal} {
		found, err := step(ctx, o)
		if err != nil {
			return all, fmt.Errorf("check archive %q: %w", r.dir, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

const mostFindings = 100

func (r *Reader) checkDatabase(ctx context.Context, _ CheckOptions) ([]Finding, error) {
	var lines []string
	if err := r.db.SelectContext(ctx, &lines, "PRAGMA integrity_check(100)"); err != nil {
		return nil, err
	}
	var found []Finding
	for _, line := range lines {
		if line != "ok" {
			found = append(found, Finding{"database", line})
		}
	}
	return found, nil
}

// rules are queries that list what breaks an invariant, one text column each.
var rules = []struct{ invariant, query string }{
	{"A5", `SELECT 'mailbox ' || name || ' counts ' || messages || ' messages, ' || unseen || ' unseen, ' || bytes || ' bytes; it holds ' || n || ', ' || u || ', ' || b FROM (
		SELECT name, messages, unseen, bytes, (SELECT count(*) FROM entry WHERE mailbox_id = mailbox.id) AS n,
		(SELECT count(*) FROM entry JOIN item ON item.id = item_id WHERE mailbox_id = mailbox.id AND ' ' || lower(flags) || ' ' NOT LIKE '% \seen %') AS u,
		(SELECT coalesce(sum(size), 0) FROM entry JOIN item ON item.id = item_id JOIN message ON message.id = message_id WHERE mailbox_id = mailbox.id) AS b FROM mailbox)
		WHERE messages <> n OR unseen <> u OR bytes <> b`},
	{"A5", `SELECT 'mailbox ' || name || ' gave UID ' || max(uid) || ' and would give ' || uidnext FROM mailbox JOIN entry ON mailbox_id = id GROUP BY id HAVING max(uid) >= uidnext`},
	{"A5", `SELECT 'UID ' || uid || ' of mailbox ' || mailbox_id || ' vanished and is used again' FROM vanished JOIN entry USING (mailbox_id, uid)`},
	{"A1", `SELECT 'item ' || id || ' has no message' FROM item WHERE message_id NOT IN (SELECT id FROM message)`},
	{"A6", `SELECT 'entry ' || uid || ' of mailbox ' || mailbox_id || ' has no item' FROM entry WHERE item_id NOT IN (SELECT id FROM item)`},
	{"A6", `SELECT 'UID ' || uid || ' of folder ' || folder_id || ' has no item' FROM location WHERE item_id NOT IN (SELECT id FROM item)`},
	{"A6", `SELECT 'item ' || id || ' is at no place of the source and not marked gone' FROM item WHERE gone = 0 AND id NOT IN (SELECT item_id FROM location)`},
	{"A6", `SELECT 'item ' || id || ' is marked gone and has a place at the source' FROM item WHERE gone <> 0 AND id IN (SELECT item_id FROM location)`},
	{"A6", `SELECT 'item ' || i.id || ' is marked gone and not in the mailbox for that' FROM item i WHERE gone <> 0
		AND NOT EXISTS (SELECT 1 FROM entry JOIN mailbox ON mailbox.id = mailbox_id WHERE item_id = i.id AND name = '` + GoneMailbox + `')`},
	{"A6", `SELECT 'item ' || id || ' is in no mailbox' FROM item WHERE id NOT IN (SELECT item_id FROM entry)`},
	{"A6", `SELECT 'folder ' || name || ' was completed under UIDVALIDITY ' || uidvalidity || ' and is read under ' || current FROM folder WHERE uidvalidity NOT IN (0, current)`},
	{"A8", `SELECT 'row of batch ' || max(modseq) || ', the last one is ' || seq FROM applied, (SELECT modseq FROM item UNION ALL SELECT modseq FROM mailbox UNION ALL SELECT modseq FROM vanished)
		GROUP BY seq HAVING max(modseq) > seq`},
}

func (r *Reader) checkRows(ctx context.Context, _ CheckOptions) ([]Finding, error) {
	var found []Finding
	for _, rule := range rules {
		var problems []string
		if err := r.db.SelectContext(ctx, &problems, fmt.Sprintf("%s LIMIT %d", rule.query, mostFindings)); err != nil {
			return nil, fmt.Errorf("%s: %w", rule.query, err)
		}
		for _, p := range problems {
			found = append(found, Finding{rule.invariant, p})
		}
	}
	return found, nil
}

func (r *Reader) checkFiles(ctx context.Context, o CheckOptions) ([]Finding, error) {
	rows, err := r.db.QueryContext(ctx, "SELECT ref, size FROM message")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var found []Finding
	for rows.Next() && len(found) < mostFindings {
		var ref Ref
		var size int64
		if err := rows.Scan(&ref, &size); err != nil {
			return nil, err
		}
		problem, err := r.checkFile(ref, size, o.Digests)
		if err != nil {
			return nil, err
		}
		if problem != "" {
			found = append(found, Finding{"A1", fmt.Sprintf("message %s %s", ref, problem)})
		}
	}
	return found, rows.Err()
}

// checkFile returns what is wrong with a message's file, or "".
func (r *Reader) checkFile(ref Ref, size int64, digest bool) (string, error) {
	f, err := r.OpenMessage(ref)
	if errors.Is(err, ErrNotFound) {
		return "has no file", nil
	}
	if err != nil {
		return fmt.Sprintf("cannot be read: %v", err), nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Size() != size {
		return fmt.Sprintf("has a file of %d bytes and should have %d", info.Size(), size), nil
	}
	if !digest {
		return "", nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return fmt.Sprintf("cannot be read: %v", err), nil
	}
	if Ref(hash.Sum(nil)) != ref {
		return "has a file with another digest", nil
	}
	return "", nil
}

// checkJournal applies the journal to an empty database and compares the two, row by row.
func (r *Reader) checkJournal(ctx context.Context, o CheckOptions) ([]Finding, error) {
	if !o.Journal {
		return nil, nil
	}
	tmp, err := os.MkdirTemp("", "mailkeep-check-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	again, err := connect(filepath.Join(tmp, databaseFile), "synchronous(OFF)")
	if err != nil {
		return nil, err
	}
	defer again.Close()
	again.SetMaxOpenConns(1)
	if err := migrate(again); err != nil {
		return nil, err
	}
	_, err = readJournal(filepath.Join(r.dir, journalDir), position{}, func(g group) error { return replay(ctx, again, g) })
	var system *fs.PathError
	if ctx.Err() != nil || errors.As(err, &system) {
		return nil, err
	}
	if err != nil {
		return []Finding{{"A8", err.Error()}}, nil
	}
	return compareDatabases(ctx, r.db, again)
}

// comparedTables lists what two equal databases agree on, each table in a fixed order.
var comparedTables = []string{
	"account ORDER BY id", "mailbox ORDER BY id", "folder ORDER BY id", "message ORDER BY id", "item ORDER BY id", "entry ORDER BY mailbox_id, uid",
	"vanished ORDER BY mailbox_id, modseq, uid", "location ORDER BY folder_id, validity, uid", "hole ORDER BY folder_id, validity, uid", "applied ORDER BY one",
}

func compareDatabases(ctx context.Context, have, want *sqlx.DB) ([]Finding, error) {
	var found []Finding
	for _, table := range comparedTables {
		difference, err := compareTable(ctx, have, want, table)
		if err != nil {
			return nil, fmt.Errorf("compare table %s: %w", table, err)
		}
		if difference != "" {
			found = append(found, Finding{"A8", fmt.Sprintf("%s differs from the journal in table %s: %s", databaseFile, table, difference)})
		}
	}
	return found, nil
}

// compareTable returns the first difference, or "".
func compareTable(ctx context.Context, have, want *sqlx.DB, table string) (string, error) {
	a, err := have.QueryxContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return "", err
	}
	defer a.Close()
	b, err := want.QueryxContext(ctx, "SELECT * FROM "+table)
	if err != nil {
		return "", err
	}
	defer b.Close()
	for {
		x, xErr := nextRow(a)
		y, yErr := nextRow(b)
		if err := errors.Join(xErr, yErr); err != nil {
			return "", err
		}
		if x != y {
			return fmt.Sprintf("%s; the journal gives %s", x, y), nil
		}
		if x == "" {
			return "", nil
		}
	}
}

// nextRow returns a row as text, or "" at the end.
func nextRow(rows *sqlx.Rows) (string, error) {
	if !rows.Next() {
		return "", rows.Err()
	}
	values, err := rows.SliceScan()
	return fmt.Sprintf("%v", values), err
}
