package archive

import "syscall"

// errNotDirectory is what reading a file below something that is no folder returns.
const errNotDirectory = syscall.ERROR_PATH_NOT_FOUND

// syncDir does nothing: Windows has no fsync of a folder, NTFS journals its changes.
func syncDir(string) error { return nil }
