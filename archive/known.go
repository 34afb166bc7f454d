package archive

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// Copies calls f for each copy recorded under a folder's current UIDVALIDITY, ascending by the source's UID, and stops at f's first error. It holds one
// connection meanwhile, so f must not wait for the network.
func (r *Reader) Copies(ctx context.Context, folder FolderID, f func(Known) error) error {
	rows, err := r.db.QueryContext(ctx, `SELECT l.uid, i.id, m.ref, i.source_id, i.flags
		FROM folder d JOIN location l ON l.folder_id = d.id AND l.validity = d.current
		JOIN item i ON i.id = l.item_id JOIN message m ON m.id = i.message_id
		WHERE d.id = ? ORDER BY l.uid`, folder)
	if err != nil {
		return fmt.Errorf("list copies of folder %d: %w", folder, err)
	}
	defer rows.Close()
	for rows.Next() {
		var k Known
		if err := rows.Scan(&k.UID, &k.Item, &k.Ref, &k.SourceID, &k.Flags); err != nil {
			return fmt.Errorf("list copies of folder %d: %w", folder, err)
		}
		if err := f(k); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list copies of folder %d: %w", folder, err)
	}
	return nil
}

// BySourceID returns the messages that an account holds under the given ids (X-GM-MSGID or EMAILID); unknown ids are left out.
func (r *Reader) BySourceID(ctx context.Context, account AccountID, ids []string) (map[string]Ref, error) {
	found := make(map[string]Ref, len(ids))
	err := inChunks(ids, func(chunk []string) error {
		query, args, err := sqlx.In("SELECT i.source_id, m.ref FROM item i JOIN message m ON m.id = i.message_id WHERE i.account_id = ? AND i.source_id IN (?) AND i.source_id <> ''", account, chunk)
		if err != nil {
			return err
		}
		rows, err := r.db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var ref Ref
			if err := rows.Scan(&id, &ref); err != nil {
				return err
			}
			found[id] = ref
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("find messages by their ids at the source: %w", err)
	}
	return found, nil
}

// ByFingerprint returns the messages with the given fingerprints. Unknown ones are left out, and so are those that more than one message has:
// only a download can tell which it is.
func (r *Reader) ByFingerprint(ctx context.Context, fingerprints []Fingerprint) (map[Fingerprint]Ref, error) {
	found := make(map[Fingerprint]Ref, len(fingerprints))
	var ambiguous []Fingerprint
	err := inChunks(fingerprints, func(chunk []Fingerprint) error {
		query, args, err := sqlx.In("SELECT fingerprint, ref FROM message WHERE fingerprint IN (?)", chunk)
		if err != nil {
			return err
		}
		rows, err := r.db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var f Fingerprint
			var ref Ref
			if err := rows.Scan(&f, &ref); err != nil {
				return err
			}
			if other, twice := found[f]; twice && other != ref {
				ambiguous = append(ambiguous, f)
			}
			found[f] = ref
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("find messages by fingerprint: %w", err)
	}
	for _, f := range ambiguous {
		delete(found, f)
	}
	return found, nil
}

// inChunks keeps queries below SQLite's bound on parameters.
func inChunks[T any](all []T, f func([]T) error) error {
	const most = 500
	for len(all) > 0 {
		n := min(most, len(all))
		if err := f(all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return nil
}
