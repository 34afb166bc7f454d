package thunderbird

import (
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// process is a program that runs beside the test, with its output in a file.
type process struct {
	cmd    *exec.Cmd
	out    *os.File
	exited chan struct{}
}

// run starts a program, which stop ends.
func (tb *Thunderbird) run(cmd *exec.Cmd) error {
	out, err := os.Create(filepath.Join(tb.Dir, filepath.Base(cmd.Path)+".out"))
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = out, out
	alone(cmd)
	if err := cmd.Start(); err != nil {
		out.Close()
		return err
	}
	p := &process{cmd: cmd, out: out, exited: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.exited)
	}()
	tb.programs = append(tb.programs, p)
	return nil
}

// stop asks the program to end, then makes it and the processes that it has started.
func (p *process) stop() {
	terminate(p.cmd.Process)
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
	}
	killAll(p.cmd.Process)
	<-p.exited
	p.out.Close()
}

// printed is the end of what the program has printed.
func (p *process) printed() string {
	raw, err := os.ReadFile(p.out.Name())
	if err != nil {
		return err.Error()
	}
	return string(raw[max(0, len(raw)-3000):])
}
