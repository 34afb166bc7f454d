// Package message reads the bytes of an e-mail message without ever changing them.
//
// [Parse] makes one pass and returns a tree of [Part]s that know where in the message they lie, so that an IMAP server can cut sections straight
// from the stored file. Everything else works on that tree or on a header block: ENVELOPE and BODYSTRUCTURE in wire form, single header fields, addresses,
// dates, decoded text for searching.
//
// Mail is what strangers send. No function here fails on any input, panics, or takes more than a bounded amount of memory and time
// for its size: what cannot be understood is passed on as it is. Two limits hold the tree small: [MaxDepth] and [MaxParts].
//
// Line ends: a line ends with LF, and one CR before it belongs to it. A CR alone is an ordinary byte, as in RFC 5322. All sizes and line counts are those of
// the bytes as they are stored.
//
// The package knows nothing of IMAP sessions, files or databases, and imports nothing of mailkeep.
package message
