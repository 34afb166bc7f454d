package message

import "encoding/binary"

// Summarize appends the encoded summary of the message b, at most [MaxSummary] bytes. Any bytes are a message.
func Summarize(dst, b []byte) []byte {
	root := Parse(b)
	s := summarizeHeader(root.Header(b))
	s.size = int64(len(b))
	s.keepStructure(root, b)
	return s.append(dst)
}

// SummarizeHead appends the encoded summary of a message of size bytes of which only the beginning is at hand, because it is too large to be held in memory. The
// summary knows nothing of the body, and where head ends inside the header, nothing but the size.
func SummarizeHead(dst, head []byte, size int64) []byte {
	s := Summary{flags: summaryNoHeader | summaryNoEnvelope}
	if n, ended := headerLen(head); ended || int64(len(head)) == size {
		s = summarizeHeader(head[:n])
	}
	s.size = size
	s.flags |= summaryNoStructure | summaryNoTree
	return s.append(dst)
}

// headerLen is the length of the header that b begins with, its empty line included; ended says that the empty line was there.
func headerLen(b []byte) (n int, ended bool) {
	for n < len(b) {
		if empty := emptyLine(b[n:]); empty > 0 {
			return n + empty, true
		}
		n += fieldLen(b[n:])
	}
	return n, false
}

func summarizeHeader(header Header) Summary {
	s := Summary{header: int64(len(header))}
	s.envelope = AppendEnvelope(make([]byte, 0, 512), header)
	if len(s.envelope) > maxSummaryEnvelope {
		s.envelope, s.flags = nil, s.flags|summaryNoEnvelope
	}
	if t, ok := ParseDate(header.Get("Date")); ok && !t.IsZero() {
		_, offset := t.Zone()
		s.flags |= summarySent
		s.sent, s.zone = t.Unix(), int32(offset/60)
	}
	s.keepLines(header)
	return s
}

// keepLines keeps the lines of summaryFields. When they are too long, the longest fields are given up: a thousand recipients must not hide the subject.
func (s *Summary) keepLines(header Header) {
	var lines, index [len(summaryFields)]int // of each field
	drop := notedFields
	s.addLines(header, drop, func(field, line, entry int) {
		lines[field] += line
		index[field] += entry
	})
	if sum(lines[:]) <= maxSummaryLines && sum(index[:]) <= maxSummaryIndex {
		return
	}
	for sum(lines[:]) > maxSummaryLines || sum(index[:]) > maxSummaryIndex {
		longest := 0
		for f := range lines {
			if lines[f] > lines[longest] {
				longest = f
			}
		}
		lines[longest], index[longest] = 0, 0
		drop |= 1 << longest
	}
	s.lines, s.index, s.unkept = nil, nil, 0
	s.addLines(header, drop, func(int, int, int) {})
}

func sum(list []int) int {
	total := 0
	for _, n := range list {
		total += n
	}
	return total
}

// addLines adds the lines of all fields but those in drop, and calls each with the lengths of a line and of its entry in the index. What is too much is only counted.
func (s *Summary) addLines(header Header, drop FieldSet, each func(field, line, entry int)) {
	for f := range header.Fields() {
		if f.Value == nil {
			continue
		}
		n := summaryField(f.Name)
		if n < 0 {
			continue
		}
		if drop>>n&1 != 0 {
			s.unkept |= 1 << n
			continue
		}
		end := ""
		if f.Raw[len(f.Raw)-1] != '\n' {
			end = "\r\n" // as AppendHeaderFields does
		}
		length := len(f.Raw) + len(end)
		entry := binary.AppendUvarint([]byte{byte(n)}, uint64(length))
		each(n, length, len(entry))
		if len(s.index)+len(entry) <= maxSummaryIndex && len(s.lines)+length <= maxSummaryLines {
			s.index = append(s.index, entry...)
			s.lines = append(append(s.lines, f.Raw...), end...)
		}
	}
}

// keepStructure keeps what FETCH tells of the body.
func (s *Summary) keepStructure(root *Part, b []byte) {
	s.body = root.AppendBody(make([]byte, 0, 512), b)
	s.structure = root.AppendBodyStructure(make([]byte, 0, 1024), b)
	if len(s.body) > maxSummaryBody || len(s.structure) > maxSummaryStructure {
		s.body, s.structure, s.flags = nil, nil, s.flags|summaryNoStructure
	}
	s.tree = appendTree(make([]byte, 0, 64), root, 0)
	if len(s.tree) > maxSummaryTree {
		s.tree, s.flags = nil, s.flags|summaryNoTree
	}
}

// append encodes s.
func (s *Summary) append(dst []byte) []byte {
	dst = append(dst, SummaryVersion, s.flags)
	dst = binary.AppendUvarint(dst, uint64(s.size))
	dst = binary.AppendUvarint(dst, uint64(s.header))
	if s.flags&summarySent != 0 {
		dst = binary.AppendVarint(dst, s.sent)
		dst = binary.AppendVarint(dst, int64(s.zone))
	}
	dst = binary.AppendUvarint(dst, uint64(s.unkept))
	for _, b := range [...][]byte{s.index, s.envelope, s.body, s.structure, s.tree} {
		dst = binary.AppendUvarint(dst, uint64(len(b)))
	}
	for _, b := range [...][]byte{s.index, s.lines, s.envelope, s.body, s.structure, s.tree} {
		dst = append(dst, b...)
	}
	return dst
}
