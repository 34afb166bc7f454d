package imapd

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"

	"mailkeep/archive"
)

// This file is CONDSTORE and QRESYNC (RFC 7162). The mod-sequence of a message is the archive's batch that changed its flags last, or put it into a mailbox or took it out of one.

// syncMode is what a client has enabled.
type syncMode struct {
	condstore bool // MODSEQ is told with every change of flags
	qresync   bool // and VANISHED instead of EXPUNGE
}

// allModSeqs is a limit above all mod-sequences.
const allModSeqs = archive.ModSeq(math.MaxInt64)

// enabled returns what the client has enabled.
func (s *session) enabled() syncMode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sync
}

// position returns the selected mailbox as the client knows it.
func (s *session) position() *position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.box
}

// enableCondstore notes a command that enables CONDSTORE (RFC 7162 section 3.1). A client that has a mailbox selected is told where it stands.
func (s *session) enableCondstore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sync.condstore {
		return
	}
	s.sync.condstore = true
	if s.box != nil {
		s.conn.cmd.tail = s.box.appendHighest(s.conn.cmd.tail)
	}
}

// enable notes those capabilities in the arguments of ENABLE that the library does not know, and returns them for its response.
func (s *session) enable(args string) []string {
	var enabled []string
	for word := range strings.FieldsSeq(strings.ToUpper(args)) {
		if (word == "CONDSTORE" || word == "QRESYNC") && !slices.Contains(enabled, word) {
			enabled = append(enabled, word)
		}
	}
	if len(enabled) > 0 {
		s.enableCondstore()
	}
	if slices.Contains(enabled, "QRESYNC") {
		s.mu.Lock()
		s.sync.qresync = true
		s.mu.Unlock()
	}
	return enabled
}

// highest is HIGHESTMODSEQ, which is never 0.
func highest(box *archive.Mailbox) archive.ModSeq { return max(1, box.ModSeq) }

func (p *position) appendHighest(dst []byte) []byte {
	at := highest(&p.row)
	if p.snap != nil && p.limit == allModSeqs {
		for _, r := range p.snap.all() {
			at = max(at, r.modSeq)
		}
	}
	return append(dst, fmt.Sprintf("* OK [HIGHESTMODSEQ %d] of the mailbox\r\n", at)...)
}

// modSeq is what the client is told as the mod-sequence of a message. While messages have been taken out that it has not been told of, no message has a later one than the mailbox had
// then: else the client could take what it knows for complete.
func (p *position) modSeq(r *row) archive.ModSeq { return max(1, min(r.modSeq, p.limit)) }

func appendNumber64(dst []byte, n archive.ModSeq) []byte { return strconv.AppendInt(dst, int64(n), 10) }

// modSeqItem is the data item MODSEQ.
func (f *fetcher) modSeqItem(dst []byte, src *source) ([]byte, error) {
	return append(appendNumber64(append(dst, '('), f.pos.modSeq(src.row)), ')'), nil
}

// fetchModifiers are those of FETCH (RFC 7162 section 3.1.4.1 and 3.2.6).
type fetchModifiers struct {
	since    archive.ModSeq // CHANGEDSINCE
	changed  bool           // it is given
	vanished bool
}

// parse reads the modifiers of FETCH at the beginning of b, in parentheses, and returns their length; 0 when they are not understood.
func (m *fetchModifiers) parse(b []byte) int {
	end := slices.Index(b, ')')
	if end < 0 {
		return 0
	}
	var got fetchModifiers
	words := strings.Split(strings.ToUpper(string(b[1:end])), " ")
	for i := 0; i < len(words); i++ {
		switch {
		case words[i] == "CHANGEDSINCE" && i+1 < len(words) && !got.changed:
			n, ok := parseModSeq(words[i+1])
			if !ok {
				return 0
			}
			got.since, got.changed = n, true
			i++
		case words[i] == "VANISHED" && !got.vanished:
			got.vanished = true
		default:
			return 0
		}
	}
	if !got.changed {
		return 0
	}
	*m = got
	return end + 1
}

