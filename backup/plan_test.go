package backup

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"mailkeep/archive"
	"mailkeep/backup/wire"
)

func TestUIDSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	fill := func() (uidSet, map[uint32]bool) {
		var set uidSet
		all := make(map[uint32]bool)
		for range rng.IntN(30) {
			lo := uint32(1 + rng.IntN(60))
			hi := lo + uint32(rng.IntN(6))
			set.addSpan(span{lo, hi})
			for u := lo; u <= hi; u++ {
				all[u] = true
			}
		}
		return set, all
	}
	for range 2000 {
		a, inA := fill()
		b, inB := fill()
		minus, and := a.minus(b), a.and(b)
		for u := uint32(1); u < 80; u++ {
			if a.has(u) != inA[u] || minus.has(u) != (inA[u] && !inB[u]) || and.has(u) != (inA[u] && inB[u]) {
				t.Fatalf("%d: %v %v minus %v and %v", u, a, b, minus, and)
			}
		}
		for i := 1; i < len(a); i++ {
			if a[i].lo <= a[i-1].hi+1 {
				t.Fatalf("spans touch: %v", a)
			}
		}
		n := int64(rng.IntN(10))
		head, rest := a.cut(n)
		if head.count() > n || head.count() < min(n, a.count()) || !reflect.DeepEqual(union(head, rest).minus(a), uidSet(nil)) || head.count()+rest.count() != a.count() {
			t.Fatalf("cut %v at %d: %v %v", a, n, head, rest)
		}
	}
	top := uidSet{{1, ^uint32(0)}}
	if got := top.minus(uidSet{{5, 5}}); got.count() != 1<<32-2 || !got.has(^uint32(0)) {
		t.Errorf("%v", got)
	}
	n := 0
	_ = uidSet{{^uint32(0) - 1, ^uint32(0)}}.all(func(uint32) error { n++; return nil })
	if n != 2 {
		t.Errorf("%d steps", n)
	}
}

func TestMailboxName(t *testing.T) {
	cases := []struct{ name, delim, want string }{
		{"INBOX", "/", "INBOX"},
		{"a/b", "/", "a/b"},
		{"a/b", ".", "a%2Fb"},
		{"a/b", "", "a%2Fb"},
		{"a.b/c", ".", "a/b%2Fc"},
		{"100%", "/", "100%"},
		{"%2F", "/", "%252F"},
		{"%25", ".", "%2525"},
		{"a%/b", ".", "a%%2Fb"},
		{"%2/", ".", "%2%2F"},
		{"a..b", ".", "a//b"},
		{"Gone from server", "/", "Gone%20from server"},
		{"gone FROM server/x", "/", "gone%20FROM server/x"},
		{"x/Gone from server", "/", "x/Gone from server"},
		{"a%20b", "/", "a%2520b"},
	}
	for _, c := range cases {
		got := mailboxName(c.name, c.delim)
		if got != c.want {
			t.Errorf("mailboxName(%q, %q) = %q, want %q", c.name, c.delim, got, c.want)
		}
		if back := SourceName(got, c.delim); back != c.name {
			t.Errorf("SourceName(%q, %q) = %q, want %q", got, c.delim, back, c.name)
		}
	}
	namer := mailboxNamer{}
	if a, b := namer.name("a/b", "/"), namer.name("a.b", "."); a == b {
		t.Errorf("both are %q", a)
	}
}

func FuzzMailboxName(f *testing.F) {
	f.Add("a/b%2F", ".")
	f.Add("Gone from server", "/")
	f.Fuzz(func(t *testing.T, name, delim string) {
		if len(delim) > 1 {
			delim = delim[:1]
		}
		if delim == "%" || delim == "2" || delim == "5" || delim == "0" || delim == "F" || name == "" {
			return // no server uses these
		}
		if back := SourceName(mailboxName(name, delim), delim); back != name {
			t.Errorf("%q became %q", name, back)
		}
	})
}

