package imapd

import (
	"strconv"
	"time"
)

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

// appendDateTime appends a date-time (RFC 9051 section 9) without its quotes: seconds since 1970, in a zone of so many minutes east of UTC.
func appendDateTime(dst []byte, seconds int64, zone int) []byte {
	local := seconds + int64(zone)*60
	days := floorDay(local)
	year, month, day := civil(days)
	if year < 1000 || year > 9999 || zone <= -100*60 || zone >= 100*60 {
		return time.Unix(seconds, 0).In(time.FixedZone("", zone*60)).AppendFormat(dst, "_2-Jan-2006 15:04:05 -0700")
	}
	second := int(local - days*86400)
	dst = append(dst, byte(' '), byte('0'+day%10), '-')
	if day >= 10 {
		dst[len(dst)-3] = byte('0' + day/10)
	}
	dst = append(append(dst, monthNames[3*month-3:3*month]...), '-')
	dst = append(strconv.AppendInt(dst, int64(year), 10), ' ')
	dst = append(appendTwo(dst, second/3600), ':')
	dst = append(appendTwo(dst, second/60%60), ':')
	dst = append(appendTwo(dst, second%60), ' ')
	sign := byte('+')
	if zone < 0 {
		sign, zone = '-', -zone
	}
	return appendTwo(appendTwo(append(dst, sign), zone/60), zone%60)
}

func appendTwo(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// civil returns the date of a day, counted from 1970-01-01. It counts in years that begin in March, of which all but the last day are the same each year, and in eras of 400 years.
func civil(days int64) (year, month, day int) {
	const era = 146097
	days += 719468 // since 0000-03-01
	n := days / era
	if days%era < 0 {
		n--
	}
	d := days - n*era
	y := (d - d/1460 + d/36524 - d/(era-1)) / 365
	d -= 365*y + y/4 - y/100
	m := (5*d + 2) / 153
	day = int(d-(153*m+2)/5) + 1
	month = int(m) + 3
	y += n * 400
	if month > 12 {
		month -= 12
		y++
	}
	return int(y), month, day
}
