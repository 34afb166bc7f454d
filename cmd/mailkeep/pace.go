package main

import "time"

// The distance between backups that news ask for: each costs logins, of which servers allow only so many, and what a server says is not always new mail.
const (
	leastPace = time.Minute
	mostPace  = 15 * time.Minute
)

// pace keeps the backups of an account that news ask for apart. The zero pace lets the first begin at once.
type pace struct {
	earliest time.Time     // when the next may begin, by the wall clock
	gap      time.Duration // after the last one; it doubles while they find nothing new
}

// followed notes that a backup that news had asked for ended at now, and whether it found anything new.
func (p *pace) followed(now time.Time, found bool) {
	if found {
		p.gap = leastPace
	} else {
		p.gap = min(max(2*p.gap, 2*leastPace), mostPace)
	}
	p.earliest = now.Round(0).Add(p.gap)
}

// idly tells whether the last one found nothing.
func (p *pace) idly() bool { return p.gap > leastPace }
