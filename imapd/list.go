package imapd

import (
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// List implements LIST (RFC 9051 section 6.3.9, RFC 5258, RFC 5819, RFC 6154) and LSUB. All mailboxes are subscribed: Thunderbird, for one, shows only those that are.
func (s *session) List(w *imapserver.ListWriter, ref string, patterns []string, o *imap.ListOptions) error {
	if len(patterns) == 0 || len(patterns) == 1 && patterns[0] == "" {
		// The client asks for the hierarchy delimiter.
		return w.WriteList(&imap.ListData{Attrs: []imap.MailboxAttr{imap.MailboxAttrNoSelect}, Delim: delimiter})
	}
	t, err := s.tree()
	if err != nil {
		return s.translate(err)
	}
	for i, p := range patterns {
		patterns[i] = simplify(ref + p)
	}
	for _, n := range t.nodes {
		if o.SelectSpecialUse && !n.isSpecial() || !slices.ContainsFunc(patterns, func(p string) bool { return matches(p, n.name) }) {
			continue
		}
		data := &imap.ListData{Mailbox: n.name, Delim: delimiter, Attrs: n.attrs(o)}
		if o.SelectRecursiveMatch && n.children {
			data.ChildInfo = &imap.ListDataChildInfo{Subscribed: true}
		}
		if o.ReturnStatus != nil && n.exists {
			if data.Status, err = s.status(n, o.ReturnStatus); err != nil {
				return err
			}
		}
		if err := w.WriteList(data); err != nil {
			return err
		}
	}
	return nil
}

// isSpecial reports whether n has an attribute that may be sent.
func (n *node) isSpecial() bool {
	return strings.HasPrefix(n.use, `\`) && len(n.use) > 1 && strings.IndexFunc(n.use[1:], func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`(){%*"\]`, r)
	}) < 0
}

func (n *node) attrs(o *imap.ListOptions) []imap.MailboxAttr {
	var attrs []imap.MailboxAttr
	switch {
	case n.exists:
	case n.top:
		attrs = append(attrs, imap.MailboxAttrNoSelect)
	default: // \NonExistent means \Noselect too; clients of before RFC 5258 know only that
		attrs = append(attrs, imap.MailboxAttrNoSelect, imap.MailboxAttrNonExistent)
	}
	if n.children {
		attrs = append(attrs, imap.MailboxAttrHasChildren)
	} else {
		attrs = append(attrs, imap.MailboxAttrHasNoChildren)
	}
	if o.SelectSubscribed || o.ReturnSubscribed {
		attrs = append(attrs, imap.MailboxAttrSubscribed)
	}
	if n.isSpecial() {
		attrs = append(attrs, imap.MailboxAttr(n.use))
	}
	return attrs
}

// simplify returns the shortest pattern that matches the same names: a run of wildcards is as good as one.
func simplify(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); {
		n := i
		for n < len(pattern) && (pattern[n] == '*' || pattern[n] == '%') {
			n++
		}
		switch {
		case n == i:
			b.WriteByte(pattern[i])
			n++
		case strings.Contains(pattern[i:n], "*"):
			b.WriteByte('*')
		default:
			b.WriteByte('%')
		}
		i = n
	}
	return b.String()
}

// matches reports whether a name fits a simplified pattern, in which * stands for anything and % for anything but a delimiter. It takes time in proportion to the product of both
// lengths, whatever the pattern.
func matches(pattern, name string) bool {
	if len(pattern) > 2*len(name)+1 {
		return false // of a simplified pattern every second character at least has to be in the name
	}
	folded := name == inbox || strings.HasPrefix(name, inbox+string(delimiter)) // INBOX is the one name without case
	cur := make([]bool, len(name)+1)                                            // cur[i]: the pattern so far fits name[:i]
	cur[0] = true
	for p := range len(pattern) {
		ch := pattern[p]
		if ch == '*' || ch == '%' {
			for i := range len(name) {
				if cur[i] && (ch == '*' || name[i] != delimiter) {
					cur[i+1] = true
				}
			}
			continue
		}
		for i := len(name); i > 0; i-- {
			same := name[i-1] == ch || folded && i <= len(inbox) && name[i-1] == upper(ch)
			cur[i] = cur[i-1] && same
		}
		cur[0] = false
	}
	return cur[len(name)]
}

func upper(ch byte) byte {
	if ch >= 'a' && ch <= 'z' {
		return ch - 'a' + 'A'
	}
	return ch
}
