package imapd

import (
	"bytes"
	"errors"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// rewrite turns a response of the library into what the client gets, and notes when a command has been answered. The library passes responses one at a time, in several
// pieces only when they are longer than 4 KiB.
func (c *conn) rewrite(p []byte) []byte {
	cmd := &c.cmd
	if cmd.open && len(p) > len(cmd.tag) && p[len(cmd.tag)] == ' ' && string(p[:len(cmd.tag)]) == cmd.tag {
		cmd.answered = true
		return c.rewriteTagged(p)
	}
	switch {
	case bytes.HasPrefix(p, []byte("* CAPABILITY ")):
		return []byte("* CAPABILITY " + c.capabilities() + "\r\n")
	case cmd.enabling != "" && bytes.HasPrefix(p, []byte("* ENABLED")):
		more := c.session.enable(cmd.enabling)
		return []byte(strings.Join(append([]string{strings.TrimRight(string(p), "\r\n")}, more...), " ") + "\r\n")
	case bytes.HasPrefix(p, []byte("* OK [CAPABILITY ")):
		return []byte("* OK [CAPABILITY " + c.capabilities() + "] mailkeep, an archive of mail\r\n")
	case cmd.name == "AUTHENTICATE" && string(p) == "+ =\r\n":
		return []byte("+ \r\n") // an empty challenge is empty (RFC 9051 section 6.2.2); "=" stands for an empty response, and only with the command (RFC 4959)
	case cmd.saveOnly && bytes.HasPrefix(p, []byte("* ESEARCH ")): // RFC 5182 section 2.1
		return nil
	case (cmd.arrange != nil || cmd.byModSeq) && (bytes.HasPrefix(p, []byte("* SEARCH")) || bytes.HasPrefix(p, []byte("* ESEARCH"))):
		return nil // it has been answered
	case len(cmd.status) > 0 && bytes.HasPrefix(p, []byte("* STATUS ")):
		p = cmd.fillStatus(p)
	}
	if hasMailbox(p) && c.session.utf8() {
		return plainAmpersands(p)
	}
	return p
}

// plainAmpersands undoes the library's way of writing a mailbox name's & as &- also where names are plain UTF-8 (RFC 9051 section 5.1). A name that is a literal, because
// there is a line end in it, gets another length.
func plainAmpersands(p []byte) []byte {
	head, name, found := bytes.Cut(p, []byte("}\r\n"))
	size, _, isLiteral := literalAt(append(bytes.Clone(head), '}'))
	if !found || !isLiteral {
		return bytes.ReplaceAll(p, []byte("&-"), []byte("&"))
	}
	if size > int64(len(name)) {
		return p // too long to be here as a whole
	}
	plain := bytes.ReplaceAll(name[:size], []byte("&-"), []byte("&"))
	out := appendLiteralSize(bytes.Clone(head[:bytes.LastIndexByte(head, '{')]), "", int64(len(plain)))
	return append(append(out, plain...), name[size:]...)
}

func hasMailbox(p []byte) bool {
	return bytes.HasPrefix(p, []byte("* LIST ")) || bytes.HasPrefix(p, []byte("* LSUB ")) || bytes.HasPrefix(p, []byte("* STATUS "))
}

// rewriteTagged rewrites a tagged response.
func (c *conn) rewriteTagged(p []byte) []byte {
	cmd := &c.cmd
	text := p[len(cmd.tag)+1:]
	switch {
	case bytes.HasPrefix(text, []byte("OK [CAPABILITY ")):
		return []byte(cmd.tag + " OK [CAPABILITY " + c.capabilities() + "] logged in, for reading\r\n")
	case bytes.HasPrefix(text, []byte("NO [SERVERBUG] Internal server error")):
		// So the library answers what its parser cannot read: sets, dates, mailbox names that are not in modified UTF-7.
		switch {
		case cmd.name == "LIST" || cmd.name == "LSUB":
			return []byte(cmd.tag + " OK " + cmd.name + " completed, no name is like this\r\n")
		case takesMailbox(cmd.name):
			if cmd.selecting || cmd.name == "EXAMINE" {
				c.session.Unselect() // as when the name is well formed (RFC 9051 section 6.3.2)
			}
			return []byte(cmd.tag + " NO [NONEXISTENT] there is no such mailbox\r\n")
		}
		return []byte(cmd.tag + " BAD [CLIENTBUG] an argument is malformed\r\n")
	}
	if cmd.arrange != nil {
		p = bytes.Replace(p, []byte("SEARCH completed"), []byte(strings.TrimPrefix(cmd.name, "UID ")+" completed"), 1)
	}
	if cmd.selecting {
		p = bytes.Replace(p, []byte("EXAMINE completed"), []byte("SELECT completed"), 1)
	}
	if !bytes.HasPrefix(text, []byte("OK ")) {
		return p
	}
	if cmd.sync.due {
		c.send(cmd.tail) // when it fails the next one does
		cmd.tail = nil
		if err := c.session.resync(&cmd.sync); err != nil {
			return c.withdraw(err)
		}
	}
	return append(cmd.tail, p...)
}

// withdraw is the tagged response of a SELECT that has failed although the library has found nothing wrong.
func (c *conn) withdraw(err error) []byte {
	c.session.Unselect()
	told := imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeUnavailable, Text: "what has changed could not be told"}
	var known *imap.Error
	if errors.As(err, &known) {
		told = *known
	}
	return []byte(c.cmd.tag + " " + string(told.Type) + " [" + string(told.Code) + "] " + told.Text + "\r\n")
}
