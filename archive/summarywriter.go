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
	summarySet
	slots    window
	complete MessageID   // as in the index
	end      int64       // of the data
	dict     *dictionary // never nil
	dicts    int         // in the words file
	written  int         // summaries

	records []byte // not written yet; they begin at end
	filled  []filledSlot

	message, plain, packed []byte // buffers
}

type filledSlot struct {
	id MessageID
	slot
}

// openSummaryWriter opens the files, and begins them anew when they do not belong together.
func (r *Reader) openSummaryWriter() (*summaryWriter, error) {
	set, err := r.openSummarySet(os.O_CREATE | os.O_RDWR)
	if err != nil {
		return nil, err
	}
	w := &summaryWriter{summarySet: set, dict: new(dictionary)}
	if set.check() != nil {
		err = w.reset()
	}
	if err == nil {
		w.end, err = set.file(dataFile).Seek(0, io.SeekEnd)
	}
	if err == nil {
		err = w.openDictionary()
	}
	if err != nil {
		w.close()
		return nil, err
	}
	w.complete = readComplete(set.file(indexFile))
	w.slots = window{least: 4 << 10, most: 16 << 10}
	w.slots.open(set.file(indexFile))
	return w, nil
}

// openDictionary takes the last dictionary, if it is whole.
func (w *summaryWriter) openDictionary() error {
	info, err := w.file(wordsFile).Stat()
	if err != nil {
		return err
	}
	const stride = dictHeader + dictSize
	w.dicts = int((info.Size() - fileHeader + stride - 1) / stride)
	if d := readDictionary(w.file(wordsFile), min(w.dicts, maxDicts)); d != nil {
		w.dict = d
	}
	return nil
}

// reset begins the files anew. They belong together by a number that no others have.
func (w *summaryWriter) reset() error {
	var number [8]byte
	rand.Read(number[:]) // never fails, it would end the program
	for i, f := range w.summarySet {
		if err := f.Truncate(0); err != nil {
			return err
		}
		header := make([]byte, fileHeader, indexHeader)
		copy(header, summaryExtensions[i].magic)
		copy(header[8:], number[:])
		if i == indexFile {
			header = header[:indexHeader]
		}
		if _, err := f.WriteAt(header, 0); err != nil {
			return err
		}
	}
	return nil
}

// learn makes a dictionary of some of the messages in rows, when it is time for one.
func (w *summaryWriter) learn(r *Reader, rows []summaryRow) error {
	if len(rows) < dictLeast || w.dicts >= maxDicts || w.dict.number > 0 && rows[0].ID >= w.dict.from && rows[0].ID < w.dict.from+dictEvery {
		return nil
	}
	const most = 80 // summaries; if they are so short, there is nothing to gain
	var content []byte
	for k := 0; k < most && len(content) < dictSize; k++ {
		i := k * 37 % most * len(rows) / most // from all over rows, wherever it ends
		if ok, err := w.derive(r, &rows[i]); ok && err == nil {
			content = append(content, w.plain[:min(len(w.plain), dictSample)]...)
		}
	}
	if len(content) < dictSize {
		return nil
	}
	d, err := writeDictionary(w.file(wordsFile), w.dicts+1, rows[0].ID, content[:dictSize])
	if err != nil {
		return err
	}
	w.dicts++
	if d != nil {
		w.dict = d
	}
	return nil
}

// has tells whether a message has been dealt with.
func (w *summaryWriter) has(row *summaryRow) bool {
	raw := w.slots.read(slotOffset(row.ID), slotSize)
	return raw != nil && parseSlot(raw).of(row.Ref)
}

// add derives the summary of a message.
func (w *summaryWriter) add(r *Reader, row *summaryRow) error {
	at := slot{offset: noSummary, ref: binary.LittleEndian.Uint32(row.Ref[:])}
	switch ok, err := w.derive(r, row); {
	case errors.Is(err, ErrNotFound) || err == nil && !ok:
		// Missing or damaged; looking again each time would not mend it.
	case err != nil:
		r.unreadable(row.ID) // another process, or the next of this program, may have more luck
		return nil
	default:
		w.packed = w.dict.encode(w.packed[:cap(w.packed)], w.plain)
		at.offset, at.dict, at.length = w.end+int64(len(w.records)), w.dict.number, crcSize+len(w.packed)
		w.records = binary.LittleEndian.AppendUint32(w.records, summaryCRC(&row.Ref, w.dict.crc, w.packed))
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
		if _, err := w.file(dataFile).WriteAt(w.records, w.end); err != nil {
			return errors.Join(err, w.file(dataFile).Truncate(w.end)) // others need the space more
		}
		w.end += int64(len(w.records))
		w.records = w.records[:0]
	}
	var run []byte
	for i, f := range w.filled {
		run = f.append(run)
		if next := i + 1; next == len(w.filled) || w.filled[next].id != f.id+1 {
			if _, err := w.file(indexFile).WriteAt(run, slotOffset(f.id)+slotSize-int64(len(run))); err != nil {
				return err
			}
			run = run[:0]
		}
	}
	w.filled = w.filled[:0]
	if complete == w.complete {
		return nil
	}
	if _, err := w.file(indexFile).WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(complete)), completeField); err != nil {
		return err
	}
	w.complete = complete
	return nil
}

var summaryName = regexp.MustCompile(`^(\d{1,9})\.(\d{1,9})\.(data|index|words)$`)

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
