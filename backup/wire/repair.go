package wire

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-imap/v2"
)

// responseType groups the untagged responses by how they are handled.
type responseType uint8

const (
	typeUnknown responseType = iota // the client would give up: dropped
	typePlain                       // passed on unchanged
	typeStatus                      // OK and its like: free text, no literals
	typeFlags
	typeMailbox // its mailbox name may need repair
)

// responseTypes are the untagged responses without a number that the client (imapclient of go-imap v2 beta.8) knows. ID is left out on purpose: the client
// gives up at a NIL value in it, keeps a false error from any other, and nobody here wants to know.
var responseTypes = map[string]responseType{
	"OK": typeStatus, "NO": typeStatus, "BAD": typeStatus, "BYE": typeStatus, "PREAUTH": typeStatus,
	"FLAGS": typeFlags,
	"LIST":  typeMailbox, "STATUS": typeMailbox,
	"CAPABILITY": typePlain, "ENABLED": typePlain, "NAMESPACE": typePlain,
	"SEARCH": typePlain, "ESEARCH": typePlain, "SORT": typePlain, "THREAD": typePlain,
	"METADATA": typePlain, "QUOTA": typePlain, "QUOTAROOT": typePlain, "MYRIGHTS": typePlain, "ACL": typePlain,
}

// isSearchResult tells whether a response grows with the mailbox and holds no literals.
func isSearchResult(part []byte) bool {
	star, rest := cutWord(part)
	typ, _ := cutWord(rest)
	switch upper(typ) {
	case "SEARCH", "ESEARCH", "SORT", "THREAD":
		return string(star) == "*"
	}
	return false
}

// NoticeKind names what a server said in a status line, outside its machine-readable part or in it.
type NoticeKind string

// The words that tell a client to slow down, to stop, or to show the text to its user. Gmail appends [THROTTLED] to
// the text of an OK.
const (
	NoticeThrottled NoticeKind = "THROTTLED"
	NoticeOverQuota NoticeKind = "OVERQUOTA"
	NoticeAlert     NoticeKind = "ALERT"
)

// Notice is a status line (OK, NO, BAD, BYE, PREAUTH) that carries one of the words in brackets.
type Notice struct {
	Kind   NoticeKind
	Tagged bool   // it ended a command
	Text   string // the line without its tag, e.g. "OK Success [THROTTLED]"; the server's words, unchecked
}

// OnNotice sets the function that is told of every Notice, before the client sees the line. It runs inside Read and must
// not block or use the Conn. To be called before the first Read.
func (c *Conn) OnNotice(f func(Notice)) { c.notify = f }

// status passes a status line on. text is the line without its tag and line end.
func (r *responses) status(text, line []byte, tagged bool) {
	if r.c.notify != nil && bytes.IndexByte(text, '[') >= 0 {
		r.notice(text, tagged)
	}
	code := bytes.IndexByte(text, '[')
	if rest, ok := bytes.CutPrefix(text[max(code, 0):], []byte("[PERMANENTFLAGS ")); ok && !tagged {
		r.repairPermanentFlags(text[:code], rest, line)
		return
	}
	r.emit(line)
}

func (r *responses) notice(text []byte, tagged bool) {
	folded := strings.ToUpper(string(text))
	for _, kind := range []NoticeKind{NoticeThrottled, NoticeOverQuota, NoticeAlert} {
		if strings.Contains(folded, "["+string(kind)+"]") {
			r.c.notify(Notice{Kind: kind, Tagged: tagged, Text: string(text)})
		}
	}
}

// repairPermanentFlags handles `* OK [PERMANENTFLAGS (...)] text`; rest starts at the list.
func (r *responses) repairPermanentFlags(status, rest, line []byte) {
	end := bytes.LastIndex(rest, []byte(")]"))
	if end < 0 {
		r.emit(line)
		return
	}
	r.emitString("* ")
	r.emit(status)
	r.emitString("[PERMANENTFLAGS ")
	r.emit(appendFlagList(nil, rest[:end+1]))
	r.emit(rest[end+1:])
	r.emitString("\r\n")
}

func (r *responses) repairFlagsResponse(args, line []byte) {
	r.emitString("* FLAGS ")
	r.emit(appendFlagList(nil, args))
	r.emitString("\r\n")
}

// flagEscape starts an escaped byte inside a flag. It occurs in no flag: it is neither ASCII nor UTF-8.
const flagEscape = 0xff

const hexDigits = "0123456789ABCDEF"

// appendFlagList appends list as a parenthesized list of flags that the client accepts. Anything that is not a list,
// such as NIL, is the empty list.
func appendFlagList(dst, list []byte) []byte {
	dst = append(dst, '(')
	start := len(dst)
	if inner, ok := bytes.CutPrefix(bytes.TrimLeft(list, " "), []byte("(")); ok {
		lex := lexer{b: inner}
		for {
			tok := lex.next()
			if tok.kind == tokenEnd || tok.kind == tokenBroken {
				break
			}
			if tok.kind == tokenOpen || tok.kind == tokenClose || len(tok.text) == 0 {
				continue
			}
			if len(dst) > start {
				dst = append(dst, ' ')
			}
			dst = appendFlag(dst, tok.text)
		}
	}
	return append(dst, ')')
}

