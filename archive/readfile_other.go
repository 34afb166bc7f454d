//go:build !unix

package archive

import (
	"errors"
	"io"
	"os"
)

// readFile appends the file at path, of which size bytes are expected, to dst: all of it, but never more than one byte beyond size.
func readFile(dst []byte, path string, size int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return dst, err
	}
	defer f.Close()
	dst, rest := grow(dst, size+1)
	got, err := io.ReadFull(f, rest)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return dst[:len(dst)+got], err
}
