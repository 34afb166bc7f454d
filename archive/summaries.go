package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/s2"

	"mailkeep/message"
)

// The folder summaries/ holds a message.Summary for each message, so that a mailbox of any size is listed without opening its messages. It is derived from the
// messages, not a part of what the archive keeps: nothing in it is ever flushed to the disk, it may lag behind gmail.db, and whatever in it does not check
// out counts as absent and is derived again.
//
// There are two files, whose name has the version of this form and message.SummaryVersion:
//
//   - F.V.data: 8 bytes dataMagic, 8 bytes that the index has too; then records, appended only: CRC-32C of Ref and the rest (little-endian, as all here), the summary
//     compressed as an S2 block.
//   - F.V.index: 8 bytes indexMagic, those 8 bytes, the MessageID up to which all messages were looked at (8 bytes), 8 bytes unused; then a slot of 16 bytes for each
//     MessageID from 1: offset (8) and length (4) of the record in the data file, and the first 4 bytes of the Ref. All zero: nothing yet. A length of 0 and noSummary as offset:
//     the message's file is missing or damaged.
const (
	summariesDir    = "summaries"
	summariesFormat = 1
	dataMagic       = "mkpsumd\n"
	indexMagic      = "mkpsumi\n"
	dataHeader      = 16
	indexHeader     = 32
	slotSize        = 16
	crcSize         = 4
	noSummary       = 1
	maxMessageID    = 1 << 32 // a database that numbers higher is damaged; slots would take up 64 GiB
)

// maxRecord is the greatest length of a record.
var maxRecord = crcSize + s2.MaxEncodedLen(message.MaxSummary)

// slot says where the record of a message is.
type slot struct {
	offset int64
	length int
	ref    uint32 // the beginning of the Ref
}

func parseSlot(b []byte) slot {
	return slot{
		offset: int64(binary.LittleEndian.Uint64(b)), length: int(binary.LittleEndian.Uint32(b[8:])), ref: binary.LittleEndian.Uint32(b[12:]),
	}
}

func (s slot) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.offset))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(s.length))
	return binary.LittleEndian.AppendUint32(dst, s.ref)
}

// of reports whether s was filled for a message.
func (s slot) of(ref Ref) bool {
	return (s.length > 0 || s.offset == noSummary) && s.ref == binary.LittleEndian.Uint32(ref[:])
}

func slotOffset(id MessageID) int64 { return indexHeader + (int64(id)-1)*slotSize }

func summaryCRC(ref *Ref, compressed []byte) uint32 {
	return crc32.Update(crc32.Checksum(ref[:], castagnoli), castagnoli, compressed)
}

// summaryPath is a file of the current version; extension is "data" or "index".
func (r *Reader) summaryPath(extension string) string {
	return filepath.Join(r.dir, summariesDir, fmt.Sprintf("%d.%d.%s", summariesFormat, message.SummaryVersion, extension))
}

// summaryState is what a Reader shares between its cursors.
type summaryState struct {
	mu      sync.Mutex
	files   *summaryFiles
	damaged map[MessageID]bool // records that did not check out
	recheck bool               // the index does not fit the database
}

// summaryFiles are the two files, open for reading. The last user closes them.
type summaryFiles struct {
	index, data *os.File
	info        os.FileInfo // of the index
	users       int         // guarded by summaryState.mu
}

// Summaries reads summaries of messages. It is not safe for concurrent use; the caller closes it.
type Summaries struct {
	reader      *Reader
	files       *summaryFiles // nil: there are none
	index, data window
	plain       []byte
	complete    MessageID // as in the index; -1: not read yet
}

// cursors keeps the buffers of closed Summaries.
var cursors = sync.Pool{New: func() any { return new(Summaries) }}

// Summaries returns a cursor. It costs little and sees what has been derived so far; a new one should be taken for each task, so that files that have been replaced are
// noticed.
func (r *Reader) Summaries() *Summaries {
	s := cursors.Get().(*Summaries)
	s.reader, s.files, s.complete = r, r.useSummaries(), -1
	if s.files != nil {
		s.index.open(s.files.index, 4<<10)
		s.data.open(s.files.data, 0)
	}
	return s
}

// Close releases the cursor, and what Get returned last.
func (s *Summaries) Close() {
	if s.reader == nil {
		return
	}
	if s.files != nil {
		s.reader.releaseSummaries(s.files)
	}
	s.reader, s.files = nil, nil
	s.index.file, s.data.file = nil, nil
	cursors.Put(s)
}

// Get returns the encoded summary of a message, for [message.OpenSummary], or nil when there is none and the message must be read. The bytes are valid until the next call.
// Asking in the order of MessageIDs costs least.
func (s *Summaries) Get(id MessageID, ref Ref) []byte {
	if s.files == nil || id < 1 || id > maxMessageID {
		return nil
	}
	raw := s.index.read(slotOffset(id), slotSize)
	if raw == nil {
		s.absent(id)
		return nil
	}
	at := parseSlot(raw)
	switch {
	case !at.of(ref):
		s.absent(id)
		return nil
	case at.length == 0:
		return nil
	}
	if plain := s.record(at, &ref); plain != nil {
		return plain
	}
	s.reader.damagedSummary(id)
	return nil
}

