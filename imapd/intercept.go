package imapd

import (
	"bytes"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// handler answers a command in the library's stead. args is what stands behind the name, with the literals in it, without the last line end. A handler that does
// not want the literals has args up to the first.
type handler struct {
	state imap.ConnState // in which the command is valid; ConnStateNone: in any
	whole bool           // ask for the literals
	run   func(c *conn, tag, args string) error
}

// intercepted are the commands that the library lacks, or must not see.
var intercepted map[string]handler

func init() {
	intercepted = map[string]handler{
		"IDLE":       {imap.ConnStateAuthenticated, false, (*conn).idle},
		"ID":         {imap.ConnStateNone, true, (*conn).id},
		"STARTTLS":   {imap.ConnStateNone, false, (*conn).startTLS},
		"COMPRESS":   {imap.ConnStateAuthenticated, false, (*conn).compress},
		"APPEND":     {imap.ConnStateAuthenticated, false, refuse},
		"GETACL":     {imap.ConnStateAuthenticated, true, (*conn).getACL},
		"MYRIGHTS":   {imap.ConnStateAuthenticated, true, (*conn).myRights},
		"LISTRIGHTS": {imap.ConnStateAuthenticated, true, (*conn).listRights},
		"STORE":      {imap.ConnStateAuthenticated, false, refuseStore},
		"UID STORE":  {imap.ConnStateAuthenticated, false, refuseStore},
		"SETACL":     {imap.ConnStateAuthenticated, false, refuse},
		"DELETEACL":  {imap.ConnStateAuthenticated, false, refuse},
	}
}

// command reads the next command and gives it to the library, or answers it.
func (c *conn) command() error {
	cmd := &c.cmd
	*cmd, c.begun = c.newCommand(), time.Time{}
	line, err := c.line(maxLine)
	if err != nil {
		return c.tooLong(err)
	}
	if !c.session.authenticated() {
		if c.early++; c.early > maxEarly {
			return c.bye("so many commands without a login")
		}
	} else {
		c.srv.quiet.touch()
	}
	tag, name, args, wrong := splitCommand(line)
	cmd.tag, cmd.name, cmd.size = tag, name, len(line)
	fits := cmd.announce(line)
	switch {
	case wrong == "" && !balanced(line):
		wrong = "a quoted string does not end"
	case wrong == "" && (name == "LOGIN" || name == "AUTHENTICATE") && !c.mayAuthenticate():
		return c.answer("NO [PRIVACYREQUIRED] use TLS before you send a password")
	}
	if wrong != "" {
		return c.reject(wrong)
	}
	if h, ok := intercepted[name]; ok && c.session.in(h.state) {
		return c.intercept(h, line, args, fits)
	} else if ok {
		return c.answer("BAD this command needs a login first")
	}
	if !fits {
		return c.answer("NO [TOOBIG] " + tooBig)
	}
	if isArranged(name) {
		return c.arrangedCommand(line, args)
	}
	if takesMailbox(name) {
		return c.mailboxCommand(args)
	}
	cmd.open = true
	c.ready = c.translateFirst(line, args)
	return nil
}

// splitCommand takes a command's first line apart. wrong says what is malformed; tag is "" unless it can be answered with.
func splitCommand(line []byte) (tag, name string, args []byte, wrong string) {
	text := bytes.TrimRight(line, "\r\n")
	first, rest, _ := bytes.Cut(text, []byte(" "))
	for _, ch := range first {
		if ch <= ' ' || ch >= 0x7f || strings.IndexByte(`(){%*"\+]`, ch) >= 0 {
			return "", "", nil, "a command begins with a tag"
		}
	}
	if len(first) == 0 || len(first) > 100 {
		return "", "", nil, "a command begins with a tag"
	}
	tag = string(first)
	name, args = commandWord(rest)
	if name == "UID" {
		var sub string
		sub, args = commandWord(bytes.TrimPrefix(args, []byte(" ")))
		name += " " + sub
	}
	if name == "" || strings.HasSuffix(name, " ") {
		return tag, "", nil, "a command has a name"
	}
	return tag, name, args, ""
}

// commandWord takes a name of letters from the beginning of b and returns it in upper case; "" when there is none.
func commandWord(b []byte) (string, []byte) {
	n := 0
	for n < len(b) && (b[n]|0x20 >= 'a' && b[n]|0x20 <= 'z') {
		n++
	}
	if n < len(b) && b[n] != ' ' {
		return "", b
	}
	return strings.ToUpper(string(b[:n])), b[n:]
}

// reject answers a malformed command. Before login, and when there are too many, it is taken for another protocol.
func (c *conn) reject(wrong string) error {
	c.blunder++
	if !c.session.authenticated() || c.blunder > maxBlunder {
		c.hangUp = "this is an IMAP server"
	}
	return c.answer("BAD " + wrong)
}

// answer sends the tagged response of a command that the library does not see.
func (c *conn) answer(text string) error {
	tag := c.cmd.tag
	if tag == "" {
		tag = "*"
	}
	return c.send([]byte(tag + " " + text + "\r\n"))
}

func (c *conn) intercept(h handler, line, args []byte, fits bool) error {
	text := string(args)
	if h.whole {
		var err error
		if !fits {
			return c.answer("NO [TOOBIG] " + tooBig)
		}
		if text, err = c.gather(text); err != nil {
			return err
		}
	}
	return h.run(c, c.cmd.tag, text)
}

// gather returns args with the literals and lines that follow.
func (c *conn) gather(args string) (string, error) {
	var b strings.Builder
	b.WriteString(args)
	for c.cmd.more {
		if !c.cmd.nonSync {
			if err := c.send([]byte("+ go on\r\n")); err != nil {
				return "", err
			}
		}
		b.WriteString("\r\n")
		for c.cmd.literal > 0 {
			if err := c.giveLiteral(); err != nil {
				return "", err
			}
			b.Write(c.ready)
			c.ready = nil
		}
		line, err := c.line(maxLine - c.cmd.size)
		if err != nil {
			return "", c.tooLong(err)
		}
		c.cmd.size += len(line)
		b.Write(bytes.TrimRight(line, "\r\n"))
		if !c.cmd.announce(line) {
			return "", c.bye(tooBig)
		}
	}
	return b.String(), nil
}

// astring takes an astring (RFC 9051 section 9) from the beginning of s, as gather returns it.
func astring(s string) (value, rest string, ok bool) {
	switch {
	case strings.HasPrefix(s, `"`):
		n := quotedEnd([]byte(s))
		if n < 0 {
			return "", s, false
		}
		return unquote(s[1 : n-1]), s[n:], true
	case strings.HasPrefix(s, "{"):
		line, after, found := strings.Cut(s, "\r\n")
		size, _, isLiteral := literalAt([]byte(line))
		if !found || !isLiteral || size > int64(len(after)) {
			return "", s, false
		}
		return after[:size], after[size:], true
	}
	n := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`(){%*"\`, r) })
	if n < 0 {
		n = len(s)
	}
	return s[:n], s[n:], n > 0
}

func unquote(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// refuse answers a command that would change something.
func refuse(c *conn, _, _ string) error {
	return c.answer("NO [" + string(errReadOnly.Code) + "] " + errReadOnly.Text)
}

// refuseStore refuses STORE in all its forms, of which the library knows only the plainest.
func refuseStore(c *conn, tag, args string) error {
	if !c.session.hasSelected() {
		return c.answer("BAD [CLIENTBUG] no mailbox is selected")
	}
	return refuse(c, tag, args)
}
