package gmailsim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// searchRow is a message under search; texts are made when first needed.
type searchRow struct {
	fetchRow
	count   uint32 // messages in the mailbox, for "*"
	lastUID uint32
	raw     []byte
	head    header
	lower   string
	text    string
	loaded  bool
}

func cmdSearch(s *session, p *parser) (string, error) {
	req, err := s.parseSearch(p)
	if err != nil {
		return "", err
	}
	if req.modseq {
		s.condFlag = true
	}
	hits, highest := s.search(req)
	if req.esearch {
		s.esearch(req, hits, highest)
	} else {
		s.searchLine(req, hits, highest)
	}
	return "SEARCH completed (Success)", nil
}

// search returns the numbers found, ascending, and the highest modseq.
func (s *session) search(req *searchRequest) ([]uint32, uint64) {
	st := &s.srv.st
	st.mu.Lock()
	candidates := s.candidates(req)
	if req.onlySets && len(req.sets) <= 1 {
		hits := make([]uint32, 0, len(candidates))
		for _, i := range candidates {
			if p := s.view[i]; !s.isUID() || !p.gone {
				hits = append(hits, s.number(i))
			}
		}
		st.mu.Unlock()
		return hits, 0
	}
	st.mu.Unlock()
	row := searchRow{count: uint32(len(s.view))}
	if len(s.view) > 0 {
		row.lastUID = s.view[len(s.view)-1].uid
	}
	var hits []uint32
	highest := uint64(0)
	for chunk := range slices.Chunk(candidates, fetchChunk) {
		want := &fetchRequest{items: map[string]bool{"X-GM-LABELS": true}}
		for _, r := range s.fetchRows(want, chunk) {
			one := searchRow{fetchRow: r, count: row.count, lastUID: row.lastUID}
			one.labels = append(one.labels, s.ownLabel()...)
			if !req.match(&one) {
				continue
			}
			highest = max(highest, r.modseq)
			if s.isUID() {
				hits = append(hits, r.uid)
			} else {
				hits = append(hits, r.seq)
			}
		}
	}
	return hits, highest
}

// ownLabel is the selected mailbox's label: SEARCH knows it, FETCH hides it.
func (s *session) ownLabel() []string {
	if l := s.box.labelName(); l != "" {
		return []string{l}
	}
	return nil
}

// candidates are the indexes worth a look; the lock is held.
func (s *session) candidates(req *searchRequest) []int {
	if len(req.sets) > 0 {
		return resolve(s.view, req.sets[0].set, req.sets[0].uid)
	}
	all := make([]int, len(s.view))
	for i := range all {
		all[i] = i
	}
	return all
}

func (s *session) searchLine(req *searchRequest, hits []uint32, highest uint64) {
	var b bytes.Buffer
	b.WriteString("* SEARCH")
	for _, n := range hits {
		fmt.Fprintf(&b, " %d", n)
	}
	if req.modseq && len(hits) > 0 {
		fmt.Fprintf(&b, " (MODSEQ %d)", highest)
	}
	s.line("%s", b.Bytes())
}

// esearch answers in RFC 4731's form.
func (s *session) esearch(req *searchRequest, hits []uint32, highest uint64) {
	var b strings.Builder
	fmt.Fprintf(&b, "* ESEARCH (TAG %s)", quote(s.tag))
	if s.isUID() {
		b.WriteString(" UID")
	}
	if len(hits) > 0 {
		if req.returns["MIN"] {
			fmt.Fprintf(&b, " MIN %d", hits[0])
		}
		if req.returns["MAX"] {
			fmt.Fprintf(&b, " MAX %d", hits[len(hits)-1])
		}
		if req.returns["ALL"] {
			b.WriteString(" ALL " + ranges(hits))
		}
	}
	if req.returns["COUNT"] {
		fmt.Fprintf(&b, " COUNT %d", len(hits))
	}
	if req.modseq && len(hits) > 0 {
		fmt.Fprintf(&b, " MODSEQ %d", highest)
	}
	s.line("%s", b.String())
}

func (r *searchRow) inSet(set []numRange, uid bool) bool {
	n, star := r.seq, r.count
	if uid {
		n, star = r.uid, r.lastUID
	}
	for _, x := range set {
		lo, hi := x.lo, x.hi
		if lo == 0 {
			lo = star
		}
		if hi == 0 {
			hi = star
		}
		if min(lo, hi) <= n && n <= max(lo, hi) {
			return true
		}
	}
	return false
}

// hasLabel compares decoded names; system labels in any case.
func (r *searchRow) hasLabel(label string) bool {
	return slices.ContainsFunc(r.labels, func(l string) bool { return strings.EqualFold(l, label) })
}

func (r *searchRow) load() {
	if !r.loaded {
		r.raw, r.loaded = r.body(), true
		r.head = parseHeader(headerBlock(r.raw))
	}
}

var words = mime.WordDecoder{CharsetReader: func(_ string, in io.Reader) (io.Reader, error) { return in, nil }}

// decodeWords undoes RFC 2047; a charset that is not UTF-8 or Latin-1 stays
// as its bytes.
func decodeWords(s string) string {
	out, err := words.DecodeHeader(s)
	if err != nil {
		return s
	}
	return out
}

// field looks for lower-case text in a header; "" asks if it exists.
func (r *searchRow) field(name, want string) bool {
	r.load()
	for _, f := range r.head {
		if strings.EqualFold(f.name, name) && strings.Contains(strings.ToLower(decodeWords(f.value)), want) {
			return true
		}
	}
	return false
}

func (r *searchRow) headerText() string {
	r.load()
	if r.lower == "" {
		var b strings.Builder
		for _, f := range r.head {
			b.WriteString(f.name + ": " + decodeWords(f.value) + "\n")
		}
		r.lower = strings.ToLower(b.String())
	}
	return r.lower
}

// bodyText is the decoded text of all text parts, in lower case.
func (r *searchRow) bodyText() string {
	r.load()
	if r.text == "" {
		var b strings.Builder
		gather(&b, parseMIME(r.raw, 0, len(r.raw), 0, "text/plain"), r.raw)
		r.text = strings.ToLower(b.String())
	}
	return r.text
}

func gather(b *strings.Builder, p *mimePart, raw []byte) {
	if len(p.children) > 0 {
		for _, c := range p.children {
			gather(b, c, raw)
		}
		return
	}
	if strings.EqualFold(p.major, "text") {
		b.Write(decodeTransfer(p.head.get("Content-Transfer-Encoding"), raw[p.text:p.end]))
		b.WriteByte('\n')
	}
}

// decodeTransfer undoes an encoding; what does not decode is left out.
func decodeTransfer(encoding string, data []byte) []byte {
	var r io.Reader
	switch strings.ToLower(encoding) {
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(data))
	case "quoted-printable":
		r = quotedprintable.NewReader(bytes.NewReader(data))
	default:
		return data
	}
	// Text before a broken end is still worth searching.
	out, _ := io.ReadAll(r)
	return out
}

// sentDate is the Date header's day as written, whatever its zone.
func (r *searchRow) sentDate() time.Time {
	r.load()
	t, err := mail.ParseDate(r.head.get("Date"))
	if err != nil {
		return r.date.UTC()
	}
	return t
}

func (r *searchRow) hasAttachment() bool {
	r.load()
	var walk func(*mimePart) bool
	walk = func(p *mimePart) bool {
		return strings.HasPrefix(strings.ToLower(p.head.get("Content-Disposition")), "attachment") ||
			slices.ContainsFunc(p.children, walk)
	}
	return walk(parseMIME(r.raw, 0, len(r.raw), 0, "text/plain"))
}
