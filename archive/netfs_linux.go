package archive

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// networkTypes are types of statfs(2) that stand for a network file system. FUSE stands for anything, so that its kind is looked up.
var networkTypes = map[int64]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.CIFS_SUPER_MAGIC: "SMB",
	unix.AFS_SUPER_MAGIC:  "AFS",
	unix.AFS_FS_MAGIC:     "AFS",
	unix.CODA_SUPER_MAGIC: "Coda",
	unix.CEPH_SUPER_MAGIC: "Ceph",
	unix.V9FS_MAGIC:       "9P",
	0x0bd00bd0:            "Lustre",
	0x47504653:            "GPFS",
	0x01161970:            "GFS2",
	0x7461636f:            "OCFS2",
}

// networkFuse are the kinds of FUSE file systems, as /proc/self/mountinfo has them, behind which is a network.
var networkFuse = []string{"sshfs", "rclone", "s3fs", "glusterfs", "davfs", "gcsfuse", "curlftpfs", "gvfsd-fuse", "onedrive", "google-drive-ocamlfuse", "juicefs", "goofys", "cephfs", "smbnetfs", "vmhgfs"}

func networkFileSystem(dir string) string {
	var stat unix.Statfs_t
	if unix.Statfs(dir, &stat) != nil {
		return ""
	}
	kind := int64(uint32(stat.Type)) // sign and size differ between processors
	if kind != unix.FUSE_SUPER_MAGIC {
		return networkTypes[kind]
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer mounts.Close()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	return networkMount(bufio.NewScanner(mounts), real)
}

// networkMount finds the mount that a folder is on in /proc/self/mountinfo, and names it if it is a network's.
func networkMount(lines *bufio.Scanner, dir string) string {
	best, kind := -1, ""
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields, source := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(source) < 1 {
			continue
		}
		at := unescapeMount(fields[4])
		if rel, err := filepath.Rel(at, dir); err != nil || rel == ".." || strings.HasPrefix(rel, "../") || len(at) < best {
			continue
		}
		best, kind = len(at), source[0]
	}
	sub, isFuse := strings.CutPrefix(kind, "fuse.")
	if !isFuse {
		return ""
	}
	for _, name := range networkFuse {
		if sub == name {
			return name
		}
	}
	return ""
}

// unescapeMount undoes the octal codes of /proc/self/mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
