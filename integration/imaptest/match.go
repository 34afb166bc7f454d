package imaptest

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// vars are the values of a script's variables.
type vars map[string]token

// expand puts values into a text; a variable that has none, or whose value is a list, stays as it is.
func (v vars) expand(s string) string {
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		if strings.HasPrefix(s, "$$") {
			b.WriteByte('$')
			s = s[2:]
			continue
		}
		name, n := variable(s)
		if value, ok := v[name]; ok && value.kind != list {
			b.WriteString(value.s)
		} else if name != "" && strings.Trim(name, "0123456789") == "" {
			b.WriteString(name) // $3: message 3, as nothing is ever expunged here
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	b.WriteString(s)
	return b.String()
}

// variable reads $name or ${name} at the beginning of s and gives the name and the bytes taken.
func variable(s string) (string, int) {
	if strings.HasPrefix(s, "${") {
		if end := strings.IndexByte(s, '}'); end > 0 {
			return s[2:end], end + 1
		}
		return "", 1
	}
	n := 1
	for n < len(s) && (s[n] == '_' || s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		n++
	}
	return s[1:n], n
}

// matcher compares one reply with one pattern; what it binds counts only when all of it matches.
type matcher struct{ vars vars }

// matchReply compares and, on success, keeps the variables that the reply gave values to.
func matchReply(v vars, pattern, got []token, prefixOnly bool) bool {
	m := matcher{maps.Clone(v)}
	if len(pattern) > len(got) || !prefixOnly && len(pattern) < len(got) {
		return false
	}
	for i, p := range pattern {
		if !m.token(p, got[i], context(pattern[:i])) {
			return false
		}
	}
	maps.Copy(v, m.vars)
	return true
}

// rules say how the elements of a list are compared.
type rules struct {
	group  int // 0: in order; n: groups of n in any order
	extra  bool
	ignore []string
	ban    []string
	fetch  bool // the items of a FETCH reply
}

// context gives the rules of the list that follows the tokens before, when it carries no directives.
func context(before []token) rules {
	words := make([]string, 0, 2)
	for _, t := range before {
		words = append(words, strings.ToUpper(t.s))
	}
	switch {
	case len(words) == 2 && words[1] == "FETCH":
		return rules{group: 2, extra: true, fetch: true}
	case len(words) == 1 && (words[0] == "LIST" || words[0] == "LSUB"):
		return rules{group: 1, extra: true}
	case len(words) == 2 && words[0] == "STATUS":
		return rules{group: 2, extra: true}
	}
	return rules{}
}

var flagRules = rules{group: 1, ignore: []string{`\recent`}}

func (m *matcher) token(p, got token, r rules) bool {
	if p.kind == word && strings.HasPrefix(p.s, "$") {
		if matched, done := m.whole(p.s, got); done {
			return matched
		}
	}
	switch p.kind {
	case list:
		return got.kind == list && p.bracket == got.bracket && m.list(p.list, got.list, r)
	case nilWord:
		return got.kind == nilWord
	}
	if got.kind == list || got.kind == nilWord {
		return false
	}
	if p.literal {
		return p.s == got.s
	}
	return sameText(m.vars.expand(p.s), got.s)
}

// whole matches a pattern that is one variable and nothing else; done is false when it is more than that.
func (m *matcher) whole(s string, got token) (matched, done bool) {
	if s == "$" {
		return true, true
	}
	name, n := variable(s)
	if n != len(s) || name == "" || strings.Trim(name, "0123456789") == "" {
		return false, false
	}
	value, bound := m.vars[name]
	if !bound {
		if got.kind == list {
			return false, true
		}
		m.vars[name] = got
		return true, true
	}
	return value.kind != list && got.kind != list && (value.kind == nilWord) == (got.kind == nilWord) && sameText(value.s, got.s), true
}

func (m *matcher) list(p, got []token, r rules) bool {
	p, r = directives(p, r)
	for _, g := range got {
		if g.kind == word && slices.ContainsFunc(r.ban, func(s string) bool { return strings.EqualFold(s, g.s) }) {
			return false
		}
	}
	if r.group == 0 {
		return m.ordered(p, got, r.extra)
	}
	return m.unordered(p, got, r)
}

func (m *matcher) ordered(p, got []token, extra bool) bool {
	if len(p) > len(got) || !extra && len(p) < len(got) {
		return false
	}
	for i := range p {
		if !m.token(p[i], got[i], rules{}) {
			return false
		}
	}
	return true
}

func (m *matcher) unordered(p, got []token, r rules) bool {
	used := make([]bool, len(got))
	for i := 0; i+r.group <= len(p); i += r.group {
		found := false
		for k := 0; k+r.group <= len(got) && !found; k += r.group {
			if !used[k] && m.one(p[i:i+r.group], got[k:k+r.group], r) {
				used[k], found = true, true
			}
		}
		if !found {
			return false
		}
	}
	if r.extra {
		return true
	}
	for k := 0; k < len(got); k += r.group {
		if !used[k] && !slices.ContainsFunc(r.ignore, func(s string) bool { return strings.EqualFold(s, got[k].s) }) {
			return false
		}
	}
	return true
}

// one compares a group; of a FETCH item, name and value.
func (m *matcher) one(p, got []token, r rules) bool {
	trial := matcher{maps.Clone(m.vars)}
	for i := range p {
		inner := rules{}
		if r.fetch && i == 1 && isWord(p[0], "flags") {
			inner = flagRules
		}
		if !trial.token(p[i], got[i], inner) {
			return false
		}
	}
	m.vars = trial.vars
	return true
}

// directives takes the $!... words off the beginning of a list; with any of them the list's own defaults do not count.
func directives(p []token, r rules) ([]token, rules) {
	for i := 0; len(p) > 0 && p[0].kind == word && strings.HasPrefix(p[0].s, "$!"); i++ {
		if i == 0 {
			r = rules{fetch: r.fetch}
		}
		name, value, _ := strings.Cut(p[0].s[2:], "=")
		switch name {
		case "unordered":
			r.group, r.extra = 1, true
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				r.group = n
			}
		case "ordered":
			r.group = 0
		case "extra":
			r.extra = true
		case "noextra":
			r.extra = false
		case "ignore":
			r.ignore = append(r.ignore, value)
		case "ban":
			r.ban = append(r.ban, value)
		}
		p = p[1:]
	}
	return p, r
}

