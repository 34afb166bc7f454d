package imapd

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf16"

	"mailkeep/archive"
	"mailkeep/message"
)

// delimiter separates the levels of mailbox names, in the archive as well as for clients.
const delimiter = '/'

const inbox = "INBOX"

// node is a mailbox name that clients see.
type node struct {
	name     string            // UTF-8
	wire     string            // modified UTF-7 (RFC 3501 section 5.1.3)
	exists   bool              // can be selected
	top      bool              // an account's top folder
	box      archive.MailboxID // 0: an empty INBOX, or not existing
	row      *archive.Mailbox  // its counters when the tree was made
	use      string            // RFC 6154 attribute, or ""
	children bool
	nested   bool // in the top folder of an account
	gmail    bool // of a Gmail account
}

// mailboxTree is what one login sees: INBOX first, then by name. It never changes.
type mailboxTree struct {
	nodes  []*node
	byName map[string]*node
	byWire map[string]*node
	byBox  map[archive.MailboxID]*node
	levels bool // there are names, apart from "[Gmail]", that cannot be selected
}

// find returns the mailbox called name in UTF-8, or nil.
func (t *mailboxTree) find(name string) *node {
	if strings.EqualFold(name, inbox) {
		name = inbox
	}
	return t.byName[name]
}

// findWire returns the mailbox that a client calls name, in modified UTF-7 or in UTF-8, or nil.
func (t *mailboxTree) findWire(name string) *node {
	if n := t.byWire[name]; n != nil {
		return n
	}
	return t.find(name)
}

// add enters a mailbox. Names that clients cannot tell apart get a number.
func (t *mailboxTree) add(n *node) *node {
	n.name = strings.ToValidUTF8(n.name, "\uFFFD")
	base := n.name
	for i := 2; t.find(n.name) != nil; i++ {
		n.name = fmt.Sprintf("%s (%d)", base, i)
	}
	n.wire = modifiedUTF7(n.name)
	t.nodes = append(t.nodes, n)
	t.byName[n.name] = n
	t.byWire[n.wire] = n
	if n.box != 0 {
		t.byBox[n.box] = n
	}
	return n
}

// buildTree makes the tree of some accounts: of one, its mailboxes stand at the root; of several, in a top folder each. There is always an INBOX.
func buildTree(accounts []archive.Account, boxes []archive.Mailbox) *mailboxTree {
	t := &mailboxTree{byName: make(map[string]*node), byWire: make(map[string]*node), byBox: make(map[archive.MailboxID]*node)}
	prefix, gmail := make(map[archive.AccountID]string), make(map[archive.AccountID]bool)
	for _, a := range accounts {
		gmail[a.ID] = a.Kind == archive.Gmail
	}
	if len(accounts) > 1 {
		for _, a := range accounts {
			if !strings.EqualFold(a.Name, inbox) {
				t.add(&node{name: a.Name, top: true})
			}
			prefix[a.ID] = a.Name + string(delimiter)
		}
	}
	slices.SortStableFunc(boxes, func(a, b archive.Mailbox) int { return rankInbox(a.Name) - rankInbox(b.Name) })
	for _, b := range boxes {
		name := prefix[b.Account] + b.Name
		if strings.EqualFold(name, inbox) && t.byName[inbox] == nil {
			name = inbox
		}
		t.add(&node{name: name, exists: true, box: b.ID, use: b.SpecialUse, nested: prefix[b.Account] != "", gmail: gmail[b.Account]})
	}
	if t.byName[inbox] == nil {
		t.add(&node{name: inbox, exists: true})
	}
	t.addParents()
	t.levels = slices.ContainsFunc(t.nodes, func(n *node) bool { return !n.exists && !isGmailFolder(n.name) })
	slices.SortFunc(t.nodes, func(a, b *node) int {
		if (a.name == inbox) != (b.name == inbox) {
			return rankInbox(a.name) - rankInbox(b.name)
		}
		return strings.Compare(a.name, b.name)
	})
	return t
}

// rankInbox puts the true INBOX before others that differ in case only, and these before the rest.
func rankInbox(name string) int {
	switch {
	case name == inbox:
		return 0
	case strings.EqualFold(name, inbox):
		return 1
	}
	return 2
}

// addParents enters the levels that have no mailbox of their own.
func (t *mailboxTree) addParents() {
	for _, n := range slices.Clone(t.nodes) {
		for i := len(n.name) - 1; i > 0; i-- {
			if n.name[i] != delimiter {
				continue
			}
			parent := t.find(n.name[:i])
			if parent == nil {
				parent = t.add(&node{name: n.name[:i]})
			}
			parent.children = true
		}
	}
}

