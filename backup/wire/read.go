package wire

import (
	"bytes"
	"net"
	"strconv"
)

// responseKind says what happens to the lines and literals of the response being read.
type responseKind uint8

const (
	kindNone   responseKind = iota // the next line starts a response
	kindPass                       // unchanged
	kindDrop                       // the client does not know this response type
	kindFetch                      // see fetchResponse
	kindGather                     // LIST, LSUB, STATUS: joined into one line, then repaired
)

// literalUse says where the bytes of the literal being read go.
type literalUse uint8

const (
	literalPass literalUse = iota // to the client, without being buffered
	literalDrop
	literalHold    // to fetchResponse.hold
	literalCollect // to fetchResponse.value
	literalGather  // to responses.gathered
)

// responses is the incoming half of a Conn: a stream parser that survives any cutting of the stream into reads.
// Conn.rmu guards it.
type responses struct {
	c *Conn

	in      []byte // received bytes; in[pos:] is not parsed yet
	pos     int
	scanned int   // bytes of in[pos:] known to hold no line feed
	ioErr   error // an error that came together with bytes, for the next receive
	err     error // final: the connection is unusable

	out     []byte // for the client; out[outPos:] was not delivered yet
	outPos  int
	replay  bool   // fetch.hold's file comes after out
	after   []byte // comes after the replayed file
	kind    responseKind
	literal struct {
		use  literalUse
		left int64
	}
	longText bool // in a SEARCH result that is passed on before its end is seen
	fetch    fetchResponse
	gathered []byte
}

