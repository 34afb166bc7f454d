package imapd

import (
	"context"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// arrangement is in which order, or in which threads, the messages that a search finds are told. SORT and THREAD are given to the library as SEARCH, whose
// arguments are the same behind their own.
type arrangement struct {
	sort   []sortKey
	thread string // an algorithm of threadAlgorithms; "" for SORT
}

// isArranged reports whether name is a command that arranges what it finds (RFC 5256).
func isArranged(name string) bool {
	switch strings.TrimPrefix(name, "UID ") {
	case "SORT", "THREAD":
		return true
	}
	return false
}

// arrangedCommand gives the library a SORT or THREAD command.
func (c *conn) arrangedCommand(line, args []byte) error {
	cmd := &c.cmd
	rest := string(lineAfter(line, args))
	options, rest := cutReturn(rest)
	uid, word := "", cmd.name
	if w, ok := strings.CutPrefix(cmd.name, "UID "); ok {
		uid, word = "UID ", w
	}
	a := new(arrangement)
	ok := false
	if word == "SORT" {
		a.sort, rest, ok = cutSortKeys(rest)
	} else if options == "" {
		a.thread, rest, ok = cutAlgorithm(rest)
	}
	if !ok {
		return c.answer("BAD [CLIENTBUG] an argument of " + cmd.name + " is missing or not known")
	}
	cmd.arrange, cmd.extended, cmd.saveOnly = a, options != "", savesOnly([]byte(options))
	t := new(searchTranslator)
	cmd.translate = t
	cmd.open = true
	c.ready = append([]byte(cmd.tag+" "+uid+"SEARCH"+options), t.translate([]byte(" CHARSET"+rest))...)
	return nil
}

// cutReturn takes " RETURN (...)" from the beginning of arguments.
func cutReturn(args string) (options, rest string) {
	const word = " RETURN ("
	if len(args) < len(word) || !strings.EqualFold(args[:len(word)], word) {
		return "", args
	}
	end := strings.IndexByte(args, ')')
	if end < 0 {
		return "", args
	}
	return args[:end+1], args[end+1:]
}

// cutSortKeys takes " (REVERSE DATE SUBJECT)" from the beginning of arguments.
func cutSortKeys(args string) (keys []sortKey, rest string, ok bool) {
	list, ok := strings.CutPrefix(args, " (")
	if !ok {
		return nil, args, false
	}
	list, rest, ok = strings.Cut(list, ")")
	reverse := false
	for word := range strings.SplitSeq(list, " ") {
		word = strings.ToUpper(word)
		if word == "REVERSE" && !reverse {
			reverse = true
			continue
		}
		compare := sortOrders[word]
		if compare == nil || len(keys) == maxSortKeys {
			return nil, args, false
		}
		keys = append(keys, sortKey{compare, reverse})
		reverse = false
	}
	return keys, rest, ok && !reverse
}

// cutAlgorithm takes the name of a threading algorithm from the beginning of arguments.
func cutAlgorithm(args string) (name, rest string, ok bool) {
	args, ok = strings.CutPrefix(args, " ")
	name, rest, more := strings.Cut(args, " ")
	name = strings.ToUpper(name)
	return name, " " + rest, ok && more && threadAlgorithms[name] != nil
}

// searchArranged sends the response of SORT or THREAD. found are the indexes of the messages, ascending. The library, which shall say nothing more, gets an empty result.
func (s *session) searchArranged(ctx context.Context, kind imapserver.NumKind, snap *snapshot, found []int, o *imap.SearchOptions) (*imap.SearchData, error) {
	t, err := s.waitForTurn(ctx, len(found))
	if err != nil {
		return nil, s.translate(err)
	}
	defer t.release()
	list, err := s.arrange(ctx, snap, found)
	if err != nil {
		return nil, s.translate(err)
	}
	empty := searchData(kind, snap, nil, o)
	a := s.conn.cmd.arrange
	if a.thread != "" {
		out := appendThreads([]byte("* THREAD"), threadAlgorithms[a.thread](list), numbering(kind))
		t.keep(int64(cap(out))) // others need not wait for this client to read
		return empty, s.conn.send(append(out, "\r\n"...))
	}
	sortMessages(list, a.sort)
	sorted := found // nobody needs the old order any more
	for i := range list {
		sorted[i] = list[i].index
	}
	t.keep(int64(len(sorted)) * 8)
	return empty, s.sendResult("SORT", kind, snap, sorted, o)
}

// numbering is how messages are numbered in a response.
func numbering(kind imapserver.NumKind) func(*arranged) uint32 {
	if kind == imapserver.NumKindUID {
		return func(m *arranged) uint32 { return uint32(m.uid) }
	}
	return func(m *arranged) uint32 { return uint32(m.index + 1) }
}
