package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Held is what the archive has of one message of an account, for a comparison with the source.
type Held struct {
	UID       uint32 // the source's UID; 0 when it was looked up by something else
	Item      ItemID
	Ref       Ref
	Size      int64
	SourceID  string
	Flags     string      // canonical, as in Entry
	GoneAt    int64       // as in Entry
	Mailboxes []MailboxID // that show it, ascending; equal lists are shared
}

const heldColumns = `i.id, m.ref, m.size, i.source_id, i.flags, i.gone, (SELECT group_concat(e.mailbox_id) FROM entry e WHERE e.item_id = i.id)`

// Held returns the copies of a folder recorded under a UIDVALIDITY of the source, with UIDs from first to last, ascending. The caller bounds how many that may be.
func (r *Reader) Held(ctx context.Context, folder FolderID, validity, first, last uint32) ([]Held, error) {
	rows, err := r.db.QueryContext(ctx, `SELECT l.uid, `+heldColumns+` FROM location l JOIN item i ON i.id = l.item_id JOIN message m ON m.id = i.message_id
		WHERE l.folder_id = ? AND l.validity = ? AND l.uid BETWEEN ? AND ? ORDER BY l.uid`, folder, validity, first, last)
	var held []Held
	if err == nil {
		held, err = scanHeld(rows)
	}
	if err != nil {
		return nil, fmt.Errorf("list what is kept of folder %d: %w", folder, err)
	}
	return held, nil
}

// HeldBySourceID returns what an account holds under ids of the source (X-GM-MSGID or EMAILID); unknown ids are left out. Of several items that which is at the source comes first.
func (r *Reader) HeldBySourceID(ctx context.Context, account AccountID, ids []string) (map[string][]Held, error) {
	found := make(map[string][]Held, len(ids))
	err := r.heldIn(ctx, `i.account_id = ? AND i.source_id <> '' AND i.source_id IN (%s) ORDER BY i.gone <> 0, i.id`, account, texts(ids), func(h Held, _ Fingerprint) {
		found[h.SourceID] = append(found[h.SourceID], h)
	})
	if err != nil {
		return nil, fmt.Errorf("list what is kept under ids of the source: %w", err)
	}
	return found, nil
}

// HeldByFingerprint returns what an account holds of messages with the given fingerprints; unknown ones are left out.
func (r *Reader) HeldByFingerprint(ctx context.Context, account AccountID, prints []Fingerprint) (map[Fingerprint][]Held, error) {
	blobs := make([]any, len(prints))
	for i, p := range prints {
		blobs[i] = p[:]
	}
	found := make(map[Fingerprint][]Held, len(prints))
	err := r.heldIn(ctx, `i.account_id = ? AND m.fingerprint IN (%s) ORDER BY i.gone <> 0, i.id`, account, blobs, func(h Held, p Fingerprint) {
		found[p] = append(found[p], h)
	})
	if err != nil {
		return nil, fmt.Errorf("list what is kept under fingerprints: %w", err)
	}
	return found, nil
}

