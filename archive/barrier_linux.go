package archive

import (
	"os"

	"golang.org/x/sys/unix"
)

// fewFiles is up to where single fsync calls are cheaper than flushing the whole file system.
const fewFiles = 8

// barrier makes files and folders durable, many at once: on Linux one syncfs(2) costs as much as a few fsync(2).
type barrier struct {
	root    *os.File // opened before anything is written, so that the kernel reports each write error since then (Linux 5.8)
	trusted bool     // syncfs does and tells here what fsync does
}

// trustedFileSystems are those, by statfs(2) type, whose syncfs is known to write everything and to report errors. On FUSE, overlay and network file
// systems it may return at once.
var trustedFileSystems = map[int64]bool{
	unix.EXT4_SUPER_MAGIC:  true, // ext2 and ext3, too
	unix.XFS_SUPER_MAGIC:   true,
	unix.BTRFS_SUPER_MAGIC: true,
	unix.F2FS_SUPER_MAGIC:  true,
	unix.TMPFS_MAGIC:       true,
}

func newBarrier(dir string) (*barrier, error) {
	root, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	var stat unix.Statfs_t
	err = unix.Fstatfs(int(root.Fd()), &stat)
	return &barrier{root: root, trusted: err == nil && trustedFileSystems[int64(stat.Type)] && reportsErrors}, nil
}

// arrived is called with each complete file; here they are flushed together later.
func (b *barrier) arrived(*os.File) error { return nil }

func (b *barrier) files(paths []string) error {
	if len(paths) > fewFiles && b.trusted {
		return b.syncfs()
	}
	return syncFiles(paths)
}

func (b *barrier) folders(dirs map[string]bool) error {
	if len(dirs) > fewFiles && b.trusted {
		return b.syncfs()
	}
	return syncDirs(dirs)
}

func (b *barrier) syncfs() error {
	return os.NewSyscallError("syncfs", unix.Syncfs(int(b.root.Fd())))
}

func (b *barrier) close() error { return b.root.Close() }

// reportsErrors tells whether the kernel is 5.8 or newer: before, syncfs returned no write errors.
var reportsErrors = func() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var numbers [2]int
	field := 0
	for _, c := range u.Release {
		switch {
		case c >= '0' && c <= '9':
			numbers[field] = numbers[field]*10 + int(c-'0')
		case c == '.' && field == 0:
			field = 1
		default:
			return numbers[0] > 5 || numbers[0] == 5 && numbers[1] >= 8
		}
	}
	return numbers[0] > 5 || numbers[0] == 5 && numbers[1] >= 8
}()
