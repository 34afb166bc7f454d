package backup

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"mailkeep/archive"
)

// A copy that waits for another one's download gets its outcome also when that one is recorded at once.
func TestRecordedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{}.withDefaults()
		rep := newReport(o.Progress)
		r := &run{o: o, report: rep, flights: newFlights(), pool: newPool(o, nil, rep), rec: &recorder{results: make(chan outcome)}}
		w := &worker{run: r}
		f := &folder{plan: &planned{}}
		first, second := &piece{f: f, seq: 0, key: "k", size: 3}, &piece{f: f, seq: 1, key: "k", size: 3}
		first.copy.UID, second.copy.UID = 1, 2
		r.flights.start("k")
		if ref, ok := r.flights.join("k", second); !ok || !ref.IsZero() {
			t.Fatal("nothing to wait for")
		}
		go w.deliver(&job{f: f, pieces: map[uint32]*piece{1: first}}, arrived{uid: 1, ref: archive.Ref{1}, size: 3})
		synctest.Wait() // until it hands the first outcome over
		one := <-r.rec.results
		r.flights.land([]string{one.key})
		select {
		case two := <-r.rec.results:
			if one.seq != 0 || one.key != "k" || two.seq != 1 || two.copy.Ref != (archive.Ref{1}) {
				t.Errorf("%+v, %+v", one, two)
			}
		case <-time.After(time.Second):
			t.Error("nobody told the copy that waited")
		}
	})
}

// A run that loses sight of a copy must not end as if everything were recorded.
func TestOutcomesAreCounted(t *testing.T) {
	for _, lost := range []uint64{0, 1} {
		rec := startRecorder(nil, 0, Options{}.withDefaults(), newFlights(), newReport(Options{}.withDefaults().Progress), func(error) {})
		for want := range uint64(3) {
			seq, err := rec.expect(context.Background())
			if err != nil || seq != want {
				t.Fatalf("outcome %d: %d, %v", want, seq, err)
			}
			if seq >= lost {
				rec.put(outcome{seq: seq})
			}
		}
		if err := rec.finish(); err != nil {
			t.Fatal(err)
		}
		if err := rec.complete(); (err != nil) != (lost > 0) {
			t.Errorf("%d lost: %v", lost, err)
		}
	}
}
