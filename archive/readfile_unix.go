//go:build unix

package archive

import (
	"errors"
	"io/fs"
	"syscall"
)

// readFile appends the file at path, of which size bytes are expected, to dst: all of it, but never more than one byte beyond size. Past package os, which asks the system five
// times for what needs three: opening, reading and closing a small file is what sending a mailbox consists of.
func readFile(dst []byte, path string, size int) ([]byte, error) {
	fd, err := again(func() (int, error) { return syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0) })
	if err != nil {
		return dst, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	dst, rest := grow(dst, size+1)
	for got := 0; ; {
		n, err := again(func() (int, error) { return syscall.Read(fd, rest[got:]) })
		if err != nil {
			return dst, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		got += n
		if n == 0 || got >= size { // as many as expected, in a file that could have given one more
			return dst[:len(dst)+got], nil
		}
	}
}

// again repeats a system call that a signal has interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
