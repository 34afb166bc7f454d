package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// SharedMemory is what a process and its descendants take of the machine's memory, in bytes: the sum of their PSS, in which a page that n of them share
// counts 1/n for each. It gives their number too; 0 and 0 where the system does not tell (all but Linux).
func SharedMemory(pid int) (bytes int64, processes int) {
	for _, p := range descendants(pid) {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p))
		if err != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
				kb, _ := strconv.ParseInt(f[1], 10, 64)
				bytes += kb << 10
				processes++
			}
		}
	}
	return bytes, processes
}

// descendants are a process and what it and its children started.
func descendants(pid int) []int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// The second field, the program's name in brackets, may hold blanks.
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		if len(fields) < 2 {
			continue
		}
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], child)
	}
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all
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