// record reads and checks a record.
func (s *Summaries) record(at slot, ref *Ref) []byte {
	if at.length <= crcSize || at.length > maxRecord || at.offset < dataHeader {
		return nil
	}
	raw := s.data.read(at.offset, at.length)
	if raw == nil || binary.LittleEndian.Uint32(raw) != summaryCRC(ref, raw[crcSize:]) {
		return nil
	}
	if n, err := s2.DecodedLen(raw[crcSize:]); err != nil || n > message.MaxSummary {
		return nil
	}
	plain, err := s2.Decode(s.plain[:cap(s.plain)], raw[crcSize:])
	if err != nil {
		return nil
	}
	if cap(plain) > cap(s.plain) {
		s.plain = plain
	}
	return plain
}

// absent notes when a message has no summary that should have one.
func (s *Summaries) absent(id MessageID) {
	if s.complete < 0 {
		s.complete = readComplete(s.files.index)
	}
	if id <= s.complete {
		st := &s.reader.summaries
		st.mu.Lock()
		st.recheck = true
		st.mu.Unlock()
	}
}

func readComplete(index *os.File) MessageID {
	var b [8]byte
	if _, err := index.ReadAt(b[:], 16); err != nil {
		return 0
	}
	return MessageID(max(0, int64(binary.LittleEndian.Uint64(b[:]))))
}

// damagedSummary notes that a record has to be derived again. Where very many are damaged, something is wrong with all.
func (r *Reader) damagedSummary(id MessageID) {
	const most = 100_000
	r.summaries.mu.Lock()
	defer r.summaries.mu.Unlock()
	if r.summaries.damaged == nil {
		r.summaries.damaged = make(map[MessageID]bool)
	}
	if len(r.summaries.damaged) < most {
		r.summaries.damaged[id] = true
	}
}

// useSummaries returns the files, opened when they were not, or nil when there are none.
func (r *Reader) useSummaries() *summaryFiles {
	st := &r.summaries
	st.mu.Lock()
	defer st.mu.Unlock()
	info, err := os.Stat(r.summaryPath("index"))
	if st.files != nil && (err != nil || !os.SameFile(info, st.files.info)) {
		st.release(st.files)
		st.files = nil
	}
	if st.files == nil && err == nil {
		if st.files, err = r.openSummaries(); err != nil {
			return nil
		}
	}
	if st.files != nil {
		st.files.users++
	}
	return st.files
}

func (r *Reader) releaseSummaries(f *summaryFiles) {
	r.summaries.mu.Lock()
	defer r.summaries.mu.Unlock()
	r.summaries.release(f)
}

// release gives files up; mu is held.
func (st *summaryState) release(f *summaryFiles) {
	if f.users--; f.users == 0 {
		f.index.Close()
		f.data.Close()
	}
}

// closeSummaries is for the end of a Reader; cursors that are open stay usable.
func (r *Reader) closeSummaries() {
	st := &r.summaries
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.files != nil {
		st.release(st.files)
		st.files = nil
	}
}

// openSummaries opens the two files for a first user, who is the Reader itself.
func (r *Reader) openSummaries() (*summaryFiles, error) {
	index, err := os.Open(r.summaryPath("index"))
	if err != nil {
		return nil, err
	}
	data, err := os.Open(r.summaryPath("data"))
	if err != nil {
		index.Close()
		return nil, err
	}
	f := &summaryFiles{index: index, data: data, users: 1}
	if f.info, err = index.Stat(); err == nil {
		err = checkPair(index, data)
	}
	if err != nil {
		index.Close()
		data.Close()
		return nil, err
	}
	return f, nil
}

var errNotSummaries = errors.New("not an index and its data")

// checkPair tells whether two files are an index and its data.
func checkPair(index, data io.ReaderAt) error {
	var i, d [dataHeader]byte
	if _, err := index.ReadAt(i[:], 0); err != nil {
		return err
	}
	if _, err := data.ReadAt(d[:], 0); err != nil {
		return err
	}
	if string(i[:8]) != indexMagic || string(d[:8]) != dataMagic || string(i[8:]) != string(d[8:]) {
		return errNotSummaries
	}
	return nil
}

// window is a part of a file in memory, that grows while what is read of it is read in order.
type window struct {
	file  *os.File
	buf   []byte
	start int64
	least int // how much to read at least
	ahead int // how much to read next
	used  int // of buf
}

const maxAhead = 128 << 10

func (w *window) open(file *os.File, least int) {
	*w = window{file: file, buf: w.buf[:0], least: least, ahead: max(least, 4<<10)}
}

// read returns n bytes at offset, or nil where the file has not so many. They are valid until the next call.
func (w *window) read(offset int64, n int) []byte {
	if from := offset - w.start; from >= 0 && from+int64(n) <= int64(len(w.buf)) {
		w.used += n
		return w.buf[from : from+int64(n)]
	}
	switch {
	case w.used*4 >= len(w.buf) && len(w.buf) > 0:
		w.ahead = min(2*w.ahead, maxAhead)
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
