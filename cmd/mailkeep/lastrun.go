package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// lastRunFile stands in the archive's folder. It only feeds the "last backup" column of status, because a run that finds nothing new leaves no trace in the
// archive itself; it may be deleted at any time.
const lastRunFile = "last-run.json"

// lastRun is how the latest backup of an account went.
type lastRun struct {
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Result   string    `json:"result"` // as accountResult.verdict
	New      int       `json:"new_messages"`
	Bytes    int64     `json:"bytes"` // received
}

// readRuns returns the latest run of each account; a missing or broken file counts as none.
func readRuns(dir string) (map[string]lastRun, error) {
	text, err := os.ReadFile(filepath.Join(dir, lastRunFile))
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]lastRun{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read when the last backup was: %w", err)
	}
	runs := map[string]lastRun{}
	if json.Unmarshal(text, &runs) != nil {
		return map[string]lastRun{}, nil
	}
	return runs, nil
}

// noting lets one account at a time change the file.
var noting sync.Mutex

// noteRun records the latest run of an account. The caller holds the archive's lock.
func noteRun(dir, account string, run lastRun) error {
	noting.Lock()
	defer noting.Unlock()
	runs, err := readRuns(dir)
	if err != nil {
		return err
	}
	runs[account] = run
	text, err := json.MarshalIndent(runs, "", "  ")
	if err != nil {
		return fmt.Errorf("note the time of the backup: %w", err)
	}
	if err := writeFileAtomic(filepath.Join(dir, lastRunFile), append(text, '\n')); err != nil {
		return fmt.Errorf("note the time of the backup: %w", err)
	}
	return nil
}
