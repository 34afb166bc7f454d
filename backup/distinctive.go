package backup

import (
	"bytes"
	"iter"
	"regexp"
)

// distinctive tells whether a header block, with the size, can stand for its message: whether no other message can have the same. It can when somebody made it unique: its
// author (Message-ID and Date together; drafts keep the Message-ID from version to version, but not the Date), or a server that it passed (the id and the time in
// a Received field, RFC 5321 section 4.4). Others, such as what a script put into a mailbox, may differ in their bodies alone; of those only the bytes can tell.
func distinctive(header []byte) bool {
	var id, date bool
	for field := range fields(header) {
		id = id || hasField(field, "Message-ID:")
		date = date || hasField(field, "Date:")
		if id && date {
			return true
		}
	}
	// Only now, since most have both and the expression takes longer than all the rest.
	for field := range fields(header) {
		if hasField(field, "Received:") && numbered.Match(field) {
			return true
		}
	}
	return false
}

// numbered matches a Received field with an id and a time.
var numbered = regexp.MustCompile(`(?is)\sid\s+<?[-.\w]{6,}.*;.*\d\d:\d\d:\d\d`)

// fields goes through a header block, each field with the lines that continue it.
func fields(header []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(header) > 0 && header[0] != '\r' && header[0] != '\n' {
			end := 0
			for {
				n := bytes.IndexByte(header[end:], '\n') + 1
				if n == 0 {
					n = len(header) - end
				}
				end += n
				if end == len(header) || header[end] != ' ' && header[end] != '\t' {
					break
				}
			}
			if !yield(header[:end]) {
				return
			}
			header = header[end:]
		}
	}
}

func hasField(field []byte, name string) bool {
	return len(field) > len(name) && bytes.EqualFold(field[:len(name)], []byte(name)) && len(bytes.TrimSpace(field[len(name):])) > 0
}
