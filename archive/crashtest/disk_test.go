package crashtest

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

func folder(text map[string]string) Folder {
	f := Folder{".": nil}
	for name, content := range text {
		if f[name] = nil; !strings.HasSuffix(name, "/") {
			f[name] = []byte(content)
			continue
		}
		delete(f, name)
		f[strings.TrimSuffix(name, "/")] = nil
	}
	return f
}

func same(a, b Folder) bool {
	return maps.EqualFunc(a, b, func(x, y []byte) bool { return bytes.Equal(x, y) && (x == nil) == (y == nil) })
}

func TestDisk(t *testing.T) {
	var d Disk
	for _, step := range []struct {
		op                      Op
		written, flushed, named map[string]string
	}{
		{Op{Kind: Mkdir, Path: "d"}, map[string]string{"d/": ""}, nil, map[string]string{"d/": ""}},
		{Op{Kind: Create, Path: "d/a", File: 1}, map[string]string{"d/": "", "d/a": ""}, nil, map[string]string{"d/": "", "d/a": ""}},
		{Op{Kind: Write, File: 1, Data: []byte("hello")}, map[string]string{"d/": "", "d/a": "hello"}, nil, map[string]string{"d/": "", "d/a": ""}},
		{Op{Kind: Sync, File: 1}, map[string]string{"d/": "", "d/a": "hello"}, nil, map[string]string{"d/": "", "d/a": "hello"}},
		{Op{Kind: Rename, Path: "d/a", To: "b", File: 1}, map[string]string{"d/": "", "b": "hello"}, nil, map[string]string{"d/": "", "b": "hello"}},
		// The folder of the new name is enough, also for the older change of its names.
		{Op{Kind: SyncDir, Path: "."}, map[string]string{"d/": "", "b": "hello"}, map[string]string{"d/": "", "b": "hello"}, map[string]string{"d/": "", "b": "hello"}},
		{Op{Kind: Write, File: 1, Offset: -1, Data: []byte("!")}, map[string]string{"d/": "", "b": "hello!"}, map[string]string{"d/": "", "b": "hello"}, map[string]string{"d/": "", "b": "hello"}},
		{Op{Kind: Truncate, File: 1, Offset: 2}, map[string]string{"d/": "", "b": "he"}, map[string]string{"d/": "", "b": "hello"}, map[string]string{"d/": "", "b": "hello"}},
		{Op{Kind: Write, File: 1, Offset: 4, Data: []byte("x")}, map[string]string{"d/": "", "b": "he\x00\x00x"}, map[string]string{"d/": "", "b": "hello"}, map[string]string{"d/": "", "b": "hello"}},
		{Op{Kind: Remove, Path: "b"}, map[string]string{"d/": ""}, map[string]string{"d/": "", "b": "hello"}, map[string]string{"d/": ""}},
		{Op{Kind: SyncAll}, map[string]string{"d/": ""}, map[string]string{"d/": ""}, map[string]string{"d/": ""}},
	} {
		d.Do(step.op)
		for how, want := range map[string][2]Folder{
			"written": {d.Written(), folder(step.written)}, "flushed": {d.Flushed(), folder(step.flushed)}, "named": {d.Named(), folder(step.named)},
		} {
			if !same(want[0], want[1]) {
				t.Errorf("after %+v, %s: %q, want %q", step.op, how, want[0], want[1])
			}
		}
	}
}

// What is torn lies between what was flushed and what was written, and all of it is met.
func TestTorn(t *testing.T) {
	var d Disk
	for _, op := range []Op{
		{Kind: Create, Path: "a", File: 1}, {Kind: SyncDir, Path: "."},
		{Kind: Write, File: 1, Data: bytes.Repeat([]byte("1"), 3*sector)}, {Kind: Write, File: 1, Offset: sector, Data: []byte("22")}, {Kind: Create, Path: "b", File: 2},
	} {
		d.Do(op)
	}
	met, lengths := make(map[string]int), make(map[int]int)
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		f := d.Torn(r)
		a := f["a"]
		lengths[len(a)]++
		if len(a) > sector {
			met[string(a[sector:sector+1])]++
		}
		if _, ok := f["b"]; ok {
			met["b"]++
		}
	}
	for _, want := range []int{0, sector, sector + 2, 2 * sector, 3 * sector} {
		if lengths[want] == 0 {
			t.Errorf("never %d bytes, but %v", want, lengths)
		}
		delete(lengths, want)
	}
	if len(lengths) > 0 {
		t.Errorf("other lengths: %v", lengths)
	}
	if met["1"] == 0 || met["2"] == 0 || met["b"] == 0 || met["b"] == 500 {
		t.Errorf("not all that may happen: %v", met)
	}
}
