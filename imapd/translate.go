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
	case "ENABLE":
		cmd.enabling = string(args)
	case "AUTHENTICATE":
		cmd.replies = true
	case "FETCH", "UID FETCH":
		scan := &fetchScanner{items: &cmd.fetch}
		cmd.translate = scan
		return translateArgs(line, args, scan)
	case "SEARCH", "UID SEARCH":
		cmd.saveOnly = savesOnly(args)
		options, _ := cutReturn(string(args))
		cmd.extended = options != ""
		t := new(searchTranslator)
		cmd.translate = t
		return translateArgs(line, args, t)
	}
	return line
}

// translateArgs translates what stands behind the name of a command.
func translateArgs(line, args []byte, t lineTranslator) []byte {
	rest := lineAfter(line, args)
	return append(bytes.Clone(line[:len(line)-len(rest)]), t.translate(rest)...)
}

// lineAfter is args with the line end that follows it in line.
func lineAfter(line, args []byte) []byte {
	end := len(line) - len(bytes.TrimRight(line, "\r\n"))
	return line[len(line)-end-len(args):]
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
