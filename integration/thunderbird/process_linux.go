package thunderbird

import (
	"os"
	"os/exec"
	"syscall"
)

// alone gives a program a process group of its own, and makes the kernel end it when the test process dies without cleaning up (a time-out, a panic).
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func terminate(p *os.Process) { p.Signal(syscall.SIGTERM) }

// killAll ends a program's process group.
func killAll(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }
