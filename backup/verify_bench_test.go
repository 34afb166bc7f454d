package backup_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// A large account of tiny messages is compared with its archive. MAILKEEP_VERIFY says how many messages; a hundred thousand otherwise.
func BenchmarkVerify(b *testing.B) {
	n := 100_000
	if more, err := strconv.Atoi(os.Getenv("MAILKEEP_VERIFY")); err == nil {
		n = more
	}
	r := newRig(b, gmailsim.Options{})
	r.srv = gmailsim.New(gmailsim.Options{}) // without a log
	r.addr = r.srv.Start(b)
	r.o.BatchAge = 0
	for i := range n {
		r.deliver(labelled(i, `\Inbox`, fmt.Sprint("label ", i%40)))
	}
	first := r.run()
	b.Logf("backed up %d in %v", first.NewMessages, first.Elapsed.Round(time.Millisecond))
	runtime.GC()
	var base runtime.MemStats
	runtime.ReadMemStats(&base)
	heap := &heapWatch{}
	for b.Loop() {
		stop := heap.watch()
		v, err := backup.Verify(context.Background(), r.w.Reader, r.o, 0)
		stop()
		r.must(err)
		if v.Held != int64(n) || v.Missing != 0 || v.Items != int64(n) {
			b.Errorf("found %+v", v.Receipt)
		}
		b.Logf("compared %d in %v, heap %d MB above %d", v.Held, v.Elapsed.Round(time.Millisecond), (heap.top.Load()-int64(base.HeapAlloc))>>20, base.HeapAlloc>>20)
		b.ReportMetric(float64(n)/v.Elapsed.Seconds(), "msg/s")
	}
}