// appendFlag appends one flag; bytes that the client refuses in a flag are escaped, see FlagName.
func appendFlag(dst, flag []byte) []byte {
	if string(flag) == `\*` {
		return append(dst, flag...)
	}
	for i, c := range flag {
		if c == '\\' && i == 0 && len(flag) > 1 || atomByte(c) && c != flagEscape {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, flagEscape, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// atomByte tells whether the client accepts c in an atom: like ATOM-CHAR of RFC 9051 section 9, and 0xa0 to 0xff.
func atomByte(c byte) bool {
	switch c {
	case '(', ')', '{', ' ', '%', '*', '"', '\\', ']':
		return false
	}
	return c > 0x20 && c < 0x7f || c >= 0xa0
}

// FlagName returns a flag as the server spells it. The client closes the connection over a flag like [Mailbox], which
// some servers send, or one with certain UTF-8 characters; a Conn gives it such a flag with the offending bytes
// escaped, and FlagName takes the escapes back. All other flags are returned unchanged.
func FlagName(flag imap.Flag) string {
	s := string(flag)
	if strings.IndexByte(s, flagEscape) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == flagEscape && i+2 < len(s) {
			hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// repairMailboxResponse writes a LIST or STATUS response, given as one line with its literals inside and without line end.
func (r *responses) repairMailboxResponse(text []byte) {
	_, rest := cutWord(text)
	typ, args := cutWord(rest)
	var fixed []byte
	ok := false
	if upper(typ) == "LIST" {
		fixed, ok = r.repairList(args)
	} else {
		fixed, ok = r.repairStatus(args)
	}
	if !ok {
		fixed = args
	}
	r.emitString("* ")
	r.emit(typ)
	r.emitString(" ")
	r.emit(fixed)
	r.emitString("\r\n")
}

// repairList rewrites `(attributes) delimiter name [(extended)]`.
func (r *responses) repairList(args []byte) ([]byte, bool) {
	attrs := bytes.IndexByte(args, ')')
	if attrs < 0 || args[0] != '(' {
		return nil, false
	}
	fixed := appendFlagList(nil, args[:attrs+1])
	lex := lexer{b: args[attrs+1:]}
	delim := lex.next()
	fixed = append(fixed, ' ')
	switch {
	case delim.kind == tokenString && utf8.RuneCount(delim.text) == 1 && utf8.Valid(delim.text):
		fixed = appendQuoted(fixed, delim.text)
	case delim.kind == tokenString && len(delim.text) == 0, delim.kind == tokenAtom && bytes.EqualFold(delim.text, []byte("NIL")):
		fixed = append(fixed, "NIL"...)
	default:
		return nil, false
	}
	rest := bytes.TrimLeft(lex.rest(), " ")
	name, tail, ok := cutMailbox(rest)
	if !ok {
		return nil, false
	}
	fixed = r.appendMailbox(append(fixed, ' '), name)
	return append(fixed, tail...), true
}

// repairStatus rewrites `name (items)`.
func (r *responses) repairStatus(args []byte) ([]byte, bool) {
	name, tail, ok := cutMailbox(args)
	if !ok || len(tail) == 0 {
		return nil, false
	}
	tail = bytes.TrimRight(tail, " )") // a space before the parenthesis, as Exchange sends it
	return append(append(r.appendMailbox(nil, name), tail...), ')'), true
}

// cutMailbox splits off a mailbox name; tail is empty or a space and a list. A bare name may hold spaces and whatever
// else should have been quoted.
func cutMailbox(b []byte) (name, tail []byte, ok bool) {
	lex := lexer{b: b}
	if tok := lex.next(); tok.kind == tokenString {
		return tok.text, bytes.TrimRight(lex.rest(), " "), true
	}
	if end := bytes.Index(b, []byte(" (")); end >= 0 {
		return b[:end], b[end:], end > 0
	}
	b = bytes.TrimRight(b, " ")
	return b, nil, len(b) > 0
}

// appendMailbox appends a mailbox name in a form the client accepts. It decodes every name from modified UTF-7 and
// gives up on one that is not. Such a name gets a substitute, which the commands half of the Conn turns back.
func (r *responses) appendMailbox(dst, name []byte) []byte {
	if _, ok := decodeUTF7(string(name)); ok {
		return appendString(dst, name)
	}
	shown := readableName(name)
	r.c.names.add(encodeUTF7(shown), name)
	r.c.names.add(escapeUTF7(shown), name)
	return appendString(dst, []byte(encodeUTF7(shown)))
}

// readableName makes valid UTF-8 of name. A byte that is none becomes the character with that number in ISO 8859-1, as
// which old servers mostly mean it; control characters become U+FFFD.
func readableName(name []byte) string {
	var b strings.Builder
	for len(name) > 0 {
		c, size := utf8.DecodeRune(name)
		switch {
		case c == utf8.RuneError && size == 1 && name[0] >= 0xa0:
			c = rune(name[0])
		case c < 0x20, c == 0x7f:
			c = utf8.RuneError
		}
		b.WriteRune(c)
		name = name[size:]
	}
	return b.String()
}

// appendString appends a quoted string, or a literal where bytes cannot be quoted.
func appendString(dst, s []byte) []byte {
	if bytes.ContainsAny(s, "\r\n\x00") {
		return append(appendLiteralHead(dst, int64(len(s))), s...)
	}
	return appendQuoted(dst, s)
}

func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	for _, c := range s {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
