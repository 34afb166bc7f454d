//go:build unix

package load

import (
	"syscall"
	"time"
)

// clientCPU is the processor time that this process has taken so far, in user mode and in the kernel.
func clientCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
