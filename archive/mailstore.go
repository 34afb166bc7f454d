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

	mu     sync.Mutex
	staged map[Ref]staged  // complete in tmp/, not durable yet
	made   map[string]bool // message folders known to exist
}

type staged struct {
	path string // in tmp/
	size int64
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

// put copies a message into tmp/ while hashing it. The bytes are not looked at (A4).
func (s *mailStore) put(r io.Reader) (Ref, int64, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, tmpDir), "in-")
	if err != nil {
		return Ref{}, 0, err
	}
	hash := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, hash), r)
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

// stage keeps the first of several equal messages, and none when its file is in place already (A2).
func (s *mailStore) stage(ref Ref, st staged) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, twice := s.staged[ref]
	if !twice {
		info, err := os.Stat(messagePath(s.dir, ref))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			os.Remove(st.path)
			return err
		}
		twice = err == nil && info.Size() == st.size
	}
	if twice {
		return os.Remove(st.path)
	}
	s.staged[ref] = st
	return nil
}

// settle makes the staged ones among refs durable and moves them in place; when it returns nil all of them survive a power cut (A8). It returns how many
// files are new, and their bytes. After an error the files are staged as before or in place; both are safe to settle again.
func (s *mailStore) settle(refs []Ref) (files int, bytes int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var todo []Ref
	var paths []string
	named := make(map[Ref]bool, len(refs))
	for _, ref := range refs {
		if st, ok := s.staged[ref]; ok && !named[ref] {
			named[ref] = true
			todo = append(todo, ref)
			paths = append(paths, st.path)
		}
	}
	if len(todo) == 0 {
		return 0, 0, nil
	}
	if err := s.barrier.files(paths); err != nil {
		return 0, 0, err
	}
	touched := make(map[string]bool)
	for _, ref := range todo {
		if err := s.place(ref, touched); err != nil {
			return files, bytes, err
		}
		files++
		bytes += s.staged[ref].size
	}
	if err := s.barrier.folders(touched); err != nil {
		return files, bytes, err
	}
	for _, ref := range todo {
		delete(s.staged, ref)
	}
	return files, bytes, nil
}

func (s *mailStore) place(ref Ref, touched map[string]bool) error {
	to := messagePath(s.dir, ref)
	folder := filepath.Dir(to)
	if !s.made[folder] {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		s.made[folder] = true
		touched[s.dir] = true
	}
	err := os.Rename(s.staged[ref].path, to)
	if errors.Is(err, fs.ErrNotExist) {
		// An earlier settle moved it and failed later on.
		_, err = os.Stat(to)
	}
	touched[folder] = true
	return err
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
