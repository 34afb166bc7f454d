package message

import (
	"strconv"
	"strings"
	"time"
)

// ParseDate reads the value of a Date field: RFC 5322 section 3.3 with its obsolete forms, and what else is found in old mail, as ctime's order, ISO 8601 dates,
// hyphens, missing seconds, years of two digits, zone names, comments. The time keeps the zone it was written with; without one it is UTC.
// ok is false when there is no date in s.
func ParseDate(s string) (t time.Time, ok bool) {
	var d dateParts
	l := lexer{b: []byte(s)}
	for {
		l.space()
		for l.accept(',') {
			l.space()
		}
		if !l.more() {
			break
		}
		d.token(string(l.until(",(")))
	}
	return d.time()
}

// dateParts collects what the tokens of a date say; the first to say it wins.
type dateParts struct {
	year, day, hour, minute, second int
	month                           time.Month
	haveYear, haveDay, haveClock    bool
	offset                          int // seconds east of UTC
	haveZone                        bool
}

func (d *dateParts) token(t string) {
	switch {
	case t == "":
	case strings.Contains(t, ":") && d.isoDateTime(t):
	case strings.Contains(t, ":") && !d.haveClock:
		d.clock(t)
	case (t[0] == '+' || t[0] == '-') && d.haveClock:
		d.zone(t)
	case strings.Contains(t, "-"):
		d.hyphenated(t)
	case t[0] >= '0' && t[0] <= '9':
		d.number(t)
	default:
		d.word(t)
	}
}

// isoDateTime reads 2006-01-02T15:04:05Z.
func (d *dateParts) isoDateTime(t string) bool {
	i := strings.IndexByte(t, 'T')
	if i < 8 || !isDigits(t[:4]) || !strings.Contains(t[:i], "-") {
		return false
	}
	d.hyphenated(t[:i])
	rest := t[i+1:]
	if z := strings.IndexAny(rest, "+-Z"); z >= 0 {
		d.clock(rest[:z])
		d.zone(rest[z:])
		return true
	}
	d.clock(rest)
	return true
}

// clock reads 15:04, 15:04:05, 15:04:05.678, and the zone some programs glue to it: 15:04:05+0200.
func (d *dateParts) clock(t string) {
	zone := ""
	if i := strings.IndexAny(t, "+-"); i > 0 {
		t, zone = t[:i], t[i:]
	}
	t, _, _ = strings.Cut(t, ".")
	var n [3]int
	for i, part := range strings.SplitN(t, ":", 3) {
		v, err := strconv.Atoi(part)
		if err != nil || v < 0 {
			return
		}
		n[i] = v
	}
	if n[0] > 24 || n[1] > 59 || n[2] > 61 {
		return
	}
	d.hour, d.minute, d.second, d.haveClock = n[0], n[1], n[2], true
	if zone != "" {
		d.zone(zone)
	}
}

// hyphenated reads 2-Jan-2006 and 2006-01-02.
func (d *dateParts) hyphenated(t string) {
	parts := strings.SplitN(t, "-", 3)
	if len(parts) == 3 && isDigits(parts[1]) && len(parts[0]) == 4 && d.month == 0 {
		if m, _ := strconv.Atoi(parts[1]); m >= 1 && m <= 12 {
			d.month = time.Month(m)
			d.number(parts[0])
			d.number(parts[2])
		}
		return
	}
	for _, part := range parts {
		switch {
		case part == "":
		case isDigits(part):
			d.number(part)
		default:
			d.word(part)
		}
	}
}

// number takes a day or a year.
func (d *dateParts) number(t string) {
	digits := 0
	for digits < len(t) && t[digits] >= '0' && t[digits] <= '9' {
		digits++
	}
	v, err := strconv.Atoi(t[:digits])
	switch {
	case err != nil || digits > 4:
	case digits <= 2 && !d.haveDay && v >= 1 && v <= 31:
		d.day, d.haveDay = v, true
	case d.haveYear || digits == 1:
	case digits == 2 && v < 50: // RFC 5322 section 4.3
		d.year, d.haveYear = 2000+v, true
	case digits <= 3:
		d.year, d.haveYear = 1900+v, true
	default:
		d.year, d.haveYear = v, true
	}
}

// word takes the name of a month or a zone; that of a weekday is of no use.
func (d *dateParts) word(t string) {
	if d.month == 0 && len(t) >= 3 {
		if i := strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(t[:3])); i >= 0 && i%3 == 0 {
			d.month = time.Month(i/3 + 1)
			return
		}
	}
	if d.haveClock {
		d.zone(t)
	}
}

// zone takes +0200, +02:00 or a name (RFC 5322 section 4.3); unknown names mean UTC there.
func (d *dateParts) zone(t string) {
	if d.haveZone {
		return
	}
	if t[0] == '+' || t[0] == '-' {
		digits := strings.ReplaceAll(t[1:], ":", "")
		if len(digits) != 4 || !isDigits(digits) {
			return
		}
		v, _ := strconv.Atoi(digits)
		d.offset, d.haveZone = (v/100*60+v%100)*60, true
		if t[0] == '-' {
			d.offset = -d.offset
		}
		return
	}
	if hours, ok := zoneHours[strings.ToUpper(t)]; ok {
		d.offset, d.haveZone = int(hours*3600), true
	}
}

// zoneHours holds the zones of RFC 5322 and those that old mail names without a number.
var zoneHours = map[string]float64{
	"UT": 0, "UTC": 0, "GMT": 0, "Z": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
	"WET": 0, "WEST": 1, "BST": 1, "CET": 1, "MET": 1, "CEST": 2, "MEST": 2, "EET": 2, "EEST": 3, "MSK": 3, "IST": 5.5, "HKT": 8, "JST": 9, "KST": 9, "NZST": 12,
}

func (d *dateParts) time() (time.Time, bool) {
	if !d.haveYear || !d.haveDay || d.month == 0 || d.year == 0 {
		return time.Time{}, false
	}
	zone := time.UTC
	if d.offset != 0 && d.offset > -24*3600 && d.offset < 24*3600 {
		zone = time.FixedZone("", d.offset)
	}
	return time.Date(d.year, d.month, d.day, d.hour, d.minute, d.second, 0, zone), true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
