package imapd

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sync/semaphore"

	"mailkeep/archive"
	"mailkeep/message"
)

const (
	headSize       = 32 << 10  // how much of a message is read at first: most have their header in it, many all
	largeRange     = 1 << 20   // of a message; more waits until there is memory
	loadedBytes    = 256 << 20 // of messages held whole in memory, by all sessions together
	structureBytes = 32 << 20  // of part trees kept
)

// errDamaged says that a message's file is not what the archive has recorded.
var errDamaged = errors.New("its file has another size than was recorded")

// bodies gives access to the bytes of messages within bounds of memory.
type bodies struct {
	reader *archive.Reader
	ctx    context.Context     // ends with the server
	memory *semaphore.Weighted // bytes of large messages that are held whole

	mu    sync.Mutex
	known map[archive.Ref]*list.Element // of *structure
	used  list.List                     // most recently used first
	bytes int64

	digests digests
}

// structure is what is kept of a message that has been parsed.
type structure struct {
	ref           archive.Ref
	root          *message.Part
	envelope      []byte // in wire form, as the next two
	body          []byte
	bodyStructure []byte
	cost          int64
}

func (b *bodies) init(ctx context.Context, r *archive.Reader) {
	b.ctx, b.reader = ctx, r
	b.memory = semaphore.NewWeighted(loadedBytes)
	b.known = make(map[archive.Ref]*list.Element)
}

func (b *bodies) structure(ref archive.Ref) *structure {
	b.mu.Lock()
	defer b.mu.Unlock()
	el := b.known[ref]
	if el == nil {
		return nil
	}
	b.used.MoveToFront(el)
	return el.Value.(*structure)
}

// parse takes a message apart and keeps the result.
func (b *bodies) parse(ref archive.Ref, data []byte) *structure {
	st := &structure{ref: ref, root: message.Parse(data)}
	st.envelope = message.AppendEnvelope(nil, st.root.Header(data))
	st.body = st.root.AppendBody(nil, data)
	st.bodyStructure = st.root.AppendBodyStructure(nil, data)
	parts := 0
	st.root.Walk(func(*message.Part) bool { parts++; return true })
	// A part is about 350 bytes with its strings, which stand in bodyStructure too.
	st.cost = int64(200 + 350*parts + len(st.envelope) + len(st.body) + 2*len(st.bodyStructure))

	b.mu.Lock()
	defer b.mu.Unlock()
	if el := b.known[ref]; el != nil {
		return el.Value.(*structure)
	}
	if st.cost > structureBytes/4 {
		return st // not at the cost of all the others
	}
	b.known[ref] = b.used.PushFront(st)
	b.bytes += st.cost
	for b.bytes > structureBytes {
		last := b.used.Back()
		old := b.used.Remove(last).(*structure)
		delete(b.known, old.ref)
		b.bytes -= old.cost
	}
	return st
}

// source reads one message while its response is made. close must be called after the response has been sent.
type source struct {
	bodies *bodies
	snap   *snapshot
	row    *row       // of snap
	file   *os.File   // nil until needed
	head   []byte     // its first bytes, in a buffer that is used again for the next message; valid when file is open
	header int64      // length of the header with its empty line; 0: not known
	whole  []byte     // the message when it had to be read as a whole
	held   int64      // bytes of bodies.memory that are taken for whole
	tree   *structure // nil until needed
}

func (s *source) close() {
	if s.file != nil {
		s.file.Close()
	}
	if s.held > 0 {
		s.bodies.memory.Release(s.held)
	}
}

