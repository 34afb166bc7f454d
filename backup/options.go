package backup

import (
	"context"
	"time"

	"mailkeep/archive"
)

// Dial opens one connection and logs in. It is called from several goroutines, and again when a connection is lost; each Session is closed by Run.
type Dial func(ctx context.Context) (*Session, error)

// Options say what Run backs up and how.
type Options struct {
	Account     string   // the account's name in the archive
	Dial        Dial     // required
	Connections int      // at the same time; 0 means 5. Gmail allows 15 to all programs of an account together
	Include     []string // mailboxes to read, named as Exclude's; none means all
	Exclude     []string // mailboxes to leave out of these, see Excluded
	Progress    Progress // nil: nobody watches

	// MaxAge and MaxSize leave out messages that arrived earlier (in whole days) or have more bytes; 0 means no limit. What is here already stays.
	MaxAge  time.Duration
	MaxSize int64

	// AcceptChanges lets a run mark as gone what vanished even when it is more than a tenth of the account.
	AcceptChanges bool
	// Chats includes Gmail's mailbox of chats: the one beside All Mail that has no special use.
	Chats bool

	// Compress asks servers that offer it to compress what they send (RFC 4978).
	Compress bool
	// DailyBytes is the most to receive from the server in 24 hours, earlier runs included; 0 means no limit. A run that reaches it ends with a QuotaError.
	DailyBytes int64
	// Block is how many messages of a mailbox are read oldest first: a mailbox is cut into blocks of so many, counted from its oldest message, and the newest block comes
	// first. 0 means 2000.
	Block int64

	// Client names the program to servers that ask for it (RFC 2971); "" means "mailkeep".
	Client string
	// Contact is the URL or address that goes with Client.
	Contact string

	// Retries is how often in a row a lost connection is opened again before the run gives up; 0 means 8, negative none.
	Retries int
	// Pause is the first wait before that; it doubles up to a minute, and each is shortened or lengthened at random by up to a half. 0 means 1 s.
	Pause time.Duration
	// Silence is how long a server may send nothing at all while it owes an answer; then the connection counts as lost. 0 means 5 min: Gmail, when it
	// throttles, pauses for a minute at most.
	Silence time.Duration
	// BatchMessages, BatchBytes and BatchAge end a batch: what arrived is then recorded. 0 means 200 messages, 16 MiB, 1 s.
	BatchMessages int
	BatchBytes    int64
	BatchAge      time.Duration
}

func (o Options) withDefaults() Options {
	set(&o.Connections, 5)
	set(&o.Retries, 8)
	set(&o.Pause, time.Second)
	set(&o.Silence, 5*time.Minute)
	set(&o.BatchMessages, 200)
	set(&o.BatchBytes, 16<<20)
	set(&o.BatchAge, time.Second)
	set(&o.Client, "mailkeep")
	set(&o.Block, 2000)
	if o.Progress == nil {
		o.Progress = silent{}
	}
	return o
}

func set[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

// Progress watches a run. Its methods are called from several goroutines, Update by one at a time, and must return quickly.
type Progress interface {
	// Update says how far the run is. It is called at every step and after every message.
	Update(Status)
	// Warn passes on what the user should know; the same warnings are in the Summary.
	Warn(Warning)
}

type silent struct{}

func (silent) Update(Status) {}
func (silent) Warn(Warning)  {}

// Phase is a step of a run.
type Phase string

// The phases of a run, in their order. Reading and downloading overlap.
const (
	PhaseConnect  Phase = "connect"  // connecting and listing mailboxes
	PhaseRead     Phase = "read"     // reading what the server has, Status.Mailbox by Status.Mailbox
	PhaseDownload Phase = "download" // everything is read; messages still arrive
	PhaseFinish   Phase = "finish"   // recording what vanished and the state
	PhaseVerify   Phase = "verify"   // Verify compares Status.Mailbox
)

// Status is how far a run is.
type Status struct {
	Phase   Phase
	Mailbox string // the mailbox being read

	// Expected is the number of copies the run has to look at because they are new, as far as is known; it is adjusted as mailboxes are read.
	Expected int64
	Seen     int64 // of these: recorded already, downloaded, or listed in the failure ledger

	Wanted          int64 // messages found to be missing from the archive
	WantedBytes     int64 // their sizes as the server says
	Downloaded      int64 // of these, the messages that arrived
	DownloadedBytes int64 // their bytes

	QuotaUsed  int64 // bytes received in the last 24 hours, by earlier runs too
	QuotaLimit int64 // Options.DailyBytes

	Waiting string    // why the run waits, as a phrase; "" while it does not
	Until   time.Time // the end of that wait
}

// WarningKind tells warnings apart.
type WarningKind string

// The kinds of warnings.
const (
	WarnHiddenAllMail WarningKind = "hidden-all-mail" // Gmail does not show All Mail
	WarnHiddenFolder  WarningKind = "hidden-folder"   // Gmail does not show a folder that it showed before, or Spam or Trash
	WarnFolderLimit   WarningKind = "folder-limit"    // Gmail seems to cut folders off at a fixed size
	WarnManyGone      WarningKind = "many-gone"       // too much vanished at once; nothing was marked
	WarnUnreadable    WarningKind = "unreadable"      // a mailbox could not be read
	WarnIncomplete    WarningKind = "incomplete"      // the server's list of a mailbox contradicts itself
	WarnSize          WarningKind = "size"            // messages whose length is not what the server says
	WarnNoLabels      WarningKind = "no-labels"       // messages whose labels Gmail does not tell
	WarnHole          WarningKind = "hole"            // a message could not be fetched
	WarnRenumbered    WarningKind = "renumbered"      // a mailbox got a new UIDVALIDITY
	WarnReconnect     WarningKind = "reconnect"       // a connection was lost and opened again
	WarnAlert         WarningKind = "alert"           // the server wants its user to read something
	WarnTraffic       WarningKind = "traffic"         // what was received could not be noted
)

// Warning is something that the user should know although the run goes on.
type Warning struct {
	Kind    WarningKind
	Mailbox string // the server's name of the mailbox, or ""
	UID     uint32 // the source's UID, or 0
	Text    string // a sentence that names what to try where anything can be done
}

// maxWarnings bounds Summary.Warnings; further ones are counted only.
const maxWarnings = 1000

// Summary is what a run did. It is valid, as far as the run came, beside an error too.
type Summary struct {
	Mailboxes  int // that the server lists and the run covers
	Unchanged  int // of these: skipped because nothing had changed
	Downloaded int // messages fetched
	Bytes      int64

	NewMessages int   // files added to the archive
	NewBytes    int64 // their bytes
	NewItems    int   // messages new to the account
	Entered     int   // entries added to mailboxes: new messages, added labels
	Left        int   // entries taken out of mailboxes: labels taken off, messages moved
	Flags       int   // messages whose flags changed
	Renamed     int   // mailboxes renamed
	Gone        int   // messages that vanished at the source
	Returned    int   // messages that were gone and are back
	Holes       int   // messages that could not be fetched in this run
	Buried      int   // messages that were pruned before, and so not taken in again

	// Unfinished says that the state of a mailbox could not be closed: too much vanished, or it could not be read.
	Unfinished bool

	// Inbox is INBOX as the server told it when the run began, for Watch; the zero state when it did not.
	Inbox archive.FolderState

	Connections int   // opened
	Commands    int   // sent to the server after login, each a round trip at most
	BytesRead   int64 // received from the server
	BytesSent   int64
	Elapsed     time.Duration

	Warnings     []Warning // the first thousand
	WarningCount int       // all
}
