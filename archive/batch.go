package archive

import "time"

// Batch is what one step of a backup found: it is recorded as a whole, in one transaction, or not at all. Parts are applied in the
// order of the fields.
type Batch struct {
	Account   AccountID
	Renamed   []Rename       // folders that changed their name at the source
	Folders   []FolderSpec   // folders that the server lists; unknown ones are created
	Mailboxes []MailboxSpec  // mailboxes that must exist, filled or not
	Renumber  []Renumbering  // folders whose UIDVALIDITY is not the one known
	Copies    []Copy         // new or changed copies
	Holes     []HoleReport   // copies that could not be fetched
	Gone      []Location     // copies that the source no longer has
	Dropped   []FolderID     // folders that the server no longer lists: all their copies are gone
	States    []FolderResult // folders of which everything is now recorded
}

// FolderSpec describes a folder that the server lists.
type FolderSpec struct {
	Name       string // the server's name, decoded to UTF-8
	Delimiter  string
	SpecialUse string
	ObjectID   string
	Mailbox    string // name of the mailbox that shows it; "" when none does
}

// Rename gives a folder, and the mailbox that shows it, new names. Readers keep their UIDs and UIDVALIDITY.
type Rename struct {
	Folder  FolderID
	Name    string // the server's new name, decoded to UTF-8
	Mailbox string // the mailbox's new name
}

// MailboxSpec describes a mailbox of the archive.
type MailboxSpec struct {
	Name       string // UTF-8, levels separated by "/"
	SpecialUse string // RFC 6154 attribute or ""; replaces the one it had
	Gone       bool   // the source has no such mailbox any more
}

// Renumbering says that the source gave a folder a new UIDVALIDITY: all its locations are now unconfirmed, and a Copy with the same message in the
// same folder takes one over, so that readers see no change.
type Renumbering struct {
	Folder      FolderID
	UIDValidity uint32
}

// Copy is what the source says of one message in one of its folders.
type Copy struct {
	Folder FolderID
	UID    uint32 // the source's UID, under the folder's current UIDVALIDITY
	// Ref names the message's bytes: put by this Writer, or in the archive already. The zero Ref says that the item is known (by its location, or by SourceID on Gmail)
	// and only what follows may have changed.
	Ref       Ref
	Flags     []string // all flags; \Recent is ignored
	Mailboxes []string // names of all mailboxes that show it; none keeps the known ones, or means the folder's own for a new item
	// The rest counts when the item is new and is ignored otherwise: a server never changes it.
	Fingerprint Fingerprint // optional: finds Ref next time without a download
	SourceID    string      // X-GM-MSGID in decimal or EMAILID; optional
	ThreadID    string      // X-GM-THRID in decimal or THREADID; optional
	Date        time.Time   // INTERNALDATE; the zero time means now
}

// Location is a place at the source: a UID of a folder under its current UIDVALIDITY.
type Location struct {
	Folder FolderID
	UID    uint32
}

// HoleReport is a copy that could not be fetched, with the reason for the failure ledger.
type HoleReport struct {
	Location
	Reason string
}

// FolderResult says that everything a folder held in State is now recorded, as a copy or as a hole (A6). Copies under an earlier UIDVALIDITY that nothing
// confirmed are gone then. The zero State says the contrary: the folder must be read again as a whole.
type FolderResult struct {
	Folder FolderID
	State  FolderState
}

// Recorded tells what a batch changed.
type Recorded struct {
	ModSeq   ModSeq // of this batch; 0 when nothing changed and so nothing was written
	NewFiles int    // messages whose file this batch put in place
	NewBytes int64  // their bytes
	Items    int    // items created
	Entered  int    // entries added
	Left     int    // entries taken out
	Flags    int    // items whose flags changed
	Gone     int    // items marked gone
	Returned int    // items that were gone and are back
	Buried   int    // copies that were pruned before, and were not taken in again
}

// Known is a copy that the archive has recorded, as Reader.Copies lists it.
type Known struct {
	UID      uint32 // the source's UID
	Item     ItemID
	Ref      Ref
	SourceID string
	Flags    string // canonical, as in Entry
}