// parseModSeq reads a mod-sequence, a number of 63 bits.
func parseModSeq(s string) (archive.ModSeq, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return archive.ModSeq(n), err == nil && s[0] != '+'
}

// syncFetch prepares a FETCH with MODSEQ or modifiers, and tells what has vanished of the UIDs in set.
func (f *fetcher) syncFetch(set imap.NumSet) error {
	m := &f.items.modifiers
	withModSeq := slices.Contains(f.items.extra, "MODSEQ")
	if !m.changed && !withModSeq {
		return nil
	}
	if m.vanished && (!f.byUID || !f.s.enabled().qresync) {
		return &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: "VANISHED is for UID FETCH after ENABLE QRESYNC"}
	}
	f.s.enableCondstore()
	f.pos = f.s.position()
	if m.changed && !withModSeq {
		f.items.extra, f.rowOnly = append(f.items.extra, "MODSEQ"), false
	}
	if !m.vanished {
		return nil
	}
	n := notices{conn: f.s.conn}
	if err := f.pos.announceVanished(f.s.ctx(), &n, f.snap, m.since, f.uidsIn(set)); err != nil {
		return f.s.translate(err)
	}
	return n.flush()
}

// uidsIn returns the UIDs that a set names, whether or not there are messages with them.
func (f *fetcher) uidsIn(set imap.NumSet) []span {
	spans := []span{}
	if imap.IsSearchRes(set) {
		for _, uid := range f.s.saved {
			spans = append(spans, span{int(uid), int(uid) + 1})
		}
		return normal(spans)
	}
	last := uint32(max(f.pos.row.UIDNext, f.snap.next()) - 1)
	uids, _ := set.(imap.UIDSet)
	for _, r := range uids {
		from, to := starRange(uint32(r.Start), uint32(r.Stop), last)
		spans = append(spans, span{int(from), int(to) + 1})
	}
	return normal(spans)
}

// announceVanished writes VANISHED (EARLIER): the UIDs in set that were taken out of the mailbox after since, and that the client does not think are there, which snap says.
// set has spans of UIDs; nil is all.
func (p *position) announceVanished(ctx context.Context, n *notices, snap *snapshot, since archive.ModSeq, set []span) error {
	next := max(p.row.UIDNext, snap.next())
	return p.view.views.reader.Vanished(ctx, p.view.id, since, func(uids []archive.UID) error {
		uids = slices.DeleteFunc(uids, func(uid archive.UID) bool {
			return uid >= next || snap.has(uid) || set != nil && !contains(set, int(uid))
		})
		return n.vanished(" (EARLIER)", uids)
	})
}

// uidsInVanished is how many UIDs one VANISHED response names at most, so that lines stay short.
const uidsInVanished = 1000

// vanished writes VANISHED responses.
func (n *notices) vanished(earlier string, uids []archive.UID) error {
	for chunk := range slices.Chunk(uids, uidsInVanished) {
		n.b = append(append(append(n.b, "* VANISHED"...), earlier...), ' ')
		if err := n.runs(len(chunk), func(k int) uint32 { return uint32(chunk[k]) }); err != nil {
			return err
		}
		n.b = append(n.b, "\r\n"...)
	}
	return nil
}

// searchModSeq compiles the search key MODSEQ (RFC 7162 section 3.1.5).
func searchModSeq(s *session, _, value string) (rowTest, *imap.Error) {
	least, ok := parseModSeq(value)
	if !ok {
		return nil, badSearch("MODSEQ wants a number")
	}
	s.conn.cmd.byModSeq = true
	s.enableCondstore()
	p := s.position()
	return func(m *candidate) bool { return p.modSeq(m.row) >= least }, nil
}

// selectSync are the parameters of SELECT (RFC 7162 section 3.1.8 and 3.2.5).
type selectSync struct {
	condstore bool
	qresync   bool
	validity  uint32
	since     archive.ModSeq
	known     []span // UIDs; nil: all
	due       bool   // there may be something to tell
}

