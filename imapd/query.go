package imapd

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"

	"mailkeep/message"
)

// query is a search key with its sets resolved and its strings folded. All its parts must match.
type query struct {
	spans    [][]span
	flagSets []bool // by number, those that fit; nil: not asked
	larger   int64  // 0: not asked; the translation of the command made "LARGER 0" something else
	less     int64  // 0: not asked
	since    time.Time
	before   time.Time
	not      []*query
	or       [][2]*query

	tests []rowTest // of the search keys that the library does not know

	sentSince  time.Time
	sentBefore time.Time
	fields     []*message.FieldSearch
	body       []string
	text       []string

	simple bool // matchesRow says it all
	cost   int  // 0 for what the row answers, 1 for what the header answers, 2 for what needs the whole message
}

// candidate is a message under consideration. What had to be read of it is kept.
type candidate struct {
	index int
	row   *row
	src   source
	err   error // the message could not be read; no result counts

	header   message.Header // nil until needed
	folded   message.FoldedValues
	sentRead bool
	sent     time.Time // day of the Date field; zero when there is none
	lines    []string  // folded, of the header; nil until needed
	hasLines bool
	texts    []string // folded, of the body; nil until needed
	hasTexts bool
}

// next makes m stand for another message.
func (m *candidate) next(i int, r *row) {
	m.src.next(r)
	*m = candidate{index: i, row: r, src: m.src}
}

// compile prepares criteria for the messages of snap.
func (s *session) compile(snap *snapshot, c *imap.SearchCriteria) *query {
	q := &query{
		larger: c.Larger, less: c.Smaller, since: c.Since, before: c.Before, sentSince: c.SentSince, sentBefore: c.SentBefore,
		body: foldAll(c.Body), text: foldAll(c.Text),
	}
	for _, set := range c.SeqNum {
		q.spans = append(q.spans, seqSpans(snap, set))
	}
	for _, set := range c.UID {
		if imap.IsSearchRes(set) {
			q.spans = append(q.spans, spansOf(snap, s.saved))
		} else {
			q.spans = append(q.spans, uidSpans(snap, set))
		}
	}
	if len(c.Flag)+len(c.NotFlag) > 0 {
		q.flagSets = make([]bool, len(snap.flags))
		for i := range snap.flags {
			q.flagSets[i] = hasFlags(&snap.flags[i], c.Flag, c.NotFlag)
		}
	}
	for _, h := range c.Header {
		if s.compileExtra(q, h.Key, h.Value) {
			continue
		}
		q.fields = append(q.fields, message.NewFieldSearch(h.Key, h.Value))
	}
	for i := range c.Not {
		q.not = append(q.not, s.compile(snap, &c.Not[i]))
	}
	for i := range c.Or {
		q.or = append(q.or, [2]*query{s.compile(snap, &c.Or[i][0]), s.compile(snap, &c.Or[i][1])})
	}
	// What is known without opening the message comes first.
	slices.SortStableFunc(q.not, func(a, b *query) int { return a.cost - b.cost })
	slices.SortStableFunc(q.or, func(a, b [2]*query) int { return pairCost(a) - pairCost(b) })
	q.cost = q.sumUp()
	q.simple = q.cost == 0 && len(q.tests)+len(q.not)+len(q.or) == 0
	return q
}

// hasFlags reports whether a set has all of some flags and none of others.
func hasFlags(set *flagSet, all, none []imap.Flag) bool {
	has := func(f imap.Flag) bool { return set.has(string(f)) }
	return !slices.ContainsFunc(all, func(f imap.Flag) bool { return !has(f) }) && !slices.ContainsFunc(none, has)
}

func foldAll(list []string) []string {
	var folded []string
	for _, s := range list {
		folded = append(folded, message.Fold(s))
	}
	return folded
}

// sumUp returns what q.cost has to be.
func (q *query) sumUp() int {
	cost := 0
	if len(q.fields) > 0 || !q.sentSince.IsZero() || !q.sentBefore.IsZero() {
		cost = 1
	}
	if len(q.body) > 0 || len(q.text) > 0 {
		cost = 2
	}
	for _, n := range q.not {
		cost = max(cost, n.cost)
	}
	for _, pair := range q.or {
		cost = max(cost, pairCost(pair))
	}
	return cost
}

func pairCost(pair [2]*query) int { return max(pair[0].cost, pair[1].cost) }

// matches reports whether m is found. When m.err is set afterwards the answer means nothing.
func (q *query) matches(ctx context.Context, m *candidate) bool {
	if !q.matchesRow(m.index, m.row) || !q.passes(m) {
		return false
	}
	deep := func(cost int) bool { // what costs so much, of the nested keys
		for _, n := range q.not {
			if n.cost == cost && n.matches(ctx, m) {
				return false
			}
		}
		for _, pair := range q.or {
			if pairCost(pair) == cost && !pair[0].matches(ctx, m) && !pair[1].matches(ctx, m) {
				return false
			}
		}
		return true
	}
	return deep(0) && q.matchesHeader(m) && deep(1) && ctx.Err() == nil && q.matchesBody(m) && deep(2)
}

