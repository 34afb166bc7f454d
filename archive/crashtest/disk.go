package crashtest

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
)

// Disk is a folder on a disk and in the memory before it. The zero value is an empty folder; Do takes it through a recording.
type Disk struct {
	files map[int]*file
	names []change
}

// change is a call that changed names.
type change struct {
	Op
	flushed bool
}

// file is what was flushed of a file, and what was done to it since.
type file struct {
	flushed []byte
	since   []Op // Write and Truncate
}

// now is all of the file.
func (f *file) now() []byte { return apply(f.flushed, f.since) }

func apply(content []byte, ops []Op) []byte {
	content = bytes.Clone(content)
	for _, op := range ops {
		end := op.Offset + int64(len(op.Data))
		if grow := end - int64(len(content)); grow > 0 {
			content = append(content, make([]byte, grow)...)
		}
		if op.Kind == Truncate {
			content = content[:op.Offset]
		} else {
			copy(content[op.Offset:], op.Data)
		}
	}
	return content
}

// Do carries out one call.
func (d *Disk) Do(op Op) {
	switch op.Kind {
	case Create:
		if d.files == nil {
			d.files = make(map[int]*file)
		}
		d.files[op.File] = &file{}
		d.names = append(d.names, change{Op: op})
	case Mkdir, Rename, Link, Remove:
		d.names = append(d.names, change{Op: op})
	case Write, Truncate:
		f := d.files[op.File]
		if op.Offset < 0 {
			op.Offset = int64(len(f.now()))
		}
		f.since = append(f.since, op)
	case Sync:
		d.files[op.File].flush()
	case SyncDir:
		d.flushNames(func(dir string) bool { return dir == op.Path })
	case SyncAll:
		for _, f := range d.files {
			f.flush()
		}
		d.flushNames(func(string) bool { return true })
	}
}

func (f *file) flush() { f.flushed, f.since = f.now(), nil }

func (d *Disk) flushNames(in func(dir string) bool) {
	for i, c := range d.names {
		if in(path.Dir(c.Path)) || c.To != "" && in(path.Dir(c.To)) {
			d.names[i].flushed = true
		}
	}
}

// unflushed is the number of changes that are not flushed.
func (d *Disk) unflushed() int {
	n := 0
	for _, c := range d.names {
		if !c.flushed {
			n++
		}
	}
	return n
}

// Folder is a crashed folder: files by path; a folder has a nil value.
type Folder map[string][]byte

// Written is what a process that dies leaves: everything.
func (d *Disk) Written() Folder {
	return d.folder(d.unflushed(), (*file).now)
}

// Flushed is the least that a power cut leaves.
func (d *Disk) Flushed() Folder {
	return d.folder(0, func(f *file) []byte { return f.flushed })
}

// Named is what a power cut leaves on a file system that writes names before bytes.
func (d *Disk) Named() Folder {
	return d.folder(d.unflushed(), func(f *file) []byte { return f.flushed })
}

// sector is what a disk writes whole, in bytes.
const sector = 512

// Torn is what a power cut may leave: names up to some moment, and of each file some of the writes, one of them in part.
func (d *Disk) Torn(r *rand.Rand) Folder {
	names := r.IntN(d.unflushed() + 1)
	torn := make(map[*file][]byte)
	for _, n := range slices.Sorted(maps.Keys(d.files)) {
		f := d.files[n]
		var kept []Op
		for _, op := range f.since {
			switch r.IntN(4) {
			case 0:
				continue
			case 1:
				if sectors := len(op.Data) / sector; sectors > 0 {
					op.Data = op.Data[:r.IntN(sectors+1)*sector]
				}
			}
			kept = append(kept, op)
		}
		torn[f] = apply(f.flushed, kept)
	}
	return d.folder(names, func(f *file) []byte { return torn[f] })
}

// folder plays the flushed changes of names into an empty folder, and the first of the others. What is in a folder that is not there is not there.
func (d *Disk) folder(others int, content func(*file) []byte) Folder {
	tree := map[string]int{".": 0} // file numbers; 0 is a folder
	for _, op := range d.names {
		if !op.flushed {
			if others == 0 {
				continue
			}
			others--
		}
		switch op.Kind {
		case Create, Mkdir:
			if parent, ok := tree[path.Dir(op.Path)]; ok && parent == 0 {
				tree[op.Path] = op.File
			}
		case Remove: // of a folder, only when it was empty
			maps.DeleteFunc(tree, func(name string, _ int) bool { return name == op.Path || strings.HasPrefix(name, op.Path+"/") })
		case Link, Rename:
			move(tree, op.Op)
		}
	}
	out := make(Folder)
	for name, n := range tree {
		if out[name] = nil; n > 0 {
			out[name] = append([]byte{}, content(d.files[n])...)
		}
	}
	return out
}

// move gives a file or folder its new name. That the old name was flushed is not needed.
func move(tree map[string]int, op Op) {
	if op.Kind == Rename {
		delete(tree, op.Path)
	}
	if parent, ok := tree[path.Dir(op.To)]; !ok || parent != 0 {
		return
	}
	tree[op.To] = op.File
	for name, n := range tree {
		if rest, ok := strings.CutPrefix(name, op.Path+"/"); ok {
			delete(tree, name)
			tree[op.To+"/"+rest] = n
		}
	}
}
