package archive_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailkeep/archive"
)

// TestBitRotOfPages flips one byte in each of 50 pages of gmail.db: alone (with MAILKEEP_BITROT=full each, else some of them), and all together. A byte in a part of a page that
// holds nothing does no harm, and nobody can tell that it changed; so bytes are flipped where the page's own header says that there is content. All is mended from the journal.
func TestBitRotOfPages(t *testing.T) {
	origin, _ := letters(t, 600)
	want := dump(t, origin)
	db, err := os.ReadFile(filepath.Join(origin, "gmail.db"))
	if err != nil {
		t.Fatal(err)
	}
	size := int(binary.BigEndian.Uint16(db[16:]))
	rnd := rand.New(rand.NewPCG(1, 2))
	pages := rnd.Perm(len(db) / size)
	if len(pages) < 50 {
		t.Fatalf("the database has %d pages only", len(pages))
	}
	pages = pages[:50]
	var places []int
	for _, page := range pages {
		places = append(places, page*size+contentOf(db[page*size:(page+1)*size], page == 0, rnd))
	}
	alone := places[:4]
	if os.Getenv("MAILKEEP_BITROT") == "full" {
		alone = places
	}
	dir := inMemory(t)
	copyTree(t, origin, dir)
	flip := func(places ...int) []string {
		spoiled := slices.Clone(db)
		for _, at := range places {
			spoiled[at] ^= 1 << rnd.IntN(8)
		}
		for _, name := range []string{"gmail.db-wal", "gmail.db-shm"} {
			os.Remove(filepath.Join(dir, name))
		}
		if err := os.WriteFile(filepath.Join(dir, "gmail.db"), spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		var found []string
		_, err := archive.Check(ctx, dir, archive.CheckOptions{Journal: true}, func(f archive.Finding) error {
			if f.Path != "gmail.db" || f.Harmless() {
				t.Errorf("flipped %d: %v", places, f)
			}
			found = append(found, f.String())
			return nil
		})
		if err != nil { // such as a schema version from the future
			found = append(found, err.Error())
		}
		return found
	}
	silent := 0
	for _, at := range alone {
		found := flip(at)
		if len(found) > 0 {
			continue
		}
		silent++
		if got, err := archive.Dump(dir); err != nil || got != want {
			t.Errorf("byte %d of page %d: nothing was found, and it matters: %v", at%size, at/size+1, err)
		}
	}
	if found := flip(places...); len(found) == 0 {
		t.Error("fifty damaged pages are not found")
	}
	t.Logf("%d of %d flipped bytes were without effect", silent, len(alone))
	if silent > len(places)/10 {
		t.Errorf("%d of %d flipped bytes were not found", silent, len(alone))
	}
	if done := rebuilt(t, dir); done.Source != archive.FromJournal || len(done.Aside) == 0 {
		t.Errorf("%+v", done)
	}
	sameDump(t, dir, want)
}

// contentOf picks a byte of a page that belongs to a cell (https://www.sqlite.org/fileformat.html section 1.6).
func contentOf(page []byte, first bool, rnd *rand.Rand) int {
	header := 0
	if first {
		header = 100
	}
	if !slices.Contains([]byte{2, 5, 10, 13}, page[header]) { // no part of a tree
		return rnd.IntN(len(page))
	}
	cells := int(binary.BigEndian.Uint16(page[header+3:]))
	if cells == 0 {
		return header
	}
	// A pointer to a cell, or the beginning of the cell it points to.
	pointers := header + 8
	if page[header] == 2 || page[header] == 5 {
		pointers += 4
	}
	at := pointers + 2*rnd.IntN(cells)
	if rnd.IntN(3) == 0 {
		return at
	}
	return int(binary.BigEndian.Uint16(page[at:])) + rnd.IntN(4)
}

// TestGarbageForDatabase opens all sorts of garbage in place of gmail.db: each ends with a sentence, never with a panic.
func TestGarbageForDatabase(t *testing.T) {
	origin, _ := letters(t, 5)
	db, err := os.ReadFile(filepath.Join(origin, "gmail.db"))
	if err != nil {
		t.Fatal(err)
	}
	dir := inMemory(t)
	copyTree(t, origin, dir)
	for name, content := range map[string][]byte{
		"header alone": db[:100], "half a page": db[:2000], "one page": db[:4096], "zeros": make([]byte, 8192), "text": []byte(strings.Repeat("mail ", 900)),
		"header and zeros": append(slices.Clone(db[:100]), make([]byte, 20000)...), "first page, then noise": append(slices.Clone(db[:4096]), slices.Repeat([]byte{0xa7}, len(db)-4096)...),
	} {
		for _, suffix := range []string{"-wal", "-shm"} {
			os.Remove(filepath.Join(dir, "gmail.db"+suffix))
		}
		rewrite(t, filepath.Join(dir, "gmail.db"), string(content))
		os.Chmod(filepath.Join(dir, "gmail.db"), 0o600)
		found, _ := checked(t, dir, whole)
		if len(found) == 0 || !strings.HasSuffix(found[0], " gmail.db") {
			t.Errorf("%s: found %q", name, found)
		}
		if r, err := archive.Open(dir); err == nil {
			if _, err := r.Check(ctx, whole); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			r.Close()
		}
	}
}
