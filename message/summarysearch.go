package message

import (
	"bytes"
	"strings"
)

// FieldSearch asks whether a header has a field that contains a text: the search keys SUBJECT, FROM, HEADER and the like (RFC 9051 section 6.4.4). Values are compared
// decoded and in any case ([Fold]). Addresses are also found in their plain form, Name <mailbox@host>, without the quotes and comments that may stand in
// them. It reuses memory, and is not safe for concurrent use.
type FieldSearch struct {
	name, want string // want is folded; "": any such field
	run        string // the longest run of letters and digits in want
	addresses  bool
	set        FieldSet // the field, where summaries know it
	parser     addressParser
	scratch    []byte
}

// NewFieldSearch returns a search for fields called name, in any case, whose value contains text; an empty text is in all.
func NewFieldSearch(name, text string) *FieldSearch {
	q := &FieldSearch{name: name, want: Fold(text)}
	switch strings.ToLower(name) {
	case "from", "to", "cc", "bcc", "sender", "reply-to":
		q.addresses = true
	}
	for _, run := range strings.FieldsFunc(q.want, func(r rune) bool { return !isAlphanumeric(r) }) {
		if len(run) > len(q.run) {
			q.run = run
		}
	}
	q.set, _ = NewFieldSet([]string{name})
	return q
}

func isAlphanumeric[T rune | byte](c T) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// FoldedValues keeps what the values of a message's fields are, decoded and folded, for the other searches in the same message: there may be thousands. The zero value knows none; a nil
// pointer keeps none. What it has seen must stay unchanged in memory. It is not safe for concurrent use.
type FoldedValues struct {
	values [][]byte
	texts  []string
}

const maxFoldedValues = 16

func (v *FoldedValues) of(value []byte) string {
	if v == nil || len(value) == 0 {
		return foldedValue(value)
	}
	for i, known := range v.values {
		if len(known) == len(value) && &known[0] == &value[0] {
			return v.texts[i]
		}
	}
	text := foldedValue(value)
	if len(v.values) < maxFoldedValues {
		v.values, v.texts = append(v.values, value), append(v.texts, text)
	}
	return text
}

func foldedValue(value []byte) string { return Fold(DecodeWords(unfoldText(value))) }

// In reports whether header has such a field. seen is that of the message.
func (q *FieldSearch) In(header Header, seen *FoldedValues) bool {
	for f := range header.Fields() {
		if f.Value != nil && f.Is(q.name) && q.matches(f.Value, seen) {
			return true
		}
	}
	return false
}

// InSummary reports what [FieldSearch.In] does of the message's header; ok is false when the summary cannot tell.
func (q *FieldSearch) InSummary(s *Summary, seen *FoldedValues) (found, ok bool) {
	if q.set == 0 || !s.Has(q.set) {
		return false, false
	}
	if s.present&q.set == 0 {
		return false, true
	}
	for it := s.iterate(); it.next(); {
		if q.set>>it.field&1 != 0 && q.matches(splitField(s.lines[it.start:it.end]).Value, seen) {
			return true, true
		}
	}
	return false, true
}

// matches tests one value. Nearly all are plain ASCII and need no decoding.
func (q *FieldSearch) matches(value []byte, seen *FoldedValues) bool {
	if q.want == "" {
		return true
	}
	if !plainASCII(value) {
		return strings.Contains(seen.of(value), q.want) || q.addresses && strings.Contains(Fold(addressText(value)), q.want)
	}
	value = trimValue(value)
	folded := bytes.IndexByte(value, '\n') >= 0
	text := value
	if folded {
		q.scratch = appendUnfolding(q.scratch[:0], value, true)
		text = q.scratch
	}
	if containsUpper(text, q.want) {
		return true
	}
	if !q.addresses || runsStay(value) && !containsUpper(value, q.run) {
		return false
	}
	if folded {
		value = appendUnfolding(nil, value, false)
	}
	return q.inAddresses(value)
}

// plainASCII reports whether DecodeWords leaves v as it is, and folding it is changing the case of ASCII letters.
func plainASCII(v []byte) bool {
	for _, c := range v {
		if c >= 0x80 || c == 0x1b { // escape begins ISO-2022-JP
			return false
		}
	}
	return !bytes.Contains(v, []byte("=?"))
}

// runsStay reports whether each run of letters and digits in the plain form of the addresses in value is a part of one in value. Quotes, comments and backslashes that
// are taken out can bring two together; quotes do not where a blank or the like is beside them.
func runsStay(value []byte) bool {
	const separators = " \t,;:<>@"
	for i, c := range value {
		switch c {
		case '(', '\\':
			return false
		case '"':
			if i > 0 && !contains(separators, value[i-1]) && i+1 < len(value) && !contains(separators, value[i+1]) {
				return false
			}
		}
	}
	return true
}

// inAddresses looks for the text in the plain form of addresses that are ASCII.
func (q *FieldSearch) inAddresses(value []byte) bool {
	p := &q.parser
	p.b, p.i, p.inGroup = value, 0, false
	q.scratch = q.scratch[:0]
	for p.next() {
		if bytes.Contains(p.name, []byte("=?")) {
			return strings.Contains(Fold(addressText(value)), q.want)
		}
		q.scratch = append(append(q.scratch, p.name...), " <"...)
		q.scratch = append(append(q.scratch, p.mailbox...), '@')
		q.scratch = append(append(q.scratch, p.host...), ">\n"...)
	}
	return containsUpper(q.scratch, q.want)
}

// addressText is the plain form of the addresses in a field: Name <mailbox@host>, one a line.
func addressText(value []byte) string {
	var b strings.Builder
	for _, a := range ParseAddresses(unfold(value)) {
		b.WriteString(DecodeWords(a.Name) + " <" + a.Mailbox + "@" + a.Host + ">\n")
	}
	return b.String()
}

// containsUpper reports whether ASCII text in upper case contains want.
func containsUpper(text []byte, want string) bool {
	if want == "" {
		return true
	}
	first := want[0]
	for i := range len(text) - len(want) + 1 {
		if upper(text[i]) == first && equalUpper(text[i:i+len(want)], want) {
			return true
		}
	}
	return false
}

func equalUpper(text []byte, want string) bool {
	for i := range text {
		if upper(text[i]) != want[i] {
			return false
		}
	}
	return true
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
