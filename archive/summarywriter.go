package archive

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/klauspost/compress/s2"

	"mailkeep/message"
)

const (
	wholeSummary  = 64 << 20  // bytes of a message; of a larger one only the header is summarized
	headSummary   = 1 << 20   // how much of such a message is read
	flushSummary  = 512 << 10 // bytes of records written at a time
	keptForReuse  = 4 << 20   // a larger buffer is given back
	completeField = 16        // offset in the index
)

// summaryWriter appends records. Nothing it writes is flushed to the disk: what a power cut leaves does not check out and is derived again.
type summaryWriter struct {
	index, data *os.File
	slots       window
	complete    MessageID // as in the index
	end         int64     // of the data
	written     int       // summaries

	records []byte // not written yet; they begin at end
	filled  []filledSlot

	message, plain, packed []byte // buffers
}

type filledSlot struct {
	id MessageID
	slot
}

// openSummaryWriter opens the two files, and empties them when they are none.
func (r *Reader) openSummaryWriter() (*summaryWriter, error) {
	w := new(summaryWriter)
	var err error
	if w.data, err = os.OpenFile(r.summaryPath("data"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if w.index, err = os.OpenFile(r.summaryPath("index"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, errors.Join(err, w.data.Close())
	}
	if checkPair(w.index, w.data) != nil {
		err = w.reset()
	}
	if err == nil {
		w.end, err = w.data.Seek(0, io.SeekEnd)
	}
	if err != nil {
		w.close()
		return nil, err
	}
	w.complete = readComplete(w.index)
	w.slots.open(w.index, 4<<10)
	return w, nil
}

// reset begins both files anew. They belong together by a number that no other pair has.
func (w *summaryWriter) reset() error {
	var number [8]byte
	rand.Read(number[:]) // never fails, it would end the program
	for _, f := range []struct {
		file   *os.File
		magic  string
		length int
	}{{w.data, dataMagic, dataHeader}, {w.index, indexMagic, indexHeader}} {
		if err := f.file.Truncate(0); err != nil {
			return err
		}
		header := make([]byte, f.length)
		copy(header, f.magic)
		copy(header[8:], number[:])
		if _, err := f.file.WriteAt(header, 0); err != nil {
			return err
		}
	}
	return nil
}

func (w *summaryWriter) close() {
	w.index.Close()
	w.data.Close()
}

// add derives the summary of a message unless it has one; again says that the one it has is damaged.
func (w *summaryWriter) add(r *Reader, row *summaryRow, again bool) error {
	if raw := w.slots.read(slotOffset(row.ID), slotSize); raw != nil && !again && parseSlot(raw).of(row.Ref) {
		return nil
	}
	at := slot{offset: noSummary, ref: binary.LittleEndian.Uint32(row.Ref[:])}
	switch ok, err := w.derive(r, row); {
	case errors.Is(err, ErrNotFound) || err == nil && !ok:
		// Missing or damaged; looking again each time would not mend it.
	case err != nil:
		return nil // a reader that wants the summary will ask for it again
	default:
		w.packed = s2.EncodeBetter(w.packed[:cap(w.packed)], w.plain)
		at.offset, at.length = w.end+int64(len(w.records)), crcSize+len(w.packed)
		w.records = binary.LittleEndian.AppendUint32(w.records, summaryCRC(&row.Ref, w.packed))
		w.records = append(w.records, w.packed...)
		w.written++
	}
	w.filled = append(w.filled, filledSlot{row.ID, at})
	if len(w.records) < flushSummary {
		return nil
	}
	return w.flush(row.ID)
}

// derive makes the summary of a message in w.plain; ok is false when its file is not what was recorded.
func (w *summaryWriter) derive(r *Reader, row *summaryRow) (ok bool, err error) {
	f, err := r.OpenMessage(row.Ref)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() != row.Size {
		return false, err
	}
	n := row.Size
	if n > wholeSummary {
		n = headSummary
	}
	if int64(cap(w.message)) < n {
		w.message = make([]byte, n, n+n/4)
	}
	b := w.message[:n]
	if _, err := io.ReadFull(f, b); err != nil {
		return false, err
	}
	if n < row.Size {
		w.plain = message.SummarizeHead(w.plain[:0], b, row.Size)
		return true, nil
	}
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], row.Ref[:]) {
		return false, nil
	}
	w.plain = message.Summarize(w.plain[:0], b)
	if cap(w.message) > keptForReuse {
		w.message = nil
	}
	return true, nil
}

// flush writes what has been added: first the records, then the slots, then that all up to a MessageID have been looked at.
func (w *summaryWriter) flush(complete MessageID) error {
	if len(w.records) > 0 {
		if _, err := w.data.WriteAt(w.records, w.end); err != nil {
			return errors.Join(err, w.data.Truncate(w.end)) // others need the space more
		}
		w.end += int64(len(w.records))
		w.records = w.records[:0]
	}
	var run []byte
	for i, f := range w.filled {
		run = f.append(run)
		if next := i + 1; next == len(w.filled) || w.filled[next].id != f.id+1 {
			if _, err := w.index.WriteAt(run, slotOffset(f.id)+slotSize-int64(len(run))); err != nil {
				return err
			}
			run = run[:0]
		}
	}
	w.filled = w.filled[:0]
	if complete == w.complete {
		return nil
	}
	if _, err := w.index.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(complete)), completeField); err != nil {
		return err
	}
	w.complete = complete
	return nil
}

var summaryName = regexp.MustCompile(`^(\d{1,9})\.(\d{1,9})\.(data|index)$`)

// oldSummaries lists the files of older versions.
func (r *Reader) oldSummaries() []string {
	dir := filepath.Join(r.dir, summariesDir)
	found, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var old []string
	for _, f := range found {
		m := summaryName.FindStringSubmatch(f.Name())
		if m == nil {
			continue
		}
		format, _ := strconv.Atoi(m[1])
		version, _ := strconv.Atoi(m[2])
		if format < summariesFormat || format == summariesFormat && version < message.SummaryVersion {
			old = append(old, filepath.Join(dir, f.Name()))
		}
	}
	return old
}
