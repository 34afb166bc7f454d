package gmailsim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fetchRow is what a reply needs of one message, copied under the lock.
type fetchRow struct {
	seq, uid   uint32
	id, thread MsgID
	email      MsgID
	flags      flagSet
	labels     []string
	modseq     uint64
	size       int64
	date       time.Time
	body       func() []byte
	msg        *message // only to count bodies, under the lock
	showFlags  bool     // \Seen was set by this FETCH
}

// cmdFetch answers FETCH and UID FETCH chunk by chunk, so that the lock is
// short and memory flat on the largest mailbox.
func cmdFetch(s *session, p *parser) (string, error) {
	req, err := s.parseFetch(p)
	if err != nil {
		return "", err
	}
	if s.isUID() {
		req.items["UID"] = true
	}
	if req.since {
		req.items["MODSEQ"] = true
	}
	s.condFlag = s.condFlag || req.items["MODSEQ"]
	s.srv.st.mu.Lock()
	indexes := resolve(s.view, req.set, s.isUID())
	s.srv.st.mu.Unlock()
	failed := false
	for chunk := range slices.Chunk(indexes, fetchChunk) {
		rows := s.fetchRows(req, chunk)
		for i := range rows {
			if s.fails(rows[i]) {
				failed = true
				continue
			}
			if err := s.writeRow(req, &rows[i]); err != nil {
				return "", err
			}
		}
	}
	if failed {
		text := "Some messages could not be FETCHed (Failure)"
		if s.do.Throttled {
			text += " [THROTTLED]"
		}
		return "", noError(text)
	}
	return "Success", nil
}

func (s *session) fails(r fetchRow) bool {
	return slices.Contains(s.do.FailUIDs, r.uid) || slices.Contains(s.do.FailIDs, r.id)
}

// resolve turns a set into indexes of the view, in order, each once.
func resolve(view []*place, set []numRange, uid bool) []int {
	n := len(view)
	if n == 0 {
		return nil
	}
	star := uint32(n)
	if uid {
		star = view[n-1].uid
	}
	type span struct{ lo, hi int }
	var spans []span
	for _, r := range set {
		lo, hi := r.lo, r.hi
		if lo == 0 {
			lo = star
		}
		if hi == 0 {
			hi = star
		}
		if lo > hi {
			lo, hi = hi, lo
		}
		if uid {
			end := uidIndex(view, hi)
			if end < n && view[end].uid == hi {
				end++
			}
			spans = append(spans, span{uidIndex(view, lo), end})
		} else {
			spans = append(spans, span{min(int(lo)-1, n), min(int(hi), n)})
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return a.lo - b.lo })
	var out []int
	next := 0
	for _, sp := range spans {
		for i := max(sp.lo, next); i < sp.hi; i++ {
			out = append(out, i)
			next = i + 1
		}
	}
	return out
}

// fetchRows copies a chunk's data; with \Seen set where a body is read.
func (s *session) fetchRows(req *fetchRequest, indexes []int) []fetchRow {
	st := &s.srv.st
	st.mu.Lock()
	defer st.mu.Unlock()
	marks := !s.readOnly && slices.ContainsFunc(req.sections, func(sec section) bool { return !sec.peek })
	rows := make([]fetchRow, 0, len(indexes))
	for _, i := range indexes {
		p := s.view[i]
		m := p.msg
		// RFC 2180 section 4.1.3: an expunged message is still there for
		// sequence numbers, but a UID FETCH leaves it out.
		if p.gone && s.isUID() || req.since && m.modseq <= req.changedSince {
			continue
		}
		row := fetchRow{seq: uint32(i + 1), uid: p.uid, id: m.id, thread: m.thread, email: m.email,
			size: m.size, date: m.date, body: bodyFunc(m.body, m.generate), msg: m}
		if marks && !m.flags.has(flagSeen) {
			row.showFlags = st.setFlags(m, m.flags.combine('+', flagSet{sys: flagSeen}), s)
		}
		row.flags, row.modseq = p.shown(), m.modseq
		if req.items["X-GM-LABELS"] {
			row.labels = st.labelsOf(m, s.box)
		}
		rows = append(rows, row)
	}
	return rows
}

// fetchOrder is the order of items in Gmail's replies; UID behind X-GM-*.
var fetchOrder = []string{"X-GM-THRID", "X-GM-MSGID", "X-GM-LABELS", "UID", "RFC822.SIZE", "MODSEQ", "INTERNALDATE",
	"FLAGS", "ENVELOPE", "BODYSTRUCTURE", "BODY", "EMAILID", "THREADID"}

// plainOrder is the order on a generic server.
var plainOrder = []string{"UID", "FLAGS", "MODSEQ", "INTERNALDATE", "RFC822.SIZE", "EMAILID", "THREADID", "ENVELOPE",
	"BODYSTRUCTURE", "BODY"}

