package archive

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// trafficFile tells how much was received lately, for servers that limit it by the day. It is no fact about mail: it stands in neither journal nor gmail.db, a rebuild
// does not need it, and without it a day's limit merely starts anew.
const trafficFile = "traffic.json"

// What the file keeps: sums over spans of time, for as long as they count.
const (
	trafficSpan = 10 * time.Minute
	trafficKept = 24*time.Hour + trafficSpan
)

// Traffic is what was received from an account's server in a span of time.
type Traffic struct {
	At    int64 `json:"at"`    // Unix seconds of the beginning of the span, a multiple of ten minutes
	Bytes int64 `json:"bytes"` // received in it
}

// Traffic returns what was received for an account in the last 24 hours, ascending by time. A missing or unreadable file counts as nothing.
func (r *Reader) Traffic(account string) []Traffic {
	return recentTraffic(readTraffic(filepath.Join(r.dir, trafficFile))[account], time.Now())
}

// AddTraffic notes bytes received for an account. The file is replaced as a whole.
func (w *Writer) AddTraffic(account string, at time.Time, bytes int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	path := filepath.Join(w.dir, trafficFile)
	all := readTraffic(path)
	all[account] = addTraffic(recentTraffic(all[account], at), at, bytes)
	text, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("note the traffic of account %q: %w", account, err)
	}
	if err := writeDurably(path, append(text, '\n')); err != nil {
		return fmt.Errorf("note the traffic of account %q: %w", account, noSpace(err))
	}
	return nil
}

// readTraffic returns an empty map for whatever it cannot read: a limit that starts anew is better than no backup.
func readTraffic(path string) map[string][]Traffic {
	var all map[string][]Traffic
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &all) != nil || all == nil {
		return map[string][]Traffic{}
	}
	return all
}

// recentTraffic leaves out what does not count any more, and what cannot be: a clock that was set back must not block an account.
func recentTraffic(list []Traffic, now time.Time) []Traffic {
	var recent []Traffic
	for _, t := range list {
		if age := now.Sub(time.Unix(t.At, 0)); age < trafficKept && age > -trafficSpan && t.Bytes > 0 {
			recent = append(recent, t)
		}
	}
	return recent
}

func addTraffic(list []Traffic, at time.Time, bytes int64) []Traffic {
	span := at.Truncate(trafficSpan).Unix()
	if n := len(list); n > 0 && list[n-1].At >= span {
		list[n-1].Bytes += bytes
		return list
	}
	return append(list, Traffic{At: span, Bytes: bytes})
}
