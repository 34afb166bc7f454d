// Package program builds mailkeep and runs it as its users do: one binary, a configuration file, a child process.
package program

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Build builds the program into dir and gives its path. The working directory must lie inside the project.
func Build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "mailkeep")
	if os.PathSeparator == '\\' {
		path += ".exe"
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", path, "mailkeep/cmd/mailkeep").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build mailkeep: %w\n%s", err, out)
	}
	return path, nil
}

// Account is one [[account]] of the configuration, reached without TLS.
type Account struct {
	Name, Addr, User, Password string
	// Auth, when it is not empty, stands in the configuration instead of auth and password: further keys of the account, and tables of its own.
	Auth string
}

// Keeper is a folder with a configuration, an archive, and the program to use them with.
type Keeper struct {
	Binary   string
	Dir      string // holds mailkeep.toml, MailStore and the password files
	IMAP     string // address that serve listens on
	IMAPS    string // another one, for TLS from the first byte with a self-made certificate, which IMAP then offers too; "" for neither
	User     string // the login of serve, which sees every account
	Password string
}

// New writes the configuration for some accounts into dir.
func New(binary, dir string, accounts ...Account) (*Keeper, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &Keeper{Binary: binary, Dir: dir, IMAP: l.Addr().String(), User: "archive", Password: "archive-password"}
	if err := l.Close(); err != nil {
		return nil, err
	}
	return k, k.Configure(accounts...)
}

// Archive is the archive's folder.
func (k *Keeper) Archive() string { return filepath.Join(k.Dir, "MailStore") }

// Command prepares a call of the program, which has not started yet.
func (k *Keeper) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, k.Binary, append(args, "--config", filepath.Join(k.Dir, "mailkeep.toml"))...)
	cmd.Dir = k.Dir
	// A program that hangs until the context ends prints where it hangs.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGQUIT) }
	cmd.WaitDelay = 5 * time.Second
	endWithParent(cmd)
	return cmd
}

// Run calls the program and gives what it printed; a failure holds it too.
func (k *Keeper) Run(ctx context.Context, args ...string) (string, error) {
	out, _, err := Watch(k.Command(ctx, args...))
	if err != nil {
		return out, fmt.Errorf("mailkeep %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

// Serving is a running "mailkeep serve".
type Serving struct {
	cmd    *exec.Cmd
	out    *lockedBuffer
	exited chan struct{}
	err    error
}

// Serve starts the IMAP server and waits until it greets.
func (k *Keeper) Serve() (*Serving, error) {
	s := &Serving{cmd: k.Command(context.Background(), "serve"), out: &lockedBuffer{}, exited: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	for range 10000 {
		if Greets(k.IMAP) {
			return s, nil
		}
		select {
		case <-s.exited:
			return nil, fmt.Errorf("mailkeep serve ended: %v\n%s", s.err, s.out)
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil, errors.Join(fmt.Errorf("mailkeep serve does not greet on %s\n%s", k.IMAP, s.out), s.Stop())
}

// Greets tells whether an IMAP server answers at addr.
func Greets(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	var buf [4]byte
	n, _ := c.Read(buf[:])
	return string(buf[:n]) == "* OK"
}

// PID is the server's process id.
func (s *Serving) PID() int { return s.cmd.Process.Pid }

// Output is what the server has printed so far.
func (s *Serving) Output() string { return s.out.String() }

// Stop asks the server to end and says when it had to be killed.
func (s *Serving) Stop() error {
	select {
	case <-s.exited:
		return nil
	default:
	}
	if s.cmd.Process.Signal(os.Interrupt) == nil {
		select {
		case <-s.exited:
			return nil
		case <-time.After(10 * time.Second):
		}
	}
	s.cmd.Process.Kill()
	<-s.exited
	return fmt.Errorf("mailkeep serve (process %d) had to be killed\n%s", s.PID(), s.out)
}

// Abort ends the server at once with a dump of its goroutines, which it gives with all other output.
func (s *Serving) Abort() (string, error) {
	if err := s.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return "", err
	}
	select {
	case <-s.exited:
		return s.Output(), nil
	case <-time.After(10 * time.Second):
		return "", fmt.Errorf("mailkeep serve (process %d) does not end: %w", s.PID(), s.Stop())
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
