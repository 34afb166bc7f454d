package deflate

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
)

// Writer writes raw deflate data (RFC 1951), of which each Write is complete: a reader that has got it has all that was written. Between two of them it keeps 8 KB, where the
// standard library's writer would keep a megabyte, and the better part of its ratio: copies reach back that far.
type Writer struct {
	dst  io.Writer
	last []byte // what was written last, at most window of the dictionary
}

const (
	dictionary   = 8 << 10
	writtenPiece = 64 << 10 // compressed at a time
)

// packed keeps buffers for what is about to be sent.
var packed = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// NewWriter returns a writer to dst.
func NewWriter(dst io.Writer) *Writer { return &Writer{dst: dst} }

// Write implements [io.Writer]. After an error the data in dst does not go on.
func (w *Writer) Write(p []byte) (int, error) {
	buf := packed.Get().(*bytes.Buffer)
	defer packed.Put(buf)
	for written := 0; written < len(p); {
		piece := p[written:min(written+writtenPiece, len(p))]
		buf.Reset()
		if err := flate.StatelessDeflate(buf, piece, false, w.last); err != nil {
			return written, err
		}
		if _, err := w.dst.Write(buf.Bytes()); err != nil {
			return written, err
		}
		w.remember(piece)
		written += len(piece)
	}
	return len(p), nil
}

// remember keeps the end of what was written.
func (w *Writer) remember(p []byte) {
	if len(p) >= dictionary {
		w.last = append(w.last[:0], p[len(p)-dictionary:]...)
		return
	}
	if over := len(w.last) + len(p) - dictionary; over > 0 {
		w.last = append(w.last[:0], w.last[over:]...)
	}
	w.last = append(w.last, p...)
}
