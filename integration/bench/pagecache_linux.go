package main

import (
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// dropPageCache makes the system forget what it holds of the files under dir: of the whole machine when allowed, else of these files. It says how.
func dropPageCache(dir string) (how string, err error) {
	unix.Sync()
	if os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0) == nil {
		return "the whole machine's, with its directory entries (/proc/sys/vm/drop_caches)", nil
	}
	return "of the servers' mail files (posix_fadvise), not of their directory entries", filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	})
}
