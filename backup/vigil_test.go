package backup

import (
	"strings"
	"testing"
	"time"
)

func TestVigil(t *testing.T) {
	const limit = 5 * time.Minute
	type look struct {
		wall, clock time.Duration // since the beginning
		read        int64
	}
	cases := map[string]struct {
		looks []look
		want  string // part of the error of the last look; "" for none
	}{
		"a busy server":                 {[]look{{4 * time.Minute, 4 * time.Minute, 1}, {8 * time.Minute, 8 * time.Minute, 2}}, ""},
		"a silent server":               {[]look{{4 * time.Minute, 4 * time.Minute, 0}, {5 * time.Minute, 5 * time.Minute, 0}}, "nothing came for 5m"},
		"asleep, and the server speaks": {[]look{{time.Hour, 5 * time.Second, 0}, {time.Hour + 20*time.Second, 25 * time.Second, 1}, {time.Hour + 4*time.Minute, 4 * time.Minute, 1}}, ""},
		"asleep, and nothing comes":     {[]look{{time.Hour, 5 * time.Second, 0}, {time.Hour + 20*time.Second, 25 * time.Second, 0}}, "slept"},
		"asleep twice":                  {[]look{{time.Hour, 5 * time.Second, 0}, {2 * time.Hour, 20 * time.Second, 0}, {2*time.Hour + 10*time.Second, 30 * time.Second, 0}}, ""},
		"the clock is set back":         {[]look{{-time.Hour, 5 * time.Second, 0}, {-time.Hour + 30*time.Second, 35 * time.Second, 0}}, ""},
		"the clock is set a little":     {[]look{{20 * time.Second, 5 * time.Second, 0}, {50 * time.Second, 35 * time.Second, 0}}, ""},
	}
	for name, c := range cases {
		start := time.Date(2024, 3, 31, 1, 30, 0, 0, time.UTC)
		v := newVigil(limit, start, 0)
		for i, l := range c.looks {
			err := v.look(start.Add(l.wall), l.clock, l.read)
			switch last := i == len(c.looks)-1; {
			case !last && err != nil, last && c.want == "" && err != nil:
				t.Errorf("%s: look %d: %v", name, i, err)
			case last && c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
		}
	}
}
