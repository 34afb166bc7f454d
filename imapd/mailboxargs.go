package imapd

import (
	"strconv"
	"strings"
)

// takesMailbox reports whether a command has the name of a mailbox among its arguments.
func takesMailbox(name string) bool {
	switch name {
	case "SELECT", "EXAMINE", "STATUS", "LIST", "LSUB", "SUBSCRIBE", "UNSUBSCRIBE", "CREATE", "DELETE", "RENAME":
		return true
	}
	return false
}

// mailboxCommand gives the library a command that names mailboxes, with its literals: they may be names, which have to be translated too.
func (c *conn) mailboxCommand(args []byte) error {
	text, err := c.gather(string(args))
	if err != nil {
		return err
	}
	cmd := &c.cmd
	edit := func(s string) string { return s }
	if c.session.utf8() {
		edit = escapeAmpersands
	}
	text, ok := mapText(text, edit)
	if !ok {
		return c.reject("a quoted string does not end")
	}
	name := cmd.name
	if name == "SELECT" {
		// The library answers SELECT with READ-WRITE.
		cmd.selecting, name = true, "EXAMINE"
	}
	if cmd.name == "SELECT" || cmd.name == "EXAMINE" {
		if text, ok = c.cutParameters(text); !ok {
			return c.answer("BAD [CLIENTBUG] a parameter of " + cmd.name + " is not known, or not valid here")
		}
	}
	text = cmd.translateStatus(text)
	cmd.open = true
	c.ready = []byte(cmd.tag + " " + name + text + "\r\n")
	return nil
}

// escapeAmpersands escapes & for the library: with UTF8=ACCEPT (RFC 6855) it is an ordinary character of a mailbox name, but the library still reads modified UTF-7.
func escapeAmpersands(s string) string { return strings.ReplaceAll(s, "&", "&-") }

// mapText edits the lines and the literals of arguments as gather returns them. The literals are announced again as ones that nobody has to be asked for. ok is false when a quoted string
// does not end where a line does.
func mapText(text string, edit func(string) string) (out string, ok bool) {
	var b strings.Builder
	for {
		line, rest, more := strings.Cut(text, "\r\n")
		if !balanced([]byte(line)) {
			return "", false
		}
		size, _, isLiteral := literalAt([]byte(line))
		if !more || !isLiteral || size > int64(len(rest)) {
			b.WriteString(edit(line))
			return b.String(), true
		}
		literal := edit(rest[:size])
		b.WriteString(edit(line[:strings.LastIndexByte(line, '{')]))
		b.WriteString("{" + strconv.Itoa(len(literal)) + "+}\r\n" + literal)
		text = rest[size:]
	}
}

// cutParameters takes the parameters of SELECT (RFC 4466 section 2.1) away from its arguments, in which literals have been announced by mapText.
func (c *conn) cutParameters(args string) (rest string, ok bool) {
	name, isArgument := strings.CutPrefix(args, " ")
	if !isArgument {
		return args, true // the library complains
	}
	_, list, ok := astring(name)
	if !ok || !strings.HasPrefix(list, " (") {
		return args, true
	}
	sync := &c.cmd.sync
	if !sync.parse(list[1:]) {
		return args, false
	}
	if sync.qresync && !c.session.enabled().qresync {
		return args, false
	}
	return args[:len(args)-len(list)], true
}