// parseSelect reads the parameters of SELECT, a list in parentheses.
func (p *selectSync) parse(s string) bool {
	s = strings.ToUpper(s)
	for first := true; ; first = false {
		switch {
		case s == ")" && !first:
			return true
		case first:
			s = strings.TrimPrefix(s, "(")
		case strings.HasPrefix(s, " "):
			s = s[1:]
		default:
			return false
		}
		rest, isCondstore := strings.CutPrefix(s, "CONDSTORE")
		if isCondstore && !p.condstore {
			p.condstore, s = true, rest
			continue
		}
		rest, isQresync := strings.CutPrefix(s, "QRESYNC (")
		if !isQresync || p.qresync {
			return false
		}
		var ok bool
		if s, ok = p.parseQresync(rest); !ok {
			return false
		}
		p.qresync = true
	}
}

// parseQresync reads "uidvalidity modseq [known-uids] [(known-seqs known-uids)])" and returns what follows. The archive remembers all that has vanished: what clients tell to help
// a server that does not is of no use to it.
func (p *selectSync) parseQresync(s string) (rest string, ok bool) {
	list, rest, ok := strings.Cut(s, ")")
	list, match, hasMatch := strings.Cut(list, " (")
	if hasMatch {
		seqs, uids, _ := strings.Cut(match, " ")
		_, seqsOK := parseSet(seqs)
		_, uidsOK := parseSet(uids)
		if !seqsOK || !uidsOK || !strings.HasPrefix(rest, ")") {
			return "", false
		}
		rest = rest[1:]
	}
	words := strings.Split(list, " ")
	if !ok || len(words) < 2 || len(words) > 3 {
		return "", false
	}
	validity, err := strconv.ParseUint(words[0], 10, 32)
	p.validity = uint32(validity)
	if p.since, ok = parseModSeq(words[1]); !ok || err != nil || p.since == 0 || validity == 0 {
		return "", false
	}
	if len(words) == 3 {
		p.known, ok = parseSet(words[2])
	}
	return rest, ok
}

// parseSet reads a set of UIDs or sequence numbers without "*", and returns it sorted.
func parseSet(s string) ([]span, bool) {
	var set []span
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(part, ":")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 32)
		b, err2 := strconv.ParseUint(last, 10, 32)
		if err != nil || err2 != nil || a == 0 || b == 0 {
			return nil, false
		}
		set = append(set, span{int(min(a, b)), int(max(a, b)) + 1})
	}
	return normal(set), true
}

// prepareResync makes ready to tell what has happened to the selected mailbox since a client saw it last. The caller holds s.mu.
func (s *session) prepareResync(q *selectSync) error {
	if q.validity != s.box.row.UIDValidity || q.since >= s.box.row.ModSeq {
		return nil
	}
	q.due = true
	return s.box.load(s.ctx())
}

// resync tells what prepareResync has found that there is to tell (RFC 7162 section 3.2.5.1), before the tagged response.
func (s *session) resync(q *selectSync) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !q.due || s.box == nil {
		return nil
	}
	p, n := s.box, notices{conn: s.conn}
	if err := p.announceVanished(s.ctx(), &n, p.snap, q.since, q.known); err != nil {
		return s.translate(err)
	}
	for i, r := range p.snap.all() {
		if r.modSeq > q.since && !r.ref.IsZero() && (q.known == nil || contains(q.known, int(r.uid))) {
			n.b = p.appendFlagsOf(n.b, p.snap, i, true)
			if err := n.next(); err != nil {
				return err
			}
		}
	}
	return n.flush()
}

// appendFlagsOf appends a FETCH response that tells the flags of a message.
func (p *position) appendFlagsOf(dst []byte, snap *snapshot, i int, withModSeq bool) []byte {
	r := snap.at(i)
	dst = append(appendUID(appendFetchStart(dst, i), r.uid), ' ')
	dst = append(dst, snap.flagsOf(r).item...)
	if withModSeq {
		dst = append(appendNumber64(append(dst, " MODSEQ ("...), p.modSeq(r)), ')')
	}
	return append(dst, ")\r\n"...)
}
