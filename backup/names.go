package backup

import (
	"strings"

	"mailkeep/archive"
)

// mailboxName turns the server's name of a mailbox into the archive's, whose levels are separated by "/" whatever the server uses. SourceName is its inverse:
// a "/" inside a level becomes "%2F", and a "%" that would be read as such a code becomes "%25". A mailbox of the server with the name of
// archive.GoneMailbox gets its first blank as "%20", so that the two stay apart.
func mailboxName(name, delim string) string {
	levels := []string{name}
	if delim != "" {
		levels = strings.Split(name, delim)
	}
	for i, level := range levels {
		levels[i] = escapeLevel(level)
	}
	if strings.EqualFold(levels[0], archive.GoneMailbox) {
		levels[0] = strings.Replace(levels[0], " ", "%20", 1)
	}
	return strings.Join(levels, "/")
}

// SourceName returns the server's name of a mailbox for the archive's name and the server's delimiter: what mailboxName was given.
func SourceName(mailbox, delim string) string {
	levels := strings.Split(mailbox, "/")
	for i, level := range levels {
		levels[i] = unescapeLevel(level)
	}
	return strings.Join(levels, delim)
}

// nameCodes are what an escaped level may hold.
var nameCodes = map[string]string{"%2F": "/", "%25": "%", "%20": " "}

func escapeLevel(level string) string {
	if !strings.ContainsAny(level, "/%") {
		return level
	}
	var b strings.Builder
	for i := 0; i < len(level); i++ {
		switch {
		case level[i] == '/':
			b.WriteString("%2F")
		case level[i] == '%' && i+3 <= len(level) && nameCodes[level[i:i+3]] != "":
			b.WriteString("%25")
		default:
			b.WriteByte(level[i])
		}
	}
	return b.String()
}

func unescapeLevel(level string) string {
	if !strings.Contains(level, "%") {
		return level
	}
	var b strings.Builder
	for i := 0; i < len(level); i++ {
		if i+3 <= len(level) && nameCodes[level[i:i+3]] != "" {
			b.WriteString(nameCodes[level[i:i+3]])
			i += 2
			continue
		}
		b.WriteByte(level[i])
	}
	return b.String()
}

// mailboxNamer gives each mailbox of one listing a name of its own. Servers with several namespaces may use several delimiters, so that two names can
// become the same; the later one then counts as a single level.
type mailboxNamer map[string]bool

func (m mailboxNamer) name(name, delim string) string {
	given := mailboxName(name, delim)
	if m[given] {
		given = mailboxName(name, "")
	}
	for m[given] {
		given += "%20"
	}
	m[given] = true
	return given
}

// excludeUses are the special uses that may be named without a backslash, folded.
var excludeUses = map[string]string{
	"spam": `\Junk`, "junk": `\Junk`, "trash": `\Trash`, "bin": `\Trash`, "drafts": `\Drafts`, "sent": `\Sent`, "archive": `\Archive`,
	"flagged": `\Flagged`, "starred": `\Flagged`, "important": `\Important`, "all": `\All`,
}

// Excluded tells whether a mailbox is left out. A pattern is a special use such as "Spam", "Junk", "Trash" or `\Junk`, in any case, or a name with the wildcards of
// IMAP's LIST: * for anything and % for anything within a level. Names are compared as the server spells them and as the archive does, with their case.
func Excluded(patterns []string, name, delim, specialUse string) bool {
	for _, p := range patterns {
		if use := excludeUses[strings.ToLower(strings.TrimPrefix(p, `\`))]; use != "" && strings.EqualFold(use, specialUse) {
			return true
		}
		if matchName(p, name, delim) || matchName(p, mailboxName(name, delim), "/") {
			return true
		}
	}
	return false
}

// matchName matches in time proportional to the product of the lengths, whatever the pattern.
func matchName(pattern, name, delim string) bool {
	if strings.EqualFold(name, "INBOX") {
		return strings.EqualFold(pattern, name) || pattern == "*" || pattern == "%"
	}
	ends := make([]bool, len(name)+1) // the pattern so far can end before name[i]
	ends[0] = true
	for i := 0; i < len(pattern); i++ {
		next := make([]bool, len(name)+1)
		switch c := pattern[i]; c {
		case '*', '%':
			open := false
			for j := range next {
				open = open || ends[j]
				next[j] = open
				if c == '%' && delim != "" && strings.HasPrefix(name[j:], delim) {
					open = false
				}
			}
		default:
			for j := range len(name) {
				next[j+1] = ends[j] && name[j] == c
			}
		}
		ends = next
	}
	return ends[len(name)]
}