func TestExcluded(t *testing.T) {
	cases := []struct {
		pattern, name, delim, use string
		want                      bool
	}{
		{"Spam", "[Gmail]/Courrier indésirable", "/", `\Junk`, true},
		{"junk", "x", "/", `\Junk`, true},
		{`\Trash`, "x", "/", `\Trash`, true},
		{"Trash", "Trash", "/", "", true},
		{"Trash", "Old/Trash", "/", "", false},
		{"Lists/*", "Lists/a/b", "/", "", true},
		{"Lists/%", "Lists/a/b", "/", "", false},
		{"Lists/%", "Lists/a", "/", "", true},
		{"Lists/*", "Lists.a.b", ".", "", true},
		{"Lists.*", "Lists.a.b", ".", "", true},
		{"lists/*", "Lists/a", "/", "", false},
		{"inbox", "INBOX", "/", "", true},
		{"*", "anything", "/", "", true},
		{"", "anything", "/", "", false},
	}
	for _, c := range cases {
		if got := Excluded([]string{c.pattern}, c.name, c.delim, c.use); got != c.want {
			t.Errorf("%q excludes %q %s: %v, want %v", c.pattern, c.name, c.use, got, c.want)
		}
	}
}

func box(name, use string, state archive.FolderState) listing {
	return listing{name: name, delim: "/", use: use, hasStatus: true, status: state}
}

func known(id archive.FolderID, name, use string, state archive.FolderState) archive.Folder {
	return archive.Folder{ID: id, Name: name, Delimiter: "/", SpecialUse: use, FolderState: state, Current: state.UIDValidity}
}

