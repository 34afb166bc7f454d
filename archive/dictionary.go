package archive

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"

	"github.com/klauspost/compress/s2"

	"mailkeep/message"
)

const (
	dictSize   = 32 << 10
	dictHeader = crcSize + 8
	dictEvery  = 1000    // messages for which one is used: the next are of another time, or another mailbox
	dictLeast  = 250     // messages to derive at a time, to make one of them
	dictsKept  = 256     // in memory
	dictSample = 3 << 10 // of one summary: what mail programs list stands at the beginning
	maxDicts   = 1<<16 - 1
)

// dictionary is what summaries of some time have in common. Number 0 is none, and compresses without.
type dictionary struct {
	number int
	crc    uint32 // 0 for none
	from   MessageID
	dict   *s2.Dict
}

func dictOffset(number int) int64 { return fileHeader + int64(number-1)*(dictHeader+dictSize) }

// readDictionary returns dictionary number n of a words file, or nil when it has no such.
func readDictionary(words *os.File, number int) *dictionary {
	if number == 0 {
		return new(dictionary)
	}
	b := make([]byte, dictHeader+dictSize)
	if _, err := words.ReadAt(b, dictOffset(number)); err != nil {
		return nil
	}
	crc := crc32.Checksum(b[crcSize:], castagnoli)
	if crc != binary.LittleEndian.Uint32(b) {
		return nil
	}
	return &dictionary{
		number: number, crc: crc, from: MessageID(binary.LittleEndian.Uint64(b[crcSize:])), dict: s2.MakeDictManual(b[dictHeader:], 0),
	}
}

// writeDictionary appends a dictionary of dictSize bytes.
func writeDictionary(words *os.File, number int, from MessageID, content []byte) (*dictionary, error) {
	b := binary.LittleEndian.AppendUint64(make([]byte, crcSize, dictHeader+dictSize), uint64(from))
	b = append(b, content...)
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[crcSize:], castagnoli))
	if _, err := words.WriteAt(b, dictOffset(number)); err != nil {
		return nil, err
	}
	return readDictionary(words, number), nil
}

func (d *dictionary) encode(dst, plain []byte) []byte {
	if d.number == 0 {
		return s2.EncodeBetter(dst, plain)
	}
	return d.dict.EncodeBetter(dst, plain)
}

var errNoSummary = errors.New("not a summary")

func (d *dictionary) decode(dst, packed []byte) ([]byte, error) {
	if n, err := s2.DecodedLen(packed); err != nil || n > message.MaxSummary {
		return nil, errNoSummary
	}
	if d.number == 0 {
		return s2.Decode(dst, packed)
	}
	return d.dict.Decode(dst, packed)
}

// dictionary returns a dictionary by its number, or nil when there is none.
func (f *summaryFiles) dictionary(number int) *dictionary {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.dicts[number]
	if d == nil {
		if d = readDictionary(f.file(wordsFile), number); d != nil {
			if len(f.dicts) >= dictsKept {
				clear(f.dicts)
			}
			f.dicts[number] = d
		}
	}
	return d
}

// forget makes the dictionary be read again.
func (f *summaryFiles) forget(d *dictionary) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dicts[d.number] == d {
		delete(f.dicts, d.number)
	}
}
