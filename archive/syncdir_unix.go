//go:build !windows

package archive

import (
	"errors"
	"os"
	"syscall"
)

// errNotDirectory is what reading a file below something that is no folder returns.
const errNotDirectory = syscall.ENOTDIR

// fullErrors are what writing to a full disk, or beyond a quota, returns.
var fullErrors = []error{syscall.ENOSPC, syscall.EDQUOT}

// syncDir makes renames and creations in a folder durable. Some network file systems cannot and say so; there is nothing better to do there.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}
