package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/backup"
)

// punctual is a schedule without chance: jitter is all of most.
func punctual(c RunConfig) schedule {
	s := newSchedule(c)
	s.jitter = func(time.Duration) time.Duration { return 0 }
	return s
}

func TestScheduleRegular(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("the system has no time zones: ", err)
	}
	at := func(text string) time.Time {
		t.Helper()
		when, err := time.ParseInLocation("2006-01-02 15:04", text, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	cases := []struct {
		c         RunConfig
		now, want string
	}{
		{RunConfig{}, "2026-05-01 10:00", "2026-05-01 11:00"},
		{RunConfig{Every: 6 * time.Hour}, "2026-05-01 20:00", "2026-05-02 02:00"},
		{RunConfig{At: []timeOfDay{15 * 60, 3 * 60}}, "2026-05-01 02:59", "2026-05-01 03:00"},
		{RunConfig{At: []timeOfDay{15 * 60, 3 * 60}}, "2026-05-01 03:00", "2026-05-01 15:00"},
		{RunConfig{At: []timeOfDay{15 * 60, 3 * 60}}, "2026-05-01 15:00", "2026-05-02 03:00"},
		{RunConfig{At: []timeOfDay{150}}, "2026-03-28 12:00", "2026-03-29 03:30"}, // there is no 02:30 on that day
		{RunConfig{At: []timeOfDay{3 * 60}}, "2026-10-24 12:00", "2026-10-25 03:00"},
		{RunConfig{At: []timeOfDay{0}}, "2026-12-31 23:59", "2027-01-01 00:00"},
	}
	for _, c := range cases {
		if got := punctual(c.c).regular(at(c.now)); !got.Equal(at(c.want)) {
			t.Errorf("%+v after %s: %v, want %s", c.c, c.now, got, c.want)
		}
	}
	now := at("2026-05-01 10:00")
	for range 1000 {
		if late := newSchedule(RunConfig{Every: time.Hour}).regular(now).Sub(now.Add(time.Hour)); late < 0 || late > maxJitter {
			t.Fatalf("%v late", late)
		}
	}
}

func TestScheduleAfterTrouble(t *testing.T) {
	now := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	s := newSchedule(RunConfig{Every: time.Hour})
	s.jitter = func(most time.Duration) time.Duration { return most }
	failures := 0
	lost := fmt.Errorf("account: %w", backup.ErrConnection)
	waits := []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 30 * time.Minute, 30 * time.Minute}
	for i, want := range waits {
		if got := s.next(now, lost, &failures).Sub(now); got != want {
			t.Errorf("failure %d: %v, want %v", i, got, want)
		}
	}
	hourly := time.Hour + maxJitter
	for _, err := range []error{nil, errIncomplete, backup.ErrAuth} {
		if got := s.next(now, err, &failures).Sub(now); got != hourly || failures != 0 {
			t.Errorf("after %v: %v, %d failures", err, got, failures)
		}
	}
	full := &backup.QuotaError{Limit: 1, Resume: now.Add(20 * time.Hour)}
	if got := s.next(now, fmt.Errorf("account: %w", full), &failures).Sub(now); got != 20*time.Hour+time.Minute {
		t.Errorf("after the day's limit: %v", got)
	}
	full.Resume = now.Add(-time.Second)
	if got := s.next(now, fmt.Errorf("account: %w", full), &failures).Sub(now); got != leastPause+time.Minute {
		t.Errorf("after the day's limit, which leaves room: %v", got)
	}
	failures = 9
	if got := s.next(now, archive.ErrLocked, &failures).Sub(now); got != time.Minute {
		t.Errorf("while another program writes: %v", got)
	}
	minutely := punctual(RunConfig{Every: time.Minute})
	if got := minutely.next(now, errors.New("anything"), &failures).Sub(now); got > time.Minute {
		t.Errorf("a failure waits longer than the turn: %v", got)
	}
}

// A clock that is set puts no backup off.
func TestTurnWhenTheClockIsSet(t *testing.T) {
	at := time.Date(2040, 1, 1, 12, 0, 0, 0, time.UTC)
	due := turn{at: at, span: time.Hour}
	for _, test := range []struct {
		wall         time.Time
		passed, want time.Duration
	}{
		{at.Add(-time.Hour), 0, time.Hour},
		{at.Add(-time.Minute), 59 * time.Minute, time.Minute},
		{at.Add(time.Minute), time.Second, -time.Minute},            // the computer slept
		{at.AddDate(-14, 0, 0), 20 * time.Minute, 40 * time.Minute}, // the clock was wrong, and was set back
	} {
		if got := due.left(test.wall, test.passed); got != test.want {
			t.Errorf("%s by the clock, %s passed: %s are left, want %s", test.wall, test.passed, got, test.want)
		}
	}
}
