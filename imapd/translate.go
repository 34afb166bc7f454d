package imapd

import (
	"bytes"
	"strings"
)

// translateFirst returns the first line of a command as the library shall see it, and prepares the translation of the others. args is the end of line,
// without its line end.
func (c *conn) translateFirst(line, args []byte) []byte {
	cmd := &c.cmd
	switch cmd.name {
	case "SELECT":
		// The library answers SELECT with READ-WRITE.
		cmd.selecting = true
		line = replaceName(cmd, line, "EXAMINE")
	case "IDLE", "AUTHENTICATE":
		cmd.replies = true
	case "FETCH", "UID FETCH":
		scan := &fetchScanner{items: &cmd.fetch}
		cmd.translate = scan
		scan.translate(line[len(line)-len(lineAfter(line, args)):])
		return line
	case "SEARCH", "UID SEARCH":
		cmd.saveOnly = savesOnly(args)
		t := new(searchTranslator)
		cmd.translate = t
		rest := lineAfter(line, args)
		return append(append([]byte(nil), line[:len(line)-len(rest)]...), t.translate(rest)...)
	}
	if c.session.utf8() && takesMailbox(cmd.name) {
		// With UTF8=ACCEPT (RFC 6855) & is an ordinary character of a mailbox name; the library still reads modified UTF-7.
		cmd.translate = ampersands{}
		rest := lineAfter(line, args)
		return append(bytes.Clone(line[:len(line)-len(rest)]), ampersands{}.translate(rest)...)
	}
	return line
}

// lineAfter is args with the line end that follows it in line.
func lineAfter(line, args []byte) []byte {
	end := len(line) - len(bytes.TrimRight(line, "\r\n"))
	return line[len(line)-end-len(args):]
}

// replaceName gives a command another name.
func replaceName(cmd *command, line []byte, name string) []byte {
	rest := line[len(cmd.tag)+1+len(cmd.name):]
	return append([]byte(cmd.tag+" "+name), rest...)
}

func takesMailbox(name string) bool {
	switch name {
	case "SELECT", "EXAMINE", "STATUS", "LIST", "LSUB", "SUBSCRIBE", "UNSUBSCRIBE", "CREATE", "DELETE", "RENAME":
		return true
	}
	return false
}

// ampersands escapes & for the library. Names in literals are not reached: clients that speak UTF-8 quote them.
type ampersands struct{}

func (ampersands) translate(line []byte) []byte {
	return bytes.ReplaceAll(line, []byte("&"), []byte("&-"))
}

// savesOnly reports whether SEARCH RETURN asks for SAVE and nothing else.
func savesOnly(args []byte) bool {
	s := strings.ToUpper(strings.TrimLeft(string(args), " "))
	s, ok := strings.CutPrefix(s, "RETURN")
	if !ok {
		return false
	}
	list, _, ok := strings.Cut(strings.TrimLeft(s, " "), ")")
	return ok && strings.TrimSpace(strings.TrimPrefix(list, "(")) == "SAVE"
}

// fetchItems is what the library does not tell of a FETCH command.
type fetchItems struct {
	sections  []string // per body section in order: its obsolete name such as RFC822.HEADER, or ""
	structure bool     // BODYSTRUCTURE
	plain     bool     // BODY, the structure without extension data
}

// fetchScanner finds the names of data items in the lines of a FETCH command. It is not a parser: the library refuses what is malformed.
type fetchScanner struct {
	items   *fetchItems
	started bool // past the sequence set
	section bool // between [ and ]
	depth   int  // parentheses in there
}

func (f *fetchScanner) translate(line []byte) []byte {
	for i := 0; i < len(line); {
		switch ch := line[i]; {
		case ch == '"':
			n := quotedEnd(line[i:])
			if n < 0 {
				return line
			}
			i += n
		case f.section:
			f.inSection(ch)
			i++
		case ch == '[':
			f.section, f.depth = true, 0
			i++
		case isItemChar(ch):
			n := i
			for n < len(line) && isItemChar(line[n]) {
				n++
			}
			f.word(strings.ToUpper(string(line[i:n])), n < len(line) && line[n] == '[')
			i = n
		default:
			i++
		}
	}
	return line
}

func isItemChar(ch byte) bool { return ch > ' ' && ch < 0x7f && strings.IndexByte(`()[]{}"<>`, ch) < 0 }

func (f *fetchScanner) inSection(ch byte) {
	switch {
	case ch == '(':
		f.depth++
	case ch == ')':
		f.depth--
	case ch == ']' && f.depth <= 0:
		f.section = false
	}
}

func (f *fetchScanner) word(w string, section bool) {
	if !f.started {
		f.started = true // the sequence set
		return
	}
	switch w {
	case "BODY", "BODY.PEEK":
		if section {
			f.items.sections = append(f.items.sections, "")
		} else {
			f.items.plain = true
		}
	case "FULL":
		f.items.plain = true
	case "BODYSTRUCTURE":
		f.items.structure = true
	case "RFC822", "RFC822.PEEK", "RFC822.HEADER", "RFC822.TEXT":
		f.items.sections = append(f.items.sections, w)
	}
}
