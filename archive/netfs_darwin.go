package archive

import "golang.org/x/sys/unix"

var networkNames = map[string]string{"nfs": "NFS", "smbfs": "SMB", "afpfs": "AFP", "webdav": "WebDAV", "macfuse": "macFUSE", "osxfuse": "macFUSE", "acfs": "Xsan"}

func networkFileSystem(dir string) string {
	var stat unix.Statfs_t
	if unix.Statfs(dir, &stat) != nil {
		return ""
	}
	return networkNames[unix.ByteSliceToString(stat.Fstypename[:])]
}
