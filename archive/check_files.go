package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Files are checked folder by folder, those of several folders at the same time; findings keep the order of names.

// isFolder tells whether a name is that of a folder of messages.
func isFolder(name string) bool {
	return len(name) == 2 && strings.Trim(name, "0123456789abcdef") == ""
}

// fileJob is one message to check.
type fileJob struct {
	folder *folderJob
	ref    Ref
	size   int64 // as the row says; -1 when no row does
	digest bool  // read the file

	problem  FindingKind // "" when there is none
	text     string
	actual   *Ref
	modified time.Time // of the file
}

// folderJob is one folder: the messages that should be in it or are.
type folderJob struct {
	index  int
	name   string
	files  []*fileJob
	strays []Finding
	done   sync.WaitGroup // of the files
}

// checkFiles compares rows with files and files with rows.
func (c *checker) checkFiles(ctx context.Context) error {
	total, err := c.totals(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	jobs := make(chan *fileJob, 64)
	order := make(chan *folderJob, 16)
	for range 2 * max(runtime.GOMAXPROCS(0), 2) { // some wait for the disk while others compute
		group.Go(func() error { c.work(ctx, jobs); return nil })
	}
	group.Go(func() error {
		defer close(order)
		defer close(jobs)
		return c.produce(ctx, order, jobs)
	})
	group.Go(func() error { return c.collect(ctx, order, total) })
	err = group.Wait()
	if err != nil && c.state != nil {
		c.state.save()
	}
	return err
}

func (c *checker) totals(ctx context.Context) (CheckProgress, error) {
	var p CheckProgress
	err := c.rows.db.QueryRowContext(ctx, "SELECT count(*), coalesce(sum(size), 0) FROM message").Scan(&p.TotalMessages, &p.TotalBytes)
	return p, err
}

// produce lists what there is to check.
func (c *checker) produce(ctx context.Context, order chan<- *folderJob, jobs chan<- *fileJob) error {
	for i := range 256 {
		f, err := c.folder(ctx, byte(i))
		if err != nil {
			return err
		}
		f.done.Add(len(f.files))
		select {
		case order <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
		for n, job := range f.files {
			select {
			case jobs <- job:
			case <-ctx.Done():
				f.done.Add(n - len(f.files))
				return ctx.Err()
			}
		}
	}
	return nil
}

// folder lists a folder first and its rows then: a message that a Writer adds meanwhile has its file before its row, and shows up as one without a row at worst.
func (c *checker) folder(ctx context.Context, prefix byte) (*folderJob, error) {
	f := &folderJob{index: int(prefix), name: fmt.Sprintf("%02x", prefix)}
	found, err := os.ReadDir(filepath.Join(c.dir, f.name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := c.expected(ctx, f, prefix); err != nil {
		return nil, err
	}
	known := len(f.files)
	for _, file := range found {
		name, isMessage := strings.CutSuffix(file.Name(), extension)
		ref, err := ParseRef(name)
		switch {
		case !isMessage || err != nil || !file.Type().IsRegular() || ref.String() != name:
			f.strays = append(f.strays, Finding{Kind: FileStray, Path: path.Join(f.name, file.Name()), Problem: "is no message by its name"})
		case ref[0] != prefix:
			f.strays = append(f.strays, Finding{Kind: FileStray, Path: path.Join(f.name, file.Name()), Message: &ref, Problem: fmt.Sprintf("belongs into the folder %s", name[:2])})
		default:
			if _, has := slices.BinarySearchFunc(f.files[:known], ref, func(j *fileJob, ref Ref) int { return bytes.Compare(j.ref[:], ref[:]) }); !has {
				f.files = append(f.files, &fileJob{folder: f, ref: ref, size: -1, digest: c.o.Digests})
			}
		}
	}
	slices.SortFunc(f.files, func(a, b *fileJob) int { return bytes.Compare(a.ref[:], b.ref[:]) })
	return f, nil
}

// expected adds the messages of a folder that have a row.
func (c *checker) expected(ctx context.Context, f *folderJob, prefix byte) error {
	above := []byte{prefix + 1}
	if prefix == 0xff {
		above = bytes.Repeat([]byte{0xff}, len(Ref{})+1)
	}
	rows, err := c.rows.db.QueryContext(ctx, "SELECT ref, size FROM message WHERE ref >= ? AND ref < ? ORDER BY ref", []byte{prefix}, above)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		job := &fileJob{folder: f, digest: c.o.Digests}
		if err := rows.Scan(&job.ref, &job.size); err != nil {
			return err
		}
		if f.name < c.from {
			job.digest = job.digest && slices.Contains(c.again, job.ref)
		}
		f.files = append(f.files, job)
	}
	return rows.Err()
}

func (c *checker) work(ctx context.Context, jobs <-chan *fileJob) {
	r := &fileReader{dir: c.dir}
	if c.state != nil && c.o.Digests {
		r.since = c.state.Begun
	}
	for job := range jobs {
		if ctx.Err() == nil {
			r.check(job)
		}
		job.folder.done.Done()
	}
}

// collect reports what was found, folder by folder.
func (c *checker) collect(ctx context.Context, order <-chan *folderJob, p CheckProgress) error {
	for f := range order {
		f.done.Wait()
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.folderDone(ctx, f); err != nil {
			return err
		}
		p.Messages, p.Bytes = c.done.Messages, c.done.Bytes
		c.progress(p)
	}
	return nil
}

// folderDone reports what was found in a folder.
func (c *checker) folderDone(ctx context.Context, f *folderJob) error {
	var damaged []Ref
	for _, job := range f.files {
		if job.size >= 0 {
			c.done.Messages++
			c.done.Bytes += job.size
		}
		bad, err := c.conclude(ctx, job)
		if err != nil {
			return err
		}
		if bad {
			damaged = append(damaged, job.ref)
		}
	}
	for _, stray := range f.strays {
		if err := c.found(ctx, stray); err != nil {
			return err
		}
	}
	if c.state != nil && f.name >= c.from {
		c.state.passed(fmt.Sprintf("%02x", min(f.index+1, 255)), damaged)
	}
	return nil
}

// conclude reports a file unless all is well, and tells whether it is damaged. It looks again first: a Writer may have changed things since the listing.
func (c *checker) conclude(ctx context.Context, job *fileJob) (bad bool, err error) {
	if job.problem == "" && job.size >= 0 {
		return false, nil
	}
	size, err := c.sizeNow(ctx, job.ref)
	if err != nil {
		return false, err
	}
	if job.size = size; job.problem != "" {
		again := &fileJob{ref: job.ref, size: size, digest: job.digest || job.actual != nil}
		(&fileReader{dir: c.dir}).check(again)
		job = again
	}
	f := Finding{Kind: job.problem, Invariant: "A1", Path: messageName(job.ref), Message: &job.ref, Actual: job.actual, Problem: job.text}
	switch {
	case size >= 0 && job.problem == "":
		return false, nil
	case size >= 0 || job.problem != "" && job.problem != FileMissing && c.reader == nil:
		if err := c.nameActual(ctx, &f); err != nil {
			return false, err
		}
	case job.problem == FileMissing:
		return false, nil // pruned meanwhile
	case job.problem == "" && time.Since(job.modified) < youngOrphan:
		return false, nil
	case job.problem == "" && c.reader == nil:
		c.done.Harmless++ // without gmail.db every file may be one: it says nothing
		return false, nil
	case job.problem == "":
		f.Kind, f.Invariant, f.Problem = FileOrphan, "", "is whole and belongs to no row: the next backup that meets the message adopts it"
	default:
		f.Kind, f.Invariant, f.Problem = FileStray, "", "belongs to no row, and "+job.text
	}
	return !f.Harmless(), c.found(ctx, f)
}

// sizeNow returns what the rows say now, -1 when they do not know the message.
func (c *checker) sizeNow(ctx context.Context, ref Ref) (int64, error) {
	var size int64
	err := c.rows.db.QueryRowContext(ctx, "SELECT size FROM message WHERE ref = ?", ref).Scan(&size)
	if noRows(err) {
		return -1, nil
	}
	return size, err
}

// nameActual tells when a file holds another message of the archive.
func (c *checker) nameActual(ctx context.Context, f *Finding) error {
	if f.Actual == nil {
		return nil
	}
	size, err := c.sizeNow(ctx, *f.Actual)
	if err == nil && size >= 0 {
		f.Kind, f.Problem = FileSwapped, fmt.Sprintf("holds the message %s", f.Actual)
	}
	return err
}

// youngOrphan is how long a file without a row is passed over in silence: its batch may be about to be recorded.
const youngOrphan = 10 * time.Minute
