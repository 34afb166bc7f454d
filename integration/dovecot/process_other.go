//go:build !linux

package dovecot

import (
	"os"
	"os/exec"
)

func endWithParent(*exec.Cmd) {}

func terminate(p *os.Process) {
	if p.Signal(os.Interrupt) != nil {
		p.Kill()
	}
}
