// Package crashtest shows what a crash can leave behind. It runs a program under strace(1), which records every call that changes a folder, and then builds, for each
// moment between two calls, the folders that a machine could find after it stopped there: with all that was written, with only what had been flushed, and with parts of
// the rest. Linux only.
//
// The model is stricter than any one file system. What a file holds survives a power cut when fsync(2), fdatasync(2) or syncfs(2) has flushed the file since; that it is there,
// under its name, survives when the folder was flushed since. Of what was not flushed, any part may survive: names up to some moment, as journals of file systems keep
// their order, and of the bytes any of the writes, whole or up to a sector.
package crashtest
