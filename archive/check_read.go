package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// messageName is the path of a message below the archive's folder, with slashes.
func messageName(ref Ref) string {
	name := ref.String()
	return path.Join(name[:2], name+extension)
}

// fileReader checks message files one after the other, in memory that it keeps.
type fileReader struct {
	dir   string
	since time.Time // files modified later are read even when the job does not ask for it; the zero time: none
	buf   []byte
}

const (
	readWhole  = 1 << 20   // larger files are read in portions
	readAtOnce = 256 << 10 // bytes of a portion
)

// check compares a file with what it should be, and notes in the job what is wrong.
func (r *fileReader) check(job *fileJob) {
	place := filepath.Join(r.dir, filepath.FromSlash(messageName(job.ref)))
	if job.digest && job.size >= 0 && job.size <= readWhole {
		buf, err := readFile(r.buf[:0], place, int(job.size))
		if r.buf = buf; err == nil && int64(len(buf)) == job.size && sha256.Sum256(buf) == job.ref {
			return
		}
	}
	r.examine(job, place) // slower, and says what is wrong
}

func (r *fileReader) examine(job *fileJob, place string) {
	f, err := os.Open(place)
	if errors.Is(err, fs.ErrNotExist) {
		job.problem, job.text = FileMissing, "is missing"
		return
	}
	if err != nil {
		job.problem, job.text = FileUnreadable, fmt.Sprintf("cannot be opened: %v", errors.Unwrap(err))
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a file")
	}
	if err != nil {
		job.problem, job.text = FileUnreadable, fmt.Sprintf("cannot be read: %v", err)
		return
	}
	job.modified = info.ModTime()
	job.wrongSize(info.Size())
	if job.digest || !r.since.IsZero() && job.modified.After(r.since) {
		r.digest(job, f)
	}
}

func (job *fileJob) wrongSize(size int64) {
	switch {
	case job.size < 0 || size == job.size:
	case size < job.size:
		job.problem, job.text = FileTruncated, fmt.Sprintf("has %d of its %d bytes", size, job.size)
	default:
		job.problem, job.text = FileDamaged, fmt.Sprintf("has %d bytes and should have %d", size, job.size)
	}
}

// digest reads a file and compares its digest with its name.
func (r *fileReader) digest(job *fileJob, f *os.File) {
	if cap(r.buf) < readAtOnce {
		r.buf = make([]byte, readAtOnce)
	}
	hash := sha256.New()
	// Not what the file knows better: it would copy in small portions.
	if _, err := io.CopyBuffer(hash, struct{ io.Reader }{f}, r.buf[:cap(r.buf)]); err != nil {
		job.problem, job.text = FileUnreadable, fmt.Sprintf("cannot be read: %v", err)
		return
	}
	actual := Ref(hash.Sum(nil))
	if actual == job.ref {
		return
	}
	job.actual = &actual
	if job.problem == "" {
		job.problem, job.text = FileDamaged, fmt.Sprintf("holds other bytes: their SHA-256 is %s", actual)
	}
}

// checkFile returns what is wrong with a message's file, or "".
func (r *Reader) checkFile(ref Ref, size int64, digest bool) (string, error) {
	job := &fileJob{ref: ref, size: size, digest: digest}
	(&fileReader{dir: r.dir}).check(job)
	return job.text, nil
}
