package imapd

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"mailkeep/archive"
)

// statusItems are the data items of STATUS that the library does not know. It is given APPENDLIMIT in their place, for which it writes NIL.
var statusItems = map[string]func(*archive.Mailbox) string{
	"HIGHESTMODSEQ": func(box *archive.Mailbox) string { return strconv.FormatInt(int64(highest(box)), 10) },
	"MAILBOXID":     func(box *archive.Mailbox) string { return "(" + mailboxID(box) + ")" },
}

const placeholder = "APPENDLIMIT"

// translateStatus replaces the items of statusItems in the arguments of STATUS, and of LIST with RETURN (STATUS ...): the words that stand in the parentheses of
// STATUS.
func (cmd *command) translateStatus(args string) string {
	if cmd.name != "STATUS" && cmd.name != "LIST" {
		return args
	}
	var out strings.Builder
	var around []string // the words before the parentheses that are open
	last := ""
	if cmd.name == "STATUS" {
		around = append(around, "RETURN")
		last = "STATUS"
	}
	for i := 0; i < len(args); {
		n := tokenLen(args[i:])
		token := args[i : i+n]
		i += n
		switch {
		case token == "(":
			around = append(around, last)
		case token == ")":
			if len(around) > 0 {
				around = around[:len(around)-1]
			}
		case token == " ":
		case slices.Equal(around, []string{"RETURN", "STATUS"}):
			token = cmd.statusItem(token)
		case cmd.name == "LIST":
			last = strings.ToUpper(token)
		}
		out.WriteString(token)
	}
	return out.String()
}

// statusItem notes an item and returns what the library is told instead.
func (cmd *command) statusItem(word string) string {
	name := strings.ToUpper(word)
	if statusItems[name] == nil && name != placeholder {
		return word
	}
	if !slices.Contains(cmd.status, name) {
		cmd.status = append(cmd.status, name)
	}
	return placeholder
}

// tokenLen is the length of the token at the beginning of arguments in which literals have been announced by mapText: a string, a literal, an atom or one other byte.
func tokenLen(s string) int {
	switch s[0] {
	case '"':
		if n := quotedEnd([]byte(s)); n > 0 {
			return n
		}
		return len(s)
	case '{':
		if line, _, found := strings.Cut(s, "\r\n"); found {
			if size, _, ok := literalAt([]byte(line)); ok {
				return min(len(s), len(line)+2+int(size))
			}
		}
	case '(', ')', ' ':
		return 1
	}
	n := strings.IndexAny(s[1:], `(){" `)
	if n < 0 {
		return len(s)
	}
	return n + 1
}

// noteStatus keeps the values of the items that the library does not know, for its next STATUS response.
func (c *conn) noteStatus(box *archive.Mailbox) {
	if slices.Contains(c.cmd.status, "HIGHESTMODSEQ") {
		c.session.enableCondstore()
	}
	c.cmd.statusValues = c.cmd.statusValues[:0]
	for _, name := range c.cmd.status {
		value := "NIL"
		if item := statusItems[name]; item != nil {
			value = item(box)
		}
		c.cmd.statusValues = append(c.cmd.statusValues, name+" "+value)
	}
}

// fillStatus puts them into the response.
func (cmd *command) fillStatus(p []byte) []byte {
	i := bytes.LastIndex(p, []byte(placeholder+" NIL"))
	if len(cmd.statusValues) == 0 || i < 0 {
		return p
	}
	rest := p[i+len(placeholder+" NIL"):]
	return slices.Concat(p[:i], []byte(strings.Join(cmd.statusValues, " ")), rest)
}
