package dovecot

import (
	"os"
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel end the server when the test process dies without cleaning up (a time-out, a panic).
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

func terminate(p *os.Process) { p.Signal(syscall.SIGTERM) }
