package archive

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// fewFiles is up to where single fsync calls are cheaper than flushing the whole file system.
const fewFiles = 8

// barrier makes files and folders durable, many at once: on Linux one syncfs(2) costs as much as a few fsync(2).
type barrier struct {
	root *os.File // opened before anything is written, so that the kernel reports each write error since then (Linux 5.8)
}

func newBarrier(dir string) (*barrier, error) {
	root, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return &barrier{root: root}, nil
}

// arrived is called with each complete file; here they are flushed together later.
func (b *barrier) arrived(*os.File) error { return nil }

func (b *barrier) files(paths []string) error {
	if len(paths) > fewFiles && reportsErrors {
		return b.syncfs(func() error { return syncFiles(paths) })
	}
	return syncFiles(paths)
}

func (b *barrier) folders(dirs map[string]bool) error {
	if len(dirs) > fewFiles && reportsErrors {
		return b.syncfs(func() error { return syncDirs(dirs) })
	}
	return syncDirs(dirs)
}

// syncfs falls back to singly when the file system cannot do it.
func (b *barrier) syncfs(singly func() error) error {
	err := unix.Syncfs(int(b.root.Fd()))
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return singly()
	}
	if err != nil {
		return os.NewSyscallError("syncfs", err)
	}
	return nil
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
