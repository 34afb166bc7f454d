package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
)

// itemGroup is a set of FETCH items that travels as one header-fields section.
type itemGroup struct {
	name  string // of the header field agreed on
	items []string
}

const (
	groupGmail = iota
	groupObject
)

// itemGroups is the whole agreement between the sections below and Conn. No message has header fields of these names
// that anybody would ask for; a server never sees them.
var itemGroups = [...]itemGroup{
	groupGmail:  {"X-Mailkeep-Gmail", []string{"X-GM-MSGID", "X-GM-THRID", "X-GM-LABELS"}},
	groupObject: {"X-Mailkeep-Object", []string{"EMAILID", "THREADID"}},
}

// request is what a FETCH command asks instead of the section.
func (g *itemGroup) request() string { return strings.Join(g.items, " ") }

// all is the mask of every item.
func (g *itemGroup) all() groupMask { return 1<<len(g.items) - 1 }

// groupMask is a small set of indexes.
type groupMask uint32

func (m groupMask) has(i int) bool { return m&(1<<i) != 0 }
func (m *groupMask) set(i int)     { *m |= 1 << i }

func (g *itemGroup) section() *imap.FetchItemBodySection {
	return &imap.FetchItemBodySection{Specifier: imap.PartSpecifierHeader, HeaderFields: []string{g.name}, Peek: true}
}

// GmailSection asks, through a Conn, for the Gmail items of a message: X-GM-MSGID, X-GM-THRID and X-GM-LABELS. Only
// for servers with the capability X-GM-EXT-1. The section's bytes are for ParseGmail; it is missing when the server sent none of the items.
func GmailSection() *imap.FetchItemBodySection { return itemGroups[groupGmail].section() }

// ObjectSection asks, through a Conn, for EMAILID and THREADID (RFC 8474 section 5). Only for servers with the
// capability OBJECTID. The section's bytes are for ParseObject; it is missing when the server sent none of the items.
func ObjectSection() *imap.FetchItemBodySection { return itemGroups[groupObject].section() }

// GmailItems is what Gmail knows about a message besides standard IMAP.
type GmailItems struct {
	MsgID     uint64   // X-GM-MSGID: the same in every mailbox; 0 when the server sent none
	ThreadID  uint64   // X-GM-THRID; 0 when the server sent none
	Labels    []string // X-GM-LABELS in the server's order, without the mailbox the message was fetched from; see SystemLabel
	HasLabels bool     // the server sent X-GM-LABELS; an empty list is one too
	BareNIL   bool     // NIL stood in the list: no label, or the one of a user who has a label of that name
}

// maxLabels bounds the labels of one message. Gmail itself allows 10,000 for a whole account.
const maxLabels = 20000

// systemLabels is closed: any other label belongs to the user, even one that starts with a backslash.
var systemLabels = map[string]bool{
	`\Inbox`: true, `\Sent`: true, `\Starred`: true, `\Important`: true, `\Draft`: true, `\Drafts`: true,
	`\Spam`: true, `\Trash`: true, `\Muted`: true,
}

// SystemLabel tells whether a label of GmailItems is one of Gmail's own, such as \Inbox.
func SystemLabel(label string) bool { return systemLabels[label] }

// ParseGmail reads the bytes of GmailSection. Names of user labels are decoded from modified UTF-7; one that cannot be
// decoded is kept as it is. Missing items leave their fields zero.
func ParseGmail(literal []byte) (GmailItems, error) {
	return parseGmail(literal, func(name string) string {
		if decoded, ok := decodeUTF7(name); ok {
			return decoded
		}
		return name
	})
}

// ParseGmailUTF8 is ParseGmail for a connection on which UTF8=ACCEPT was enabled: Gmail then sends the names as they are.
func ParseGmailUTF8(literal []byte) (GmailItems, error) {
	return parseGmail(literal, func(name string) string { return name })
}

