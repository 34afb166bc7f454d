package imapd

import (
	"context"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
)

// systemFlags are those that FLAGS announces for every mailbox.
var systemFlags = []imap.Flag{
	imap.FlagAnswered, imap.FlagFlagged, imap.FlagDeleted, imap.FlagSeen, imap.FlagDraft,
	imap.FlagForwarded, imap.FlagJunk, imap.FlagNotJunk, imap.FlagMDNSent, imap.FlagImportant, imap.FlagPhishing,
}

// maxKeywords bounds how many flags FLAGS announces besides them.
const maxKeywords = 200

// keywordCache keeps the flags that occur in the latest snapshot of a view.
type keywordCache struct {
	mu    sync.Mutex
	snap  *snapshot
	flags []imap.Flag
}

// of returns systemFlags and the other flags in use in snap.
func (k *keywordCache) of(snap *snapshot) []imap.Flag {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.snap != snap {
		k.snap, k.flags = snap, flagsIn(snap)
	}
	return k.flags
}

func flagsIn(snap *snapshot) []imap.Flag {
	used := make([]bool, len(snap.flags)) // the tables of a view also have lists that were in use before
	for _, r := range snap.all() {
		used[r.flags] = true
	}
	var lists []string
	for i, set := range snap.flags {
		if used[i] {
			lists = append(lists, set.text)
		}
	}
	return flagsOf(slices.Values(lists))
}

// flagsOf returns systemFlags and the other flags in some flag lists.
func flagsOf(lists iter.Seq[string]) []imap.Flag {
	known := make(map[string]bool)
	for _, f := range systemFlags {
		known[strings.ToLower(string(f))] = true
	}
	var keywords []imap.Flag
	for list := range lists {
		for flag := range strings.FieldsSeq(list) {
			if name := strings.ToLower(flag); !known[name] && isAtom(strings.TrimPrefix(flag, `\`)) {
				known[name] = true
				keywords = append(keywords, imap.Flag(flag))
			}
		}
	}
	slices.Sort(keywords)
	return slices.Concat(systemFlags, keywords[:min(len(keywords), maxKeywords)])
}

// flags returns what FLAGS announces when the mailbox is selected. Of a large mailbox whose messages nobody has looked at yet the keywords are not known; the client is
// told of them as soon as they are (appendFlagsResponse).
func (p *position) flags(ctx context.Context) ([]imap.Flag, error) {
	p.flagsTold = systemFlags
	switch {
	case p.row.Messages == 0:
	case p.view.loaded():
		now, err := p.view.latest(ctx, p.row.ModSeq)
		if err != nil {
			return nil, err
		}
		p.flagsOf, p.flagsTold = now, p.view.keywords.of(now)
	case p.row.Messages <= fewMessages:
		lists, err := p.view.views.reader.FlagLists(ctx, p.view.id)
		if err != nil {
			return nil, err
		}
		p.flagsTold = flagsOf(slices.Values(lists))
	}
	return p.flagsTold, nil
}

// appendFlagsResponse appends a FLAGS response when there are keywords in the mailbox that the client has not been told (RFC 9051 section 7.3.5).
func (p *position) appendFlagsResponse(dst []byte) []byte {
	if p.snap == nil || p.flagsOf == p.snap {
		return dst
	}
	before := p.flagsTold
	p.flagsOf, p.flagsTold = p.snap, p.view.keywords.of(p.snap)
	if !slices.ContainsFunc(p.flagsTold, func(f imap.Flag) bool { return !slices.Contains(before, f) }) {
		return dst
	}
	dst = append(dst, "* FLAGS ("...)
	for i, f := range p.flagsTold {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(dst, f...)
	}
	return append(dst, ")\r\n"...)
}
