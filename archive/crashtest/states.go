package crashtest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// State is a folder as a crash leaves it.
type State struct {
	Folder Folder
	After  int    // number of calls before the crash
	Marks  int    // number of marks before it
	How    string // "killed", "flushed", "named" or "torn N"
}

func (s State) String() string { return fmt.Sprintf("after call %d, %s", s.After, s.How) }

// States gives the states of a recording, each different folder once: at each moment when something changed, what a kill leaves, what a power cut leaves at least, and tears
// of what it may leave besides. With one in n, n > 1, it leaves out most of the moments, spread by seed.
func States(ops []Op, tears, oneIn int, seed uint64) iter.Seq[State] {
	return func(yield func(State) bool) {
		var d Disk
		r := rand.New(rand.NewPCG(seed, 1))
		seen, marks := make(map[[sha256.Size]byte]bool), 0
		for i, op := range ops {
			if op.Kind == Mark {
				marks++
				continue
			}
			d.Do(op)
			if oneIn > 1 && r.IntN(oneIn) != 0 {
				continue
			}
			for how, folder := range d.crashes(tears, r) {
				id := folder.digest(marks)
				if seen[id] {
					continue
				}
				seen[id] = true
				if !yield(State{folder, i + 1, marks, how}) {
					return
				}
			}
		}
	}
}

func (d *Disk) crashes(tears int, r *rand.Rand) iter.Seq2[string, Folder] {
	return func(yield func(string, Folder) bool) {
		if !yield("killed", d.Written()) || !yield("flushed", d.Flushed()) || !yield("named", d.Named()) {
			return
		}
		for n := range tears {
			if !yield(fmt.Sprintf("torn %d", n), d.Torn(r)) {
				return
			}
		}
	}
}

func (f Folder) digest(marks int) [sha256.Size]byte {
	h := sha256.New()
	fmt.Fprintln(h, marks)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		fmt.Fprintf(h, "%q %v ", name, f[name] == nil)
		binary.Write(h, binary.BigEndian, int64(len(f[name])))
		h.Write(f[name])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// Build makes the folder on a real disk. dir must not exist.
func (f Folder) Build(dir string) error {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		var err error
		if f[name] == nil {
			err = os.MkdirAll(path, 0o700)
		} else {
			err = os.WriteFile(path, f[name], 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
