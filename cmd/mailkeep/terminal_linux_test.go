package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mailkeep/integration/gmailsim"
)

// terminal runs the program at a pseudo-terminal.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu     sync.Mutex
	screen bytes.Buffer // everything that was shown
	ended  chan struct{}

	seen int // where the next await begins to look
}

func atTerminal(t *testing.T, dir string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	conn, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	err = conn.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		if err == nil {
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	term := &terminal{t: t, master: master, cmd: exec.Command("mailkeep", args...), ended: make(chan struct{})}
	term.cmd.Dir = dir
	term.cmd.Env = append(os.Environ(), "TERM=xterm", "HOME="+dir, "XDG_CONFIG_HOME="+dir)
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = slave, slave, slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go term.read()
	return term
}

func (term *terminal) read() {
	defer close(term.ended)
	buf := make([]byte, 4096)
	for {
		n, err := term.master.Read(buf)
		term.mu.Lock()
		term.screen.Write(buf[:n])
		term.mu.Unlock()
		if bytes.Contains(buf[:n], []byte("\x1b[6n")) {
			term.master.WriteString("\x1b[1;1R") // where the cursor is
		}
		if err != nil {
			return // the last one who had it open is gone
		}
	}
}

func (term *terminal) shown() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.screen.String()
}

// await waits for a text behind the one awaited before, and then types an answer.
func (term *terminal) await(text, answer string) {
	term.t.Helper()
	at := -1
	for end := time.Now().Add(20 * time.Second); at < 0; time.Sleep(20 * time.Millisecond) {
		if at = strings.Index(term.shown()[term.seen:], text); at < 0 && time.Now().After(end) {
			term.cmd.Process.Kill()
			term.t.Fatalf("%q is not asked:\n%q", text, term.shown())
		}
	}
	term.seen += at + len(text)
	if _, err := term.master.WriteString(answer); err != nil {
		term.t.Fatal(err)
	}
}

// wait waits for the end of the program and returns its exit code.
func (term *terminal) wait() int {
	term.t.Helper()
	timer := time.AfterFunc(20*time.Second, func() { term.cmd.Process.Kill() })
	defer timer.Stop()
	term.cmd.Wait()
	<-term.ended
	return term.cmd.ProcessState.ExitCode()
}

// TestSetupAtTerminal answers the forms as a person does; the first password is mistyped.
func TestSetupAtTerminal(t *testing.T) {
	dir := t.TempDir()
	sim := gmailsim.New(gmailsim.Options{User: "me@example.org", Password: "righteous"})
	if err := sim.Load(gmailsim.Sample(20, 1)); err != nil {
		t.Fatal(err)
	}
	addr := sim.Start(t)
	term := atTerminal(t, dir, "setup", "--host", addr, "--tls", "none")
	term.await("E-mail address", "me@example.org\r")
	term.await("Password for me@example.org", "mistyped\r")
	term.await("check the user name and the password", "")
	term.await("Password for me@example.org", "righteous\r")
	if code := term.wait(); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, term.shown())
	}
	for _, secret := range []string{"righteous", "mistyped"} {
		if strings.Contains(term.shown(), secret) {
			t.Errorf("the password is shown:\n%s", term.shown())
		}
	}
	if _, err := loadConfig(filepath.Join(dir, configName)); err != nil {
		t.Error(err)
	}

	term = atTerminal(t, dir, "backup")
	if code := term.wait(); code != 0 || !strings.Contains(term.shown(), "me@example.org: 20 new messages") {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}
}

// TestPasswordAtTerminal backs up an account whose password is stored nowhere.
func TestPasswordAtTerminal(t *testing.T) {
	dir := t.TempDir()
	sim := gmailsim.New(gmailsim.Options{User: "me@example.org", Password: "righteous"})
	addr := sim.Start(t)
	text := "[[account]]\nhost = \"" + addr + "\"\nuser = \"me@example.org\"\ntls = \"none\"\n"
	if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	term := atTerminal(t, dir, "backup")
	term.await("Password of me@example.org: ", "righteous\r")
	if code := term.wait(); code != 0 || strings.Contains(term.shown(), "righteous") {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}

	term = atTerminal(t, dir, "backup")
	term.await("Password of me@example.org: ", "\x03") // Ctrl-C
	if code := term.wait(); code != 1 || !strings.Contains(term.shown(), "mailkeep: interrupted") {
		t.Errorf("exit code %d after Ctrl-C:\n%s", code, term.shown())
	}
}
