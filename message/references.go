package message

import (
	"bytes"
	"iter"
)

// MessageIDs yields the message identifiers in the value of a Message-ID, In-Reply-To or References field (RFC 5322 section 3.6.4), without their brackets: local part and
// domain with quotes, comments and white space taken out, so that different spellings of one identifier are equal (RFC 5256 section 2). What is
// not of the form <left@right> is passed over.
func MessageIDs(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		l := lexer{b: []byte(value)}
		for l.space(); l.more(); l.space() {
			switch {
			case l.peek() == '"': // a phrase of obsolete syntax may hold brackets
				l.quoted()
			case !l.accept('<'):
				l.until("<\"(")
			default:
				if id := l.messageID(); id != "" && !yield(id) {
					return
				}
			}
		}
	}
}

// messageID reads up to the closing bracket and returns "" when what stands before it is no identifier.
func (l *lexer) messageID() string {
	var id []byte
	at := -1
	for l.space(); l.more(); l.space() {
		switch {
		case l.accept('>'):
			if at <= 0 || at == len(id)-1 {
				return ""
			}
			return string(id)
		case l.peek() == '<':
			return "" // the bracket was never closed
		case l.peek() == '"':
			id = append(id, l.quoted()...)
		case l.accept('@'):
			at = len(id)
			id = append(id, '@')
		default:
			id = append(id, l.until("<>@\"(")...)
		}
	}
	return ""
}

// References returns the identifiers of the messages that a message replies to, the oldest first: those of its References field or, when there are none, the first one of In-Reply-To
// (RFC 5256 section 3, REFERENCES).
func (h Header) References() []string {
	var ids []string
	for id := range MessageIDs(h.Get("References")) {
		ids = append(ids, id)
	}
	if ids == nil {
		for id := range MessageIDs(h.Get("In-Reply-To")) {
			return []string{id}
		}
	}
	return ids
}

// MessageID returns the first identifier in the Message-ID field, or "".
func (h Header) MessageID() string {
	for id := range MessageIDs(h.Get("Message-ID")) {
		return id
	}
	return ""
}

// BaseSubject returns the base subject of a decoded Subject (RFC 5256 section 2.1): without the marks of replies and forwards and the names of mailing lists. reply tells whether it had
// a mark of a reply or a forward.
func BaseSubject(subject string) (base string, reply bool) {
	b := bytes.Join(bytes.FieldsFunc([]byte(subject), func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }), []byte(" "))
	for {
		var trailer, leader, wrapped bool
		b, trailer = cutTrailers(b)
		b, leader = cutLeaders(b)
		b, wrapped = cutForward(b)
		reply = reply || trailer || leader || wrapped
		if !wrapped {
			return string(b), reply
		}
	}
}

// cutTrailers removes "(fwd)" and blanks from the end.
func cutTrailers(b []byte) ([]byte, bool) {
	found := false
	for {
		b = bytes.TrimRight(b, " ")
		n := len(b) - len("(fwd)")
		if n < 0 || !equalFoldASCII(b[n:], "(fwd)") {
			return b, found
		}
		b, found = b[:n], true
	}
}

// cutLeaders removes "Re:", "Fwd:" and blobs in square brackets from the beginning. A blob that is all there is stays.
func cutLeaders(b []byte) ([]byte, bool) {
	found := false
	for {
		b = bytes.TrimLeft(b, " ")
		rest, last := b, b
		for n := blob(rest); n > 0; n = blob(rest) {
			rest, last = rest[n:], rest
		}
		n := replyMark(rest)
		switch {
		case n > 0:
			b, found = rest[n:], true
		case len(rest) > 0:
			return rest, found
		default:
			return last, found
		}
	}
}

// cutForward unwraps "[fwd: ...]".
func cutForward(b []byte) ([]byte, bool) {
	const head = "[fwd:"
	if len(b) <= len(head) || !equalFoldASCII(b[:len(head)], head) || b[len(b)-1] != ']' {
		return b, false
	}
	return b[len(head) : len(b)-1], true
}

// blob is the length of "[...]" and the blanks after it at the beginning of b; 0 when there is none.
func blob(b []byte) int {
	if len(b) == 0 || b[0] != '[' {
		return 0
	}
	n := 1 + bytes.IndexAny(b[1:], "[]")
	if n == 0 || b[n] != ']' {
		return 0
	}
	for n++; n < len(b) && b[n] == ' '; n++ {
	}
	return n
}

// replyMark is the length of "Re:", "Fw:" or "Fwd:", with an optional blob before the colon, at the beginning of b; 0 when there is none.
func replyMark(b []byte) int {
	n := 0
	for _, word := range []string{"fwd", "fw", "re"} {
		if len(b) > len(word) && equalFoldASCII(b[:len(word)], word) {
			n = len(word)
			break
		}
	}
	if n == 0 {
		return 0
	}
	for n < len(b) && b[n] == ' ' {
		n++
	}
	n += blob(b[n:])
	if n < len(b) && b[n] == ':' {
		return n + 1
	}
	return 0
}
