package message

import (
	"html"
	"strings"
)

// stripHTML returns the visible text of an HTML document: tags, comments, scripts and styles removed, entities decoded, block elements on lines of their
// own. It is for searching and previews, not for display: its result is plain text, never HTML.
func stripHTML(doc string) string {
	var s strings.Builder
	s.Grow(len(doc) / 2)
	unclosed := map[string]bool{} // elements without a closing tag ahead: not to be looked for again
	for len(doc) > 0 {
		i := strings.IndexByte(doc, '<')
		if i < 0 {
			break
		}
		s.WriteString(html.UnescapeString(doc[:i]))
		doc = doc[i:]
		n := markupLen(doc)
		if n == 0 {
			s.WriteByte('<')
			doc = doc[1:]
			continue
		}
		name := tagName(doc[:n])
		if blockElement(name) {
			s.WriteByte('\n')
		}
		doc = doc[n:]
		if hiddenElement(name) && !unclosed[name] {
			if n := closingTag(doc, name); n >= 0 {
				doc = doc[n:]
			} else {
				unclosed[name] = true
			}
		}
	}
	s.WriteString(html.UnescapeString(doc))
	return s.String()
}

// markupLen is the length of the tag or comment at the beginning of doc, a '<'; 0 when it is only a character.
func markupLen(doc string) int {
	if strings.HasPrefix(doc, "<!--") {
		if end := strings.Index(doc[4:], "-->"); end >= 0 {
			return 4 + end + 3
		}
		return len(doc)
	}
	if len(doc) < 2 || !(isLetter(doc[1]) || contains("/!?", doc[1])) {
		return 0
	}
	var quote byte
	for i := 1; i < len(doc); i++ {
		switch c := doc[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '>':
			return i + 1
		case (c == '"' || c == '\'') && doc[i-1] == '=':
			quote = c
		}
	}
	// A quote that is never closed must not hide the rest of the document.
	if i := strings.IndexByte(doc, '>'); i >= 0 {
		return i + 1
	}
	return len(doc)
}

// tagName is the lower-case name of an opening or closing tag, "" for other markup.
func tagName(tag string) string {
	tag = strings.TrimPrefix(tag[1:], "/")
	n := 0
	for n < len(tag) && (isLetter(tag[n]) || tag[n] >= '0' && tag[n] <= '9') {
		n++
	}
	return strings.ToLower(tag[:n])
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// hiddenElement reports whether the content of an element is never shown.
func hiddenElement(name string) bool { return name == "script" || name == "style" || name == "title" }

// closingTag is the offset of the closing tag of name, -1 when there is none.
func closingTag(doc, name string) int {
	for pos := 0; ; pos += 2 {
		i := strings.Index(doc[pos:], "</")
		if i < 0 {
			return -1
		}
		pos += i
		if end := pos + 2 + len(name); end <= len(doc) && strings.EqualFold(doc[pos+2:end], name) {
			return pos
		}
	}
}

// blockElement reports whether an element separates words.
func blockElement(name string) bool {
	switch name {
	case "p", "br", "div", "tr", "td", "th", "li", "ul", "ol", "dl", "dt", "dd", "table", "hr", "pre", "blockquote", "center", "form", "option",
		"h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header", "footer", "address", "body", "head", "html":
		return true
	}
	return false
}
