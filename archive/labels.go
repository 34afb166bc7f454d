package archive

import (
	"context"
	"database/sql"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Labels says for entries of one mailbox in which mailboxes their messages are shown.
type Labels struct {
	uids []UID
	sets []int32 // index into boxes, for each of uids
	// boxes are the combinations that occur: a mailbox of a hundred thousand messages has few.
	boxes [][]MailboxID
}

// Of returns the mailboxes of the message with that UID, by id, the one asked in included; none when there was no such entry. The slice is shared: equal ones
// for messages with the same mailboxes.
func (l *Labels) Of(uid UID) []MailboxID {
	i := sort.Search(len(l.uids), func(i int) bool { return l.uids[i] >= uid })
	if i == len(l.uids) || l.uids[i] != uid {
		return nil
	}
	return l.boxes[l.sets[i]]
}

// The mailboxes of an item are its labels on Gmail. Elsewhere each copy is an item of its own, and the labels of a message are the mailboxes of all its copies in the account.
const (
	labelsOfItem = `SELECT e.uid, group_concat(o.mailbox_id) FROM entry e JOIN entry o ON o.item_id = e.item_id
		WHERE e.mailbox_id = ? AND e.uid BETWEEN ? AND ? GROUP BY e.uid`
	labelsOfCopies = `SELECT e.uid, group_concat(DISTINCT o.mailbox_id) FROM entry e JOIN item i ON i.id = e.item_id
		JOIN item j ON j.message_id = i.message_id AND j.account_id = i.account_id JOIN entry o ON o.item_id = j.id
		WHERE e.mailbox_id = ? AND e.uid BETWEEN ? AND ? GROUP BY e.uid`
)

// Labels returns the mailboxes that show the messages with the UIDs from first to last of a mailbox, in one query.
func (r *Reader) Labels(ctx context.Context, id MailboxID, first, last UID) (*Labels, error) {
	l, err := r.labels(ctx, id, first, last)
	if err != nil {
		return nil, fmt.Errorf("list the labels in mailbox %d: %w", id, err)
	}
	return l, nil
}

func (r *Reader) labels(ctx context.Context, id MailboxID, first, last UID) (*Labels, error) {
	var kind Kind
	if err := r.db.GetContext(ctx, &kind, "SELECT kind FROM account JOIN mailbox ON account_id = account.id WHERE mailbox.id = ?", id); err != nil {
		return nil, err
	}
	query := labelsOfCopies
	if kind == Gmail {
		query = labelsOfItem
	}
	rows, err := r.db.QueryContext(ctx, query, id, first, last)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	l := new(Labels)
	known := make(map[string]int32)
	var list sql.RawBytes
	for rows.Next() {
		var uid UID
		if err := rows.Scan(&uid, &list); err != nil {
			return nil, err
		}
		set, ok := known[string(list)]
		if !ok {
			set = int32(len(l.boxes))
			known[string(list)] = set
			l.boxes = append(l.boxes, parseMailboxIDs(string(list)))
		}
		l.uids, l.sets = append(l.uids, uid), append(l.sets, set)
	}
	return l, rows.Err()
}

// parseMailboxIDs reads what group_concat has made of mailbox ids.
func parseMailboxIDs(list string) []MailboxID {
	var ids []MailboxID
	for s := range strings.SplitSeq(list, ",") {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			ids = append(ids, MailboxID(n))
		}
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}
