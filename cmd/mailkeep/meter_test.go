package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"mailkeep/backup"
)

func TestMeter(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	var m meter
	if _, ok := m.left(); ok {
		t.Error("an empty meter tells a time")
	}
	const mega = 1_000_000
	for i := range 61 { // a minute at 2 MB a second of 200
		m.update(tally{Bytes: int64(i) * 2 * mega, TotalBytes: 200 * mega, Messages: int64(i) * 10, TotalMessages: 1000}, at.Add(time.Duration(i)*time.Second))
	}
	if math.Abs(m.rate-2*mega) > mega/100 {
		t.Errorf("rate %.0f, want 2,000,000", m.rate)
	}
	if left, ok := m.left(); !ok || left != 40*time.Second {
		t.Errorf("left %v, %v, want 40s", left, ok)
	}
	for i := range 60 { // then slowly: the meter follows
		m.update(tally{Bytes: 120*mega + int64(i+1)*mega/10, TotalBytes: 200 * mega}, at.Add(time.Duration(61+i)*time.Second))
	}
	if m.rate > 0.2*mega || m.rate < 0.09*mega {
		t.Errorf("rate %.0f after a minute at 100,000", m.rate)
	}
	for i := range 10 { // a stalled server: the time left grows, and in the end is not told
		m.update(tally{Bytes: 126 * mega, TotalBytes: 200 * mega}, at.Add(2*time.Minute+time.Duration(i)*10*time.Minute))
	}
	if left, ok := m.left(); ok {
		t.Errorf("left %v although nothing moves", left)
	}
}

func TestMeterCountsMessagesWhereBytesAreUnknown(t *testing.T) {
	var m meter
	at := time.Unix(0, 0)
	for i := range 11 {
		m.update(tally{Messages: int64(i) * 5, TotalMessages: 100}, at.Add(time.Duration(i)*time.Second))
	}
	if left, ok := m.left(); !ok || left != 10*time.Second {
		t.Errorf("left %v, %v, want 10s", left, ok)
	}
}

// TestMeterBursts feeds updates that come faster than can be measured.
func TestMeterBursts(t *testing.T) {
	var m meter
	at := time.Unix(0, 0)
	for i := range 10_001 {
		m.update(tally{Bytes: int64(i) * 100, TotalBytes: 2_000_000}, at.Add(time.Duration(i)*time.Millisecond))
	}
	if math.Abs(m.rate-100_000) > 10_000 {
		t.Errorf("rate %.0f, want 100,000", m.rate)
	}
	if left, ok := m.left(); !ok || left < 9*time.Second || left > 11*time.Second {
		t.Errorf("left %v, %v, want about 10s", left, ok)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 420 * time.Millisecond: "0.4s", 9960 * time.Millisecond: "10s", 59 * time.Second: "59s", 61 * time.Second: "1m 01s", 3*time.Hour + 4*time.Minute: "3h 04m", 75 * time.Hour: "3d 3h",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestCount(t *testing.T) {
	for want, got := range map[string]string{
		"1 message": count(1, "message"), "0 messages": count(0, "message"), "12,345 messages": count(12345, "message"),
		"2 mailboxes": count(2, "mailbox"), "1 mailbox": count(1, "mailbox"), "-1.0 kB": size(-1000), "80 MB": size(80_000_000),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestProgressText(t *testing.T) {
	tests := []struct {
		s    snapshot
		want string
	}{
		{snapshot{}, "connecting"},
		{snapshot{Status: backup.Status{Phase: backup.PhaseRead, Mailbox: "INBOX", Expected: 2000, Seen: 1, WantedBytes: 5_000_000}, rate: 1000},
			"reading INBOX, 1 of 2,000 messages, 0 B of 5.0 MB found so far, 1.0 kB/s"},
		{snapshot{Status: backup.Status{Phase: backup.PhaseDownload, Expected: 20, Seen: 10, WantedBytes: 2_000_000, DownloadedBytes: 1_000_000}, rate: 1e6, left: time.Second, leftKnown: true},
			"downloading, 10 of 20 messages, 1.0 MB of 2.0 MB, 1.0 MB/s, 1s left"},
		{snapshot{Status: backup.Status{Phase: backup.PhaseFinish}}, "finishing"},
	}
	for _, test := range tests {
		if got := test.s.text(); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
	s := snapshot{Status: backup.Status{Phase: backup.PhaseRead, Mailbox: "INBOX", Expected: 20, Seen: 10, WantedBytes: 3_000_000}, rate: 1e6, left: time.Minute, leftKnown: true}
	if got, want := s.barText(), "10 of 20 messages, 1m 00s left, 1.0 MB/s, 0 B of 3.0 MB found so far, reading INBOX"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestWatchers feeds a run's updates to each watcher that needs no terminal, and to the bars.
func TestWatchers(t *testing.T) {
	updates := func(w watcher) {
		w.Update(backup.Status{Phase: backup.PhaseConnect})
		w.Warn(backup.Warning{Kind: backup.WarnHole, Mailbox: "INBOX", UID: 7, Text: "message 7\x1b[2J cannot be read"})
		w.Update(backup.Status{Phase: backup.PhaseDownload, Expected: 10, Seen: 4, WantedBytes: 100, DownloadedBytes: 40})
		w.Finish()
	}
	var lines, quiet, jsons, quietJSON, bars strings.Builder
	updates(&lineWatcher{tracker: &tracker{account: "me"}, out: &lines})
	updates(&lineWatcher{tracker: &tracker{account: "me"}, out: &quiet, quiet: true})
	updates(&jsonWatcher{tracker: &tracker{account: "me"}, out: &jsons})
	updates(&jsonWatcher{tracker: &tracker{account: "me"}, out: &quietJSON, quiet: true})
	updates(newBarWatcher(&tracker{account: "me"}, &bars))
	warning := `{"event":"warning","account":"me","kind":"hole","mailbox":"INBOX","uid":7,"text":"message 7\u001b[2J cannot be read"}` + "\n"
	for name, test := range map[string]struct{ got, want string }{
		"lines":      {lines.String(), "me: connecting\nme: warning: message 7\ufffd[2J cannot be read\n"},
		"quiet":      {quiet.String(), "me: warning: message 7\ufffd[2J cannot be read\n"},
		"quiet JSON": {quietJSON.String(), warning},
		"JSON": {jsons.String(), `{"event":"progress","account":"me","phase":"connect","messages":0,"total":0,"bytes":0,"bytes_wanted":0,"bytes_per_second":0}` + "\n" + warning +
			`{"event":"progress","account":"me","phase":"download","messages":4,"total":10,"bytes":40,"bytes_wanted":100,"bytes_per_second":0}` + "\n"},
	} {
		if test.got != test.want {
			t.Errorf("%s:\ngot  %q\nwant %q", name, test.got, test.want)
		}
	}
	if strings.Contains(bars.String(), "\x1b[2J") {
		t.Errorf("the server's escape sequence got to the terminal: %q", bars.String())
	}
}
