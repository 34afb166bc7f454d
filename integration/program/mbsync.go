package program

import (
	"fmt"
	"net"
)

// MbsyncConfig is the configuration of mbsync for its channel "all", which pulls every mailbox of an IMAP account (host:port, without
// TLS) into a tree of Maildirs under dir: a folder per level, INBOX in "INBOX". Without fsync it does not flush to disk.
func MbsyncConfig(addr, user, password, dir string, fsync bool) string {
	host, port, _ := net.SplitHostPort(addr)
	sync := "no"
	if fsync {
		sync = "yes" // mbsync's default
	}
	return fmt.Sprintf(`FSync %s

IMAPStore far
Host %s
Port %s
User %s
Pass %s
SSLType None
AuthMechs LOGIN

MaildirStore near
Path "%s/"
Inbox "%s/INBOX"
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Near
Sync Pull
CopyArrivalDate yes
SyncState *
`, sync, host, port, user, password, dir, dir)
}
