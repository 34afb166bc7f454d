package archive

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
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
// There are three files, whose name has the version of this form and message.SummaryVersion. All begin with 8 bytes that tell which it is, and 8 that they have in common;
// numbers are little-endian:
//
//   - F.V.words: dictionaries of dictSize bytes, each the beginnings of some summaries (addresses, names of servers and programs come again in each message), with the MessageID
//     from which on it is used (8 bytes) and the CRC-32C of both (4) before it. They are numbered from 1.
//   - F.V.data: records, appended only: CRC-32C of the Ref, the CRC of the dictionary (0 without one) and the rest (4 bytes); the summary as an S2 block, compressed with that
//     dictionary.
//   - F.V.index: the MessageID up to which all messages were looked at (8 bytes), 8 bytes unused; then a slot of 16 bytes for each MessageID from 1: offset of the record in the data
//     file (6) and number of its dictionary (2, 0 for none), its length (4), and the first 4 bytes of the Ref. All zero: nothing yet. A length of 0 and noSummary as offset: the
//     message's file is missing or damaged.
const (
	summariesDir    = "summaries"
	summariesFormat = 1
	fileHeader      = 16
	indexHeader     = 32
	slotSize        = 16
	crcSize         = 4
	noSummary       = 1
	maxMessageID    = 1 << 32 // a database that numbers higher is damaged; slots would take up 64 GiB
)

// summaryExtensions are the files, with how they begin.
var summaryExtensions = [...]struct{ name, magic string }{indexFile: {"index", "mkpsumi\n"}, dataFile: {"data", "mkpsumd\n"}, wordsFile: {"words", "mkpsumw\n"}}

// Places in summaryExtensions.
const (
	indexFile = iota
	dataFile
	wordsFile
)

// maxRecord is the greatest length of a record.
var maxRecord = crcSize + s2.MaxEncodedLen(message.MaxSummary)

// slot says where the record of a message is.
type slot struct {
	offset int64
	dict   int // number of the dictionary, 0 for none
	length int
	ref    uint32 // the beginning of the Ref
}

func parseSlot(b []byte) slot {
	place := binary.LittleEndian.Uint64(b)
	return slot{
		offset: int64(place & (1<<48 - 1)), dict: int(place >> 48), length: int(binary.LittleEndian.Uint32(b[8:])), ref: binary.LittleEndian.Uint32(b[12:]),
	}
}

func (s slot) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(s.offset)|uint64(s.dict)<<48)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(s.length))
	return binary.LittleEndian.AppendUint32(dst, s.ref)
}

// of reports whether s was filled for a message.
func (s slot) of(ref Ref) bool {
	return (s.length > 0 || s.offset == noSummary) && s.ref == binary.LittleEndian.Uint32(ref[:])
}

func slotOffset(id MessageID) int64 { return indexHeader + (int64(id)-1)*slotSize }

func summaryCRC(ref *Ref, dict uint32, compressed []byte) uint32 {
	crc := crc32.Checksum(ref[:], castagnoli)
	if dict != 0 {
		crc = crc32.Update(crc, castagnoli, binary.LittleEndian.AppendUint32(make([]byte, 0, 4), dict))
	}
	return crc32.Update(crc, castagnoli, compressed)
}

// summaryPath is a file of the current version.
func (r *Reader) summaryPath(file int) string {
	return filepath.Join(r.dir, summariesDir, fmt.Sprintf("%d.%d.%s", summariesFormat, message.SummaryVersion, summaryExtensions[file].name))
}

// summaryState is what a Reader shares between its cursors.
type summaryState struct {
	mu      sync.Mutex
	files   *summaryFiles
	damaged map[MessageID]bool // records that did not check out
	recheck bool               // the index does not fit the database

	unreadable map[MessageID]bool // messages that could not be read, for a reason that may pass
}

const mostNoted = 100_000 // entries in each of these maps; where more is wrong, something else is

func note(ids *map[MessageID]bool, id MessageID) {
	if *ids == nil {
		*ids = make(map[MessageID]bool)
	}
	if len(*ids) < mostNoted {
		(*ids)[id] = true
	}
}

// summaryFiles are the files, open for reading. The last user closes them.
type summaryFiles struct {
	summarySet
	info  os.FileInfo // of the index
	users int         // guarded by summaryState.mu

	mu    sync.Mutex
	dicts map[int]*dictionary
}

// Summaries reads summaries of messages. It is not safe for concurrent use; the caller closes it.
type Summaries struct {
	reader *Reader
	files  *summaryFiles // nil: there are none
	*cursor
	dict     *dictionary // used last
	complete MessageID   // as in the index; -1: not read yet
}

// cursor is the memory of Summaries.
type cursor struct {
	index, data window
	plain       []byte
}

var cursors = sync.Pool{New: func() any {
	return &cursor{index: window{least: 4 << 10, most: 16 << 10}, data: window{most: 64 << 10}}
}}

// Summaries returns a cursor. It costs little and sees what has been derived so far; a new one should be taken for each task, so that files that have been replaced are
// noticed.
func (r *Reader) Summaries() *Summaries {
	s := &Summaries{reader: r, files: r.useSummaries(), complete: -1}
	if s.files != nil {
		s.cursor = cursors.Get().(*cursor)
		s.index.open(s.files.file(indexFile))
		s.data.open(s.files.file(dataFile))
	}
	return s
}

// Close releases the cursor, and what Get returned last.
func (s *Summaries) Close() {
	if s.files == nil {
		return
	}
	s.reader.releaseSummaries(s.files)
	s.files = nil
	s.index.file, s.data.file = nil, nil
	cursors.Put(s.cursor)
	s.cursor = nil
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
	if at.length <= crcSize || at.length > maxRecord || at.offset < fileHeader {
		return nil
	}
	raw := s.data.read(at.offset, at.length)
	if raw == nil {
		return nil
	}
	if s.dict == nil || s.dict.number != at.dict {
		if s.dict = s.files.dictionary(at.dict); s.dict == nil {
			return nil
		}
	}
	if binary.LittleEndian.Uint32(raw) != summaryCRC(ref, s.dict.crc, raw[crcSize:]) {
		s.files.forget(s.dict) // it may be the one that has changed
		s.dict = nil
		return nil
	}
	plain, err := s.dict.decode(s.plain[:cap(s.plain)], raw[crcSize:])
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
		s.complete = readComplete(s.files.file(indexFile))
	}
	if id <= s.complete {
		st := &s.reader.summaries
		st.mu.Lock()
		st.recheck = st.recheck || !st.unreadable[id]
		st.mu.Unlock()
	}
}

func readComplete(index *os.File) MessageID {
	var b [8]byte
	if _, err := index.ReadAt(b[:], completeField); err != nil {
		return 0
	}
	return MessageID(max(0, int64(binary.LittleEndian.Uint64(b[:]))))
}

// damagedSummary notes that a record has to be derived again. It may also be that the files were replaced one by one, so they are opened again for the next cursor.
func (r *Reader) damagedSummary(id MessageID) {
	st := &r.summaries
	st.mu.Lock()
	defer st.mu.Unlock()
	note(&st.damaged, id)
	st.drop()
}

// unreadable notes that a message could not be read, so that its want of a summary is not taken for a reason to look at all again.
func (r *Reader) unreadable(id MessageID) {
	r.summaries.mu.Lock()
	defer r.summaries.mu.Unlock()
	note(&r.summaries.unreadable, id)
}
