package archive

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
)

// JournalDamage is a part of the journal that cannot be read, or of which nobody can tell whether it is what was written.
type JournalDamage struct {
	File      string `json:"file"`       // in journal/
	FirstLine int    `json:"first_line"` // from 1; 0 when a whole file is meant, or what is missing between two lines
	LastLine  int    `json:"last_line"`
	Batches   string `json:"batches"` // the numbers of the batches concerned, as far as they are known: "12", "12 to 14" or ""
	Problem   string `json:"problem"`

	bytes int64  // of the damaged part: how much may have stood there
	seq   ModSeq // of the last batch in it, 0 when not known
}

func (d JournalDamage) String() string {
	text := d.Problem
	switch {
	case d.FirstLine == 0:
	case d.FirstLine == d.LastLine:
		text = fmt.Sprintf("line %d: %s", d.FirstLine, text)
	default:
		text = fmt.Sprintf("lines %d to %d: %s", d.FirstLine, d.LastLine, text)
	}
	if d.Batches != "" {
		text += " (batch " + d.Batches + ")"
	}
	return text
}

// scanHooks is told what a scan of the journal finds; an error of a hook ends it.
type scanHooks struct {
	group   func(group) error                 // a whole group
	damaged func(JournalDamage, []fact) error // a damaged part, with those of its lines that can be read; no checksum vouches for them
}

// maxLine bounds a line of the journal in bytes; what is longer was not written by an archive: the longest that a server can have it write are the flags of one answer.
const maxLine = 64 << 20

// readLine returns the next line with its line feed, or at the end of the file what there is and io.EOF. Of a line above maxLine only a part is
// returned, with all of its length.
func readLine(lines *bufio.Reader) (line []byte, length int64, err error) {
	for {
		part, err := lines.ReadSlice('\n')
		length += int64(len(part))
		if len(line)+len(part) <= maxLine {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, length, err
		}
	}
}

// scanFile reads one file of the journal from a position on, past all damage. With last set, what an interrupted Writer leaves at the end is no damage.
func scanFile(dir string, at position, last bool, hooks scanHooks) error {
	file, err := os.Open(filepath.Join(dir, at.File))
	if err != nil {
		return err
	}
	defer file.Close()
	skipped, err := countLines(file, at.Offset)
	if err != nil {
		return err
	}
	s := &fileScan{name: at.File, hooks: hooks, line: skipped, offset: at.Offset}
	s.begin()
	lines := bufio.NewReaderSize(file, 1<<20)
	for {
		line, length, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if length > 0 {
			if err := s.take(line, length); err != nil {
				return err
			}
		}
		if err != nil {
			return s.end(last)
		}
	}
}

// countLines leaves the file at an offset and returns how many lines are before it.
func countLines(file *os.File, offset int64) (int, error) {
	n := 0
	buf := make([]byte, 1<<20)
	for left := offset; left > 0; {
		got, err := file.Read(buf[:min(left, int64(len(buf)))])
		n += bytes.Count(buf[:got], []byte("\n"))
		left -= int64(got)
		if errors.Is(err, io.EOF) {
			return n, nil // shorter than that: there is nothing to read
		}
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// fileScan is the state within one file: the lines since the last commit line, and those since the last line that could not be read.
type fileScan struct {
	name   string
	hooks  scanHooks
	line   int
	offset int64

	first      int // line at which the group began
	from       int64
	packed     int64  // bytes of lines since then that are packed, or may have been
	lost       []fact // before the last unreadable line
	facts      []fact // since then
	crc        uint32 // of these
	problem    string // what is wrong with the lines before facts
	lastBad    int    // the last unreadable line
	unfinished bool   // the first of them has no line feed, or holds zero bytes: it and what follows may never have been written

	// Behind zero bytes a commit line that is the file's last was not written either (unwritten): what it means is settled when another line comes.
	settle func() error
}

func (s *fileScan) begin() {
	s.first, s.from = s.line+1, s.offset
	s.packed = 0
	s.lost, s.facts, s.crc, s.problem, s.unfinished, s.settle = nil, nil, 0, "", false, nil
}

func (s *fileScan) take(line []byte, length int64) error {
	if s.settle != nil {
		if err := s.settle(); err != nil {
			return err
		}
	}
	s.line++
	s.offset += length
	whole := length == int64(len(line)) && bytes.HasSuffix(line, []byte("\n"))
	zero := bytes.IndexByte(line, 0) >= 0
	commits := whole && !zero && bytes.HasPrefix(line, []byte(`{"commit"`))
	facts, err := decodeFacts(line)
	if err != nil || bytes.HasPrefix(line, packMagic) { // what cannot be read may have been packed
		s.packed += length
	}
	commit := commitOf(facts)
	switch {
	case !whole || zero || err != nil:
		s.bad(!whole && length == int64(len(line)) || zero, err)
		if commits {
			s.settle = func() error { s.unfinished, s.settle = false, nil; return nil }
		}
		return nil
	case commit == nil:
		s.crc = crc32.Update(s.crc, castagnoli, line)
		s.facts = append(s.facts, facts...)
		return nil
	}
	if s.unfinished {
		if commits {
			s.settle = func() error { return s.commit(*commit) }
		}
		return nil
	}
	return s.commit(*commit)
}

// bytes is how much JSON may have stood in the group.
func (s *fileScan) bytes() int64 { return s.offset - s.from + s.packed*(packRatio-1) }

// bad notes a line that cannot be read.
func (s *fileScan) bad(unfinished bool, err error) {
	s.lost = append(s.lost, s.facts...)
	s.facts, s.crc = nil, 0
	if s.problem == "" {
		s.problem, s.unfinished = fmt.Sprintf("line %d cannot be read: %v", s.line, err), unfinished
	}
	s.lastBad = s.line
}

// commit ends a group. When the line that could not be read was the commit of the one before, this one is whole.
func (s *fileScan) commit(c commitFact) error {
	defer s.begin()
	whole := c.Lines == len(s.facts) && c.CRC == fmt.Sprintf("%08x", s.crc)
	if s.problem == "" && whole {
		return s.hooks.group(group{facts: s.facts, commit: c, end: position{s.name, s.offset}})
	}
	d := JournalDamage{File: s.name, FirstLine: s.first, LastLine: s.line, Batches: fmt.Sprint(c.Seq), Problem: s.problem, bytes: s.bytes(), seq: c.Seq}
	if !whole {
		if d.Problem == "" {
			d.Problem = "the lines do not match their checksum"
		}
		return s.hooks.damaged(d, append(s.lost, s.facts...))
	}
	d.LastLine, d.Batches, d.seq = s.lastBad, fmt.Sprintf("before %d", c.Seq), c.Seq-1
	if err := s.hooks.damaged(d, s.lost); err != nil {
		return err
	}
	return s.hooks.group(group{facts: s.facts, commit: c, end: position{s.name, s.offset}})
}

// end deals with what follows the last commit line.
func (s *fileScan) end(last bool) error {
	if s.line < s.first {
		return nil
	}
	if last && (s.problem == "" || s.unfinished) {
		return nil // a batch that was never acknowledged
	}
	if s.settle != nil {
		if err := s.settle(); err != nil || s.line < s.first {
			return err
		}
	}
	d := JournalDamage{File: s.name, FirstLine: s.first, LastLine: s.line, Problem: s.problem, bytes: s.bytes()}
	if d.Problem == "" {
		d.Problem = "the file ends inside a batch"
	}
	return s.hooks.damaged(d, append(s.lost, s.facts...))
}
