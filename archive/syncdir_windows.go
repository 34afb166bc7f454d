package archive

import "syscall"

// errNotDirectory is what reading a file below something that is no folder returns.
const errNotDirectory = syscall.ERROR_PATH_NOT_FOUND

// fullErrors are what writing to a full disk returns: ERROR_HANDLE_DISK_FULL and ERROR_DISK_FULL.
var fullErrors = []error{syscall.Errno(39), syscall.Errno(112)}

// syncDir does nothing: Windows has no fsync of a folder, NTFS journals its changes.
func syncDir(string) error { return nil }