// read fills p, waiting for the server only when there is nothing to deliver.
func (r *responses) read(p []byte) (int, error) {
	for {
		if r.c.closed.Load() {
			return 0, net.ErrClosed
		}
		if n, err := r.deliver(p); n > 0 || err != nil {
			return n, err
		}
		if r.err != nil {
			return 0, r.err
		}
		if r.passingLiteral() {
			return r.readLiteral(p)
		}
		if err := r.parse(); err != nil {
			r.fail(err)
			continue
		}
		if r.outPos < len(r.out) || r.replay || r.passingLiteral() {
			continue
		}
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
}

func (r *responses) fail(err error) {
	r.err = err
	if request := r.c.request.Load(); request != nil {
		request.end(err)
	}
	r.fetch.hold.reset()
	r.replay, r.after = false, nil
}

// deliver copies finished output to p.
func (r *responses) deliver(p []byte) (int, error) {
	if r.outPos < len(r.out) {
		n := copy(p, r.out[r.outPos:])
		r.outPos += n
		if r.outPos == len(r.out) {
			r.resetOut()
		}
		return n, nil
	}
	if !r.replay {
		return 0, nil
	}
	n, err := r.fetch.hold.read(p)
	if err != nil {
		r.fail(err)
		return n, err
	}
	if r.fetch.hold.size == 0 {
		r.fetch.hold.reset()
		r.replay = false
		r.out, r.after = append(r.out, r.after...), nil
	}
	return n, nil
}

func (r *responses) resetOut() {
	r.out, r.outPos = r.out[:0], 0
	if cap(r.out) > 2*holdInMemory {
		r.out = nil
	}
}

// emit appends to the output.
func (r *responses) emit(b []byte) {
	if r.replay {
		r.after = append(r.after, b...)
		return
	}
	r.out = append(r.out, b...)
}

func (r *responses) emitString(s string) {
	if r.replay {
		r.after = append(r.after, s...)
		return
	}
	r.out = append(r.out, s...)
}

func (r *responses) passingLiteral() bool {
	return r.literal.left > 0 && r.literal.use == literalPass
}

// readLiteral passes literal bytes on; a large p is filled without a copy.
func (r *responses) readLiteral(p []byte) (int, error) {
	p = p[:min(int64(len(p)), r.literal.left)]
	if r.pos == len(r.in) && (len(p) >= directRead || int64(len(p)) == r.literal.left) {
		n, err := r.receive(p)
		r.literal.left -= int64(n)
		return n, err
	}
	if r.pos == len(r.in) {
		if err := r.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.in[r.pos:])
	r.consume(n)
	r.literal.left -= int64(n)
	return n, nil
}

// receive reads from the connection and keeps an error that came with bytes for the next call.
func (r *responses) receive(p []byte) (int, error) {
	n, err := 0, r.ioErr
	r.ioErr = nil
	if err == nil {
		n, err = r.c.receive(p)
	}
	if n > 0 && err != nil {
		r.ioErr, err = err, nil
	}
	if err != nil && !temporary(err) {
		if r.kind != kindNone || r.literal.left > 0 || r.pos < len(r.in) {
			err = cutShort(err)
		}
		r.fail(err)
	}
	return n, err
}

// fill reads more bytes into in.
func (r *responses) fill() error {
	if r.pos > 0 && (r.pos == len(r.in) || len(r.in) == cap(r.in)) {
		r.in = r.in[:copy(r.in[:cap(r.in)], r.in[r.pos:])]
		r.pos = 0
	}
	if len(r.in) == 0 && cap(r.in) > holdInMemory/4 {
		r.in = nil
	}
	if len(r.in) == cap(r.in) {
		grown := make([]byte, len(r.in), max(readAhead, 2*cap(r.in)))
		copy(grown, r.in)
		r.in = grown
	}
	n, err := r.receive(r.in[len(r.in):cap(r.in)])
	r.in = r.in[:len(r.in)+n]
	return err
}

func (r *responses) consume(n int) {
	r.pos += n
	r.scanned = 0
}

// parse turns received bytes into output until it needs more of them, or there is enough to deliver.
func (r *responses) parse() error {
	for r.pos < len(r.in) && len(r.out) < readAhead && !r.replay {
		if r.literal.left > 0 {
			if r.literal.use == literalPass {
				return nil
			}
			if err := r.takeLiteral(); err != nil {
				return err
			}
			continue
		}
		end := bytes.IndexByte(r.in[r.pos+r.scanned:], '\n')
		if end < 0 {
			r.scanned = len(r.in) - r.pos
			return r.partialLine()
		}
		line := r.in[r.pos : r.pos+r.scanned+end+1]
		r.consume(len(line))
		if err := r.line(line); err != nil {
			return err
		}
	}
	return nil
}

// partialLine bounds the memory that an unfinished line takes. SEARCH results, which grow with the mailbox and hold
// no literals, are passed on in pieces.
func (r *responses) partialLine() error {
	part := r.in[r.pos:]
	if r.longText || len(part) >= readAhead && r.kind == kindNone && isSearchResult(part) {
		r.longText = true
		r.kind = kindPass
		r.emit(part)
		r.consume(len(part))
		return nil
	}
	if len(part) > maxLine {
		return wireErrorf("the server sent a line of more than %d MiB", maxLine>>20)
	}
	return nil
}

// takeLiteral moves the received bytes of a literal that is not passed on directly.
func (r *responses) takeLiteral() error {
	b := r.in[r.pos:]
	b = b[:min(int64(len(b)), r.literal.left)]
	r.consume(len(b))
	r.literal.left -= int64(len(b))
	switch r.literal.use {
	case literalHold:
		return r.fetch.hold.write(b)
	case literalCollect:
		r.fetch.value = append(r.fetch.value, b...)
	case literalGather:
		r.gathered = append(r.gathered, b...)
	}
	return nil
}

// line handles one line, with its line end, of a response.
func (r *responses) line(line []byte) error {
	if r.longText {
		r.longText = false
		r.kind = kindNone
		r.emit(line)
		return nil
	}
	if r.kind == kindNone {
		return r.firstLine(line)
	}
	return r.nextLine(line)
}

// firstLine sorts a response by its type (RFC 9051 section 7).
func (r *responses) firstLine(line []byte) error {
	text := trimLineEnd(line)
	if len(text) == 0 {
		return nil // not a response, and the client would give up
	}
	if text[0] == '+' {
		r.emit(line)
		return nil
	}
	tag, rest := cutWord(text)
	if string(tag) != "*" {
		if request := r.c.request.Load(); request != nil && string(tag) == compressTag {
			r.answered(request, rest)
			return nil
		}
		r.pending().done(tag)
		r.status(rest, line, true)
		return nil
	}
	typ, args := cutWord(rest)
	if isNumber(typ) {
		return r.numbered(typ, args, line)
	}
	switch responseTypes[upper(typ)] {
	case typeStatus:
		r.status(rest, line, false)
		return nil
	case typeFlags:
		r.repairFlagsResponse(args, line)
		return nil
	case typeMailbox:
		r.kind, r.gathered = kindGather, r.gathered[:0]
	case typePlain:
		r.kind = kindPass
	default:
		r.kind = kindDrop
	}
	return r.nextLine(line)
}

// numbered handles `* 12 EXISTS` and its like.
func (r *responses) numbered(num, args, line []byte) error {
	typ, args := cutWord(args)
	var room foldRoom
	switch string(room.fold(typ)) {
	case "FETCH":
		r.kind = kindFetch
		r.fetch.begin(num, r.pending().now())
		return r.nextLine(line[len(line)-len(args)-lineEndLen(line):])
	case "EXISTS", "RECENT", "EXPUNGE":
		r.kind = kindPass
	default:
		r.kind = kindDrop
	}
	return r.nextLine(line)
}

func (r *responses) pending() *pendingCommands { return &r.c.pending }

// nextLine handles a line of a response whose kind is known, up to its literal or its end.
func (r *responses) nextLine(line []byte) error {
	text := trimLineEnd(line)
	lit, size, err := literalAtEnd(text)
	if err != nil {
		return err
	}
	kind := r.kind
	if size < 0 {
		r.kind = kindNone
	}
	switch kind {
	case kindFetch:
		return r.fetchLine(text[:lit], size)
	case kindGather:
		return r.gather(text, lit, size)
	case kindPass:
		r.emit(line)
		r.expectLiteral(literalPass, size)
	case kindDrop:
		r.expectLiteral(literalDrop, size)
	}
	return nil
}

// expectLiteral announces size bytes that follow the line; a negative size means none.
func (r *responses) expectLiteral(use literalUse, size int64) {
	r.literal.use, r.literal.left = use, max(size, 0)
}

func (r *responses) fetchLine(text []byte, size int64) error {
	use, err := r.fetch.line(text, size)
	if err != nil {
		return err
	}
	if use == literalCollect && size > MaxItem-int64(len(r.fetch.value)) {
		return wireErrorf("a FETCH item of more than %d MiB", MaxItem>>20)
	}
	r.expectLiteral(use, size)
	return nil
}

// gather joins the lines of a response that names a mailbox, literals included, and repairs it at its end.
func (r *responses) gather(text []byte, lit int, size int64) error {
	if int64(len(r.gathered))+int64(len(text))+max(size, 0) > MaxItem {
		return wireErrorf("a mailbox response of more than %d MiB", MaxItem>>20)
	}
	r.gathered = append(r.gathered, text[:lit]...)
	if size >= 0 {
		r.gathered = appendLiteralHead(r.gathered, size)
		r.expectLiteral(literalGather, size)
		return nil
	}
	r.repairMailboxResponse(r.gathered)
	return nil
}

func appendLiteralHead(b []byte, size int64) []byte {
	b = append(b, '{')
	b = strconv.AppendInt(b, size, 10)
	return append(b, "}\r\n"...)
}

// literalAtEnd finds the announcement of a literal, {n} or {n+}, at the end of a line. It returns where it starts and
// its size, or len(text) and -1.
func literalAtEnd(text []byte) (int, int64, error) {
	n := len(text)
	if n < 3 || text[n-1] != '}' {
		return n, -1, nil
	}
	open := bytes.LastIndexByte(text, '{')
	if open < 0 {
		return n, -1, nil
	}
	digits := bytes.TrimSuffix(text[open+1:n-1], []byte("+"))
	if !isNumber(digits) {
		return n, -1, nil
	}
	size, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil {
		return n, -1, wireErrorf("a literal of %.30s bytes", digits)
	}
	return open, size, nil
}

func trimLineEnd(line []byte) []byte { return line[:len(line)-lineEndLen(line)] }

func lineEndLen(line []byte) int {
	switch {
	case bytes.HasSuffix(line, []byte("\r\n")):
		return 2
	case bytes.HasSuffix(line, []byte("\n")):
		return 1
	}
	return 0
}

// cutWord splits b at the first space.
func cutWord(b []byte) (word, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, b[len(b):]
}

func isNumber(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

// foldRoom holds a name folded to upper case, so that looking it up in a map allocates nothing.
type foldRoom [32]byte

// fold returns name in upper case; a name longer than all known ones becomes empty.
func (r *foldRoom) fold(name []byte) []byte {
	if len(name) > len(r) {
		return nil
	}
	folded := r[:copy(r[:], name)]
	for i, c := range folded {
		if 'a' <= c && c <= 'z' {
			folded[i] = c - 'a' + 'A'
		}
	}
	return folded
}

// upper is fold for names that are not met once per message.
func upper(b []byte) string {
	var room foldRoom
	return string(room.fold(b))
}
