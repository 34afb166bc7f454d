package gmailsim

import (
	"strings"
	"time"
)

// searchRequest is a parsed SEARCH.
type searchRequest struct {
	esearch bool
	returns map[string]bool
	match   matcher
	modseq  bool
	// sets are the sequence and UID sets at the top level; the first one
	// narrows what has to be looked at.
	sets []setKey
	// onlySets means that nothing but sets and ALL was asked for.
	onlySets bool
}

type setKey struct {
	set []numRange
	uid bool
}

// matcher decides about one message.
type matcher func(*searchRow) bool

type searchParser struct {
	*parser
	s   *session
	req *searchRequest
}

func (s *session) parseSearch(p *parser) (*searchRequest, error) {
	req := &searchRequest{returns: map[string]bool{}, onlySets: true}
	sp := &searchParser{p, s, req}
	if p.word(" RETURN ") {
		if !s.has("ESEARCH") || sp.returnOptions() != nil {
			return nil, errParse
		}
	}
	if p.word(" CHARSET ") {
		name, err := p.astring()
		if err != nil {
			return nil, err
		}
		switch strings.ToUpper(name) {
		case "UTF-8":
			p.utf8 = true
		case "US-ASCII":
		default:
			return nil, noError("[BADCHARSET (US-ASCII UTF-8)] Unsupported charset (Failure)")
		}
	}
	if p.sp() != nil {
		return nil, errParse
	}
	match, err := sp.and(0, true)
	if err != nil {
		return nil, err
	}
	req.match = match
	return req, p.end()
}

func (sp *searchParser) returnOptions() error {
	sp.req.esearch = true
	err := sp.list(func() error {
		w, err := sp.atom()
		w = strings.ToUpper(w)
		if w != "ALL" && w != "MIN" && w != "MAX" && w != "COUNT" {
			return errParse
		}
		sp.req.returns[w] = true
		return err
	})
	if len(sp.req.returns) == 0 {
		sp.req.returns["ALL"] = true
	}
	return err
}

// and reads keys up to ")" or the end.
func (sp *searchParser) and(depth int, top bool) (matcher, error) {
	var all []matcher
	for {
		m, err := sp.key(depth, top)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		if sp.eof() || sp.peek() == ')' {
			break
		}
		if sp.sp() != nil {
			return nil, errParse
		}
	}
	return func(r *searchRow) bool {
		for _, m := range all {
			if !m(r) {
				return false
			}
		}
		return true
	}, nil
}

func (sp *searchParser) key(depth int, top bool) (matcher, error) {
	if depth > maxDepth {
		return nil, errParse
	}
	switch c := sp.peek(); {
	case c == '(':
		sp.pos++
		m, err := sp.and(depth+1, top)
		if err != nil {
			return nil, err
		}
		return m, sp.expect(')')
	case c >= '0' && c <= '9' || c == '*':
		return sp.setKey(false, top)
	}
	name, err := sp.atom()
	if err != nil {
		return nil, err
	}
	name = strings.ToUpper(name)
	switch name {
	case "ALL":
		return func(*searchRow) bool { return true }, nil
	case "UID":
		if sp.sp() != nil {
			return nil, errParse
		}
		return sp.setKey(true, top)
	}
	sp.req.onlySets = false
	switch name {
	case "NOT":
		if sp.sp() != nil {
			return nil, errParse
		}
		m, err := sp.key(depth+1, false)
		return func(r *searchRow) bool { return !m(r) }, err
	case "OR":
		return sp.or(depth)
	}
	if m, ok := flagKeys[name]; ok {
		return m, nil
	}
	if sp.sp() != nil {
		return nil, errParse
	}
	return sp.argKey(name)
}

func (sp *searchParser) setKey(uid, top bool) (matcher, error) {
	set, err := sp.numSet()
	if err != nil {
		return nil, err
	}
	if top {
		sp.req.sets = append(sp.req.sets, setKey{set, uid})
	}
	return func(r *searchRow) bool { return r.inSet(set, uid) }, nil
}

func (sp *searchParser) or(depth int) (matcher, error) {
	if sp.sp() != nil {
		return nil, errParse
	}
	a, err := sp.key(depth+1, false)
	if err != nil || sp.sp() != nil {
		return nil, errParse
	}
	b, err := sp.key(depth+1, false)
	return func(r *searchRow) bool { return a(r) || b(r) }, err
}

func hasFlag(bit sysFlag, want bool) matcher {
	return func(r *searchRow) bool { return r.flags.has(bit) == want }
}

