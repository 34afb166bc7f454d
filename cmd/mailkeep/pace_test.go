package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	var p pace
	if !p.earliest.Before(now) || p.idly() {
		t.Errorf("at the beginning: %+v", p)
	}
	steps := []struct {
		found bool
		want  time.Duration
	}{
		{true, time.Minute}, {true, time.Minute}, {false, 2 * time.Minute}, {false, 4 * time.Minute}, {false, 8 * time.Minute},
		{false, 15 * time.Minute}, {false, 15 * time.Minute}, {true, time.Minute},
	}
	for i, s := range steps {
		p.followed(now, s.found)
		if got := p.earliest.Sub(now); got != s.want || p.idly() == s.found {
			t.Errorf("step %d: %v, idly %v; want %v, %v", i, got, p.idly(), s.want, !s.found)
		}
	}
}

func TestWaitForNews(t *testing.T) {
	cases := []struct {
		name                          string
		next, earliest, told, waiting time.Duration // told < 0: never
		prompted                      bool
	}{
		{"a turn", time.Hour, 0, -1, time.Hour, false},
		{"first news", time.Hour, -time.Hour, 10 * time.Second, 10 * time.Second, true},
		{"news too early", time.Hour, 5 * time.Minute, 0, 5 * time.Minute, true},
		{"news late enough", time.Hour, 5 * time.Minute, 20 * time.Minute, 20 * time.Minute, true},
		{"a turn before the distance is kept", time.Minute, 5 * time.Minute, 0, time.Minute, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				got := new(runner).wait(t.Context(), start.Add(c.next), start.Add(c.earliest), func(ctx context.Context, news chan<- struct{}) {
					if c.told < 0 {
						return
					}
					sleep(ctx, c.told)
					news <- struct{}{}
				})
				if took := time.Since(start); got != c.prompted || took != c.waiting {
					t.Errorf("prompted %v after %v; want %v after %v", got, took, c.prompted, c.waiting)
				}
			})
		})
	}
}
