package backup_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// A large account of tiny messages: what the run costs beside the messages themselves, then a run with nothing to do, then one after ten changes.
func BenchmarkLarge(b *testing.B) {
	const n = 100_000
	r := newRig(b, gmailsim.Options{})
	r.srv = gmailsim.New(gmailsim.Options{}) // without a log
	r.addr = r.srv.Start(b)
	r.o.BatchAge = 0
	var ids []gmailsim.MsgID
	for i := range n {
		m := labelled(i, `\Inbox`, fmt.Sprint("label ", i%40))
		ids = append(ids, r.deliver(m))
	}
	runtime.GC()
	var base runtime.MemStats
	runtime.ReadMemStats(&base)
	heap := &heapWatch{}
	measure := func(name string) backup.Summary {
		stop := heap.watch()
		sum, err := backup.Run(context.Background(), r.w, r.o)
		stop()
		r.must(err)
		b.Logf("%-10s %8v, %5d commands, %9d bytes read, %8d sent, heap %d MB above %d, %d downloaded", name, sum.Elapsed.Round(time.Millisecond),
			sum.Commands, sum.BytesRead, sum.BytesSent, (heap.top.Load()-int64(base.HeapAlloc))>>20, base.HeapAlloc>>20, sum.Downloaded)
		return sum
	}
	for b.Loop() {
		first := measure("first")
		b.ReportMetric(n/first.Elapsed.Seconds(), "msg/s")
		measure("unchanged")
		for i := range 10 {
			r.must(r.srv.SetFlags(ids[i*1000], `\Flagged`))
		}
		measure("10 changes")
		r.must(r.srv.ChangeUIDValidity(r.srv.FolderName(`\All`)))
		measure("metadata")
	}
}

// heapWatch notes the largest heap.
type heapWatch struct{ top atomic.Int64 }

func (h *heapWatch) watch() (stop func()) {
	h.top.Store(0)
	done := make(chan struct{})
	go func() {
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			h.top.Store(max(h.top.Load(), int64(m.HeapAlloc)))
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return func() { close(done) }
}
