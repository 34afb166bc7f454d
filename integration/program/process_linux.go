package program

import (
	"os/exec"
	"syscall"
)

// endWithParent makes the kernel end the program when the one that started it dies without cleaning up: a server left behind would hold its port,
// its archive and whatever else it inherited.
func endWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
