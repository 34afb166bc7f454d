package archive

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
)

// Copies calls f for each copy recorded under a folder's current UIDVALIDITY, ascending by the source's UID, and stops at f's first error. It holds one
// connection meanwhile, so f must not wait for the network.
func (r *Reader) Copies(ctx context.Context, folder FolderID, f func(Known) error) error {
	return r.copies(ctx, folder, "l.validity = d.current ORDER BY l.uid", f)
}

// Unconfirmed calls f for each copy of a folder that was recorded under another UIDVALIDITY than the current one and not found again since: what a batch with the folder's
// state gives up. The UIDs are the old ones. Otherwise it is as Copies.
func (r *Reader) Unconfirmed(ctx context.Context, folder FolderID, f func(Known) error) error {
	// Two ranges of the key: "<>" would read the whole folder.
	for _, condition := range []string{"l.validity < d.current", "l.validity > d.current"} {
		if err := r.copies(ctx, folder, condition, f); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) copies(ctx context.Context, folder FolderID, condition string, f func(Known) error) error {
	conn, err := r.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("list copies of folder %d: %w", folder, err)
	}
	defer conn.Close()
	flags := make(sharedStrings)
	n := 0
	var stop error
	take := func(v row) (more bool, err error) {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		k, err := knownOf(v, flags)
		if err == nil {
			stop = f(k)
		}
		return stop == nil, err
	}
	// Past database/sql, which takes as long to hand the values on as SQLite to find them.
	err = conn.Raw(func(driverConn any) error {
		rows, err := driverConn.(driver.QueryerContext).QueryContext(ctx, `SELECT l.uid, i.id, m.ref, i.source_id, i.flags
			FROM folder d JOIN location l ON l.folder_id = d.id
			JOIN item i ON i.id = l.item_id JOIN message m ON m.id = i.message_id
			WHERE d.id = ? AND `+condition, []driver.NamedValue{{Ordinal: 1, Value: int64(folder)}})
		if err != nil {
			return err
		}
		return errors.Join(eachRow(rows, take), rows.Close())
	})
	if err != nil {
		return fmt.Errorf("list copies of folder %d: %w", folder, err)
	}
	return stop
}

// knownOf reads one row of copies. The schema has no NULL in it, and its types, but SQLite does not insist.
func knownOf(v row, flags sharedStrings) (k Known, err error) {
	uid, isNumber := v[0].(int64)
	item, isItem := v[1].(int64)
	source, isText := v[3].(string)
	list, isList := v[4].(string)
	if !isNumber || uid < 0 || uid > math.MaxUint32 || !isItem || !isText || !isList {
		return k, fmt.Errorf("row %v is not of the types that the schema has", v)
	}
	err = k.Ref.Scan(v[2])
	k.UID, k.Item, k.SourceID, k.Flags = uint32(uid), ItemID(item), source, flags.one(list)
	return k, err
}

// Outside returns the UIDs of a folder's copies, under its current UIDVALIDITY, whose date is before a time or whose message is larger than a size. A zero time or size
// says nothing.
func (r *Reader) Outside(ctx context.Context, folder FolderID, before time.Time, larger int64) ([]uint32, error) {
	earliest := int64(math.MinInt64)
	if !before.IsZero() {
		earliest = before.Unix()
	}
	if larger == 0 {
		larger = math.MaxInt64
	}
	var uids []uint32
	err := r.db.SelectContext(ctx, &uids, `SELECT l.uid
		FROM folder d JOIN location l ON l.folder_id = d.id AND l.validity = d.current
		JOIN item i ON i.id = l.item_id JOIN message m ON m.id = i.message_id
		WHERE d.id = ? AND (i.date < ? OR m.size > ?) ORDER BY l.uid`, folder, earliest, larger)
	if err != nil {
		return nil, fmt.Errorf("list copies of folder %d by date and size: %w", folder, err)
	}
	return uids, nil
}

// BySourceID returns the messages that an account holds under the given ids (X-GM-MSGID or EMAILID); unknown ids are left out.
func (r *Reader) BySourceID(ctx context.Context, account AccountID, ids []string) (map[string]Ref, error) {
	found := make(map[string]Ref, len(ids))
	err := lookUp(ctx, r, "SELECT i.source_id, m.ref FROM item i JOIN message m ON m.id = i.message_id WHERE i.source_id <> '' AND i.account_id = ? AND i.source_id IN (?)",
		[]any{account}, ids, func(id string, ref Ref) { found[id] = ref })
	if err != nil {
		return nil, fmt.Errorf("find messages by their ids at the source: %w", err)
	}
	return found, nil
}

// EntryCounts returns in how many mailboxes the messages that an account holds under the given ids are shown; unknown ids are left out.
func (r *Reader) EntryCounts(ctx context.Context, account AccountID, ids []string) (map[string]int, error) {
	found := make(map[string]int, len(ids))
	err := lookUp(ctx, r, "SELECT i.source_id, (SELECT count(*) FROM entry e WHERE e.item_id = i.id) FROM item i WHERE i.source_id <> '' AND i.account_id = ? AND i.source_id IN (?)",
		[]any{account}, ids, func(id string, n int) { found[id] += n })
	if err != nil {
		return nil, fmt.Errorf("count the mailboxes of messages: %w", err)
	}
	return found, nil
}

// ByFingerprint returns the messages with the given fingerprints. Unknown ones are left out, and so are those that more than one message has:
// only a download can tell which it is.
func (r *Reader) ByFingerprint(ctx context.Context, fingerprints []Fingerprint) (map[Fingerprint]Ref, error) {
	found := make(map[Fingerprint]Ref, len(fingerprints))
	var ambiguous []Fingerprint
	err := lookUp(ctx, r, "SELECT fingerprint, ref FROM message WHERE fingerprint IN (?)", nil, fingerprints, func(f Fingerprint, ref Ref) {
		if other, twice := found[f]; twice && other != ref {
			ambiguous = append(ambiguous, f)
		}
		found[f] = ref
	})
	if err != nil {
		return nil, fmt.Errorf("find messages by fingerprint: %w", err)
	}
	for _, f := range ambiguous {
		delete(found, f)
	}
	return found, nil
}

// lookUp runs a query that ends in "IN (?)" for the keys, in portions below SQLite's bound on parameters, and calls f with each pair found.
func lookUp[K, V any](ctx context.Context, r *Reader, query string, args []any, keys []K, f func(K, V)) error {
	const most = 500
	for portion := range slices.Chunk(keys, most) {
		expanded, values, err := sqlx.In(query, append(slices.Clone(args), portion)...)
		if err != nil {
			return err
		}
		rows, err := r.db.QueryContext(ctx, expanded, values...)
		if err != nil {
			return err
		}
		if err := scanPairs(rows, f); err != nil {
			return err
		}
	}
	return nil
}

func scanPairs[K, V any](rows *sql.Rows, f func(K, V)) error {
	defer rows.Close()
	for rows.Next() {
		var key K
		var value V
		if err := rows.Scan(&key, &value); err != nil {
			return err
		}
		f(key, value)
	}
	return rows.Err()
}