// open opens the message's file and reads its head.
func (s *source) open() (*os.File, error) {
	if s.file != nil {
		return s.file, nil
	}
	file, err := s.bodies.reader.OpenMessage(s.row.ref)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != s.row.size {
		err = fmt.Errorf("message %s: %w", s.row.ref, errDamaged)
	}
	if err == nil {
		s.head, err = readRange(file, s.head[:0], 0, min(s.row.size, headSize))
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	s.file = file
	return file, nil
}

// readRange reads n bytes at offset into buf, which is replaced when it is too small.
func readRange(file *os.File, buf []byte, offset, n int64) ([]byte, error) {
	if int64(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	got, err := file.ReadAt(buf, offset)
	if int64(got) == n {
		err = nil
	}
	if err == io.EOF {
		err = errDamaged
	}
	if err != nil {
		return buf[:0], fmt.Errorf("read %q: %w", file.Name(), err)
	}
	return buf, nil
}

// bytes returns the bytes [start,end) of the message. They are valid until the next message.
func (s *source) bytes(start, end int64) ([]byte, error) {
	if s.whole != nil {
		return s.whole[start:end], nil
	}
	file, err := s.open()
	if err != nil {
		return nil, err
	}
	if end <= int64(len(s.head)) {
		return s.head[start:end], nil
	}
	if end-start > largeRange {
		whole, err := s.load()
		if err != nil {
			return nil, err
		}
		return whole[start:end], nil
	}
	return readRange(file, nil, start, end-start)
}

// load returns the whole message. Large ones wait for their turn.
func (s *source) load() ([]byte, error) {
	if s.whole != nil {
		return s.whole, nil
	}
	file, err := s.open()
	if err != nil {
		return nil, err
	}
	if int64(len(s.head)) == s.row.size {
		return s.head, nil
	}
	need := min(s.row.size, loadedBytes)
	if err := s.bodies.memory.Acquire(s.bodies.ctx, need); err != nil {
		return nil, err
	}
	s.held = need
	s.whole, err = readRange(file, nil, 0, s.row.size)
	return s.whole, err
}

// structure returns the message's part tree.
func (s *source) structure() (*structure, error) {
	if s.tree == nil {
		s.tree = s.bodies.structure(s.row.ref)
	}
	if s.tree != nil {
		return s.tree, nil
	}
	data, err := s.load()
	if err != nil {
		return nil, err
	}
	s.tree = s.bodies.parse(s.row.ref, data)
	return s.tree, nil
}

// envelope returns the message's ENVELOPE in wire form.
func (s *source) envelope() ([]byte, error) {
	if st := s.bodies.structure(s.row.ref); st != nil {
		return st.envelope, nil
	}
	n, err := s.headerSize()
	if err != nil {
		return nil, err
	}
	header, err := s.bytes(0, n)
	if err != nil {
		return nil, err
	}
	return message.AppendEnvelope(nil, header), nil
}

// headerSize returns the length of the message's header with the empty line that ends it, without parsing more.
func (s *source) headerSize() (int64, error) {
	if s.header > 0 {
		return s.header, nil
	}
	if _, err := s.open(); err != nil {
		return 0, err
	}
	part := s.head
	for {
		if n := headerEnd(part); n >= 0 {
			s.header = int64(n)
			return s.header, nil
		}
		if int64(len(part)) == s.row.size {
			s.header = s.row.size
			return s.header, nil
		}
		var err error
		if part, err = s.bytes(0, min(s.row.size, 4*int64(len(part)))); err != nil {
			return 0, err
		}
	}
}

// headerEnd is where the header in b ends, after its empty line; -1 when that is not in b.
func headerEnd(b []byte) int {
	for line := 0; line < len(b); {
		switch {
		case b[line] == '\n':
			return line + 1
		case b[line] == '\r' && line+1 < len(b) && b[line+1] == '\n':
			return line + 2
		}
		i := bytes.IndexByte(b[line:], '\n')
		if i < 0 {
			return -1
		}
		line += i + 1
	}
	return -1
}

// section returns the bytes that a section names as offsets; ok is false when there is no such section.
func (s *source) section(path []int, specifier string) (start, end int64, ok bool, err error) {
	if len(path) > 0 {
		st, err := s.structure()
		if err != nil {
			return 0, 0, false, err
		}
		start, end, ok = st.root.Section(path, specifier)
		return start, end, ok, nil
	}
	if specifier == "" {
		return 0, s.row.size, true, nil
	}
	n, err := s.headerSize()
	switch {
	case err != nil:
		return 0, 0, false, err
	case specifier == "HEADER":
		return 0, n, true, nil
	case specifier == "TEXT":
		return n, s.row.size, true, nil
	}
	return 0, 0, false, nil // MIME of the whole message
}

// decoded returns a part without its content transfer encoding; ok is false when there is no such part. An empty path is the message as it is.
func (s *source) decoded(path []int) (data []byte, ok bool, err error) {
	if len(path) == 0 {
		data, err := s.bytes(0, s.row.size)
		return data, true, err
	}
	st, err := s.structure()
	if err != nil {
		return nil, false, err
	}
	part := st.root.Find(path)
	if part == nil {
		return nil, false, nil
	}
	whole, err := s.load()
	if err != nil {
		return nil, false, err
	}
	data, err = message.Decode(part, whole)
	return data, true, err
}
