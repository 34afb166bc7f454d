package archive

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailkeep/message"
)

// recovered is a message of which only the file is left.
type recovered struct {
	ref  Ref
	size int64
	date time.Time
}

// recover makes items of the whole message files that no row tells of, in the order of their dates. They are at no place of the source, and so count as gone until a backup
// meets them.
func (b *rebuilder) recover(ctx context.Context, m *mender) error {
	found, err := b.unknownFiles(ctx, m)
	if err != nil || len(found) == 0 {
		return err
	}
	slices.SortFunc(found, func(x, y recovered) int {
		return cmp.Or(x.date.Compare(y.date), bytes.Compare(x.ref[:], y.ref[:]))
	})
	account, err := m.theAccount()
	if err != nil {
		return err
	}
	box, err := m.mailbox(account.ID, RecoveredMailbox)
	if err != nil {
		return err
	}
	var next UID
	if err := m.tx.GetContext(ctx, &next, "SELECT max(uidnext, coalesce((SELECT max(uid) + 1 FROM entry WHERE mailbox_id = ?1), 1)) FROM mailbox WHERE id = ?1", box); err != nil {
		return err
	}
	for i := range found {
		if err := m.add(&found[i], account.ID, box, next+UID(i)); err != nil {
			return err
		}
	}
	b.done.Recovered, b.done.Account = int64(len(found)), account.Name
	return nil
}

// add makes an item of a file.
func (m *mender) add(r *recovered, account AccountID, box MailboxID, uid UID) error {
	result, err := m.tx.ExecContext(m.ctx, "INSERT INTO message (ref, size) VALUES (?, ?)", r.ref, r.size)
	if err != nil {
		return err
	}
	id, err := result.LastInsertId()
	if err != nil {
		return err
	}
	date := keepableDate(r.date)
	_, offset := date.Zone()
	result, err = m.tx.ExecContext(m.ctx, "INSERT INTO item (account_id, message_id, date, zone, gone, modseq) VALUES (?, ?, ?, ?, ?, ?)", account, id, date.Unix(), offset/60, m.now, m.seq)
	if err != nil {
		return err
	}
	item, err := result.LastInsertId()
	if err != nil {
		return err
	}
	return m.exec("INSERT INTO entry (mailbox_id, uid, item_id) VALUES (?, ?, ?)", box, uid, item)
}

// unknownFiles lists the whole files without a row.
func (b *rebuilder) unknownFiles(ctx context.Context, m *mender) ([]recovered, error) {
	var all []recovered
	for i := range 256 {
		folder := filepath.Join(b.dir, Ref{byte(i)}.String()[:2])
		files, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		for _, file := range files {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			name, isMessage := strings.CutSuffix(file.Name(), extension)
			ref, err := ParseRef(name)
			if !isMessage || err != nil || ref[0] != byte(i) {
				continue
			}
			var known int
			// What was pruned shall not come back, whatever a crash left of it.
			if err := m.tx.GetContext(ctx, &known, "SELECT (SELECT count(*) FROM message WHERE ref = ?1) + (SELECT count(*) FROM tombstone WHERE ref = ?1)", ref); err != nil {
				return nil, err
			}
			if known > 0 {
				continue
			}
			one, whole, err := examineFile(filepath.Join(folder, file.Name()), ref)
			if err != nil {
				return nil, err
			}
			if whole {
				all = append(all, one)
			}
		}
	}
	return all, nil
}

// mostHeader is how much of a message is searched for its date.
const mostHeader = 64 << 10

// examineFile tells whether a file holds the message that its name says, and when that arrived. A file that cannot be read is left where it is: check reports it.
func examineFile(path string, ref Ref) (one recovered, whole bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return one, false, nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return one, false, nil
	}
	head := make([]byte, mostHeader)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return one, false, nil
	}
	head = head[:n]
	hash := sha256.New()
	hash.Write(head)
	rest, err := io.Copy(hash, f)
	if err != nil || Ref(hash.Sum(nil)) != ref {
		return one, false, nil
	}
	return recovered{ref: ref, size: int64(n) + rest, date: arrival(head, info.ModTime())}, true, nil
}

// arrival is when a message came: what the server noted that received it last (RFC 5321 section 4.4), or else the writer's Date, or else when the file was written.
func arrival(head []byte, written time.Time) time.Time {
	h := message.Header(head)
	received := h.Get("Received")
	if i := strings.LastIndexByte(received, ';'); i >= 0 {
		if t, ok := message.ParseDate(received[i+1:]); ok && plausible(t) {
			return t
		}
	}
	if t, ok := message.ParseDate(h.Get("Date")); ok && plausible(t) {
		return t
	}
	return written
}

func plausible(t time.Time) bool {
	return t.Year() > 1970 && t.Before(time.Now().Add(48*time.Hour))
}