func TestPlanUnchanged(t *testing.T) {
	full := archive.FolderState{UIDValidity: 5, UIDNext: 9, ModSeq: 100, Messages: 3}
	with := func(f func(*archive.FolderState)) archive.FolderState {
		s := full
		f(&s)
		return s
	}
	noModSeq := with(func(s *archive.FolderState) { s.ModSeq = 0 })
	empty := with(func(s *archive.FolderState) { s.ModSeq, s.Messages = 0, 0 })
	cases := []struct {
		name      string
		then, now archive.FolderState
		want      bool
	}{
		{"same", full, full, true},
		{"new mail", full, with(func(s *archive.FolderState) { s.UIDNext++ }), false},
		{"expunged", full, with(func(s *archive.FolderState) { s.Messages-- }), false},
		{"changed", full, with(func(s *archive.FolderState) { s.ModSeq++ }), false},
		{"renumbered", full, with(func(s *archive.FolderState) { s.UIDValidity++ }), false},
		{"flags may have changed", noModSeq, noModSeq, false},
		{"empty without mod-sequences", empty, empty, true},
		{"no UIDNEXT", with(func(s *archive.FolderState) { s.UIDNext = 0 }), with(func(s *archive.FolderState) { s.UIDNext = 0 }), false},
		{"never finished", archive.FolderState{}, archive.FolderState{}, false},
	}
	for _, c := range cases {
		f := planned{listing: box("a", "", c.now), known: known(1, "a", "", c.then)}
		if got := f.unchanged(); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	f := planned{listing: box("a", "", full), known: known(1, "a", "", full)}
	f.known.Current = 6
	if f.unchanged() {
		t.Error("a pass under another UIDVALIDITY was begun and not finished")
	}
}

func TestPlanRenames(t *testing.T) {
	at := func(v uint32) archive.FolderState {
		return archive.FolderState{UIDValidity: v, UIDNext: 10, Messages: 5}
	}
	cases := []struct {
		name    string
		boxes   []listing
		known   []archive.Folder
		renamed int
		missing int
	}{
		{"renamed", []listing{box("b", "", at(7))}, []archive.Folder{known(1, "a", "", at(7))}, 1, 0},
		{"another UIDVALIDITY", []listing{box("b", "", at(8))}, []archive.Folder{known(1, "a", "", at(7))}, 0, 1},
		{"two with this UIDVALIDITY", []listing{box("b", "", at(7)), box("c", "", at(7))}, []archive.Folder{known(1, "a", "", at(7))}, 0, 1},
		{"an old one has it too", []listing{box("b", "", at(7)), box("c", "", at(7))}, []archive.Folder{known(1, "a", "", at(7)), known(2, "c", "", at(7))}, 0, 1},
		{"the name was known", []listing{box("b", "", at(7))}, []archive.Folder{known(1, "a", "", at(7)), known(2, "b", "", at(3))}, 0, 1},
		{"UIDNEXT went back", []listing{box("b", "", archive.FolderState{UIDValidity: 7, UIDNext: 2})}, []archive.Folder{known(1, "a", "", at(7))}, 0, 1},
	}
	for _, c := range cases {
		p := makePlan(archive.IMAP, c.boxes, c.known, Options{})
		if len(p.renames) != c.renamed || len(p.missing) != c.missing {
			t.Errorf("%s: %d renamed, %d missing", c.name, len(p.renames), len(p.missing))
		}
	}
	// Gmail's folders change their names with the account's language.
	p := makePlan(archive.Gmail, []listing{box("[Gmail]/Alle Nachrichten", `\All`, at(3))}, []archive.Folder{known(1, "[Gmail]/All Mail", `\All`, at(3))}, Options{})
	if len(p.renames) != 1 || p.visible {
		t.Errorf("%+v", p)
	}
}

func TestPlanGmail(t *testing.T) {
	s := archive.FolderState{UIDValidity: 1, UIDNext: 1}
	boxes := []listing{box("INBOX", "", s), box("[Gmail]/Alle", `\All`, s), box("[Gmail]/Papierkorb", `\Trash`, s), box("[Gmail]/Spam", `\Junk`, s), box("[Gmail]/Chats", "", s),
		box("[Gmail]/Gesendet", `\Sent`, s), box("Label", "", s)}
	sources := func(o Options) (names []string, all int) {
		p := makePlan(archive.Gmail, boxes, nil, o)
		for _, f := range p.folders {
			if f.source {
				names = append(names, f.name)
			}
		}
		return names, len(p.folders)
	}
	if got, n := sources(Options{}); !slices.Equal(got, []string{"[Gmail]/Alle", "[Gmail]/Papierkorb", "[Gmail]/Spam"}) || n != 6 {
		t.Errorf("%q of %d", got, n)
	}
	if got, n := sources(Options{Exclude: []string{"trash", "Label", "all"}, Chats: true}); !slices.Equal(got, []string{"[Gmail]/Alle", "[Gmail]/Spam", "[Gmail]/Chats"}) || n != 5 {
		t.Errorf("%q of %d", got, n)
	}
	boxes = append(boxes[:1], boxes[2:]...)
	if got, n := sources(Options{}); len(got) != 5 || n != 5 {
		t.Errorf("hidden All Mail: %q of %d", got, n)
	}
}

func TestLabelMap(t *testing.T) {
	s := archive.FolderState{}
	boxes := []listing{box("INBOX", "", s), box("[G]/Alle", `\All`, s), box("[G]/Papierkorb", `\Trash`, s), box("[G]/Spam", `\Junk`, s), box("[G]/Markiert", `\Flagged`, s), box("a/b", "", s)}
	m := makePlan(archive.Gmail, boxes, []archive.Folder{known(1, "[G]/Wichtig", `\Important`, s)}, Options{}).labels
	cases := []struct {
		labels []string
		own    string
		want   []string
	}{
		{nil, "[G]/Alle", []string{"[G]/Alle"}},
		{[]string{`\Inbox`, `\Starred`, `\Important`}, "[G]/Alle", []string{"INBOX", "[G]/Alle", "[G]/Markiert", "[G]/Wichtig"}},
		{[]string{`\Muted`, `\Draft`, `\Sent`}, "[G]/Alle", []string{"[G]/Alle", "[G]/Drafts", "[G]/Muted", "[G]/Sent Mail"}},
		{[]string{`\foo`, "a/b", "hidden"}, "[G]/Alle", []string{"[G]/Alle", `\foo`, "a/b", "hidden"}},
		{nil, "[G]/Papierkorb", []string{"[G]/Papierkorb"}},
		{[]string{`\Spam`}, "[G]/Spam", []string{"[G]/Spam"}},
		{[]string{"a/b"}, "INBOX", []string{"INBOX", "[G]/Alle", "a/b"}},
	}
	for _, c := range cases {
		if got := m.mailboxes(wire.GmailItems{HasLabels: true, Labels: c.labels}, c.own); !slices.Equal(got, c.want) {
			t.Errorf("%q in %q: %q, want %q", c.labels, c.own, got, c.want)
		}
	}
	if m.mailboxes(wire.GmailItems{}, "x") != nil {
		t.Error("labels that were not told are not none")
	}
}

func TestManyGoneGate(t *testing.T) {
	for _, c := range []struct {
		gone, total int64
		want        bool
	}{{100, 200, false}, {101, 1010, false}, {102, 1010, true}, {5000, 1_000_000, false}, {101, 0, true}} {
		if manyGone(c.gone, c.total) != c.want {
			t.Errorf("%+v", c)
		}
	}
}
