package gmailsim

import (
	"errors"
	"slices"
	"strings"
)

type sysFlag uint8

const (
	flagAnswered sysFlag = 1 << iota
	flagFlagged
	flagDraft
	flagDeleted
	flagSeen
)

var flagNames = []struct {
	bit  sysFlag
	name string
}{
	{flagAnswered, `\Answered`}, {flagFlagged, `\Flagged`}, {flagDraft, `\Draft`},
	{flagDeleted, `\Deleted`}, {flagSeen, `\Seen`},
}

var errFlag = errors.New("flag is not allowed")

// flagSet is a message's flags. keywords is sorted and never changed in
// place, so copies may be shared.
type flagSet struct {
	sys      sysFlag
	keywords []string
}

func (f flagSet) has(bit sysFlag) bool { return f.sys&bit != 0 }

// hasNamed looks for a flag or keyword by name.
func (f flagSet) hasNamed(name string) bool {
	for _, n := range flagNames {
		if strings.EqualFold(n.name, name) {
			return f.has(n.bit)
		}
	}
	return slices.ContainsFunc(f.keywords, func(k string) bool { return strings.EqualFold(k, name) })
}

func (f flagSet) names() []string {
	var out []string
	for _, n := range flagNames {
		if f.has(n.bit) {
			out = append(out, n.name)
		}
	}
	return append(out, f.keywords...)
}

func (f flagSet) wire() string { return "(" + strings.Join(f.names(), " ") + ")" }

func (f flagSet) equal(g flagSet) bool {
	return f.sys == g.sys && slices.Equal(f.keywords, g.keywords)
}

// parseFlags sorts names into bits and keywords; \Recent is dropped.
func parseFlags(names []string) (flagSet, error) {
	var f flagSet
	for _, name := range names {
		if strings.EqualFold(name, `\Recent`) {
			continue
		}
		i := slices.IndexFunc(flagNames, func(n struct {
			bit  sysFlag
			name string
		}) bool {
			return strings.EqualFold(n.name, name)
		})
		switch {
		case i >= 0:
			f.sys |= flagNames[i].bit
		case name == "" || name[0] == '\\':
			return f, errFlag
		default:
			f.keywords = append(f.keywords, name)
		}
	}
	slices.Sort(f.keywords)
	f.keywords = slices.Compact(f.keywords)
	return f, nil
}

// combine applies STORE's FLAGS (mode 0), +FLAGS ('+') or -FLAGS ('-').
func (f flagSet) combine(mode byte, g flagSet) flagSet {
	switch mode {
	case '+':
		kw := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(f.keywords), g.keywords...))))
		return flagSet{f.sys | g.sys, kw}
	case '-':
		kw := slices.DeleteFunc(slices.Clone(f.keywords), func(k string) bool { return slices.Contains(g.keywords, k) })
		return flagSet{f.sys &^ g.sys, kw}
	}
	return g
}

// setFlags gives m new flags (without \Deleted) and keeps Starred in step.
// It reports whether anything changed.
func (st *store) setFlags(m *message, f flagSet, by *session) bool {
	f.sys &^= flagDeleted
	if f.equal(m.flags) {
		return false
	}
	was := m.flags
	m.flags = f
	st.learn(f.keywords)
	if was.has(flagSeen) != f.has(flagSeen) {
		for _, p := range m.places {
			if f.has(flagSeen) {
				p.box.unseen--
			} else {
				p.box.unseen++
			}
		}
	}
	st.touch(m)
	if st.generic == nil && was.has(flagFlagged) != f.has(flagFlagged) {
		st.syncStar(m)
	}
	st.notifyFlags(m, by)
	return true
}

// syncStar makes the Starred folder follow \Flagged.
func (st *store) syncStar(m *message) {
	starred := st.system[kindStarred]
	p := m.in(starred)
	switch {
	case m.flags.has(flagFlagged) && p == nil && m.in(st.system[kindAll]) != nil:
		st.attach(m, starred)
	case !m.flags.has(flagFlagged) && p != nil:
		st.detachOne(p)
	}
}

// learn remembers keywords for FLAGS and PERMANENTFLAGS.
func (st *store) learn(keywords []string) {
	for _, k := range keywords {
		known := st.generic == nil && (k == "$NotPhishing" || k == "$Phishing")
		if !known && !slices.Contains(st.keywords, k) {
			st.keywords = append(st.keywords, k)
		}
	}
}

// shown is the message's flags as seen in this place.
func (p *place) shown() flagSet {
	f := p.msg.flags
	if p.deleted {
		f.sys |= flagDeleted
	}
	return f
}