func (s *session) writeRow(req *fetchRequest, r *fetchRow) error {
	var body []byte
	if len(req.sections) > 0 || req.items["ENVELOPE"] || req.items["BODYSTRUCTURE"] || req.items["BODY"] {
		if body = r.body(); slices.Contains(s.do.EmptyUIDs, r.uid) {
			body = nil
		}
	}
	order, last := fetchOrder, false
	if g := s.srv.opt.Generic; g != nil {
		order, last = plainOrder, g.UIDLast
	}
	w := s.out.buf
	fmt.Fprintf(w, "* %d FETCH (", r.seq)
	sep := ""
	for _, item := range order {
		wanted := req.items[item] || item == "FLAGS" && r.showFlags
		if !wanted || item == s.do.DropItem || item == "UID" && last {
			continue
		}
		w.WriteString(sep + item + " " + s.itemValue(item, r, body))
		sep = " "
	}
	whole := int64(-1)
	for i := range req.sections {
		sec := &req.sections[i]
		if sec.label == s.do.DropItem {
			continue
		}
		w.WriteString(sep)
		n, err := s.writeSection(sec, body)
		if err != nil {
			return err
		}
		if sec.whole() {
			whole = max(whole, 0) + n
		}
		sep = " "
	}
	if last && req.items["UID"] && s.do.DropItem != "UID" {
		fmt.Fprintf(w, "%sUID %d", sep, r.uid)
	}
	_, err := w.WriteString(")\r\n")
	s.logf("S: * %d FETCH (... UID %d)", r.seq, r.uid)
	if whole >= 0 {
		s.countBody(r.msg, whole)
	}
	return err
}

func (s *session) countBody(m *message, n int64) {
	s.srv.st.mu.Lock()
	m.served++
	s.srv.st.mu.Unlock()
	s.srv.stats.update(func(c *Counters) { c.Bodies++; c.BodyBytes += n })
}

func (s *session) itemValue(item string, r *fetchRow, body []byte) string {
	switch item {
	case "X-GM-THRID":
		return strconv.FormatUint(uint64(r.thread), 10)
	case "X-GM-MSGID":
		return strconv.FormatUint(uint64(r.id), 10)
	case "X-GM-LABELS":
		return labelList(r.labels, s.utf8)
	case "UID":
		return strconv.FormatUint(uint64(r.uid), 10)
	case "RFC822.SIZE":
		return strconv.FormatInt(r.size+s.do.WrongSize, 10)
	case "MODSEQ":
		return "(" + strconv.FormatUint(r.modseq, 10) + ")"
	case "INTERNALDATE":
		return `"` + s.internalDate(r.date) + `"`
	case "FLAGS":
		return r.flags.wire()
	case "ENVELOPE":
		return envelope(parseHeader(headerBlock(body)))
	case "BODYSTRUCTURE":
		return structure(parseMIME(body, 0, len(body), 0, "text/plain"), body, true)
	case "BODY":
		return structure(parseMIME(body, 0, len(body), 0, "text/plain"), body, false)
	case "EMAILID":
		return "(M" + r.email.Hex() + ")"
	}
	if s.srv.opt.Generic.ThreadNil {
		return "NIL"
	}
	return "(T" + r.thread.Hex() + ")"
}

// internalDate is UTC on Gmail; a generic server keeps the zone.
func (s *session) internalDate(t time.Time) string {
	if s.srv.opt.Generic == nil {
		t = t.UTC()
	}
	return t.Format("02-Jan-2006 15:04:05 -0700")
}

// writeSection writes one BODY[...] item and returns the literal's size.
func (s *session) writeSection(sec *section, body []byte) (int64, error) {
	w := s.out.buf
	data, ok := sec.cut(body)
	if sec.partial {
		from := min(sec.offset, uint64(len(data)))
		data = data[from:min(from+sec.count, uint64(len(data)))]
		fmt.Fprintf(w, "%s<%d> ", sec.label, sec.offset)
	} else {
		w.WriteString(sec.label + " ")
	}
	if !ok {
		_, err := w.WriteString("NIL")
		return 0, err
	}
	if len(data) == 0 && s.do.WrongLiteral == 0 {
		_, err := w.WriteString(`""`)
		return 0, err
	}
	fmt.Fprintf(w, "{%d}\r\n", max(int64(len(data))+s.do.WrongLiteral, 0))
	if n := s.do.CloseMidLiteral; n > 0 && int64(len(data)) > n {
		w.Write(data[:n])
		w.Flush()
		return n, s.out.cut()
	}
	_, err := w.Write(data)
	return int64(len(data)), err
}

// whole tells whether the section reads the message from its first byte on.
func (sec *section) whole() bool {
	return len(sec.path) == 0 && sec.kind == "" && (!sec.partial || sec.offset == 0)
}

// cut finds the section's bytes; false if there is no such part.
func (sec *section) cut(body []byte) ([]byte, bool) {
	if len(sec.path) == 0 {
		n := headerLen(body)
		switch sec.kind {
		case "":
			return body, true
		case "TEXT":
			return body[n:], true
		}
		return sec.header(body[:n]), true
	}
	part := parseMIME(body, 0, len(body), 0, "text/plain").find(sec.path)
	if part == nil {
		return nil, false
	}
	switch sec.kind {
	case "":
		return body[part.text:part.end], true
	case "MIME":
		return body[part.start:part.text], true
	}
	if !part.is("message", "rfc822") || len(part.children) == 0 {
		return nil, false
	}
	inner := part.children[0]
	if sec.kind == "TEXT" {
		return body[inner.text:inner.end], true
	}
	return sec.header(body[inner.start:inner.text]), true
}

// header keeps the fields asked for, in the message's order.
func (sec *section) header(block []byte) []byte {
	if sec.kind == "HEADER" {
		return block
	}
	not := sec.kind == "HEADER.FIELDS.NOT"
	var out []byte
	for _, f := range parseHeader(block) {
		listed := slices.ContainsFunc(sec.fields, func(n string) bool { return strings.EqualFold(n, f.name) })
		if listed != not {
			out = append(out, f.raw...)
		}
	}
	if len(out) > 0 && !strings.HasSuffix(string(out), "\n") {
		out = append(out, "\r\n"...)
	}
	return append(out, "\r\n"...)
}
