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
// Nothing a client sends can change the archive: a [archive.Reader] has no method for it. readonly.go says so to the client.
package imapd
