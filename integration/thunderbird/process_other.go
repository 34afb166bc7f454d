//go:build !linux

package thunderbird

import (
	"os"
	"os/exec"
)

func alone(*exec.Cmd) {}

func terminate(p *os.Process) { p.Kill() }

func killAll(p *os.Process) { p.Kill() }
