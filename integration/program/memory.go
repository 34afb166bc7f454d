package program

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// PeakMemory is the largest resident size, in bytes, that a process has had so far; 0 where the system does not tell (all but Linux).
func PeakMemory(pid int) int64 { return statusBytes(pid, "VmHWM:") }

// Memory is the resident size, in bytes, that a process has now; 0 where the system does not tell.
func Memory(pid int) int64 { return statusBytes(pid, "VmRSS:") }

func statusBytes(pid int, field string) int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// Watch runs a command to its end and gives what it printed and its peak memory in bytes. The memory is read from the
// process itself, every 10 ms: what the system reports after the end also counts the parent's pages.
func Watch(cmd *exec.Cmd) (output string, peak int64, err error) {
	var out lockedBuffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return "", 0, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return out.String(), peak, err
		case <-tick.C:
			peak = max(peak, PeakMemory(cmd.Process.Pid))
		}
	}
}
