package archive_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailkeep/archive/archivetest"
)

// Whatever the file of the traffic holds counts as nothing, and is replaced.
func TestTrafficUnreadable(t *testing.T) {
	for _, text := range []string{"", "null", "{", "[]", `{"me":null}`, `{"me":7}`, "\x00"} {
		dir := filepath.Join(t.TempDir(), "MailStore")
		w := archivetest.Open(t, dir)
		if err := os.WriteFile(filepath.Join(dir, "traffic.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if have := w.Traffic("me"); len(have) != 0 {
			t.Errorf("%q: %v", text, have)
		}
		if err := w.AddTraffic("me", time.Now(), 100); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if have := w.Traffic("me"); len(have) != 1 || have[0].Bytes != 100 {
			t.Errorf("%q: %v after it was added to", text, have)
		}
	}
}
