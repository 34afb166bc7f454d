package backup

import (
	"sync"

	"mailkeep/archive"
)

// flights knows the messages that are being downloaded or were not recorded yet, by a key that stands for their bytes, so that a second copy met meanwhile
// is not downloaded too. The zero value is not ready; use newFlights. Safe for concurrent use.
type flights struct {
	mu     sync.Mutex
	byKey  map[string]*flight
	recent map[string]archive.Ref // landed since the last call of mark
}

type flight struct {
	ref     archive.Ref // zero while it is being downloaded
	waiting []*piece
}

func newFlights() *flights {
	return &flights{byKey: make(map[string]*flight), recent: make(map[string]archive.Ref)}
}

// mark is called before the archive is asked for keys: what has landed until then is in its answer.
func (f *flights) mark() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.recent)
}

// join looks for a flight. It returns its Ref when the message has arrived; otherwise p waits for it: land tells. ok is false when there is none.
func (f *flights) join(key string, p *piece) (ref archive.Ref, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ref, ok := f.recent[key]; ok {
		return ref, true
	}
	fl := f.byKey[key]
	if fl == nil {
		return archive.Ref{}, false
	}
	if fl.ref.IsZero() {
		fl.waiting = append(fl.waiting, p)
	}
	return fl.ref, true
}

// start begins a flight.
func (f *flights) start(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byKey[key] = &flight{}
}

// arrive notes the Ref and returns who waited for it.
func (f *flights) arrive(key string, ref archive.Ref) []*piece {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.byKey[key]
	if fl == nil {
		return nil
	}
	fl.ref = ref
	waiting := fl.waiting
	fl.waiting = nil
	return waiting
}

// crash ends a flight whose message could not be had, and returns who waited for it.
func (f *flights) crash(key string) []*piece {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.byKey[key]
	if fl == nil {
		return nil
	}
	delete(f.byKey, key)
	return fl.waiting
}

// land ends flights whose message is recorded: the archive knows it now.
func (f *flights) land(keys []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, key := range keys {
		if fl := f.byKey[key]; fl != nil {
			f.recent[key] = fl.ref
			delete(f.byKey, key)
		}
	}
}
