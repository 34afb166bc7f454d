package imapd

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"mailkeep/archive"
	"mailkeep/message"
)

// summaries gives access to the summaries of messages during one command. The zero value with bodies set is ready; close ends it.
type summaries struct {
	bodies *bodies
	many   bool               // they are too many to be kept
	cursor *archive.Summaries // nil until needed
}

// of returns the summary of a message. It is valid until the next call; ok is false when the message has to be read.
func (s *summaries) of(r *row) (sum message.Summary, ok bool) {
	enc := s.bodies.recent.get(&r.ref)
	if enc == nil {
		if s.cursor == nil {
			s.cursor = s.bodies.reader.Summaries()
		}
		if enc = s.cursor.Get(r.message, r.ref); enc == nil {
			return sum, false
		}
		if !s.many {
			s.bodies.recent.put(&r.ref, enc)
		}
	}
	sum, err := message.OpenSummary(enc)
	return sum, err == nil && sum.Size() == r.size
}

func (s *summaries) close() {
	if s.cursor != nil {
		s.cursor.Close()
		s.cursor = nil
	}
}

// source reads one message while its response is made. close must be called after the response has been sent.
type source struct {
	bodies    *bodies
	summaries *summaries
	snap      *snapshot
	row       *row // of snap

	asked bool // for the summary
	known bool // there is one
	sum   message.Summary

	file   *os.File   // of a message that is not in head as a whole; nil until needed
	head   []byte     // its first bytes, in a buffer that is used again for the next message; valid when begun
	begun  bool       // the message has been looked at
	header int64      // length of the header with its empty line; 0: not known
	whole  []byte     // the message when it had to be read as a whole
	held   int64      // bytes of bodies.memory that are taken for whole
	tree   *structure // nil until needed
	root   *message.Part
}

// next makes s stand for another message, with the buffers of the last one.
func (s *source) next(r *row) {
	s.close()
	*s = source{bodies: s.bodies, summaries: s.summaries, snap: s.snap, head: s.head[:0], row: r}
}

func (s *source) close() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
	if s.held > 0 {
		s.bodies.memory.Release(s.held)
		s.held = 0
	}
}

// summary returns the message's summary, or nil when it has none.
func (s *source) summary() *message.Summary {
	if !s.asked {
		s.asked = true
		s.sum, s.known = s.summaries.of(s.row)
	}
	if !s.known {
		return nil
	}
	return &s.sum
}

// open reads the beginning of the message, and all of it when it is small.
func (s *source) open() error {
	if s.begun {
		return nil
	}
	var err error
	if s.row.size <= headSize {
		s.head, err = s.bodies.reader.AppendMessage(s.head[:0], s.row.ref, s.row.size)
		if err == nil && int64(len(s.head)) != s.row.size {
			err = s.damaged()
		}
	} else {
		s.head, err = s.openFile()
	}
	s.begun = err == nil
	return err
}

func (s *source) damaged() error { return fmt.Errorf("message %s: %w", s.row.ref, errDamaged) }

// openFile opens the message's file and reads its head.
func (s *source) openFile() (head []byte, err error) {
	file, err := s.stream()
	if err != nil {
		return s.head[:0], err
	}
	return readRange(file, s.head[:0], 0, min(s.row.size, headSize))
}

// stream opens the message's file, which has the size that was recorded.
func (s *source) stream() (*os.File, error) {
	if s.file != nil {
		return s.file, nil
	}
	file, err := s.bodies.reader.OpenMessage(s.row.ref)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && info.Size() != s.row.size {
		err = s.damaged()
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
	if err := s.open(); err != nil {
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
	return readRange(s.file, nil, start, end-start)
}

// load returns the whole message. Large ones wait for their turn.
func (s *source) load() ([]byte, error) {
	if s.whole != nil {
		return s.whole, nil
	}
	if err := s.open(); err != nil {
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
	whole, err := readRange(s.file, nil, 0, s.row.size)
	if err != nil {
		return nil, err
	}
	s.whole = whole
	return whole, nil
}

// parts returns the message's part tree. Of one that comes from a summary not all fields are filled, see [message.Summary.Root].
func (s *source) parts() (*message.Part, error) {
	if s.root != nil {
		return s.root, nil
	}
	if s.tree == nil {
		s.tree = s.bodies.structure(s.row.ref)
	}
	if s.tree == nil {
		if sum := s.summary(); sum != nil {
			s.root = sum.Root()
		}
	}
	if s.root != nil {
		return s.root, nil
	}
	st, err := s.structure()
	if err != nil {
		return nil, err
	}
	s.root = st.root
	return s.root, nil
}

// structure returns what parsing the whole message gives.
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
	if sum := s.summary(); sum != nil {
		if env := sum.Envelope(); env != nil {
			return env, nil
		}
	}
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

// body returns BODY, or BODYSTRUCTURE when extended, in wire form.
func (s *source) body(extended bool) (wire []byte, err error) {
	if sum := s.summary(); sum != nil {
		if extended {
			wire = sum.BodyStructure()
		} else {
			wire = sum.Body()
		}
	}
	if wire != nil {
		return wire, nil
	}
	st, err := s.structure()
	switch {
	case err != nil:
		return nil, err
	case extended:
		return st.bodyStructure, nil
	}
	return st.body, nil
}

// headerSize returns the length of the message's header with the empty line that ends it, without parsing more.
func (s *source) headerSize() (int64, error) {
	if s.header > 0 {
		return s.header, nil
	}
	if sum := s.summary(); sum != nil {
		if n, ok := sum.HeaderSize(); ok {
			s.header = n
			return n, nil
		}
	}
	if err := s.open(); err != nil {
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
		root, err := s.parts()
		if err != nil {
			return 0, 0, false, err
		}
		start, end, ok = root.Section(path, specifier)
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
	root, err := s.parts()
	if err != nil {
		return nil, false, err
	}
	part := root.Find(path)
	if part == nil {
		return nil, false, nil
	}
	body, err := s.bytes(part.BodyStart, part.End)
	if err != nil {
		return nil, false, err
	}
	alone := *part // Decode looks at nothing but the body
	alone.Start, alone.BodyStart, alone.End = 0, 0, int64(len(body))
	data, err = message.Decode(&alone, body)
	return data, true, err
}
