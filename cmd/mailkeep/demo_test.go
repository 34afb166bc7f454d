package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

// TestInterruptedDemo ends the demo at many moments: it is always told as an interruption, never as what that broke, and the folder is gone.
func TestInterruptedDemo(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	for after := 100 * time.Millisecond; after < 900*time.Millisecond; after += 100 * time.Millisecond {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(after, cancel)
		a := &app{stdout: io.Discard, stderr: io.Discard, quiet: true, log: slog.New(slog.DiscardHandler)}
		err := a.demo(ctx, true)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("after %s: %v", after, err)
		}
	}
	left, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if strings.HasPrefix(e.Name(), "mailkeep-demo-") {
			t.Errorf("%s is left", e.Name())
		}
	}
}