// sameText compares without regard to case; two number sets are equal when they name the same numbers in the same
// order, as the way to write one is the server's choice (1:3 or 1,2,3).
func sameText(want, got string) bool {
	if strings.EqualFold(want, got) {
		return true
	}
	if strings.Contains(want, "[") && strings.EqualFold(plainSection(want), plainSection(got)) {
		return true
	}
	a, ok := numbers(want)
	if !ok {
		return false
	}
	b, ok := numbers(got)
	return ok && slices.Equal(a, b)
}

// plainSection takes the quotes off the field names of BODY[HEADER.FIELDS ("From")]: an astring may have them or not.
func plainSection(s string) string { return strings.ReplaceAll(s, `"`, "") }

// numbers expands a set like 2,4:6. A range that runs from high to low names the same numbers.
func numbers(set string) ([]int, bool) {
	const most = 100_000
	var out []int
	for part := range strings.SplitSeq(set, ",") {
		first, last, ranged := strings.Cut(part, ":")
		lo, err := strconv.Atoi(first)
		if err != nil || lo < 0 {
			return nil, false
		}
		hi := lo
		if ranged {
			if hi, err = strconv.Atoi(last); err != nil || hi < 0 {
				return nil, false
			}
		}
		lo, hi = min(lo, hi), max(lo, hi)
		if hi-lo+len(out) > most {
			return nil, false
		}
		for n := lo; n <= hi; n++ {
			out = append(out, n)
		}
	}
	return out, strings.ContainsAny(set, ",:")
}
