package archive

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// checkFile tells how far a check came, so that an interrupted one goes on there. It is no fact about mail and may be deleted at any time.
const checkFile = "check.json"

const (
	checkVersion = 1
	checkKept    = 7 * 24 * time.Hour // an older beginning says nothing about the files of today
	checkSaved   = 5 * time.Second    // between two notes
	checkAgain   = 10_000             // damaged files noted; where more are damaged the check does not move on
)

// checkState is the content of that file.
type checkState struct {
	Version int       `json:"version"`
	Begun   time.Time `json:"begun"`
	Digests bool      `json:"digests"`         // files were read, not only looked at
	Next    string    `json:"next"`            // the folder to go on with; those before it were checked
	Again   []Ref     `json:"again,omitempty"` // what was damaged in those, to be looked at again

	path  string
	saved time.Time
}

// resumeCheck returns where a check of this depth was interrupted, or a new state.
func resumeCheck(dir string, digests bool) *checkState {
	path := filepath.Join(dir, checkFile)
	var s checkState
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	age := time.Since(s.Begun)
	if err != nil || s.Version != checkVersion || s.Digests != digests || age < 0 || age > checkKept || !isFolder(s.Next) {
		s = checkState{Version: checkVersion, Begun: time.Now().UTC().Truncate(time.Second), Digests: digests}
	}
	s.path = path
	s.saved = time.Now()
	return &s
}

// passed notes that a folder was checked, and what is damaged in it. A note that cannot be written, as on a medium for reading only, merely makes the next check longer.
func (s *checkState) passed(next string, damaged []Ref) {
	if len(s.Again)+len(damaged) > checkAgain {
		return
	}
	s.Again = append(s.Again, damaged...)
	if s.Next = next; time.Since(s.saved) >= checkSaved {
		s.save()
	}
}

func (s *checkState) save() {
	if s.Next == "" {
		return
	}
	s.saved = time.Now()
	text, err := json.Marshal(s)
	if err == nil {
		_ = writeDurably(s.path, append(text, '\n'))
	}
}

// forget ends it: the check is complete.
func (s *checkState) forget() { _ = os.Remove(s.path) }

// ForgetCheck makes the next check of the archive in dir begin at the beginning.
func ForgetCheck(dir string) { _ = os.Remove(filepath.Join(dir, checkFile)) }
