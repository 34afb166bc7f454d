package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"mailkeep/archive"
	"mailkeep/backup"
)

// RunConfig says when "mailkeep run" backs up.
type RunConfig struct {
	Every time.Duration // from the end of one backup to the next; 0 for the standard
	At    []timeOfDay   // or at these times of each day; none: at the interval
	Deaf  bool          // do not wait for the server to tell of new mail
}

// timeOfDay is minutes after midnight, local time.
type timeOfDay int

func parseTimeOfDay(text string) (timeOfDay, error) {
	t, err := time.Parse("15:04", strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("%q is no time of day such as \"03:30\"", text)
	}
	return timeOfDay(60*t.Hour() + t.Minute()), nil
}

// schedule tells when an account's next backup is due.
type schedule struct {
	every  time.Duration
	at     []timeOfDay
	jitter func(most time.Duration) time.Duration // at random from 0 to most
}

func newSchedule(c RunConfig) schedule {
	s := schedule{every: c.Every, at: slices.Clone(c.At), jitter: func(most time.Duration) time.Duration { return rand.N(most + 1) }}
	if s.every == 0 {
		s.every = defaultEvery
	}
	slices.Sort(s.at)
	return s
}

// maxJitter bounds by how much backups are late on purpose, so that the accounts of many computers do not all begin at the full hour.
const maxJitter = 5 * time.Minute

// regular is the turn after a moment.
func (s schedule) regular(now time.Time) time.Time {
	if len(s.at) == 0 {
		return now.Add(s.every + s.jitter(min(s.every/10, maxJitter)))
	}
	for day := 0; ; day++ {
		for _, at := range s.at {
			// Date knows when the clocks are changed: a time that there is not becomes the one an hour later.
			t := time.Date(now.Year(), now.Month(), now.Day()+day, int(at)/60, int(at)%60, 0, 0, now.Location())
			if t.After(now) {
				return t.Add(s.jitter(maxJitter))
			}
		}
	}
}

// The waits after a failure that may be over soon.
const (
	firstRetry = time.Minute
	lastRetry  = 30 * time.Minute
	leastPause = 5 * time.Minute // after a day's limit, also when it leaves room at once: what is under way counts as received until it arrives
)

// next is the turn after a backup that ended at now with err. failures counts those in a row that waiting may cure.
func (s schedule) next(now time.Time, err error, failures *int) time.Time {
	regular := s.regular(now)
	var full *backup.QuotaError
	switch {
	case errors.As(err, &full):
		*failures = 0
		return later(full.Resume, now.Add(leastPause)).Add(s.jitter(time.Minute))
	case err == nil, errors.Is(err, errIncomplete), errors.Is(err, backup.ErrAuth), errors.Is(err, errUsage):
		*failures = 0
		return regular
	}
	retry := min(firstRetry<<min(*failures, 10), lastRetry)
	if errors.Is(err, archive.ErrLocked) {
		retry = firstRetry
	}
	*failures++
	soon := now.Add(retry/2 + s.jitter(retry/2))
	if soon.Before(regular) {
		return soon
	}
	return regular
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (p *configParser) run(path string, value any, c *RunConfig) {
	p.table(path, value, keys{
		"every": func(path string, v any) {
			text, ok := v.(string)
			d, err := time.ParseDuration(text)
			if !ok || err != nil || d < leastEvery {
				p.fail(path, "run.every must be a time of at least %s such as \"30m\" or \"6h\", not %s", leastEvery, describe(v))
			}
			c.Every = d
		},
		"at": func(path string, v any) {
			var texts []string
			p.strs(&texts)(path, v)
			for _, text := range texts {
				at, err := parseTimeOfDay(text)
				if err != nil {
					p.fail(path, "run.at: %w", err)
				}
				c.At = append(c.At, at)
			}
		},
		"idle": p.not(&c.Deaf),
	})
	if c.Every != 0 && len(c.At) > 0 {
		p.fail(path+".at", "run.every and run.at exclude each other")
	}
}