// trees keeps the mailboxes with their counters, and the tree of each scope, for as long as the archive does not change.
type trees struct {
	reader *archive.Reader

	mu      sync.Mutex
	version int64
	known   bool // what follows is of version
	boxes   []archive.Mailbox
	rows    map[archive.MailboxID]*archive.Mailbox // of boxes
	byScope map[string]*mailboxTree
}

func (t *trees) init(r *archive.Reader) { t.reader = r }

// get returns what a login restricted to account sees; "" is all accounts.
func (t *trees) get(ctx context.Context, account string) (*mailboxTree, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, err
	}
	if tree := t.byScope[account]; tree != nil {
		return tree, nil
	}
	tree, err := t.read(ctx, account)
	if err != nil {
		return nil, err
	}
	t.byScope[account] = tree
	return tree, nil
}

// row returns a mailbox with its counters as they are now.
func (t *trees) row(ctx context.Context, id archive.MailboxID) (archive.Mailbox, error) {
	if id == 0 {
		return emptyInbox, nil
	}
	t.mu.Lock()
	err := t.refresh(ctx)
	row := t.rows[id]
	t.mu.Unlock()
	if err != nil {
		return archive.Mailbox{}, err
	}
	if row != nil {
		return *row, nil
	}
	return t.reader.Mailbox(ctx, id) // one that is not listed any more
}

// refresh forgets what is not of the archive's version now. The caller holds t.mu, also of read.
func (t *trees) refresh(ctx context.Context) error {
	version, err := t.reader.Version(ctx)
	if err != nil || t.known && version == t.version {
		return err
	}
	t.known = false
	boxes, err := t.reader.Mailboxes(ctx, 0)
	if err != nil {
		return err
	}
	t.boxes, t.rows = boxes, make(map[archive.MailboxID]*archive.Mailbox, len(boxes))
	for i := range boxes {
		t.rows[boxes[i].ID] = &boxes[i]
	}
	t.byScope = make(map[string]*mailboxTree)
	t.version, t.known = version, true
	return nil
}

func (t *trees) read(ctx context.Context, account string) (*mailboxTree, error) {
	accounts, err := t.reader.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	if account != "" {
		accounts = slices.DeleteFunc(accounts, func(a archive.Account) bool { return a.Name != account })
	}
	var boxes []archive.Mailbox
	for _, b := range t.boxes {
		if slices.ContainsFunc(accounts, func(a archive.Account) bool { return a.ID == b.Account }) {
			boxes = append(boxes, b)
		}
	}
	tree := buildTree(accounts, boxes)
	for _, n := range tree.nodes {
		n.row = &emptyInbox
		if n.box != 0 {
			n.row = t.rows[n.box]
		}
	}
	return tree, nil
}

// tree returns what the session sees.
func (s *session) tree() (*mailboxTree, error) {
	s.mu.Lock()
	account := s.login.Account
	s.mu.Unlock()
	return s.srv.trees.get(s.ctx(), account)
}

// find returns the mailbox called name, or what to tell the client.
func (s *session) find(name string) (*node, error) {
	t, err := s.tree()
	if err != nil {
		return nil, s.translate(err)
	}
	n := t.find(name)
	if n == nil {
		return nil, noSuchMailbox(name)
	}
	return n, nil
}

// appendMailbox appends a mailbox name in the form that the client has chosen.
func (c *conn) appendMailbox(dst []byte, n *node) []byte {
	if c.session.utf8() {
		return appendUTF8(dst, n.name)
	}
	return message.AppendString(dst, n.wire)
}

// appendUTF8 appends s as a quoted string, where UTF-8 is allowed in one, or as a literal.
func appendUTF8(dst []byte, s string) []byte {
	if strings.ContainsAny(s, "\r\n\x00") {
		return message.AppendString(dst, s)
	}
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

var base64Comma = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// modifiedUTF7 encodes a mailbox name (RFC 3501 section 5.1.3).
func modifiedUTF7(name string) string {
	var b strings.Builder
	var run []rune
	end := func() {
		if len(run) == 0 {
			return
		}
		var units []byte
		for _, u := range utf16.Encode(run) {
			units = append(units, byte(u>>8), byte(u))
		}
		b.WriteString("&" + base64Comma.EncodeToString(units) + "-")
		run = run[:0]
	}
	for _, r := range name {
		if r < ' ' || r > '~' {
			run = append(run, r)
			continue
		}
		end()
		b.WriteRune(r)
		if r == '&' {
			b.WriteByte('-')
		}
	}
	end()
	return b.String()
}
