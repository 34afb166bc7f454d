package archive

import "time"

// fact is one line of the journal: exactly one field is set. Facts carry all numbers that the archive gave out, so that applying the journal to an
// empty database gives the same database again. A released field is never renamed or given another meaning.
type fact struct {
	Account  *accountFact  `json:"account,omitempty"`
	Mailbox  *mailboxFact  `json:"mailbox,omitempty"`
	Folder   *folderFact   `json:"folder,omitempty"`
	State    *stateFact    `json:"state,omitempty"`
	Renumber *renumberFact `json:"renumber,omitempty"`
	Item     *itemFact     `json:"item,omitempty"`
	Flags    *flagsFact    `json:"flags,omitempty"`
	Enter    *enterFact    `json:"enter,omitempty"`
	Leave    *leaveFact    `json:"leave,omitempty"`
	At       *atFact       `json:"at,omitempty"`
	Left     *leftFact     `json:"left,omitempty"`
	Gone     *goneFact     `json:"gone,omitempty"`
	Forget   *forgetFact   `json:"forget,omitempty"`
	Hole     *holeFact     `json:"hole,omitempty"`
	Filled   *leftFact     `json:"filled,omitempty"`
	Commit   *commitFact   `json:"commit,omitempty"`

	// Of snapshots only (journal_snapshot.go).
	Snapshot *snapshotFact `json:"snapshot,omitempty"`
	Table    *tableFact    `json:"table,omitempty"`
	Row      rowFact       `json:"row,omitempty"`
	Whole    *wholeFact    `json:"whole,omitempty"`

	// since schema 2
	Prune     *pruneFact     `json:"prune,omitempty"`
	Drop      *dropFact      `json:"drop,omitempty"`
	Tombstone *tombstoneFact `json:"tombstone,omitempty"`
	Bury      *buryFact      `json:"bury,omitempty"`
	Raise     *raiseFact     `json:"raise,omitempty"`
	Undone    *undoneFact    `json:"undone,omitempty"`
}

// accountFact creates an account.
type accountFact struct {
	ID   AccountID `json:"id"`
	Name string    `json:"name"`
	Kind Kind      `json:"kind"`
}

// mailboxFact creates a mailbox or gives it a new name, special use or gone mark.
type mailboxFact struct {
	ID         MailboxID `json:"id"`
	Account    AccountID `json:"account"`
	Name       string    `json:"name"`
	SpecialUse string    `json:"use,omitempty"`
	Validity   uint32    `json:"validity"`
	Gone       int64     `json:"gone,omitempty"`
}

// folderFact creates a folder or describes it anew.
type folderFact struct {
	ID         FolderID  `json:"id"`
	Account    AccountID `json:"account"`
	Name       string    `json:"name"`
	Delimiter  string    `json:"delim,omitempty"`
	SpecialUse string    `json:"use,omitempty"`
	ObjectID   string    `json:"object,omitempty"`
	Mailbox    MailboxID `json:"mailbox,omitempty"`
	Gone       int64     `json:"gone,omitempty"`
}

// stateFact says that all of a folder is recorded in this state.
type stateFact struct {
	Folder FolderID `json:"folder"`
	FolderState
}

// renumberFact says under which UIDVALIDITY a folder's locations are recorded from now on.
type renumberFact struct {
	Folder   FolderID `json:"folder"`
	Validity uint32   `json:"validity"`
}

// itemFact creates an item with its first entries and its location, and the message if it is new.
type itemFact struct {
	ID          ItemID       `json:"id"`
	Account     AccountID    `json:"account,omitempty"` // 0 stands for 1: most archives have one account, and most lines are items
	Ref         Ref          `json:"sha256"`
	Size        int64        `json:"size"`
	Fingerprint *Fingerprint `json:"fp,omitempty"`
	SourceID    string       `json:"source,omitempty"`
	ThreadID    string       `json:"thread,omitempty"`
	OwnThread   bool         `json:"own,omitempty"` // the thread's id is SourceID, as Gmail has it for the first message of each; ThreadID is "" then
	Date        time.Time    `json:"date"`
	Flags       string       `json:"flags,omitempty"`
	In          []placed     `json:"in,omitempty"`
	At          place        `json:"at"` // all zero: at none, in a batch that brings back what was pruned
}

// placed is a mailbox and the UID given in it.
type placed [2]uint32

func (p placed) mailbox() MailboxID { return MailboxID(p[0]) }
func (p placed) uid() UID           { return UID(p[1]) }

// place is a folder, its UIDVALIDITY and a UID at the source.
type place [3]uint32

func (p place) folder() FolderID { return FolderID(p[0]) }
func (p place) validity() uint32 { return p[1] }
func (p place) uid() uint32      { return p[2] }

// flagsFact gives an item other flags.
type flagsFact struct {
	Item  ItemID `json:"item"`
	Flags string `json:"flags"`
}

// enterFact puts an item into mailboxes.
type enterFact struct {
	Item ItemID   `json:"item"`
	In   []placed `json:"in"`
}

// leaveFact takes an item out of mailboxes.
type leaveFact struct {
	Item ItemID      `json:"item"`
	From []MailboxID `json:"from"`
}

// atFact says where at the source an item was seen.
type atFact struct {
	Item ItemID `json:"item"`
	At   place  `json:"at"`
}

// leftFact says that a place at the source is empty, or that a hole there is filled.
type leftFact struct {
	At place `json:"at"`
}

// goneFact says since when the source has not had an item; 0: it is back.
type goneFact struct {
	Item  ItemID `json:"item"`
	Since int64  `json:"since"`
}

// forgetFact removes an item that is in no mailbox any more because the account shows its message elsewhere. The message stays.
type forgetFact struct {
	Item ItemID `json:"item"`
}

// holeFact says that a message was listed and not delivered.
type holeFact struct {
	At     place  `json:"at"`
	Reason string `json:"reason"`
	Time   int64  `json:"time"`
}

// pruneFact begins a prune, or adds to its sums.
type pruneFact struct {
	ID       PruneID `json:"id"`
	Time     int64   `json:"time"`
	Policy   string  `json:"policy"`
	Items    int64   `json:"items,omitempty"`
	Messages int64   `json:"messages,omitempty"`
	Bytes    int64   `json:"bytes,omitempty"`
}

// dropFact removes a message that no item has any more.
type dropFact struct {
	Ref Ref `json:"sha256"`
}

// tombstoneFact says that a pruned item shall not come back.
type tombstoneFact struct {
	Item        ItemID       `json:"item"`
	Prune       PruneID      `json:"prune"`
	Account     AccountID    `json:"account"`
	Folder      FolderID     `json:"folder,omitempty"`
	SourceID    string       `json:"source,omitempty"`
	Ref         Ref          `json:"sha256"`
	Fingerprint *Fingerprint `json:"fp,omitempty"`
}

// buryFact says that a place at the source shows a pruned item.
type buryFact struct {
	At   place  `json:"at"`
	Item ItemID `json:"item"`
}

// raiseFact removes the tombstone of an item, with the places that are buried under it.
type raiseFact struct {
	Item ItemID `json:"item"`
}

// undoneFact says how much more of a prune was taken back, and when all of it was.
type undoneFact struct {
	Prune PruneID `json:"prune"`
	Lines int64   `json:"lines,omitempty"`
	Time  int64   `json:"time,omitempty"`
}

// commitFact ends the group of lines that one batch wrote.
type commitFact struct {
	Seq   ModSeq    `json:"seq"`
	Time  time.Time `json:"time"`
	Lines int       `json:"lines"`  // facts in the group, without this line
	CRC   string    `json:"crc32c"` // of the bytes of those lines
}
