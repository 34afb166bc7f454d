package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// xterm can draw and is wide enough.
var xterm = terminalKind{name: "xterm", width: 120}

type terminalKind struct {
	name  string
	width uint16
}

func atTerminal(t *testing.T, dir string, args ...string) *terminal {
	t.Helper()
	return xterm.run(t, dir, args...)
}

func (kind terminalKind) run(t *testing.T, dir string, args ...string) *terminal {
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
			err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: kind.width})
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
	term.cmd.Env = append(os.Environ(), "TERM="+kind.name, "HOME="+dir, "XDG_CONFIG_HOME="+dir)
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
	term.await("E-mail address: ", "nobody\r")
	term.await("\"nobody\" is not an e-mail address", "")
	term.await("E-mail address: ", "me@example.org\r")
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

	if strings.Contains(term.shown(), "\x1b") {
		t.Errorf("the terminal is asked or steered where plain text would do:\n%q", term.shown())
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

// TestInterruptedQuestions presses Ctrl-C where a line or a password is asked for, and with a pipe that stays silent.
func TestInterruptedQuestions(t *testing.T) {
	dir := t.TempDir()
	term := atTerminal(t, dir, "setup")
	term.await("E-mail address: ", "\x03")
	if code := term.wait(); code != 1 || !strings.Contains(term.shown(), "mailkeep: interrupted\r\n") {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}
	term = atTerminal(t, dir, "setup", "me@example.org", "--host", "127.0.0.1:1", "--tls", "none")
	term.await("Password for me@example.org: ", "\x03")
	if code := term.wait(); code != 1 || !strings.Contains(term.shown(), "mailkeep: interrupted\r\n") {
		t.Errorf("exit code %d:\n%s", code, term.shown())
	}
	if _, err := os.Stat(filepath.Join(dir, configName)); err == nil {
		t.Error("an interrupted setup wrote a configuration")
	}

	silent, stay, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	defer stay.Close()
	ctx, cancel := context.WithCancel(t.Context())
	a := &app{stdin: silent, stderr: io.Discard}
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := a.ask(ctx, question{title: "E-mail address"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestProgressAtTerminals sees bars where they can be drawn, and plain lines on terminals that cannot go back or do not know their width.
func TestProgressAtTerminals(t *testing.T) {
	for _, test := range []struct {
		kind  terminalKind
		drawn bool
	}{{xterm, true}, {terminalKind{"dumb", 120}, false}, {terminalKind{"xterm", 0}, false}} {
		dir := t.TempDir()
		sim := gmailsim.New(gmailsim.Options{User: "me@example.org", Password: "righteous"})
		if err := sim.Load(gmailsim.Sample(200, 1)); err != nil {
			t.Fatal(err)
		}
		sim.AddFault(gmailsim.Fault{Name: "slow", When: gmailsim.When{Command: "*FETCH"}, Do: gmailsim.Action{Latency: 200 * time.Millisecond}, Times: -1})
		text := "[[account]]\nhost = \"" + sim.Start(t) + "\"\nuser = \"me@example.org\"\ntls = \"none\"\npassword_command = \"echo righteous\"\n"
		if err := os.WriteFile(filepath.Join(dir, configName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		term := test.kind.run(t, dir, "backup")
		if code := term.wait(); code != 0 || !strings.Contains(term.shown(), "200 new messages") {
			t.Errorf("%v: exit code %d:\n%s", test.kind, code, term.shown())
		}
		if drawn := strings.Contains(term.shown(), "\x1b["); drawn != test.drawn || !drawn && !strings.Contains(term.shown(), "me@example.org: connecting\r\n") {
			t.Errorf("%v: a bar is drawn: %v\n%q", test.kind, drawn, term.shown())
		}
	}
}
