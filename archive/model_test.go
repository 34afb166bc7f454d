package archive_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"mailkeep/archive"
)

var (
	modelSteps = flag.Int("model.steps", 40, "steps of each run of TestModel")
	modelSeed  = flag.Uint64("model.seed", 1, "first seed of TestModel")
)

// letter is a message as the model's server holds it. On Gmail id and labels count, on other servers body and flags alone.
type letter struct {
	id, body, flag string
	labels         []string
}

// serverFolder is a folder of the model's server.
type serverFolder struct {
	validity, next uint32
	letters        map[uint32]letter
}

// model plays a server that changes at random and a backup that records it in batches cut at random, and remembers what readers were shown.
type model struct {
	*source
	rnd     *rand.Rand
	kind    archive.Kind
	server  map[string]*serverFolder
	counter int               // for names, ids and UIDVALIDITYs
	kept    map[string]letter // everything recorded by a whole pass: by id on Gmail, else by body
	early   []byte            // gmail.db as it once was
	calm    bool              // nothing happened since the last whole pass
	clients map[archive.MailboxID]*modelClient
}

// modelClient is a reader that follows a mailbox through Changes.
type modelClient struct {
	validity uint32
	next     archive.UID
	seq      archive.ModSeq
	view     map[archive.UID]archive.Entry
	ever     map[archive.UID]archive.Ref
}

func TestModel(t *testing.T) {
	for _, kind := range []archive.Kind{archive.IMAP, archive.Gmail} {
		for seed := *modelSeed; seed < *modelSeed+2; seed++ {
			t.Run(fmt.Sprint(kind, seed), func(t *testing.T) { runModel(t, kind, seed) })
		}
	}
}

func runModel(t *testing.T, kind archive.Kind, seed uint64) {
	m := &model{source: newSource(t, kind), kind: kind, rnd: rand.New(rand.NewPCG(seed, 0)), server: make(map[string]*serverFolder),
		kept: make(map[string]letter), clients: make(map[archive.MailboxID]*modelClient)}
	dir := m.w.Dir()
	for _, name := range []string{"All", "Trash"} {
		m.create(name)
	}
	for step := range *modelSteps {
		if m.calm && m.rnd.IntN(3) == 0 {
			m.renumber(m.server[pick(m, m.server)])
			m.pass(true)
		}
		for range m.rnd.IntN(6) {
			m.change()
		}
		m.pass(m.rnd.IntN(3) == 0)
		if m.rnd.IntN(12) == 0 {
			m.reopen(dir)
		}
		if m.rnd.IntN(6) == 0 {
			m.prunes(dir)
		}
		if m.follow(); t.Failed() {
			t.Fatalf("seed %d, step %d", seed, step)
		}
	}
	m.pass(true)
	m.follow()
}

func (m *model) count() int { m.counter++; return m.counter }

func (m *model) create(name string) {
	m.server[name] = &serverFolder{validity: uint32(m.count()), next: 1, letters: make(map[uint32]letter)}
}

// pick returns one of the keys of a map, the same one for the same seed.
func pick[K interface{ ~string | ~uint32 }, V any](m *model, from map[K]V) K {
	keys := slices.Sorted(maps.Keys(from))
	return keys[m.rnd.IntN(len(keys))]
}

// change does one thing to the server.
func (m *model) change() {
	name := pick(m, m.server)
	f := m.server[name]
	what := m.rnd.IntN(20)
	m.calm = false
	switch {
	case what == 0:
		m.renumber(f)
	case what == 1 && m.kind == archive.IMAP && len(m.server) > 1:
		delete(m.server, name)
	case what == 2 && m.kind == archive.IMAP && len(m.server) < 5:
		m.create(fmt.Sprint("box ", m.rnd.IntN(5)))
	case what == 3 && m.kind == archive.IMAP:
		m.rename(name)
	case what < 9 || len(f.letters) == 0:
		n := m.count()
		m.deliver(f, letter{id: fmt.Sprint(n), body: fmt.Sprint("body ", m.rnd.IntN(n)), labels: m.labels()})
	default:
		m.touch(f, pick(m, f.letters), what)
	}
}

// touch changes one letter: expunge, move, other bytes, copy, mark, label.
func (m *model) touch(f *serverFolder, uid uint32, what int) {
	l := f.letters[uid]
	switch {
	case what < 12:
		delete(f.letters, uid)
	case what < 14:
		delete(f.letters, uid)
		m.deliver(m.server[pick(m, m.server)], l)
	case what == 14 && m.kind == archive.IMAP: // a server that uses a UID again
		l.body = fmt.Sprint("body ", m.rnd.IntN(m.count()))
		f.letters[uid] = l
	case what == 15 && m.kind == archive.IMAP:
		m.deliver(m.server[pick(m, m.server)], l)
	case what < 18:
		l.flag = []string{"", `\Seen`, `\Flagged`}[m.rnd.IntN(3)]
		f.letters[uid] = l
	default:
		l.labels = m.labels()
		f.letters[uid] = l
	}
}

