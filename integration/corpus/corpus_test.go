package corpus

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUnpacks(t *testing.T) {
	for _, dir := range []string{Dev(t), GmailWire(t)} {
		if _, err := os.Stat(filepath.Join(dir, "index.tsv")); err != nil {
			t.Errorf("no index in the unpacked corpus: %v", err)
		}
	}
}
