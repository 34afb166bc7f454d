package wire

import (
	"fmt"
	"io"
	"os"
)

// hold keeps the part of a FETCH response that came before its UID: in memory, and above holdInMemory in a temporary
// file. The zero value is ready. It is not safe for concurrent use.
type hold struct {
	mem  []byte
	file *os.File
	size int64  // bytes in file
	name string // of the file when it could not be removed while open
}

func (h *hold) write(b []byte) error {
	if h.size+int64(len(h.mem))+int64(len(b)) > maxHold {
		return wireErrorf("a FETCH response has more than %d MiB before its UID", maxHold>>20)
	}
	if h.file == nil && len(h.mem)+len(b) > holdInMemory {
		if err := h.spill(); err != nil {
			return err
		}
	}
	if h.file == nil {
		h.mem = append(h.mem, b...)
		return nil
	}
	n, err := h.file.Write(b)
	h.size += int64(n)
	if err != nil {
		return fmt.Errorf("hold a FETCH response back: %w", err)
	}
	return nil
}

// spill moves what is in memory to a temporary file.
func (h *hold) spill() error {
	f, err := os.CreateTemp("", "mailkeep-hold-*")
	if err != nil {
		return fmt.Errorf("hold a FETCH response back: %w", err)
	}
	h.file = f
	// Removed while open, so that nothing stays behind when the process is killed; where the system refuses, reset removes it.
	if err := os.Remove(f.Name()); err != nil {
		h.name = f.Name()
	}
	n, err := f.Write(h.mem)
	h.size = int64(n)
	h.mem = h.mem[:0]
	if err != nil {
		return fmt.Errorf("hold a FETCH response back: %w", err)
	}
	return nil
}

// rewind makes read start at the beginning of the file.
func (h *hold) rewind() error {
	if _, err := h.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read a held FETCH response: %w", err)
	}
	return nil
}

// read reads the file; size counts what is left.
func (h *hold) read(p []byte) (int, error) {
	n, err := h.file.Read(p[:min(int64(len(p)), h.size)])
	h.size -= int64(n)
	if err != nil {
		return n, fmt.Errorf("read a held FETCH response: %w", cutShort(err))
	}
	return n, nil
}

// reset forgets everything and removes the file. A large buffer is given back.
func (h *hold) reset() {
	if h.file != nil {
		h.file.Close()
	}
	if h.name != "" {
		_ = os.Remove(h.name) // left in the system's temporary folder at worst
	}
	h.file, h.size, h.name = nil, 0, ""
	h.mem = h.mem[:0]
	if cap(h.mem) > 2*holdInMemory {
		h.mem = nil
	}
}
