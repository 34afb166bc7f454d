package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"mailkeep/backup"
)

// Fetching says what of an account is fetched, and how fast.
type Fetching struct {
	DailyLimit int64         // most bytes to receive in 24 hours; 0 for what is known of the server, noLimit for none
	Plain      bool          // do not ask the server to compress
	Include    []string      // only these mailboxes, before Exclude is applied; none means all
	MaxAge     time.Duration // 0, or older messages are left out
	MaxSize    int64         // 0, or larger messages are left out, in bytes
}

const noLimit = -1

// gmailLimit leaves some of the 2,500 MB a day that Google allows over IMAP to the account's other programs.
const gmailLimit = 2400e6

// dailyLimit is the limit that counts, 0 for none.
func (a *Account) dailyLimit() int64 {
	if a.DailyLimit != 0 {
		return max(a.DailyLimit, 0)
	}
	host, _, err := net.SplitHostPort(a.Host)
	if err != nil {
		host = a.Host
	}
	host = strings.ToLower(host)
	for _, google := range []string{"gmail.com", "googlemail.com", "google.com"} {
		if host == google || strings.HasSuffix(host, "."+google) {
			return gmailLimit
		}
	}
	return 0
}

// compresses tells whether compression is worth its time: not to this machine.
func (a *Account) compresses() bool {
	host, _, err := net.SplitHostPort(a.Host)
	return !a.Plain && (err != nil || !isLoopback(host))
}

// backupOptions are the options of a backup that the account decides.
func (a *Account) backupOptions() backup.Options {
	return backup.Options{
		Account: a.Name, Connections: a.Connections, Exclude: a.Exclude, Include: a.Include, MaxAge: a.MaxAge, MaxSize: a.MaxSize,
		DailyBytes: a.dailyLimit(), Compress: a.compresses(), Client: "mailkeep",
	}
}

// bytes takes a size such as "2400 MB", or "none", which becomes none.
func (p *configParser) bytes(to *int64, none int64) func(string, any) {
	return func(path string, value any) {
		text, ok := value.(string)
		if ok && text == "none" {
			*to = none
			return
		}
		n, err := humanize.ParseBytes(text)
		if !ok || err != nil || n == 0 || n > 1<<50 {
			p.fail(path, "%s must be a size such as \"2400 MB\", or \"none\", not %s", plainKey(path), describe(value))
			return
		}
		*to = int64(n)
	}
}

// age takes an age such as "2y", "6m", "30d" or "none".
func (p *configParser) age(to *time.Duration) func(string, any) {
	return func(path string, value any) {
		text, ok := value.(string)
		d, err := parseAge(text)
		if !ok || err != nil {
			p.fail(path, "%s must be an age such as \"2y\", \"6m\" or \"30d\", or \"none\", not %s", plainKey(path), describe(value))
			return
		}
		*to = d
	}
}

// parseAge reads a number of days, weeks, months of 30 days or years of 365.25.
func parseAge(text string) (time.Duration, error) {
	if text == "none" {
		return 0, nil
	}
	units := map[string]float64{"d": 1, "w": 7, "m": 30, "y": 365.25}
	if text != "" {
		n, err := strconv.ParseUint(text[:len(text)-1], 10, 16)
		if unit := units[text[len(text)-1:]]; err == nil && unit > 0 && n > 0 && float64(n)*unit < 100*365.25 {
			return time.Duration(float64(n) * unit * float64(24*time.Hour)), nil
		}
	}
	return 0, fmt.Errorf("%q is no age", text)
}

// not takes true or false and keeps the contrary.
func (p *configParser) not(to *bool) func(string, any) {
	return func(path string, value any) {
		var b bool
		p.yes(&b)(path, value)
		*to = !b
	}
}