func parseGmail(literal []byte, decode func(string) string) (GmailItems, error) {
	var items GmailItems
	lex := lexer{b: literal}
	for {
		name := lex.next()
		if name.kind == tokenEnd {
			return items, nil
		}
		var err error
		switch upper(name.text) {
		case "X-GM-MSGID":
			items.MsgID, err = parseID(&lex)
		case "X-GM-THRID":
			items.ThreadID, err = parseID(&lex)
		case "X-GM-LABELS":
			err = items.parseLabels(&lex, decode)
		default:
			err = wireErrorf("not expected here")
		}
		if err != nil {
			return items, fmt.Errorf("read Gmail item %.20q: %w", name.text, err)
		}
	}
}

// parseID reads an unsigned 64-bit decimal, or NIL.
func parseID(lex *lexer) (uint64, error) {
	tok := lex.next()
	if tok.kind == tokenAtom && upper(tok.text) == "NIL" {
		return 0, nil
	}
	if tok.kind != tokenAtom && tok.kind != tokenString {
		return 0, wireErrorf("no number")
	}
	id, err := strconv.ParseUint(string(tok.text), 10, 64)
	if err != nil {
		return 0, wireErrorf("%.30q is no 64-bit number", tok.text)
	}
	return id, nil
}

// parseLabels reads the list of labels. NIL instead of the list is no answer rather than an empty one.
func (g *GmailItems) parseLabels(lex *lexer, decode func(string) string) error {
	if tok := lex.next(); tok.kind == tokenAtom && upper(tok.text) == "NIL" {
		return nil
	} else if tok.kind != tokenOpen {
		return wireErrorf("no list")
	}
	for {
		tok := lex.next()
		switch {
		case tok.kind == tokenClose:
			g.HasLabels = true
			return nil
		case tok.kind != tokenAtom && tok.kind != tokenString:
			return g.noLabels("a list without end")
		case tok.kind == tokenAtom && string(tok.text) == "NIL":
			g.BareNIL = true
			continue
		case len(tok.text) == 0:
			continue
		case len(g.Labels) == maxLabels:
			return g.noLabels(fmt.Sprintf("more than %d labels", maxLabels))
		}
		name := string(tok.text)
		if !SystemLabel(name) {
			name = decode(name)
		}
		g.Labels = append(g.Labels, name)
	}
}

func (g *GmailItems) noLabels(why string) error {
	g.Labels, g.BareNIL = nil, false
	return wireErrorf("%s", why)
}

// ParseObject reads the bytes of ObjectSection (RFC 8474 sections 5.1 and 5.2). An id the server has not, or did not
// send, is empty.
func ParseObject(literal []byte) (emailID, threadID string, err error) {
	lex := lexer{b: literal}
	for {
		name := lex.next()
		if name.kind == tokenEnd {
			return emailID, threadID, nil
		}
		id, err := parseObjectID(&lex)
		switch upper(name.text) {
		case "EMAILID":
			emailID = id
		case "THREADID":
			threadID = id
		default:
			err = wireErrorf("not expected here")
		}
		if err != nil {
			return "", "", fmt.Errorf("read object item %.20q: %w", name.text, err)
		}
	}
}

// parseObjectID reads (id) or NIL.
func parseObjectID(lex *lexer) (string, error) {
	tok := lex.next()
	if tok.kind == tokenAtom && upper(tok.text) == "NIL" {
		return "", nil
	}
	if tok.kind != tokenOpen {
		return "", wireErrorf("no id in parentheses")
	}
	id := lex.next()
	if id.kind != tokenAtom && id.kind != tokenString {
		return "", wireErrorf("no id in parentheses")
	}
	if lex.next().kind != tokenClose {
		return "", wireErrorf("an id without end")
	}
	if len(id.text) > 255 { // RFC 8474 section 7
		return "", wireErrorf("an id of %d bytes", len(id.text))
	}
	return string(id.text), nil
}
