package crashtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Kind is what a call did.
type Kind int

// The kinds of Op.
const (
	Create   Kind = iota // an empty file under Path
	Write                // Data at Offset of File
	Truncate             // File has Offset bytes from now on
	Sync                 // File is flushed
	SyncDir              // the folder Path is flushed
	SyncAll              // everything is flushed
	Mkdir                // the folder Path
	Rename               // Path, which is File or a folder, is To from now on
	Link                 // To is another name of File
	Remove               // the file or empty folder Path is gone
	Mark                 // the program said Data, see Record
)

// Op is one call that changed the folder, or flushed some of it. Paths are relative to it, "." being the folder itself.
type Op struct {
	Kind   Kind
	Path   string
	To     string
	File   int // number of the file, in order of creation
	Offset int64
	Data   []byte
}

// calls are the system calls that can change a folder. Those which Record does not understand end it with an error if they meet the folder.
const calls = "openat,open,creat,close,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,lseek,fsync,fdatasync,sync_file_range,syncfs,sync," +
	"rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,copy_file_range,sendfile,splice,dup,dup2,dup3"

// Record runs a command that changes dir, which must be empty or not be there when the command starts, and returns what it did, in order. Each line that the command
// appends to the file marks becomes a Mark.
func Record(ctx context.Context, cmd *exec.Cmd, dir, marks string) ([]Op, error) {
	trace := filepath.Join(filepath.Dir(marks), "trace")
	args := append([]string{"strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "100000000", "-e", "trace=" + calls, "-e", "signal=none", "-o", trace}, cmd.Args...)
	traced := exec.CommandContext(ctx, "strace")
	traced.Args, traced.Env, traced.Dir = args, cmd.Env, cmd.Dir
	if out, err := traced.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%q under strace: %w: %s", cmd.Path, err, out)
	}
	f, err := os.Open(trace)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parse(f, dir, marks)
}

// tracer turns lines into Ops. All threads share one table of descriptors, so that one is enough.
type tracer struct {
	dir, marks string
	names      map[string]int   // files by path
	open       map[int]*opening // by descriptor
	pending    map[string]string
	files      int
	ops        []Op
}

type opening struct {
	file   int
	offset int64
	append bool
}

func parse(f *os.File, dir, marks string) ([]Op, error) {
	t := &tracer{dir: dir, marks: marks, names: make(map[string]int), open: make(map[int]*opening), pending: make(map[string]string)}
	in := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			if err := t.line(strings.TrimRight(line, "\n")); err != nil {
				return nil, fmt.Errorf("%w: %.300s", err, line)
			}
		}
		if err != nil {
			return t.ops, nil
		}
	}
}

// line joins the halves of calls that others interrupted. A call counts from when it returned.
func (t *tracer) line(line string) error {
	pid, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimLeft(rest, " ")
	if before, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
		t.pending[pid] = before
		return nil
	}
	if after, ok := strings.CutPrefix(rest, "<... "); ok {
		_, after, _ = strings.Cut(after, " resumed>")
		rest = t.pending[pid] + after
	}
	name, args, ok := strings.Cut(rest, "(")
	end := strings.LastIndex(args, ") ")
	if !ok || end < 0 {
		return nil // an exit, a signal
	}
	_, result, _ := strings.Cut(args[end:], "= ")
	result, _, _ = strings.Cut(result, " ")
	result, _, _ = strings.Cut(result, "<")
	n, err := strconv.Atoi(result)
	if err != nil || n < 0 {
		return nil // refused, or interrupted by the end
	}
	return t.call(name, strings.Split(args[:end], ", "), n)
}

func (t *tracer) call(name string, args []string, result int) error {
	switch name {
	case "openat":
		return t.openat(t.path(args[0], args[1]), args[2], result)
	case "open":
		return t.openat(t.path(args[0]), args[1], result)
	case "close":
		delete(t.open, number(args[0]))
	case "lseek":
		if o := t.open[number(args[0])]; o != nil {
			o.offset = int64(result)
		}
	case "write", "pwrite64":
		return t.write(args, result)
	case "ftruncate":
		if o := t.open[number(args[0])]; o != nil {
			t.add(Op{Kind: Truncate, File: o.file, Offset: int64(number(args[1]))})
		}
	case "fsync", "fdatasync":
		t.sync(args[0])
	case "syncfs", "sync":
		t.add(Op{Kind: SyncAll})
	case "mkdir", "mkdirat":
		if path, ok := t.inside(t.path(args[:len(args)-1]...)); ok && path != "." {
			t.add(Op{Kind: Mkdir, Path: path})
		}
	case "rename", "renameat", "renameat2", "link", "linkat":
		return t.move(name, args)
	case "unlink", "unlinkat", "rmdir":
		t.remove(args)
	default:
		for _, arg := range args {
			_, isOpen := t.inside(described(arg))
			if _, ok := t.inside(t.path(arg)); ok || isOpen {
				return fmt.Errorf("%s is not understood", name)
			}
		}
	}
	return nil
}

