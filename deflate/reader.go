package deflate

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// Reader reads raw deflate data (RFC 1951) as it arrives. The standard library's reader gives out what it has decoded when it meets an empty stored block; servers that
// flush without one (zlib's Z_PARTIAL_FLUSH, as Dovecot does) would leave it waiting for input while it sits on the end of an answer. This one waits for input only when it has
// nothing to give. It works in steps that are undone when the input ends inside them, so that an error of the reader beneath, such as a passed deadline, costs nothing.
type Reader struct {
	src   io.Reader
	piece int // bytes read from src at a time

	in   []byte // in[pos:] is not in bits yet
	pos  int
	bits uint64 // the next n bits, the lowest first
	n    uint

	out  []byte // what was decoded; the end of it is the window for copies
	read int    // out[read:] was not given out yet

	state  state
	final  bool // the block is the last one
	stored int  // bytes left of a stored block
	lit    huffman
	dist   huffman
	err    error // final
}

type state uint8

const (
	atHeader state = iota
	inStored
	inCodes
)

// Sizes, in bytes.
const (
	window = 32 << 10
	keep   = 8 // input before pos that is kept: what may be in bits
)

var (
	errShort = errors.New("more input is needed")

	// ErrBroken is returned for data that is not deflate data. Nothing that comes after it can be read.
	ErrBroken = errors.New("the compressed data is broken")
)

// NewReader returns a reader of the data in src, of which it asks for piece bytes at a time. However little data inflates to however much, it holds less than 200 KB of what
// was decoded, and while a block lasts up to 128 KB for its codes.
func NewReader(src io.Reader, piece int) *Reader { return &Reader{src: src, piece: piece} }

// Read implements [io.Reader]. An error of the source beneath is returned as it is and loses nothing: reading can go on after a passed deadline. At the end of the data the
// error is io.EOF.
func (z *Reader) Read(p []byte) (int, error) {
	for z.read == len(z.out) {
		if z.err != nil {
			return 0, z.err
		}
		z.slide()
		err := z.advance()
		switch {
		case err == nil:
		case !errors.Is(err, errShort):
			z.err = err
		case z.read < len(z.out):
		default:
			if err := z.fill(); err != nil {
				return 0, err
			}
		}
	}
	n := copy(p, z.out[z.read:])
	z.read += n
	return n, nil
}

// slide forgets what no copy can reach any more; everything was given out.
func (z *Reader) slide() {
	if len(z.out) > 2*window {
		z.out = append(z.out[:0], z.out[len(z.out)-window:]...)
		z.read = len(z.out)
	}
}