func texts(all []string) []any {
	out := make([]any, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

// heldIn calls f for what a condition with a list of keys finds, in portions below SQLite's bound on parameters.
func (r *Reader) heldIn(ctx context.Context, condition string, account AccountID, keys []any, f func(Held, Fingerprint)) error {
	for portion := range slices.Chunk(keys, 500) {
		marks := strings.TrimSuffix(strings.Repeat("?,", len(portion)), ",")
		rows, err := r.db.QueryContext(ctx, `SELECT m.fingerprint, `+heldColumns+` FROM item i JOIN message m ON m.id = i.message_id WHERE `+fmt.Sprintf(condition, marks),
			append([]any{account}, portion...)...)
		if err != nil {
			return err
		}
		var print Fingerprint
		err = eachHeld(rows, &print, func(h Held) { f(h, print) })
		if err != nil {
			return err
		}
	}
	return nil
}

func scanHeld(rows *sql.Rows) ([]Held, error) {
	var held []Held
	var uid uint32
	err := eachHeld(rows, &uid, func(h Held) {
		h.UID = uid
		held = append(held, h)
	})
	return held, err
}

// eachHeld reads rows of one leading column and heldColumns.
func eachHeld(rows *sql.Rows, leading any, f func(Held)) error {
	defer rows.Close()
	shared := make(sharedStrings)
	lists := make(map[string][]MailboxID)
	for rows.Next() {
		var h Held
		var boxes sql.NullString
		if err := rows.Scan(leading, &h.Item, &h.Ref, &h.Size, &h.SourceID, &h.Flags, &h.GoneAt, &boxes); err != nil {
			return err
		}
		h.Flags = shared.one(h.Flags)
		list, ok := lists[boxes.String]
		if !ok {
			list = mailboxIDs(boxes.String)
			lists[boxes.String] = list
		}
		h.Mailboxes = list
		f(h)
	}
	return rows.Err()
}

// mailboxIDs reads what group_concat wrote.
func mailboxIDs(text string) []MailboxID {
	var ids []MailboxID
	for part := range strings.SplitSeq(text, ",") {
		if id, err := strconv.ParseInt(part, 10, 64); err == nil {
			ids = append(ids, MailboxID(id))
		}
	}
	slices.Sort(ids)
	return ids
}

// HasFile tells whether a message's file is in place with the recorded size and, with digest, the right bytes; problem says what is wrong with it, "" nothing.
func (r *Reader) HasFile(ref Ref, size int64, digest bool) (problem string, err error) {
	return r.checkFile(ref, size, digest)
}

// ListDigest is what a Receipt says of the archive's content.
type ListDigest struct {
	ModSeq ModSeq // the batch of the archive that it stands for
	Items  int64  // lines of the list: messages of the account
	SHA256 string // of the list, in hexadecimal
}

// ListDigest computes the digest over the sorted list of what an account holds: a line for each item, in the order of the messages' digests, each line a JSON array of the
// message's SHA-256 in hexadecimal and the sorted names of its mailboxes. Equal digests mean equal messages under equal labels. The memory it takes does not grow with the account.
func (r *Reader) ListDigest(ctx context.Context, account AccountID) (ListDigest, error) {
	d, err := r.listDigest(ctx, account)
	if err != nil {
		return ListDigest{}, fmt.Errorf("compute the digest of account %d: %w", account, err)
	}
	return d, nil
}

func (r *Reader) listDigest(ctx context.Context, account AccountID) (d ListDigest, err error) {
	names, err := r.mailboxNames(ctx, account)
	if err != nil {
		return d, err
	}
	tx, err := r.db.BeginTxx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return d, err
	}
	defer tx.Rollback()
	if err := tx.GetContext(ctx, &d.ModSeq, "SELECT seq FROM applied"); err != nil {
		return d, err
	}
	// CROSS JOIN keeps SQLite from another order than that of the index over ref, for which it would have to sort.
	rows, err := tx.QueryContext(ctx, `SELECT m.ref, (SELECT group_concat(e.mailbox_id) FROM entry e WHERE e.item_id = i.id)
		FROM message m CROSS JOIN item i WHERE i.message_id = m.id AND i.account_id = ? ORDER BY m.ref`, account)
	if err != nil {
		return d, err
	}
	defer rows.Close()
	list := listHash{names: names, suffixes: make(map[string][]byte), hash: sha256.New()}
	for rows.Next() {
		var ref Ref
		var boxes sql.NullString
		if err := rows.Scan(&ref, &boxes); err != nil {
			return d, err
		}
		list.add(ref, boxes.String)
	}
	list.flush()
	d.Items, d.SHA256 = list.lines, hex.EncodeToString(list.hash.Sum(nil))
	return d, rows.Err()
}

func (r *Reader) mailboxNames(ctx context.Context, account AccountID) (map[MailboxID]string, error) {
	names := make(map[MailboxID]string)
	rows, err := r.db.QueryContext(ctx, "SELECT id, name FROM mailbox WHERE account_id = ?", account)
	if err != nil {
		return nil, err
	}
	return names, scanPairs(rows, func(id MailboxID, name string) { names[id] = name })
}

// listHash hashes the lines of ListDigest. Lines with the same message wait for one another, to be sorted.
type listHash struct {
	names    map[MailboxID]string
	suffixes map[string][]byte // what follows the message's digest, by the list of mailboxes
	hash     interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}
	lines   int64
	ref     Ref
	waiting [][]byte
}

func (l *listHash) add(ref Ref, boxes string) {
	if ref != l.ref {
		l.flush()
		l.ref = ref
	}
	suffix, ok := l.suffixes[boxes]
	if !ok {
		suffix = l.suffix(mailboxIDs(boxes))
		l.suffixes[boxes] = suffix
	}
	l.waiting = append(l.waiting, suffix)
	l.lines++
}

func (l *listHash) flush() {
	slices.SortFunc(l.waiting, bytes.Compare)
	var line [70]byte
	for _, suffix := range l.waiting {
		l.hash.Write(append(append(line[:0], `["`...), hex.AppendEncode(nil, l.ref[:])...))
		l.hash.Write(suffix)
	}
	l.waiting = l.waiting[:0]
}

// suffix is the end of a line: `","label","label"]` and a line feed, or `"]` and a line feed without labels.
func (l *listHash) suffix(ids []MailboxID) []byte {
	labels := make([]string, len(ids))
	for i, id := range ids {
		labels[i] = l.names[id]
	}
	slices.Sort(labels)
	var text bytes.Buffer
	text.WriteByte('"')
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	for _, label := range labels {
		text.WriteByte(',')
		enc.Encode(label)             // a string cannot fail
		text.Truncate(text.Len() - 1) // Encode ends with a line feed
	}
	text.WriteString("]\n")
	return text.Bytes()
}
