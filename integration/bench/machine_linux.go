package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// kernel names the system's.
func kernel() string { return "Linux " + oneLine("/proc/sys/kernel/osrelease") }

// loadAverage is how busy the machine has been in the last minute.
func loadAverage() string {
	first, _, _ := strings.Cut(oneLine("/proc/loadavg"), " ")
	return first
}

func totalMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}

// disk describes what the folder lies on: the device and the file system with the longest mount point that leads to it.
func disk(dir string) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "unknown"
	}
	mounts, best, what := oneFile("/proc/mounts"), -1, "unknown"
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) <= best || f[1] != "/" && real != f[1] && !strings.HasPrefix(real, f[1]+"/") {
			continue
		}
		best, what = len(f[1]), fmt.Sprintf("%s (%s)", f[2], filepath.Base(f[0]))
	}
	var st unix.Statfs_t
	if unix.Statfs(real, &st) == nil {
		what += fmt.Sprintf(", %.0f GB free", float64(st.Bavail)*float64(st.Bsize)/1e9)
	}
	return what
}

// freeDisk is how many bytes a folder's file system has left.
func freeDisk(dir string) (int64, error) {
	var st unix.Statfs_t
	err := unix.Statfs(dir, &st)
	return int64(st.Bavail) * st.Bsize, err
}

// inotifyLimit is how many inotify instances the kernel grants a user.
const inotifyLimit = "/proc/sys/fs/inotify/max_user_instances"

// allowInotify raises that limit, which needs root, and gives what sets it back.
func allowInotify(n int) (restore func() error, err error) {
	before := oneLine(inotifyLimit)
	if now, err := strconv.Atoi(before); err == nil && now >= n {
		return func() error { return nil }, nil
	}
	if err := os.WriteFile(inotifyLimit, []byte(strconv.Itoa(n)), 0); err != nil {
		return nil, err
	}
	return func() error { return os.WriteFile(inotifyLimit, []byte(before), 0) }, nil
}

func oneLine(path string) string { return strings.TrimSpace(oneFile(path)) }

func oneFile(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(raw)
}
