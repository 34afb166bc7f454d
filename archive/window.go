package archive

import "os"

// window is a part of a file in memory, that grows while what is read of it is read in order.
type window struct {
	file  *os.File
	buf   []byte
	start int64
	least int // how much to read at least
	most  int // how much to read at most, if no more is asked for
	ahead int // how much to read next
	used  int // of buf
}

func (w *window) open(file *os.File) {
	w.file, w.buf, w.start, w.used = file, w.buf[:0], 0, 0
	w.ahead = max(w.least, 4<<10)
}

// read returns n bytes at offset, or nil where the file has not so many. They are valid until the next call.
func (w *window) read(offset int64, n int) []byte {
	if from := offset - w.start; from >= 0 && from+int64(n) <= int64(len(w.buf)) {
		w.used += n
		return w.buf[from : from+int64(n)]
	}
	switch {
	case w.used*4 >= len(w.buf) && len(w.buf) > 0:
		w.ahead = min(2*w.ahead, w.most)
	case w.used*8 < len(w.buf):
		w.ahead = max(w.ahead/4, w.least)
	}
	size := max(n, w.ahead)
	if cap(w.buf) < size {
		w.buf = make([]byte, size)
	}
	got, _ := w.file.ReadAt(w.buf[:size], offset) // what could not be read is missing below
	w.buf, w.start, w.used = w.buf[:got], offset, n
	if got < n {
		return nil
	}
	return w.buf[:n]
}
