// Package imapd serves an archive over IMAP, for reading only.
//
// The protocol is that of go-imap's imapserver (IMAP4rev1, RFC 3501, with the extensions named in capability.go). This package puts a [net.Conn] of
// its own under the library (wire.go), which frames commands, holds limits, collects writes, answers what the library lacks and translates what it gets
// wrong; and a session above it (session.go), which answers from the archive. The hot responses, those of FETCH, are written in wire form
// straight to that connection.
//
// A mailbox that is open is a [snapshot] shared by all sessions that have it open (view.go). A session keeps the snapshot that it has told its client
// about until it may tell of the next one; sequence number = index + 1.
//
// Not offered, on purpose:
//
//   - LITERAL+ (RFC 7888): a client would upload a message with its APPEND before it hears that nothing can be put here. LITERAL- is: up to 4096 bytes need not be asked
//     for, which is all that a login, a mailbox name or a search takes. Longer ones that come unasked are skipped, and the command refused.
//   - SAVEDATE (RFC 8514): the archive does not know when a message came into a mailbox. The journal knows when it was backed up, which is another thing. An answer of NIL for
//     every message is allowed and would only keep clients from falling back to INTERNALDATE.
//   - CONTEXT=SEARCH (RFC 5267): each session would keep its searches and do them again with every change, for no mail program that asks for it. Sorted results
//     with RETURN, the other half of that RFC, are there as ESORT.
//   - THREAD=REFS: it has never become an RFC. Roundcube, which would prefer it, takes THREAD=REFERENCES.
//   - COMPRESS=DEFLATE (RFC 4978) to clients on the same machine, where it only costs time: see compress.go.
//
// Nothing a client sends can change the archive: a [archive.Reader] has no method for it. readonly.go says so to the client.
package imapd