// matchesRow tests what the archive knows without the message.
func (q *query) matchesRow(i int, r *row) bool {
	for _, spans := range q.spans {
		if !contains(spans, i) {
			return false
		}
	}
	if q.flagSets != nil && !q.flagSets[r.flags] {
		return false
	}
	if q.larger > 0 && r.size <= q.larger || q.less > 0 && r.size >= q.less {
		return false
	}
	return q.onDay(r)
}

// onDay compares the day of INTERNALDATE, in its own zone (RFC 9051 section 6.4.4).
func (q *query) onDay(r *row) bool {
	if q.since.IsZero() && q.before.IsZero() {
		return true
	}
	day := floorDay(r.date + int64(r.zone)*60)
	return (q.since.IsZero() || day >= floorDay(q.since.Unix())) && (q.before.IsZero() || day < floorDay(q.before.Unix()))
}

// floorDay is the number of the day in which a time lies, in seconds since 1970.
func floorDay(seconds int64) int64 {
	day := seconds / 86400
	if seconds%86400 < 0 {
		day--
	}
	return day
}

// between compares the date of t, in its own zone and without the time (RFC 9051 section 6.4.4), with two dates; a zero one is none.
func between(t, since, before time.Time) bool {
	if since.IsZero() && before.IsZero() {
		return true
	}
	year, month, day := t.Date()
	date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	return (since.IsZero() || !date.Before(since)) && (before.IsZero() || date.Before(before))
}

// matchesHeader tests what the header tells.
func (q *query) matchesHeader(m *candidate) bool {
	if len(q.fields) == 0 && q.sentSince.IsZero() && q.sentBefore.IsZero() {
		return true
	}
	if !q.sentSince.IsZero() || !q.sentBefore.IsZero() {
		if day, ok := m.sentDay(); !ok || !between(day, q.sentSince, q.sentBefore) {
			return false
		}
	}
	for _, want := range q.fields {
		if !m.hasField(want) {
			return false
		}
	}
	return true
}

// hasField reports whether the header has a field, by the message's summary where that can tell.
func (m *candidate) hasField(want *message.FieldSearch) bool {
	if sum := m.src.summary(); sum != nil && m.header == nil {
		if found, ok := want.InSummary(sum, &m.folded); ok {
			return found
		}
	}
	header := m.readHeader()
	return m.err == nil && want.In(header, &m.folded)
}

// matchesBody tests BODY and TEXT.
func (q *query) matchesBody(m *candidate) bool {
	for _, want := range q.body {
		if !m.bodyContains(want) {
			return false
		}
	}
	for _, want := range q.text {
		if !m.headerContains(want) && !m.bodyContains(want) {
			return false
		}
	}
	return true
}

func (m *candidate) readHeader() message.Header {
	if m.header != nil || m.err != nil {
		return m.header
	}
	n, err := m.src.headerSize()
	if err == nil {
		m.header, err = m.src.bytes(0, n)
	}
	if m.err = err; err == nil && m.header == nil {
		m.header = message.Header{}
	}
	return m.header
}

// sentDay returns the date of the Date field; ok is false when there is none that can be read.
func (m *candidate) sentDay() (day time.Time, ok bool) {
	if !m.sentRead {
		m.sentRead = true
		if sum := m.src.summary(); sum != nil && sum.SentKnown() {
			m.sent, _ = sum.SentDay()
		} else if t, ok := message.ParseDate(m.readHeader().Get("Date")); ok {
			m.sent = t
		}
	}
	return m.sent, !m.sent.IsZero() && m.err == nil
}

func (m *candidate) headerContains(want string) bool {
	if !m.hasLines {
		m.hasLines = true
		for field := range m.readHeader().Fields() {
			text := string(field.Name)
			if field.Value != nil {
				text += ": " + field.Text()
			}
			m.lines = append(m.lines, message.Fold(text))
		}
	}
	return slices.ContainsFunc(m.lines, func(line string) bool { return strings.Contains(line, want) })
}

func (m *candidate) bodyContains(want string) bool {
	if !m.hasTexts && m.err == nil {
		m.hasTexts = true
		data, err := m.src.load()
		if m.err = err; err == nil {
			for text := range message.Parse(data).SearchTexts(data) {
				m.texts = append(m.texts, message.Fold(text))
			}
		}
	}
	return m.err == nil && slices.ContainsFunc(m.texts, func(text string) bool { return strings.Contains(text, want) })
}