func (m *model) labels() []string {
	var labels []string
	for _, name := range []string{"red", "green", "blue"} {
		if m.rnd.IntN(2) == 0 {
			labels = append(labels, name)
		}
	}
	return labels
}

func (m *model) deliver(f *serverFolder, l letter) {
	f.letters[f.next] = l
	f.next += uint32(1 + m.rnd.IntN(3))
}

func (m *model) renumber(f *serverFolder) {
	letters := slices.Collect(maps.Values(f.letters))
	slices.SortFunc(letters, func(a, b letter) int { return strings.Compare(a.id+a.body, b.id+b.body) })
	m.rnd.Shuffle(len(letters), func(i, j int) { letters[i], letters[j] = letters[j], letters[i] })
	f.validity, f.next, f.letters = uint32(m.count()), 1, make(map[uint32]letter)
	for _, l := range letters {
		m.deliver(f, l)
	}
}

// rename records at once: a name alone does not tell the backup which folder it was.
func (m *model) rename(name string) {
	rows, err := m.w.Folders(ctx, m.account.ID)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, row := range rows {
		if row.Name == name && row.GoneAt == 0 {
			fresh := fmt.Sprint("name ", m.count())
			m.record(archive.Batch{Renamed: []archive.Rename{{Folder: row.ID, Name: fresh, Mailbox: fresh}}})
			m.server[fresh] = m.server[name]
			delete(m.server, name)
		}
	}
}

// pass backs up: whole ones to the end, others stop somewhere.
func (m *model) pass(whole bool) {
	calm, before := m.calm, m.shows()
	m.calm = false
	var describe archive.Batch
	for _, name := range slices.Sorted(maps.Keys(m.server)) {
		describe.Folders = append(describe.Folders, archive.FolderSpec{Name: name, Mailbox: name})
	}
	m.record(describe)
	rows, err := m.w.Folders(ctx, m.account.ID)
	if err != nil {
		m.t.Fatal(err)
	}
	var last archive.Batch // what needs to have seen all folders
	for _, row := range rows {
		f := m.server[row.Name]
		if f == nil {
			last.Dropped = append(last.Dropped, row.ID)
			continue
		}
		if row.Current != f.validity {
			m.record(archive.Batch{Renumber: []archive.Renumbering{{Folder: row.ID, UIDValidity: f.validity}}})
		}
		found, gone := m.compare(row, f)
		last.Gone = append(last.Gone, gone...)
		last.States = append(last.States, archive.FolderResult{Folder: row.ID, State: archive.FolderState{UIDValidity: f.validity, UIDNext: f.next, Messages: uint32(len(f.letters))}})
		for len(found) > 0 {
			n := 1 + m.rnd.IntN(len(found))
			m.record(archive.Batch{Copies: found[:n]})
			if found = found[n:]; !whole && m.rnd.IntN(3) == 0 {
				return
			}
		}
	}
	if !whole {
		return
	}
	m.record(last)
	m.compareReaders()
	if after := m.shows(); calm && withoutFlags(after) != withoutFlags(before) {
		m.t.Errorf("renumbering alone made\n%s\nof\n%s", after, before)
	}
	m.calm = true
}

// withoutFlags makes what shows returned blind to equal messages that exchanged their UIDs.
func withoutFlags(shows string) string {
	return strings.NewReplacer(`[\Seen]`, "", `[\Flagged]`, "").Replace(shows)
}

// compare lists what a folder has that the archive does not know, and the contrary.
func (m *model) compare(row archive.Folder, f *serverFolder) (found []archive.Copy, gone []archive.Location) {
	known := make(map[uint32]archive.Known)
	err := m.w.Copies(ctx, row.ID, func(k archive.Known) error {
		if _, ok := f.letters[k.UID]; !ok {
			gone = append(gone, archive.Location{Folder: row.ID, UID: k.UID})
		}
		known[k.UID] = k
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, uid := range slices.Sorted(maps.Keys(f.letters)) {
		l := f.letters[uid]
		k, ok := known[uid]
		ok = ok && k.Ref == archive.RefOf([]byte(l.body))
		if ok && k.Flags == l.flag && m.kind == archive.IMAP {
			continue
		}
		c := archive.Copy{Folder: row.ID, UID: uid, Flags: []string{l.flag}}
		if !ok {
			c.Ref = m.put(l.body)
		}
		if m.kind == archive.Gmail {
			c.SourceID, c.Mailboxes = l.id, append([]string{row.Name}, l.labels...)
		}
		found = append(found, c)
	}
	return found, gone
}
