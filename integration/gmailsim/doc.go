// Package gmailsim is an IMAP server that behaves like Gmail's, for tests and
// for the demo.
//
// It is written on net.Listener with its own strict command parser, because
// Gmail's label semantics (one message, many labels, X-GM-* items, no own
// label in a folder's view) do not fit a server library made of mailboxes
// that own their messages. A second personality, Options.Generic, is a plain
// server with per-mailbox messages, any hierarchy delimiter and optional
// extensions, which also serves bytes that real servers refuse to store.
//
// # Model
//
// All state lives behind one mutex (store). A message has flags, a modseq and
// places; a place is a UID in a mailbox. In Gmail's personality a label IS a
// mailbox, so the labels of a message are the mailboxes of its places. All
// Mail holds every message that is in neither Spam nor Trash; a message in
// one of these two is nowhere else.
//
// A mailbox's slice of places is append-only for its readers: new places go
// to the end, a removal makes a new slice. A session's view is a sub-slice,
// so SELECT costs nothing however large the mailbox is. Nothing is written to
// a client while the lock is held.
//
// # Weather
//
// Faults are rows of one table (see Fault): when (a command's name, its nth
// occurrence, a mailbox, an output byte) and what to do (close, stall, refuse,
// lie). Counters tell what was asked and how often each body was sent.
package gmailsim
