package archive

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Servers say whatever they like. Everything a Batch brings passes through here first, so that a row, the journal's line and the row made again from
// that line are equal, and nothing that a server says can stop a batch for ever.

// tidy returns a copy of the batch in which every value can be kept.
func (b Batch) tidy() Batch {
	b.Renamed = mapped(b.Renamed, func(n Rename) Rename {
		return Rename{Folder: n.Folder, Name: text(n.Name), Mailbox: mailboxName(n.Mailbox)}
	})
	b.Folders = mapped(b.Folders, func(f FolderSpec) FolderSpec {
		return FolderSpec{Name: text(f.Name), Delimiter: text(f.Delimiter), SpecialUse: text(f.SpecialUse), ObjectID: text(f.ObjectID), Mailbox: mailboxName(f.Mailbox)}
	})
	b.Mailboxes = mapped(b.Mailboxes, func(m MailboxSpec) MailboxSpec {
		return MailboxSpec{Name: mailboxName(m.Name), SpecialUse: text(m.SpecialUse), Gone: m.Gone}
	})
	b.Copies = mapped(b.Copies, Copy.tidy)
	b.Holes = mapped(b.Holes, func(h HoleReport) HoleReport { h.Reason = text(h.Reason); return h })
	b.States = mapped(b.States, func(s FolderResult) FolderResult {
		if s.State.ModSeq > math.MaxInt64 { // RFC 7162 section 9 allows 63 bits
			s.State.ModSeq = 0
		}
		return s
	})
	return b
}

func (c Copy) tidy() Copy {
	c.SourceID, c.ThreadID = text(c.SourceID), text(c.ThreadID)
	c.Date = keepableDate(c.Date)
	if c.Mailboxes != nil {
		c.Mailboxes = mapped(c.Mailboxes, mailboxName)
	}
	return c
}

func mapped[T any](all []T, f func(T) T) []T {
	out := make([]T, len(all))
	for i, one := range all {
		out[i] = f(one)
	}
	return out
}

// text makes a string that JSON keeps: bytes that are not UTF-8 become "\xe9" in letters, so that different strings stay different.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var out strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&out, `\x%02x`, s[0])
		} else {
			out.WriteString(s[:size])
		}
		s = s[size:]
	}
	return out.String()
}

// mailboxName is text that is not the name of the archive's own mailbox: a source may have one called like it, for instance restored from an archive.
func mailboxName(s string) string {
	if s = text(s); strings.EqualFold(s, GoneMailbox) {
		return s + " (restored)"
	}
	return s
}

// keepableDate is a date with whole seconds in a zone of whole minutes within a day, which is what a row holds; the zero time stands for none.
func keepableDate(t time.Time) time.Time {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9998 {
		return time.Time{}
	}
	_, seconds := t.Zone()
	t = t.Truncate(time.Second)
	switch minutes := seconds / 60; {
	case minutes <= -24*60 || minutes >= 24*60 || minutes == 0:
		return t.UTC()
	default:
		return t.In(time.FixedZone("", minutes*60))
	}
}

// canonicalFlags sorts flags and drops doubles, \Recent (RFC 9051 section 2.3.2: it belongs to a session) and what cannot stand in a flag list.
func canonicalFlags(flags []string) string {
	kept := make([]string, 0, len(flags))
	for _, f := range flags {
		if isFlag(f) && !strings.EqualFold(f, `\Recent`) {
			kept = append(kept, f)
		}
	}
	slices.SortFunc(kept, func(a, b string) int {
		return cmp.Or(strings.Compare(strings.ToLower(a), strings.ToLower(b)), strings.Compare(a, b))
	})
	return strings.Join(slices.CompactFunc(kept, strings.EqualFold), " ")
}

// isFlag follows RFC 9051 section 9, "flag", and also takes "]", which Gmail's own keywords may have.
func isFlag(s string) bool {
	name := strings.TrimPrefix(s, `\`)
	if name == "" {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\`, c) >= 0 {
			return false
		}
	}
	return true
}
