// Package backup copies one IMAP account into an archive, and never changes anything at the source: mailboxes are opened with EXAMINE and messages read with
// BODY.PEEK[].
//
// # A run
//
// Run lists the mailboxes, compares them with what the archive knows (plan.go, pure functions), reads what is new or changed mailbox by mailbox (pass.go, changes.go,
// fresh.go), downloads the bodies that the archive lacks (download.go), and records all that in batches (recorder.go). What vanished at the source and the state
// of each mailbox are recorded last, in one batch (finish.go), so that a message that moved is not taken for lost. Until then a mailbox's state is the old
// one: an interrupted run leaves copies and no state, and the next run asks for the UIDs that the archive has no copy of. Before anything counts as vanished, the
// mailboxes that were read earlier in the run are asked once more what arrived since (catchup.go): other programs move mail meanwhile.
//
// # Gmail and others
//
// Gmail (capability X-GM-EXT-1) is read from the mailboxes with the special uses \All, \Junk and \Trash, whatever their names; labels say in which mailboxes of the
// archive a message is shown, and X-GM-MSGID which message it is. On any other server every mailbox is read, and EMAILID (RFC 8474) or a fingerprint of header
// block and size tells that a message is in the archive already; the fingerprint counts only for a header with Message-ID and Date, not in a
// mailbox for drafts, and not for a second message in the same mailbox. Copies of a message that is being
// downloaded wait for it (flights.go).
//
// # Order
//
// The new messages of a mailbox are read in blocks of Options.Block, counted from its oldest message, the newest block first: a first backup of a large account takes days where the server limits
// the bytes of a day, and is of use after minutes like this. Within a block copies are recorded by ascending UID of the source, oldest first, however the connections
// overtake each other. So the archive's own UIDs grow like the source's, but for a first backup of more than a block: there later blocks hold older
// mail. That is what UIDs allow, as when somebody copies old mail into a mailbox, and costs readers nothing but the order of programs that sort by arrival in
// place of the date. The other way, to set low UIDs aside for the older mail, would break the rule that UIDs only grow (A5): programs that ask for what is above the
// highest UID they know would never see it. Newest first throughout would turn the order around for everybody, small accounts included. At most windowSize
// copies wait for the oldest of a block that is still missing, so that a kill loses as little as in any other order.
//
// # Quota
//
// What is received is counted over the last 24 hours, across runs (quota.go). The count is kept in a derived file of the archive's folder, neither in journal nor database: it is
// no fact about mail, is written every few megabytes, and its loss only lets a day's limit begin anew. Requests are counted when they are sent, at the size that
// the server told, and settled when they were answered; with Options.DailyBytes a run that would exceed it asks for nothing more, takes what is under way, and
// ends with a QuotaError that says when to go on. Bytes count before compression: what a server counts is not known.
//
// # Goroutines
//
// One goroutine reads, Options.Connections goroutines download, one records. All borrow connections from a pool (pool.go) and hold none while they wait for each
// other, so that a single connection suffices. Lost connections are opened again after a pause, a bounded number of times without progress in between.
// The very first one is tried again only when it was dropped: a wrong password, an unknown host or a port where nobody listens is told at once.
//
// # Protocol
//
// Package wire stands between the client library and the server. A connection has two FETCHes of bodies under way, each with a goroutine that reads its answer, because
// servers may answer both at once.
//
// # What is not believed
//
// A list of mailboxes without one that opens when asked for, UIDs under which the server seems to have other messages than before,
// a list of UIDs that is shorter than the server's own count, a hidden All Mail, a folder cut off at one of Gmail's limits, a mailbox that cannot be read, more than a tenth
// of an account vanished at once: then nothing is marked as gone, a warning says why, and the next run looks again. A message that the server lists and does not
// deliver is asked for alone and, if that fails, noted in the failure ledger.
// A doubt about UIDs is recorded with the folder, so that a run which is stopped leaves it to the next one.
package backup
