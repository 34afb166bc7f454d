package imapd

import (
	"strings"

	"mailkeep/message"
)

// rights are what everybody has on every mailbox: lookup and read (RFC 4314 section 2.1). Announcing them is what makes Thunderbird treat a mailbox as read-only.
const rights = "lr"

// myRights answers MYRIGHTS (RFC 4314 section 3.5).
func (c *conn) myRights(_, args string) error {
	n, _, ok, err := c.aclMailbox(args, 0)
	if !ok {
		return err
	}
	line := c.appendMailbox([]byte("* MYRIGHTS "), n)
	return c.done(append(line, " "+rights+"\r\n"...))
}

// getACL answers GETACL (RFC 4314 section 3.3).
func (c *conn) getACL(_, args string) error {
	n, _, ok, err := c.aclMailbox(args, 0)
	if !ok {
		return err
	}
	line := c.appendMailbox([]byte("* ACL "), n)
	line = message.AppendString(append(line, ' '), c.session.user())
	return c.done(append(line, " "+rights+"\r\n"...))
}

// listRights answers LISTRIGHTS (RFC 4314 section 3.4): the rights always granted, and none that could be.
func (c *conn) listRights(_, args string) error {
	n, identifiers, ok, err := c.aclMailbox(args, 1)
	if !ok {
		return err
	}
	line := c.appendMailbox([]byte("* LISTRIGHTS "), n)
	line = message.AppendString(append(line, ' '), identifiers[0])
	return c.done(append(line, " "+rights+"\r\n"...))
}

// aclMailbox parses a mailbox name and more astrings. When ok is false the command has been answered.
func (c *conn) aclMailbox(args string, more int) (n *node, rest []string, ok bool, err error) {
	values, ok := astrings(args, 1+more)
	if !ok {
		return nil, nil, false, c.answer("BAD wrong arguments")
	}
	tree, err := c.session.tree()
	if err != nil {
		return nil, nil, false, c.answer("NO [UNAVAILABLE] the list of mailboxes cannot be read now")
	}
	n = tree.findWire(values[0])
	if n == nil {
		return nil, nil, false, c.answer("NO [NONEXISTENT] there is no such mailbox")
	}
	return n, values[1:], true, nil
}

// astrings parses n astrings, each with a blank before it, and nothing after.
func astrings(args string, n int) ([]string, bool) {
	var values []string
	for range n {
		rest, ok := strings.CutPrefix(args, " ")
		if !ok {
			return nil, false
		}
		value, rest, ok := astring(rest)
		if !ok {
			return nil, false
		}
		values, args = append(values, value), rest
	}
	return values, strings.Trim(args, " ") == ""
}

// done sends the untagged response of a command and that it has succeeded.
func (c *conn) done(untagged []byte) error {
	return c.send(append(untagged, c.cmd.tag+" OK "+c.cmd.name+" completed\r\n"...))
}

// id answers ID (RFC 2971). What the client says of itself is of no interest.
func (c *conn) id(_, args string) error {
	if !strings.HasPrefix(args, " (") && !strings.EqualFold(args, " NIL") {
		return c.answer("BAD ID wants a list or NIL")
	}
	line := []byte(`* ID ("name" "mailkeep"`)
	if v := c.srv.options.Version; v != "" {
		line = message.AppendString(append(line, ` "version" `...), v)
	}
	return c.done(append(line, ")\r\n"...))
}
