package archive

import (
	"errors"
	"time"
)

// AccountID names an account of the archive. Assigned once, never reused.
type AccountID int64

// FolderID names a folder of the source: a mailbox of the server that was backed up.
type FolderID int64

// MailboxID names a mailbox of the archive: what a reader sees.
type MailboxID int64

// ItemID names an item: a message as one account holds it.
type ItemID int64

// MessageID names a distinct message within one gmail.db: the number of its row, from 1. Beside it stands the Ref, which is the message's identity everywhere.
type MessageID int64

// PruneID names a run of prune: 1 is the first.
type PruneID int64

// UID is a message's unique identifier in a mailbox of the archive (RFC 9051 section 2.3.1.1), assigned by the archive (A5).
type UID uint32

// ModSeq counts the batches recorded; a thing's ModSeq is the batch that changed it last. It only grows and survives a rebuild.
type ModSeq int64

// Kind says how an account's source works.
type Kind string

// The kinds of accounts.
const (
	Gmail Kind = "gmail" // an item is one X-GM-MSGID and has an entry per label
	IMAP  Kind = "imap"  // an item is one UID of one folder
)

// GoneMailbox is the name of the mailbox, one per account, that also shows the messages which vanished at the source.
const GoneMailbox = "Gone from server"

// Errors that callers tell apart. Each is wrapped in a sentence that names the folder.
var (
	ErrNotArchive = errors.New("not a mailkeep archive")
	ErrLocked     = errors.New("another mailkeep is writing to it")
	ErrNewer      = errors.New("written by a newer mailkeep")
	ErrOlder      = errors.New("written by an older mailkeep") // OpenWriter brings it up to date
	ErrNotFound   = errors.New("not found")
	ErrMapLost    = errors.New("gmail.db and the journal are lost; \"mailkeep rebuild\" makes them again from the messages, or copy both back from a copy of the archive")
	ErrDiskFull   = errors.New("the disk is full; free some space and run it again")
)

// Account is one source of mail.
type Account struct {
	ID   AccountID `db:"id"`
	Name string    `db:"name"` // as in the configuration; unique
	Kind Kind      `db:"kind"`
}

// FolderState is a folder's state at the source when everything in it had been recorded (A6). The zero state means "not yet".
type FolderState struct {
	UIDValidity uint32 `db:"uidvalidity" json:"validity,omitempty"`
	UIDNext     uint32 `db:"uidnext" json:"next,omitempty"`
	ModSeq      uint64 `db:"source_modseq" json:"modseq,omitempty"` // HIGHESTMODSEQ (RFC 7162); 0 where the server has none
	Messages    uint32 `db:"messages" json:"messages,omitempty"`    // EXISTS
}

// Folder is a mailbox of the server.
type Folder struct {
	ID          FolderID  `db:"id"`
	Account     AccountID `db:"account_id"`
	Name        string    `db:"name"`        // the server's name, decoded to UTF-8
	Delimiter   string    `db:"delimiter"`   // the server's hierarchy delimiter; "" when flat
	SpecialUse  string    `db:"special_use"` // RFC 6154 attribute such as `\All`, or ""
	ObjectID    string    `db:"object_id"`   // MAILBOXID (RFC 8474), or ""
	Mailbox     MailboxID `db:"mailbox_id"`  // the mailbox that shows this folder; 0 when none does
	FolderState           // what the last complete pass saw
	Current     uint32    `db:"current"` // the UIDVALIDITY that locations recorded now have; differs from FolderState's while a pass is under way
	GoneAt      int64     `db:"gone"`    // Unix seconds since when the server does not list it; 0 while it does
}

// Mailbox is a mailbox of the archive with its counters, which are kept with the row: reading them costs nothing.
type Mailbox struct {
	ID          MailboxID `db:"id"`
	Account     AccountID `db:"account_id"`
	Name        string    `db:"name"`        // UTF-8, levels separated by "/"; unique in the account
	SpecialUse  string    `db:"special_use"` // RFC 6154 attribute such as `\Sent`, or ""
	UIDValidity uint32    `db:"uidvalidity"` // A5; unique in the archive
	UIDNext     UID       `db:"uidnext"`     // the UID that the next entry gets
	Messages    uint32    `db:"messages"`
	Unseen      uint32    `db:"unseen"` // entries without \Seen
	Bytes       int64     `db:"bytes"`  // sum of the messages' sizes
	ModSeq      ModSeq    `db:"modseq"` // the last batch that changed an entry, a flag or the mailbox itself
	GoneAt      int64     `db:"gone"`   // Unix seconds since when the source has no such mailbox; 0 while it has
}

// Entry is a message in a mailbox.
type Entry struct {
	UID      UID
	Item     ItemID
	Message  MessageID // what [Summaries.Get] takes, with the Ref
	Ref      Ref
	Size     int64     // bytes of the file
	Date     time.Time // INTERNALDATE in the zone that the server gave
	Flags    string    // canonical: sorted, separated by one blank, as they stand in an IMAP flag list; strings are shared between entries
	SourceID string    // X-GM-MSGID in decimal or EMAILID; "" when the server has none
	ThreadID string    // X-GM-THRID in decimal or THREADID; "" when the server has none
	ModSeq   ModSeq    // the batch that last changed the flags, or the mailboxes that the message is in
	GoneAt   int64     // Unix seconds since when the source has not had it; 0 while it has
}

// Changes is what happened to a mailbox after a ModSeq.
type Changes struct {
	ModSeq   ModSeq  // pass it to the next call
	Vanished []UID   // entries taken out, ascending; may name UIDs that the caller never saw
	Changed  []Entry // entries with other flags, or now in other mailboxes too (also new ones among them are in Added only), ascending by UID
	Added    []Entry // new entries, ascending by UID
}

// Hole is an entry of the failure ledger: a message that the source lists but did not deliver. Each run tries it again.
type Hole struct {
	Account  AccountID `db:"account_id"`
	Folder   FolderID  `db:"folder_id"`
	Name     string    `db:"name"` // the folder's name
	Validity uint32    `db:"validity"`
	UID      uint32    `db:"uid"` // the source's UID
	Reason   string    `db:"reason"`
	Tries    int       `db:"tries"`
	First    int64     `db:"first"` // Unix seconds of the first failure
	Last     int64     `db:"last"`  // Unix seconds of the latest failure
}

// Totals are the sums over the archive or one account.
type Totals struct {
	Messages int64 `db:"messages"` // distinct messages, that is files
	Bytes    int64 `db:"bytes"`    // their sizes
	Items    int64 `db:"items"`    // messages as the accounts hold them
	Gone     int64 `db:"gone"`     // items that vanished at the source
	Entries  int64 `db:"entries"`  // items counted once per mailbox
	Holes    int64 `db:"holes"`    // the failure ledger
}
