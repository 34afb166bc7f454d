// Package wire lets an IMAP client library that knows only standard FETCH items ask for Gmail's and OBJECTID's, and survive odd servers.
//
// Conn is a net.Conn between the library and the server: it rewrites FETCH commands on their way out (write.go) and responses on their way in (read.go,
// fetch.go, repair.go). items.go reads the answers to the additional items. Nothing in here knows what a backup is.
package wire
