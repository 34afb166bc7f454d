package wire

import (
	"bytes"
)

// commands is the outgoing half of a Conn: it cuts the stream into command lines and literals, so that it never takes
// message data for a command. Conn.wmu guards it.
type commands struct {
	c       *Conn
	line    []byte // of the command being written, up to its line end
	literal int64  // bytes of a literal still to come
	inside  bool   // the line continues a command after a literal
	err     error  // final
}

// write takes p and sends what is complete.
func (w *commands) write(p []byte) (int, error) {
	done := 0
	for done < len(p) && w.err == nil {
		n := 0
		if w.literal > 0 {
			n = int(min(int64(len(p)-done), w.literal))
			w.literal -= int64(n)
			w.err = w.c.send(p[done : done+n])
		} else {
			n = w.takeLine(p[done:])
		}
		done += n
	}
	if w.err != nil {
		return 0, w.err
	}
	return done, nil
}

// takeLine adds to the current line and sends it when it is complete.
func (w *commands) takeLine(p []byte) int {
	n := bytes.IndexByte(p, '\n') + 1
	complete := n > 0
	if !complete {
		n = len(p)
	}
	if len(w.line)+n > maxCommand {
		w.err = wireErrorf("a command line of more than %d MiB", maxCommand>>20)
		return 0
	}
	w.line = append(w.line, p[:n]...)
	if complete {
		w.err = w.sendLine()
		w.line = w.line[:0]
		if cap(w.line) > readAhead {
			w.line = nil
		}
	}
	return n
}

func (w *commands) sendLine() error {
	text := trimLineEnd(w.line)
	_, size, err := literalAtEnd(text)
	if err != nil {
		return err
	}
	line, err := w.translate(text)
	if err != nil {
		return err
	}
	w.literal = max(size, 0)
	w.inside = size >= 0
	return w.c.send(append(line[:len(line):len(line)], w.line[len(text):]...))
}

// translate returns the line as the server shall see it, in a slice of its own where it differs.
func (w *commands) translate(text []byte) ([]byte, error) {
	if w.inside {
		return text, nil
	}
	tag, rest := cutWord(text)
	name, args := cutWord(rest)
	verb := upper(name)
	byUID := verb == "UID"
	if byUID {
		name, args = cutWord(args)
		verb = upper(name)
	}
	switch verb {
	case "FETCH":
		fixed, groups := rewriteFetch(args)
		if err := w.c.pending.add(tag, commandInfo{byUID: byUID, groups: groups}); err != nil {
			return nil, err
		}
		if groups == 0 {
			return text, nil
		}
		return append(bytes.Clone(text[:len(text)-len(args)]), fixed...), nil
	case "STORE":
		return text, w.c.pending.add(tag, commandInfo{byUID: byUID})
	case "SELECT", "EXAMINE", "STATUS":
		return w.restoreName(text, args), nil
	}
	return text, nil
}

// restoreName gives a repaired mailbox name its original form back.
func (w *commands) restoreName(text, args []byte) []byte {
	lex := lexer{b: args}
	tok := lex.next()
	if tok.kind != tokenString && tok.kind != tokenAtom {
		return text
	}
	original := w.c.names.original(tok.text)
	if original == nil {
		return text
	}
	line := bytes.Clone(text[:len(text)-len(args)])
	line = appendQuoted(line, original)
	return append(line, lex.rest()...)
}

// rewriteFetch replaces the agreed sections in the arguments of a FETCH command by the items they stand for, and tells
// which they were. Quoted strings outside of sections, and everything else, stay as they are.
func rewriteFetch(args []byte) ([]byte, groupMask) {
	var groups groupMask
	var fixed []byte
	copied, depth := 0, 0
	for i := 0; i < len(args); i++ {
		switch c := args[i]; c {
		case '"':
			end, err := skipQuoted(args, i)
			if err != nil {
				end = len(args)
			}
			i = end - 1
		case '(':
			depth++
		case ')':
			depth--
		case 'B', 'b':
			g, n := agreedSection(args[i:])
			if n == 0 || i == 0 || args[i-1] != ' ' && args[i-1] != '(' {
				continue
			}
			groups.set(g)
			fixed = append(fixed, args[copied:i]...)
			fixed = appendRequest(fixed, g, depth == 0)
			copied = i + n
			i = copied - 1
		}
	}
	return append(fixed, args[copied:]...), groups
}

// appendRequest appends the items of a group; several items that stand alone need a list (RFC 9051 section 6.4.5).
func appendRequest(dst []byte, group int, alone bool) []byte {
	if alone {
		dst = append(dst, '(')
	}
	dst = append(dst, itemGroups[group].request()...)
	if alone {
		dst = append(dst, ')')
	}
	return dst
}

// agreedSection tells which group the section at the start of b asks for, and its length; zero when it is no agreed one.
func agreedSection(b []byte) (group, length int) {
	rest, ok := cutPrefixFold(b, "BODY.PEEK[HEADER.FIELDS (")
	if !ok {
		rest, ok = cutPrefixFold(b, "BODY[HEADER.FIELDS (")
	}
	if !ok {
		return 0, 0
	}
	lex := lexer{b: rest}
	name := lex.next()
	tail := lex.rest()
	if name.kind != tokenString && name.kind != tokenAtom || !bytes.HasPrefix(tail, []byte(")]")) || bytes.HasPrefix(tail, []byte(")]<")) {
		return 0, 0
	}
	for g := range itemGroups {
		if bytes.EqualFold(name.text, []byte(itemGroups[g].name)) {
			return g, len(b) - len(tail) + len(")]")
		}
	}
	return 0, 0
}

func cutPrefixFold(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || !bytes.EqualFold(b[:len(prefix)], []byte(prefix)) {
		return b, false
	}
	return b[len(prefix):], true
}