var flagKeys = map[string]matcher{
	"ANSWERED": hasFlag(flagAnswered, true), "UNANSWERED": hasFlag(flagAnswered, false),
	"DELETED": hasFlag(flagDeleted, true), "UNDELETED": hasFlag(flagDeleted, false),
	"DRAFT": hasFlag(flagDraft, true), "UNDRAFT": hasFlag(flagDraft, false),
	"FLAGGED": hasFlag(flagFlagged, true), "UNFLAGGED": hasFlag(flagFlagged, false),
	"SEEN": hasFlag(flagSeen, true), "UNSEEN": hasFlag(flagSeen, false),
	"NEW":    func(*searchRow) bool { return false },
	"RECENT": func(*searchRow) bool { return false },
	"OLD":    func(*searchRow) bool { return true },
}

// argKey reads a key with arguments.
func (sp *searchParser) argKey(name string) (matcher, error) {
	switch name {
	case "SINCE", "BEFORE", "ON", "SENTSINCE", "SENTBEFORE", "SENTON":
		day, err := sp.date()
		return dateKey(name, day), err
	case "LARGER", "SMALLER":
		n, err := sp.number(63)
		if name == "LARGER" {
			return func(r *searchRow) bool { return r.size > int64(n) }, err
		}
		return func(r *searchRow) bool { return r.size < int64(n) }, err
	case "KEYWORD", "UNKEYWORD":
		k, err := sp.flag()
		return func(r *searchRow) bool { return r.flags.hasNamed(k) == (name == "KEYWORD") }, err
	case "MODSEQ":
		return sp.modseqKey()
	case "X-GM-MSGID", "X-GM-THRID", "X-GM-LABELS", "X-GM-RAW":
		if !sp.s.has("X-GM-EXT-1") {
			return nil, errParse
		}
		return sp.gmailKey(name)
	case "EMAILID", "THREADID":
		if !sp.s.has("OBJECTID") {
			return nil, errParse
		}
		id, err := sp.atom()
		if name == "EMAILID" {
			return func(r *searchRow) bool { return "M"+r.email.Hex() == id }, err
		}
		return func(r *searchRow) bool { return "T"+r.thread.Hex() == id }, err
	}
	return sp.textKey(name)
}

func (sp *searchParser) textKey(name string) (matcher, error) {
	field := name
	switch name {
	case "SUBJECT", "FROM", "TO", "CC", "BCC", "BODY", "TEXT":
	case "HEADER":
		f, err := sp.text()
		if err != nil || sp.sp() != nil {
			return nil, errParse
		}
		field = f
	default:
		return nil, errParse
	}
	arg, err := sp.text()
	if err != nil {
		return nil, err
	}
	arg = strings.ToLower(arg)
	switch name {
	case "BODY":
		return func(r *searchRow) bool { return strings.Contains(r.bodyText(), arg) }, nil
	case "TEXT":
		return func(r *searchRow) bool {
			return strings.Contains(r.headerText(), arg) || strings.Contains(r.bodyText(), arg)
		}, nil
	}
	return func(r *searchRow) bool { return r.field(field, arg) }, nil
}

// modseqKey reads MODSEQ (RFC 7162 section 3.1.5).
func (sp *searchParser) modseqKey() (matcher, error) {
	if !sp.s.has("CONDSTORE") {
		return nil, errParse
	}
	if sp.peek() == '"' {
		if _, err := sp.quoted(); err != nil || sp.sp() != nil {
			return nil, errParse
		}
		if w, err := sp.atom(); err != nil || !strings.Contains("ALL SHARED PRIV", strings.ToUpper(w)) || sp.sp() != nil {
			return nil, errParse
		}
	}
	n, err := sp.number(63)
	sp.req.modseq = true
	return func(r *searchRow) bool { return r.modseq >= n }, err
}

func (sp *searchParser) gmailKey(name string) (matcher, error) {
	switch name {
	case "X-GM-MSGID", "X-GM-THRID":
		n, err := sp.number(64)
		if name == "X-GM-MSGID" {
			return func(r *searchRow) bool { return uint64(r.id) == n }, err
		}
		return func(r *searchRow) bool { return uint64(r.thread) == n }, err
	case "X-GM-LABELS":
		label, err := sp.text()
		return func(r *searchRow) bool { return r.hasLabel(label) }, err
	}
	query, err := sp.text()
	return rawQuery(query, sp.s.srv.opt.Now), err
}

// dateKey compares whole days, in UTC for the internal date.
func dateKey(name string, day time.Time) matcher {
	sent := strings.HasPrefix(name, "SENT")
	kind := strings.TrimPrefix(name, "SENT")
	return func(r *searchRow) bool {
		at := r.date.UTC()
		if sent {
			at = r.sentDate()
		}
		have := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
		switch kind {
		case "SINCE":
			return !have.Before(day)
		case "BEFORE":
			return have.Before(day)
		}
		return have.Equal(day)
	}
}
