package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A group of more than packLeast bytes has its facts packed: in place of many lines of JSON there is one that holds them compressed, as a frame of zstd (RFC 8878). So that it stays one line,
// without zero bytes, three bytes of the frame are written as two: escape and a letter. Its commit line follows as ever, with a checksum over the lines as they stand in the file. Each
// group can be read without any other, and what reads lines needs to know no more than decodeFacts.

const (
	packLeast = 4 << 10 // bytes of JSON: small groups, those of every day, stay as they are
	packMost  = 1 << 20 // of JSON in one packed line
	escape    = 0x1b

	// packRatio is how much longer than a packed line its JSON can be, as far as facts that give out UIDs are concerned: each has two numbers that no other has, and takes more than two bits.
	packRatio = 4 * shortestFact
)

// packMagic is how a packed line begins, and no JSON does.
var packMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

var packer = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(packMost), zstd.WithLowerEncoderMem(true))
})

var unpacker = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(packMost), zstd.WithDecoderLowmem(true))
})

// packLines returns lines of JSON in as little space as may be: packed, or as they are.
func packLines(text []byte) ([]byte, error) {
	enc, err := packer()
	if err != nil {
		return nil, err
	}
	var out []byte
	for len(text) > 0 {
		some := text[:beginning(text)]
		text = text[len(some):]
		if packed := escaped(enc.EncodeAll(some, nil)); len(some) <= packMost && len(packed) < len(some) {
			out = append(out, packed...)
		} else {
			out = append(out, some...)
		}
	}
	return out, nil
}

// beginning is the length of as many lines as fit into packMost, or of the first one.
func beginning(text []byte) int {
	if len(text) <= packMost {
		return len(text)
	}
	if i := bytes.LastIndexByte(text[:packMost], '\n'); i >= 0 {
		return i + 1
	}
	return packMost + bytes.IndexByte(text[packMost:], '\n') + 1
}

// escaped makes a line of any bytes.
func escaped(b []byte) []byte {
	line := make([]byte, 0, len(b)+len(b)/50+16)
	for _, c := range b {
		switch c {
		case 0:
			line = append(line, escape, '0')
		case '\n':
			line = append(line, escape, 'n')
		case escape:
			line = append(line, escape, 'e')
		default:
			line = append(line, c)
		}
	}
	return append(line, '\n')
}

var errNotPacked = errors.New("a packed line is damaged")

// unescaped is the reverse of escaped.
func unescaped(line []byte) ([]byte, error) {
	line, whole := bytes.CutSuffix(line, []byte("\n"))
	if !whole {
		return nil, errNotPacked
	}
	b := make([]byte, 0, len(line))
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == escape {
			i++
			at := -1
			if i < len(line) {
				at = bytes.IndexByte([]byte("0ne"), line[i])
			}
			if at < 0 {
				return nil, errNotPacked
			}
			c = []byte{0, '\n', escape}[at]
		}
		b = append(b, c)
	}
	return b, nil
}

// commitOf returns the fact of a commit line, or nil.
func commitOf(facts []fact) *commitFact {
	if len(facts) != 1 {
		return nil
	}
	return facts[0].Commit
}

// decodeFacts reads a line of the journal: one fact, or those that are packed in it. There is at least one, or an error; a commit comes alone.
func decodeFacts(line []byte) ([]fact, error) {
	if !bytes.HasPrefix(line, packMagic) {
		var one fact
		err := json.Unmarshal(line, &one)
		return []fact{one}, err
	}
	frame, err := unescaped(line)
	if err != nil {
		return nil, err
	}
	dec, err := unpacker()
	if err != nil {
		return nil, err
	}
	text, err := dec.DecodeAll(frame, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotPacked, err)
	}
	var facts []fact
	for line := range bytes.Lines(text) {
		var one fact
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fmt.Errorf("%w: %w", errNotPacked, err)
		}
		if one.Commit != nil {
			return nil, errNotPacked // a batch ends where everybody can see it
		}
		facts = append(facts, one)
	}
	if len(facts) == 0 {
		return nil, errNotPacked
	}
	return facts, nil
}

// sealGroup packs the lines of some facts if they have least bytes, and adds the commit line. The result may share the memory of lines.
func sealGroup(lines []byte, least int, commit commitFact) ([]byte, error) {
	if len(lines) >= least {
		var err error
		if lines, err = packLines(lines); err != nil {
			return nil, err
		}
	}
	commit.CRC = fmt.Sprintf("%08x", crc32.Checksum(lines, castagnoli))
	group := bytes.NewBuffer(lines)
	err := lineEncoder(group).Encode(&fact{Commit: &commit})
	return group.Bytes(), err
}
