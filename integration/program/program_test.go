//go:build unix

package program

import (
	"errors"
	"os/exec"
	"runtime"
	"testing"
)

func TestWatch(t *testing.T) {
	out, peak, err := Watch(exec.CommandContext(t.Context(), "sh", "-c", "echo printed; echo complained >&2; sleep 0.2; exit 3"))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%v, want exit status 3", err)
	}
	if out != "printed\ncomplained\n" {
		t.Errorf("output %q", out)
	}
	if runtime.GOOS == "linux" && (peak < 100<<10 || peak > 64<<20) {
		t.Errorf("a shell needs %d bytes", peak)
	}
}

func TestWatchWithoutProgram(t *testing.T) {
	if _, _, err := Watch(exec.CommandContext(t.Context(), "/nonexistent/program")); err == nil {
		t.Error("no error")
	}
}
