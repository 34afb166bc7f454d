package imapd

import (
	"bytes"
	"slices"
	"strings"
)

// fetchItems is what the library does not tell of a FETCH command.
type fetchItems struct {
	sections  []string // per body section in order: its obsolete name such as RFC822.HEADER, or ""
	structure bool     // BODYSTRUCTURE
	plain     bool     // BODY, the structure without extension data
	size      bool     // RFC822.SIZE, asked for by the client
	extra     []string // items of extraItems, each once
	modifiers fetchModifiers
	lazy      bool // PREVIEW (LAZY)
}

// extraItem appends the value of a data item.
type extraItem func(f *fetcher, dst []byte, src *source) ([]byte, error)

// extraItems are the data items that the library does not know. It is given RFC822.SIZE in the place of each, which costs nothing.
var extraItems map[string]extraItem

func init() {
	extraItems = map[string]extraItem{
		"X-GM-MSGID":  (*fetcher).gmailMessageID,
		"X-GM-THRID":  (*fetcher).gmailThreadID,
		"X-GM-LABELS": (*fetcher).gmailLabels,
		"EMAILID":     (*fetcher).emailID,
		"THREADID":    (*fetcher).threadID,
		"MODSEQ":      (*fetcher).modSeqItem,
		"PREVIEW":     (*fetcher).preview,
	}
}

// appendExtra appends the items of the response for src that the library does not know, each with a blank behind it.
func (f *fetcher) appendExtra(dst []byte, src *source) ([]byte, error) {
	for _, name := range f.items.extra {
		dst = append(append(dst, name...), ' ')
		var err error
		if dst, err = extraItems[name](f, dst, src); err != nil {
			return dst, err
		}
		dst = append(dst, ' ')
	}
	return dst, nil
}

// obsolete is the name under which the client asked for body section k: RFC822 and the like (RFC 3501 section 6.4.5), or "".
func (f *fetchItems) obsolete(k int) string {
	if k < len(f.sections) {
		return f.sections[k]
	}
	return ""
}

// fetchScanner finds the names of data items in the lines of a FETCH command, and replaces those that the library does not know. It is not a parser: the library
// refuses what is malformed.
type fetchScanner struct {
	items   *fetchItems
	started bool // past the sequence set
	section bool // between [ and ]
	depth   int  // parentheses in there
	listed  bool // the items are a list
	done    bool // no more items come
}

func (f *fetchScanner) translate(line []byte) []byte {
	out := make([]byte, 0, len(line)+16)
	for i := 0; i < len(line); {
		n := 1
		switch ch := line[i]; {
		case ch == '"':
			if n = quotedEnd(line[i:]); n < 0 {
				n = len(line) - i
			}
		case f.section:
			f.inSection(ch)
		case ch == '[':
			f.section, f.depth = true, 0
		case ch == '(' && f.done:
			if used := f.items.modifiers.parse(line[i:]); used > 0 {
				out = bytes.TrimSuffix(out, []byte(" "))
				i += used
				continue
			}
		case ch == '(':
			f.listed = true
		case ch == ')':
			f.done = true
		case isItemChar(ch):
			for i+n < len(line) && isItemChar(line[i+n]) {
				n++
			}
			out = append(out, f.word(line[i:i+n], line[i+n:])...)
			if strings.EqualFold(string(line[i:i+n]), "PREVIEW") {
				n += f.previewModifier(line[i+n:])
			}
			i += n
			continue
		}
		out = append(out, line[i:i+n]...)
		i += n
	}
	return out
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

// word notes an item and returns what the library is told instead of it. rest is what follows.
func (f *fetchScanner) word(w, rest []byte) []byte {
	if !f.started {
		f.started = true // the sequence set
		return w
	}
	f.done = f.done || !f.listed
	switch name := strings.ToUpper(string(w)); name {
	case "BODY", "BODY.PEEK":
		if bytes.HasPrefix(rest, []byte("[")) {
			f.items.sections = append(f.items.sections, "")
		} else {
			f.items.plain = true
		}
	case "ALL", "FAST", "RFC822.SIZE":
		f.items.size = true
	case "FULL":
		f.items.size, f.items.plain = true, true
	case "BODYSTRUCTURE":
		f.items.structure = true
	case "RFC822", "RFC822.PEEK", "RFC822.HEADER", "RFC822.TEXT":
		f.items.sections = append(f.items.sections, name)
	default:
		if extraItems[name] == nil {
			return w
		}
		if !slices.Contains(f.items.extra, name) {
			f.items.extra = append(f.items.extra, name)
		}
		return []byte("RFC822.SIZE")
	}
	return w
}
