package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	tmpDir        = "tmp"
	quarantineDir = "quarantine"
	extension     = ".eml"
)

// messagePath is where the archive in dir keeps a message.
func messagePath(dir string, ref Ref) string {
	name := ref.String()
	return filepath.Join(dir, name[:2], name+extension)
}

// mailStore puts message files in place. Its methods may be called by many goroutines.
type mailStore struct {
	dir     string
	barrier *barrier

	moving sync.RWMutex // held for writing while files leave their places, for reading while put relies on one that it found in place
	mu     sync.Mutex
	staged map[Ref]staged // complete in tmp/, not durable yet

	made map[string]bool // message folders known to exist; settle's alone
}

type staged struct {
	path    string // in tmp/, or where the message belongs
	size    int64
	adopted bool // in place already, from a Writer that did not come to record it
}

func openMailStore(dir string) (*mailStore, error) {
	if err := emptyTmp(filepath.Join(dir, tmpDir)); err != nil {
		return nil, err
	}
	b, err := newBarrier(dir)
	if err != nil {
		return nil, err
	}
	return &mailStore{dir: dir, barrier: b, staged: make(map[Ref]staged), made: make(map[string]bool)}, nil
}

// emptyTmp removes what an interrupted Writer left.
func emptyTmp(tmp string) error {
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	left, err := os.ReadDir(tmp)
	if err != nil {
		return err
	}
	for _, f := range left {
		if err := os.RemoveAll(filepath.Join(tmp, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyBuffers are used for one message after the other.
var copyBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// put copies a message into tmp/ while hashing it. The bytes are not looked at (A4).
func (s *mailStore) put(r io.Reader) (Ref, int64, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, tmpDir), "in-")
	if err != nil {
		return Ref{}, 0, err
	}
	hash := sha256.New()
	buffer := copyBuffers.Get().(*[64 << 10]byte)
	size, err := io.CopyBuffer(io.MultiWriter(f, hash), r, buffer[:])
	copyBuffers.Put(buffer)
	if err == nil {
		err = s.barrier.arrived(f)
	}
	if err == nil {
		err = f.Chmod(0o400) // A3
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(f.Name())
		return Ref{}, 0, err
	}
	ref := Ref(hash.Sum(nil))
	return ref, size, s.stage(ref, staged{path: f.Name(), size: size})
}

// stage keeps the first of several equal messages. A file that is in place already is adopted when its bytes are right (A2), and replaced when they are not.
func (s *mailStore) stage(ref Ref, st staged) error {
	s.moving.RLock()
	defer s.moving.RUnlock()
	inPlace, err := s.intact(ref, st.size)
	if err != nil {
		os.Remove(st.path)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, twice := s.staged[ref]; twice {
		return os.Remove(st.path)
	}
	if !inPlace {
		s.staged[ref] = st
		return nil
	}
	// Whether it ever became durable nobody knows, so settle flushes it like a new one.
	s.staged[ref] = staged{path: messagePath(s.dir, ref), size: st.size, adopted: true}
	return os.Remove(st.path)
}

// intact tells whether a message's file is in place with the right bytes.
func (s *mailStore) intact(ref Ref, size int64) (bool, error) {
	f, err := os.Open(messagePath(s.dir, ref))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != size {
		return false, err
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return false, nil // unreadable: the new file takes its place
	}
	return Ref(hash.Sum(nil)) == ref, nil
}

// settle makes the staged ones among refs durable and moves them in place; when it returns nil all of them survive a power cut (A8). It returns how many
// files are new, and their bytes. One goroutine at a time calls it; put may go on meanwhile.
func (s *mailStore) settle(refs []Ref) (files int, bytes int64, err error) {
	todo, paths := s.stagedAmong(refs)
	if len(todo) == 0 {
		return 0, 0, nil
	}
	if err := s.barrier.files(paths); err != nil {
		return 0, 0, err
	}
	touched := make(map[string]bool)
	for ref, st := range todo {
		if err := s.place(ref, st, touched); err != nil {
			return 0, 0, err
		}
		if !st.adopted {
			files++
			bytes += st.size
		}
	}
	if err := s.barrier.folders(touched); err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := range todo {
		delete(s.staged, ref)
	}
	return files, bytes, nil
}

func (s *mailStore) stagedAmong(refs []Ref) (todo map[Ref]staged, paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	todo = make(map[Ref]staged)
	for _, ref := range refs {
		st, ok := s.staged[ref]
		if _, twice := todo[ref]; ok && !twice {
			todo[ref] = st
			paths = append(paths, st.path)
		}
	}
	return todo, paths
}

func (s *mailStore) place(ref Ref, st staged, touched map[string]bool) error {
	to := messagePath(s.dir, ref)
	folder := filepath.Dir(to)
	touched[folder] = true
	if st.adopted {
		touched[s.dir] = true
		return nil
	}
	if !s.made[folder] {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		s.made[folder] = true
		touched[s.dir] = true
	}
	return os.Rename(st.path, to)
}

// has tells whether a message is in place or staged, with its size in bytes.
func (s *mailStore) has(ref Ref) (int64, error) {
	s.mu.Lock()
	st, ok := s.staged[ref]
	s.mu.Unlock()
	if ok {
		return st.size, nil
	}
	info, err := os.Stat(messagePath(s.dir, ref))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("message %s has no file: %w", ref, ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (s *mailStore) close() error {
	return errors.Join(emptyTmp(filepath.Join(s.dir, tmpDir)), s.barrier.close())
}
