package gmailsim

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// protocolError ends a connection after a BAD that could not be answered in
// step.
type protocolError string

// Error implements error.
func (e protocolError) Error() string { return string(e) }

// readCommand reads one command with its literals. A command that is refused
// while it is still being read comes back as an error of kind noError or
// badError together with what was read, so that the tag is known.
func (s *session) readCommand() ([]byte, error) {
	var buf []byte
	text, literals := 0, 0
	for {
		line, err := s.readLine(maxLine - text)
		buf = append(buf, line...)
		if err != nil {
			return buf, err
		}
		text += len(line)
		n, sync, ok := literalAtEnd(line)
		if !ok {
			return bytes.TrimSuffix(buf, []byte("\r\n")), nil
		}
		literals += n
		if err := s.admitLiteral(buf, n, literals, sync); err != nil {
			return buf, err
		}
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(s.in, buf[len(buf)-n:]); err != nil {
			return buf, err
		}
	}
}

// admitLiteral checks sizes and asks for a synchronizing literal.
func (s *session) admitLiteral(buf []byte, n, total int, sync bool) error {
	if !sync && (!s.has("LITERAL-") || n > nonSyncLimit) {
		return protocolError("Literal too large")
	}
	limit, refusal := maxLiterals, error(badError(couldNotParse))
	if s.authed && isAppend(buf) {
		limit, refusal = appendLimit, noError("[TOOBIG] Message too large. (Failure)")
	}
	if total > limit {
		if sync {
			return refusal
		}
		return protocolError("Literal too large")
	}
	if !sync {
		return nil
	}
	return s.continuation("go ahead")
}

func isAppend(buf []byte) bool {
	words := strings.Fields(string(buf[:min(len(buf), 200)]))
	return len(words) > 1 && strings.EqualFold(words[1], "APPEND")
}

// readLine reads up to and including CRLF, at most limit bytes.
func (s *session) readLine(limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := s.in.ReadSlice('\n')
		if len(line)+len(part) > limit {
			keep := append(line, part[:min(len(part), 100)]...)
			return keep, s.skipLine(part, err)
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if len(part) == 0 || !isBufferFull(err) {
			return nil, err
		}
	}
	if !bytes.HasSuffix(line, []byte("\r\n")) || bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, '\r') != len(line)-2 {
		return line, badError(couldNotParse)
	}
	return line, nil
}

// skipLine drops the rest of an overlong line.
func (s *session) skipLine(part []byte, err error) error {
	for isBufferFull(err) {
		part, err = s.in.ReadSlice('\n')
	}
	if err != nil || len(part) == 0 {
		return fmt.Errorf("read overlong line: %w", io.ErrUnexpectedEOF)
	}
	return badError(couldNotParse)
}

// literalAtEnd recognizes "{n}" or "{n+}" before CRLF.
func literalAtEnd(line []byte) (n int, sync, ok bool) {
	text, found := bytes.CutSuffix(line, []byte("}\r\n"))
	if !found {
		return 0, false, false
	}
	open := bytes.LastIndexByte(text, '{')
	if open < 0 {
		return 0, false, false
	}
	digits, nonSync := bytes.CutSuffix(text[open+1:], []byte("+"))
	v, err := strconv.ParseUint(string(digits), 10, 31)
	return int(v), !nonSync, err == nil
}