func (t *tracer) add(op Op) { t.ops = append(t.ops, op) }

func (t *tracer) openat(path, flags string, fd int) error {
	delete(t.open, fd)
	rel, ok := t.inside(path)
	if !ok {
		if path == t.marks {
			t.open[fd] = &opening{file: -1}
		}
		return nil
	}
	file, known := t.names[rel]
	if !known {
		if !strings.Contains(flags, "O_CREAT") {
			return nil // a folder
		}
		t.files++
		file = t.files
		t.names[rel] = file
		t.add(Op{Kind: Create, Path: rel, File: file})
	} else if strings.Contains(flags, "O_TRUNC") {
		t.add(Op{Kind: Truncate, File: file})
	}
	t.open[fd] = &opening{file: file, append: strings.Contains(flags, "O_APPEND")}
	return nil
}

func (t *tracer) write(args []string, n int) error {
	o := t.open[number(args[0])]
	if o == nil {
		if _, ok := t.inside(described(args[0])); ok {
			return fmt.Errorf("a write to a file whose opening was not seen")
		}
		return nil
	}
	data, err := unhex(args[1])
	if err != nil || len(data) < n {
		return fmt.Errorf("%d bytes of data: %w", len(data), err)
	}
	data = data[:n]
	if o.file < 0 {
		for line := range bytes.Lines(data) {
			t.add(Op{Kind: Mark, Data: bytes.TrimSpace(line)})
		}
		return nil
	}
	op := Op{Kind: Write, File: o.file, Offset: o.offset, Data: data}
	switch {
	case len(args) == 4:
		op.Offset = int64(number(args[3]))
	case o.append:
		op.Offset = -1
	default:
		o.offset += int64(n)
	}
	t.add(op)
	return nil
}

func (t *tracer) sync(arg string) {
	if o := t.open[number(arg)]; o != nil && o.file >= 0 {
		t.add(Op{Kind: Sync, File: o.file})
		return
	}
	if rel, ok := t.inside(described(arg)); ok {
		t.add(Op{Kind: SyncDir, Path: rel})
	}
}

func (t *tracer) move(name string, args []string) error {
	kind, from, to := Rename, "", ""
	if strings.HasPrefix(name, "link") {
		kind = Link
	}
	if strings.Contains(name, "at") {
		from, to = t.path(args[0], args[1]), t.path(args[2], args[3])
	} else {
		from, to = t.path(args[0]), t.path(args[1])
	}
	a, aOK := t.inside(from)
	b, bOK := t.inside(to)
	if !aOK && !bOK {
		return nil
	}
	if aOK != bOK {
		return fmt.Errorf("a name moves in or out of the folder")
	}
	file, ok := t.names[a]
	if ok {
		t.names[b] = file
		if kind == Rename {
			delete(t.names, a)
		}
	} else {
		t.moveBelow(a, b)
	}
	t.add(Op{Kind: kind, Path: a, To: b, File: file})
	return nil
}

// moveBelow follows the renaming of a folder.
func (t *tracer) moveBelow(from, to string) {
	for name, file := range t.names {
		if rest, ok := strings.CutPrefix(name, from+"/"); ok {
			delete(t.names, name)
			t.names[to+"/"+rest] = file
		}
	}
}

func (t *tracer) remove(args []string) {
	var path string
	if strings.HasPrefix(args[0], `"`) {
		path = t.path(args[0])
	} else {
		path = t.path(args[0], args[1])
	}
	if rel, ok := t.inside(path); ok {
		delete(t.names, rel)
		t.add(Op{Kind: Remove, Path: rel})
	}
}

// path joins a descriptor's folder and a name, or takes the one argument that is a name.
func (t *tracer) path(args ...string) string {
	name, err := unhex(args[len(args)-1])
	if err != nil {
		return ""
	}
	if len(args) == 1 || filepath.IsAbs(string(name)) {
		return string(name)
	}
	return filepath.Join(described(args[0]), string(name))
}

func (t *tracer) inside(path string) (string, bool) {
	rel, err := filepath.Rel(t.dir, path)
	if path == "" || err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return rel, true
}

// described is the path that strace gives with a descriptor: 3<\x2f...>.
func described(arg string) string {
	_, path, _ := strings.Cut(arg, "<")
	path, _, _ = strings.Cut(path, ">")
	b, err := unhex(path)
	if err != nil {
		return ""
	}
	return string(b)
}

func number(arg string) int {
	digits, _, _ := strings.Cut(arg, "<")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

// unhex reads strace's \x2f\x61, with or without quotes.
func unhex(s string) ([]byte, error) {
	return hex.DecodeString(strings.ReplaceAll(strings.Trim(s, `"`), `\x`, ""))
}
