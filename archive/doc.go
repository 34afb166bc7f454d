// Package archive keeps mail: one folder in which each distinct message is one plain file, with the map of accounts, mailboxes, UIDs,
// flags and the state of the backup in SQLite beside it.
//
// # Layout on disk
//
//	MailStore/
//	  FORMAT            what this folder is and how to read it without mailkeep
//	  ab/abcdef...eml   one file per distinct message; the name is the SHA-256 of its bytes, the bytes are exactly as the server sent them
//	  gmail.db          SQLite (WAL): the tables of schema/*.sql
//	  journal/          append-only JSON lines, one group of lines per committed batch: every fact that gmail.db knows; a file a month, and snapshots;
//	                    the lines of long groups are packed (journal_pack.go)
//	  tmp/              messages on their way in; emptied when a Writer opens
//	  quarantine/       damaged or pruned files, and torn ends of the journal, wait here; prune-N/ is what prune N let go of (quarantine.go)
//	  summaries/        a message.Summary of each message, derived (summaries.go); may be deleted at any time, and be older or newer than the rest
//	  receipts/         what comparisons with the live accounts found, ACCOUNT-TIME.json (receipt.go); never changed, may be deleted
//	  last-run.json     how the latest backup went, for "mailkeep status"; may be deleted
//	  traffic.json      how much was received in the last 24 hours, for servers that limit it by the day; may be deleted
//	  check.json        how far an interrupted check came; may be deleted
//	  lock              held by the one Writer
//
// Copying the folder copies everything.
//
// # How the source is mapped
//
// An account has folders (the mailboxes of the server) and mailboxes (what readers see). An item is a message as the account holds it, with one
// set of flags and one internal date. On Gmail an item is one X-GM-MSGID and is entered into a mailbox per label; on any other server an item is one
// copy, that is one UID of one folder. A location says where at the source an item was last seen: (folder, UIDVALIDITY, UID). An entry puts
// an item into a mailbox under a UID of our own. Many items may share a message: the bytes are stored once.
//
// # Invariants
//
// Code cites these by name; Check verifies them and every test that uses archivetest ends with that check.
//
//   - A1 Every row's Ref has a complete file with that digest.
//   - A2 A file without a row is harmless, and is adopted when the message is next offered.
//   - A3 Message files never change.
//   - A4 Bytes are exactly as received (CRLF, NUL, 8-bit and all); nothing parses in the write path.
//   - A5 The archive gives its own UIDs and UIDVALIDITY per mailbox: they only grow, are never reused, survive a rebuild, and a UIDVALIDITY change
//     at the source does not disturb them.
//   - A6 Rows and the folder's state commit together. A folder's state says "recorded up to here" only when each of its UIDs is a location, a hole, or
//     buried: a copy of something pruned that shall not come back (tombstone.go).
//   - A7 One Writer at a time. Readers need no lock and treat a vanished file as an expunged message.
//   - A8 Durable order: file (fsync, rename, fsync of its folder), then the journal's lines (fsync), then the row.
//
// # Order of writes, and what a crash leaves behind
//
// Everything a Batch brings is made keepable first (door.go): what a server says can neither differ between row and journal nor stop a batch for ever.
// Put writes tmp/ only: a crash leaves a stray file there, which the next Writer removes. Record makes the batch's files durable and moves them in place
// (a crash leaves files without rows: A2), appends the batch to the journal (a crash leaves a torn group of lines, which the next Writer cuts off,
// or a whole one, which it applies to gmail.db), and commits the rows. gmail.db may lose its last commits in a power cut (synchronous=NORMAL); they
// come back from the journal, UIDs included. TestCrashStates tries what crashes leave, call by call (package crashtest).
//
// Summaries stand outside of that order. Reader.Summarize reads messages that are recorded, in any process and at any time; nothing of it is flushed, and what it left
// in a crash does not check out and is derived again. No invariant speaks of summaries/, and a full disk there stops nothing but summaries.
//
// Prune goes backwards: what Undo needs is written to quarantine/ first, then journal and rows let go of the items, then the files that nothing needs move to
// quarantine/. A crash leaves a folder in quarantine/ without a prune, or files without rows (A2), which the next prune moves; never a row without its file. Undo puts the files in
// place, then journal and rows; what it has dealt with is counted in the same batch, so that a crash makes nothing come back twice.
//
// Rebuild makes gmail.db.new from the journal, checks it, moves gmail.db to quarantine/ and renames the new one. In between there may be no gmail.db for a moment, which the next
// Writer makes from the journal. When the journal is damaged it first gets a snapshot (journal_snapshot.go) of the rows that there are, and with its name the journal is whole again: what
// follows is a rebuild like any other. Compact writes such a snapshot too, tells gmail.db durably where the journal goes on, and then moves the files that it supersedes to quarantine/.
// Of a crash in between, OpenWriter sees that gmail.db stands where the snapshot was made, and goes on behind it.
//
// gmail.db is brought from an older schema to the newest by OpenWriter, on a copy that takes its place when it is whole; files and journal are not touched by that.
//
// Receipts stand outside of it, too: each is a file of its own, written as a whole by any process, with or without the lock. One says what a comparison of an account with
// the archive found, and names the batch that the archive stood at and the digest over the sorted list of its messages and labels then (Reader.ListDigest), which can be
// computed again. Prune asks for a recent one before it lets go of what is marked as gone.
//
// Snapshot copies an archive in the order of A8, too (snapshot.go), from a copy of gmail.db that VACUUM INTO makes of one moment; the journal is cut behind the batch that it contains.
//
// # Who owns what
//
// A Reader owns pooled query_only connections and may be used by many goroutines. A Writer owns a Reader, the lock, the journal and one
// read-write connection; Put may be called by many goroutines, Record serializes itself. Files that Open returns belong to the caller.
package archive