// fill waits for input.
func (z *Reader) fill() error {
	from := max(z.pos-keep, 0)
	z.in = append(z.in[:0], z.in[from:]...)
	z.pos -= from
	z.in = slices.Grow(z.in, z.piece)
	n, err := z.src.Read(z.in[len(z.in) : len(z.in)+z.piece])
	z.in = z.in[:len(z.in)+n]
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// advance decodes until it has much to give out or the input ends.
func (z *Reader) advance() error {
	for len(z.out)-z.read < window {
		pos, bits, n := z.pos, z.bits, z.n
		if err := z.step(); err != nil {
			z.pos, z.bits, z.n = pos, bits, n
			return err
		}
	}
	return nil
}

// step decodes one header, one piece of a stored block, or one symbol with its copy.
func (z *Reader) step() error {
	switch z.state {
	case inStored:
		return z.copyStored()
	case inCodes:
		return z.symbol()
	}
	return z.header()
}

// take removes k bits, at most 16.
func (z *Reader) take(k uint) (uint, error) {
	for z.n < k {
		if z.pos == len(z.in) {
			return 0, errShort
		}
		z.bits |= uint64(z.in[z.pos]) << z.n
		z.pos++
		z.n += 8
	}
	v := uint(z.bits & (1<<k - 1))
	z.bits >>= k
	z.n -= k
	return v, nil
}

func (z *Reader) header() error {
	if z.final {
		return io.EOF
	}
	head, err := z.take(3)
	if err != nil {
		return err
	}
	final := head&1 != 0
	switch head >> 1 {
	case 0:
		err = z.storedHeader()
	case 1:
		z.lit, z.dist, z.state = fixedLit, fixedDist, inCodes
	case 2:
		err = z.dynamicHeader()
	default:
		err = ErrBroken
	}
	if err == nil {
		z.final = final
	}
	return err
}

func (z *Reader) storedHeader() error {
	if _, err := z.take(z.n % 8); err != nil {
		return err
	}
	length, err := z.take(16)
	if err != nil {
		return err
	}
	check, err := z.take(16)
	if err != nil {
		return err
	}
	if length^check != 0xffff {
		return ErrBroken
	}
	z.stored, z.state = int(length), inStored
	return nil
}

func (z *Reader) copyStored() error {
	if z.stored == 0 {
		z.state = atHeader
		return nil
	}
	z.pos -= int(z.n / 8) // whole bytes: the header ended at one
	z.bits, z.n = 0, 0
	b := z.in[z.pos:]
	if len(b) == 0 {
		return errShort
	}
	b = b[:min(len(b), z.stored, window)]
	z.out = append(z.out, b...)
	z.pos += len(b)
	z.stored -= len(b)
	return nil
}

// codeOrder is the order of the lengths of the code for code lengths, RFC 1951 section 3.2.7.
var codeOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (z *Reader) dynamicHeader() error {
	counts, err := z.take(14)
	if err != nil {
		return err
	}
	nlit, ndist, ncode := int(counts&31)+257, int(counts>>5&31)+1, int(counts>>10)+4
	if nlit > 286 || ndist > 30 {
		return ErrBroken
	}
	var small [19]uint8
	for i := range ncode {
		length, err := z.take(3)
		if err != nil {
			return err
		}
		small[codeOrder[i]] = uint8(length)
	}
	var code huffman
	if !code.build(small[:], false) {
		return ErrBroken
	}
	lengths, err := z.codeLengths(&code, nlit+ndist)
	if err != nil {
		return err
	}
	var lit, dist huffman
	if lengths[256] == 0 || !lit.build(lengths[:nlit], false) || !dist.build(lengths[nlit:], true) {
		return ErrBroken
	}
	z.lit, z.dist, z.state = lit, dist, inCodes
	return nil
}

// codeLengths reads n lengths, which are run-length coded.
func (z *Reader) codeLengths(code *huffman, n int) ([]uint8, error) {
	lengths := make([]uint8, 0, n)
	for len(lengths) < n {
		sym, err := z.decode(code)
		if err != nil {
			return nil, err
		}
		if sym < 16 {
			lengths = append(lengths, uint8(sym))
			continue
		}
		run := [3]struct{ bits, least uint }{{2, 3}, {3, 3}, {7, 11}}[sym-16]
		more, err := z.take(run.bits)
		if err != nil {
			return nil, err
		}
		var value uint8
		if sym == 16 {
			if len(lengths) == 0 {
				return nil, ErrBroken
			}
			value = lengths[len(lengths)-1]
		}
		for range run.least + more {
			lengths = append(lengths, value)
		}
	}
	if len(lengths) > n {
		return nil, ErrBroken
	}
	return lengths, nil
}

// The lengths and distances of copies, RFC 1951 section 3.2.5.
var (
	copyLengths   = [29]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits    = [29]uint8{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	copyDistances = [30]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distanceBits  = [30]uint8{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
)

func (z *Reader) symbol() error {
	sym, err := z.decode(&z.lit)
	switch {
	case err != nil:
		return err
	case sym < 256:
		z.out = append(z.out, byte(sym))
		return nil
	case sym == 256:
		z.lit, z.dist, z.state = huffman{}, huffman{}, atHeader // a connection may rest here for long
		return nil
	case sym-257 >= len(copyLengths):
		return ErrBroken
	}
	more, err := z.take(uint(lengthBits[sym-257]))
	if err != nil {
		return err
	}
	length := int(copyLengths[sym-257]) + int(more)
	if sym, err = z.decode(&z.dist); err != nil {
		return err
	}
	if sym >= len(copyDistances) {
		return ErrBroken
	}
	if more, err = z.take(uint(distanceBits[sym])); err != nil {
		return err
	}
	distance := int(copyDistances[sym]) + int(more)
	if distance > len(z.out) {
		return ErrBroken
	}
	for from := len(z.out) - distance; length > 0; length-- {
		z.out = append(z.out, z.out[from])
		from++
	}
	return nil
}

// decode reads one symbol.
func (z *Reader) decode(h *huffman) (int, error) {
	for z.n < 15 && z.pos < len(z.in) {
		z.bits |= uint64(z.in[z.pos]) << z.n
		z.pos++
		z.n += 8
	}
	if len(h.table) == 0 {
		return 0, ErrBroken // a block that says it needs no such code, and uses it
	}
	entry := h.table[z.bits&uint64(len(h.table)-1)]
	length := uint(entry & 15)
	switch {
	case length == 0 && z.n < 15, length > z.n:
		return 0, errShort
	case length == 0:
		return 0, ErrBroken
	}
	z.bits >>= length
	z.n -= length
	return int(entry >> 4), nil
}

// huffman decodes a canonical code with one look: the table's index is as many bits as the longest code has, the entry the symbol and, in its lowest four bits, the length of
// its code.
type huffman struct{ table []uint16 }

// build makes the table of the code lengths of all symbols. It reports false for a code that is over-subscribed, or incomplete: that is allowed only of a code with
// a single symbol or, with mayLack, none (RFC 1951 section 3.2.7).
func (h *huffman) build(lengths []uint8, mayLack bool) bool {
	var count, next [16]int
	longest, symbols := 0, 0
	for _, l := range lengths {
		count[l]++
		if l > 0 {
			longest, symbols = max(longest, int(l)), symbols+1
		}
	}
	if symbols == 0 {
		return mayLack
	}
	code, left := 0, 1
	for l := 1; l <= 15; l++ {
		left = left<<1 - count[l]
		if left < 0 {
			return false
		}
		next[l] = code
		code = (code + count[l]) << 1
	}
	if left > 0 && (symbols > 1 || longest > 1) {
		return false
	}
	h.table = make([]uint16, 1<<longest)
	for sym, l := range lengths {
		if l == 0 {
			continue
		}
		for i := reversed(next[l], int(l)); i < len(h.table); i += 1 << l {
			h.table[i] = uint16(sym<<4 | int(l))
		}
		next[l]++
	}
	return true
}

// reversed turns the lowest n bits around: codes are packed with their first bit lowest.
func reversed(v, n int) int {
	r := 0
	for range n {
		r, v = r<<1|v&1, v>>1
	}
	return r
}

// The fixed codes, RFC 1951 section 3.2.6.
var fixedLit, fixedDist = func() (lit, dist huffman) {
	lengths := make([]uint8, 288)
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	if !lit.build(lengths, false) || !dist.build(slices.Repeat([]uint8{5}, 32), false) {
		panic(fmt.Sprint("deflate: the fixed codes cannot be built: ", len(lengths)))
	}
	return lit, dist
}()
