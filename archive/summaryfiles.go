package archive

import (
	"errors"
	"os"
)

// useSummaries returns the files, opened when they were not, or nil when there are none.
func (r *Reader) useSummaries() *summaryFiles {
	st := &r.summaries
	st.mu.Lock()
	defer st.mu.Unlock()
	info, err := os.Stat(r.summaryPath(indexFile))
	if st.files != nil && (err != nil || !os.SameFile(info, st.files.info)) {
		st.drop()
	}
	if st.files == nil && err == nil {
		if st.files, err = r.openSummaries(); err != nil {
			return nil
		}
	}
	if st.files != nil {
		st.files.users++
	}
	return st.files
}

func (r *Reader) releaseSummaries(f *summaryFiles) {
	r.summaries.mu.Lock()
	defer r.summaries.mu.Unlock()
	r.summaries.release(f)
}

// release gives files up; mu is held.
func (st *summaryState) release(f *summaryFiles) {
	if f.users--; f.users == 0 {
		f.close()
	}
}

// drop gives up the Reader's own use of the files; mu is held.
func (st *summaryState) drop() {
	if st.files != nil {
		st.release(st.files)
		st.files = nil
	}
}

// closeSummaries is for the end of a Reader; cursors that are open stay usable.
func (r *Reader) closeSummaries() {
	r.summaries.mu.Lock()
	defer r.summaries.mu.Unlock()
	r.summaries.drop()
}

// openSummaries opens the files for a first user, who is the Reader itself.
func (r *Reader) openSummaries() (*summaryFiles, error) {
	set, err := r.openSummarySet(os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	f := &summaryFiles{summarySet: set, users: 1, dicts: make(map[int]*dictionary)}
	if f.info, err = set.file(indexFile).Stat(); err == nil {
		err = set.check()
	}
	if err != nil {
		set.close()
		return nil, err
	}
	return f, nil
}

// summarySet are the open files.
type summarySet [len(summaryExtensions)]*os.File

func (set *summarySet) file(which int) *os.File { return set[which] }

func (r *Reader) openSummarySet(flags int) (set summarySet, err error) {
	for i := range set {
		if set[i], err = os.OpenFile(r.summaryPath(i), flags, 0o600); err != nil {
			set[i] = nil
			set.close()
			return set, err
		}
	}
	return set, nil
}

func (set *summarySet) close() {
	for _, f := range set {
		if f != nil {
			f.Close()
		}
	}
}

var errNotSummaries = errors.New("the files do not belong together")

// check tells whether the files belong together.
func (set *summarySet) check() error {
	var common []byte
	for i, f := range set {
		var b [fileHeader]byte
		if _, err := f.ReadAt(b[:], 0); err != nil {
			return err
		}
		if string(b[:8]) != summaryExtensions[i].magic || i > 0 && string(b[8:]) != string(common) {
			return errNotSummaries
		}
		common = b[8:]
	}
	return nil
}
