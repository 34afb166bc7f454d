package gmailsim

import (
	"strconv"
	"strings"
	"time"
)

// rawQuery understands the part of Gmail's search language that backup tools
// use: operators joined by blanks, "-" for not, quotes. An operator that is
// not known matches nothing, as an unknown label would.
func rawQuery(query string, now func() time.Time) matcher {
	var all []matcher
	for _, term := range rawTerms(query) {
		negate := len(term) > 1 && term[0] == '-'
		if negate {
			term = term[1:]
		}
		m := rawTerm(term, now)
		if negate {
			inner := m
			m = func(r *searchRow) bool { return !inner(r) }
		}
		all = append(all, m)
	}
	return func(r *searchRow) bool {
		for _, m := range all {
			if !m(r) {
				return false
			}
		}
		return true
	}
}

// rawTerms splits at blanks outside of quotes and drops the quotes.
func rawTerms(query string) []string {
	var terms []string
	var b strings.Builder
	quoted, any := false, false
	flush := func() {
		if any {
			terms = append(terms, b.String())
		}
		b.Reset()
		any = false
	}
	for _, r := range query {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case r == ' ' && !quoted:
			flush()
		default:
			b.WriteRune(r)
			any = true
		}
	}
	flush()
	return terms
}

func never(*searchRow) bool { return false }

func rawTerm(term string, now func() time.Time) matcher {
	op, arg, ok := strings.Cut(term, ":")
	arg = strings.ToLower(arg)
	if !ok {
		arg = strings.ToLower(term)
		return func(r *searchRow) bool {
			return strings.Contains(r.headerText(), arg) || strings.Contains(r.bodyText(), arg)
		}
	}
	switch op = strings.ToLower(op); op {
	case "rfc822msgid":
		id := strings.Trim(arg, "<>")
		return func(r *searchRow) bool {
			r.load()
			return strings.EqualFold(strings.Trim(r.head.get("Message-Id"), "<>"), id)
		}
	case "label":
		return func(r *searchRow) bool { return r.rawLabel(arg) }
	case "in", "is":
		return rawIn(arg)
	case "has":
		if arg == "attachment" {
			return (*searchRow).hasAttachment
		}
	case "from", "to", "cc", "subject":
		return func(r *searchRow) bool { return r.field(op, arg) }
	case "larger", "smaller", "size":
		return rawSize(op, arg)
	case "before", "older", "after", "newer":
		return rawDate(op, arg)
	case "older_than", "newer_than":
		return rawAge(op, arg, now)
	}
	return never
}

// rawLabel compares as the web page does: "/" and blanks are dashes.
func (r *searchRow) rawLabel(want string) bool {
	dashes := strings.NewReplacer("/", "-", " ", "-")
	for _, l := range r.labels {
		if dashes.Replace(strings.ToLower(l)) == dashes.Replace(want) || strings.ToLower(l) == `\`+want {
			return true
		}
	}
	return false
}

func rawIn(where string) matcher {
	switch where {
	case "anywhere":
		return func(*searchRow) bool { return true }
	case "unread":
		return hasFlag(flagSeen, false)
	case "read":
		return hasFlag(flagSeen, true)
	case "starred":
		return hasFlag(flagFlagged, true)
	case "drafts", "draft":
		return hasFlag(flagDraft, true)
	}
	return func(r *searchRow) bool { return r.rawLabel(where) }
}

func rawSize(op, arg string) matcher {
	unit := int64(1)
	switch {
	case strings.HasSuffix(arg, "k"):
		unit = 1 << 10
	case strings.HasSuffix(arg, "m"):
		unit = 1 << 20
	}
	n, err := strconv.ParseInt(strings.TrimRight(arg, "km"), 10, 40)
	if err != nil {
		return never
	}
	if op == "smaller" {
		return func(r *searchRow) bool { return r.size < n*unit }
	}
	return func(r *searchRow) bool { return r.size > n*unit }
}

func rawDate(op, arg string) matcher {
	day, err := time.Parse("2006/1/2", strings.ReplaceAll(arg, "-", "/"))
	if err != nil {
		return never
	}
	if op == "before" || op == "older" {
		return func(r *searchRow) bool { return r.date.Before(day) }
	}
	return func(r *searchRow) bool { return !r.date.Before(day) }
}

func rawAge(op, arg string, now func() time.Time) matcher {
	if arg == "" {
		return never
	}
	n, err := strconv.Atoi(arg[:len(arg)-1])
	if err != nil {
		return never
	}
	var limit time.Time
	switch arg[len(arg)-1] {
	case 'd':
		limit = now().AddDate(0, 0, -n)
	case 'm':
		limit = now().AddDate(0, -n, 0)
	case 'y':
		limit = now().AddDate(-n, 0, 0)
	default:
		return never
	}
	return func(r *searchRow) bool { return r.date.Before(limit) == (op == "older_than") }
}
