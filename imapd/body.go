package imapd

import (
	"container/list"
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"

	"mailkeep/archive"
	"mailkeep/message"
)

const (
	headSize       = 32 << 10 // how much of a message is read at first: most have their header in it, many all
	largeRange     = 1 << 20  // of a message; more waits until there is memory
	loadedBytes    = 64 << 20 // of messages held whole in memory, by all sessions together; what is decoded of them may take as much again
	structureBytes = 32 << 20 // of part trees kept
)

// errDamaged says that a message's file is not what the archive has recorded.
var errDamaged = errors.New("its file has another size than was recorded")

// bodies gives access to the bytes of messages within bounds of memory.
type bodies struct {
	reader *archive.Reader
	ctx    context.Context     // ends with the server
	memory *semaphore.Weighted // bytes of large messages that are held whole

	mu    sync.Mutex
	known map[archive.Ref]*list.Element // of *structure
	used  list.List                     // most recently used first
	bytes int64

	digests   digests
	recent    recent
	assembled assembled
}

// structure is what is kept of a message that has been parsed.
type structure struct {
	ref           archive.Ref
	root          *message.Part
	envelope      []byte // in wire form, as the next two
	body          []byte
	bodyStructure []byte
	cost          int64
}

func (b *bodies) init(ctx context.Context, r *archive.Reader) {
	b.ctx, b.reader = ctx, r
	b.memory = semaphore.NewWeighted(loadedBytes)
	b.known = make(map[archive.Ref]*list.Element)
}

func (b *bodies) structure(ref archive.Ref) *structure {
	b.mu.Lock()
	defer b.mu.Unlock()
	el := b.known[ref]
	if el == nil {
		return nil
	}
	b.used.MoveToFront(el)
	return el.Value.(*structure)
}

// parse takes a message apart and keeps the result.
func (b *bodies) parse(ref archive.Ref, data []byte) *structure {
	st := &structure{ref: ref, root: message.Parse(data)}
	st.envelope = message.AppendEnvelope(nil, st.root.Header(data))
	st.body = st.root.AppendBody(nil, data)
	st.bodyStructure = st.root.AppendBodyStructure(nil, data)
	parts := 0
	st.root.Walk(func(*message.Part) bool { parts++; return true })
	// A part is about 350 bytes with its strings, which stand in bodyStructure too.
	st.cost = int64(200 + 350*parts + len(st.envelope) + len(st.body) + 2*len(st.bodyStructure))

	b.mu.Lock()
	defer b.mu.Unlock()
	if el := b.known[ref]; el != nil {
		return el.Value.(*structure)
	}
	if st.cost > structureBytes/4 {
		return st // not at the cost of all the others
	}
	b.known[ref] = b.used.PushFront(st)
	b.bytes += st.cost
	for b.bytes > structureBytes {
		last := b.used.Back()
		old := b.used.Remove(last).(*structure)
		delete(b.known, old.ref)
		b.bytes -= old.cost
	}
	return st
}
