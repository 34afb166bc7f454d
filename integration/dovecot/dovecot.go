// Package dovecot runs a private Dovecot IMAP server on a loopback port for a test or a measurement.
//
// Every instance has its own folder with configuration, log, mail and sockets, runs in the foreground as a child
// of the caller, and is ended by its own process id. It works as root (mail then belongs to the user "mail") and as
// an ordinary user, with Dovecot 2.3 and 2.4.
package dovecot

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/need"
	"mailkeep/integration/program"
)

// Storage is how Dovecot keeps a user's mail.
type Storage string

// The storage formats in use: Maildir is one file per message and can be filled without Dovecot; Sdbox is the
// faster one and is filled over IMAP.
const (
	Maildir Storage = "maildir"
	Sdbox   Storage = "sdbox"
)

// User is one login of the server.
type User struct {
	Name     string
	Password string  // "pass" when empty
	Storage  Storage // Maildir when empty
}

// Options of a server; the zero value is one user "user" with password "pass", Maildir, separator "/", plain text.
type Options struct {
	Users     []User
	Separator string // hierarchy separator: "/" (when empty) or "."
	TLS       bool   // also listens for implicit TLS, and offers STARTTLS, with a certificate made for 127.0.0.1
	NoFsync   bool   // never flush to disk: faster to fill by APPEND
	Compress  bool   // offers COMPRESS=DEFLATE
	// Mail is the folder that holds the users' mail, and keeps it when the server is stopped; when empty, it is within the server's own
	// folder and goes with it. All users must be able to reach it.
	Mail string
	// Hibernate is how long after IDLE began a connection is handed to the one process that holds all those that wait; 0: never, as Dovecot comes.
	Hibernate time.Duration
	// UserInfo is the page of an OAuth server that tells whose access token one is, as {"email": USER}; it is asked at every login with the token in the
	// Authorization header. Mechanisms are those that take tokens: "xoauth2" and "oauthbearer" when empty.
	UserInfo   string
	Mechanisms []string
}

// Server is a running Dovecot.
type Server struct {
	Addr    string         // host:port for plain text and STARTTLS
	TLSAddr string         // host:port for implicit TLS; empty without Options.TLS
	Roots   *x509.CertPool // trusts the server's certificate; nil without Options.TLS

	dir     string
	program string
	version string
	opt     Options
	owner   owner
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the process has been waited for
	exitErr error
}

const readyWithin = 20 * time.Second

// ErrAbsent is wrapped by Start's error when Dovecot is not installed.
var ErrAbsent = errors.New("dovecot is not installed; on Debian: apt-get install dovecot-imapd")

// New starts a server for a test and stops it when the test ends; a failed test gets the server's log.
// The test is skipped where Dovecot is missing.
func New(t testing.TB, opt Options) *Server {
	t.Helper()
	need.Program(t, "dovecot", "dovecot-imapd")
	s, err := Start(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dovecot's log:\n%s", important(s.Log()))
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Start runs a server and waits until it greets. The caller ends it with Stop.
func Start(opt Options) (*Server, error) {
	program, err := need.Find("dovecot")
	if err != nil {
		return nil, ErrAbsent
	}
	opt = opt.filled()
	// A port found free may be taken by the time Dovecot binds it.
	for range 3 {
		var s *Server
		if s, err = start(program, opt); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func (o Options) filled() Options {
	users := o.Users
	if len(users) == 0 {
		users = []User{{Name: "user"}}
	}
	o.Users = append([]User(nil), users...)
	for i := range o.Users {
		u := &o.Users[i]
		if u.Password == "" {
			u.Password = "pass"
		}
		if u.Storage == "" {
			u.Storage = Maildir
		}
	}
	if o.Separator == "" {
		o.Separator = "/"
	}
	if o.UserInfo != "" && o.Mechanisms == nil {
		o.Mechanisms = []string{"xoauth2", "oauthbearer"}
	}
	return o
}

func start(program string, opt Options) (*Server, error) {
	// The base folder's path stays short: the names of Unix sockets in it are limited to some hundred bytes.
	dir, err := os.MkdirTemp("", "dovecot-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, program: program, opt: opt}
	if err := s.prepare(); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("prepare dovecot: %w", err)
	}
	if err := s.run(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// run launches the server and waits until it greets.
func (s *Server) run() error {
	if err := s.launch(); err != nil {
		return fmt.Errorf("start dovecot: %w", err)
	}
	if err := s.waitReady(); err != nil {
		return fmt.Errorf("%w; its log:\n%s", err, s.Log())
	}
	return nil
}

// Halt ends the server and leaves its folder, for Restart.
func (s *Server) Halt() error { return s.end() }

// Restart ends the server unless it has been halted, and runs it again on the same mail and ports, with Options.Hibernate set to what is given.
func (s *Server) Restart(hibernate time.Duration) error {
	if err := s.end(); err != nil {
		return err
	}
	s.opt.Hibernate = hibernate
	if err := s.configure(); err != nil {
		return err
	}
	return s.run()
}

// Version is what Dovecot calls its own, such as "2.3.19.1 (9b53102964)".
func (s *Server) Version() string { return s.version }

// prepare writes the configuration, the users and the certificate, and makes each user's mail folder.
func (s *Server) prepare() error {
	var err error
	if s.owner, err = findOwner(); err != nil {
		return err
	}
	// Dovecot's unprivileged processes must reach their sockets and the mail.
	if err := os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if s.opt.Mail != "" {
		if err := os.MkdirAll(s.opt.Mail, 0o755); err != nil {
			return err
		}
	}
	for _, u := range s.opt.Users {
		if err := s.mkdir(s.MailRoot(u.Name)); err != nil {
			return err
		}
	}
	if s.Addr, err = freeAddr(); err != nil {
		return err
	}
	if s.opt.TLS {
		if s.TLSAddr, err = freeAddr(); err != nil {
			return err
		}
		if s.Roots, err = makeCertificate(s.dir); err != nil {
			return err
		}
	}
	version, err := exec.Command(s.program, "--version").Output()
	if err != nil {
		return fmt.Errorf("ask for the version: %w", err)
	}
	s.version = strings.TrimSpace(string(version))
	return s.configure()
}

func (s *Server) configure() error {
	if err := os.WriteFile(s.path("users"), []byte(s.users(s.version)), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("oauth2.conf"), []byte(s.oauth23()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(s.path("dovecot.conf"), []byte(s.config(s.version)), 0o644)
}

func (s *Server) launch() error {
	out, err := os.OpenFile(s.path("output"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd, exited := exec.Command(s.program, "-F", "-c", s.path("dovecot.conf")), make(chan struct{})
	cmd.Stdout, cmd.Stderr = out, out
	endWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.exited = cmd, exited
	go func() {
		s.exitErr = cmd.Wait()
		close(exited)
	}()
	return nil
}

func (s *Server) waitReady() error {
	deadline := time.Now().Add(readyWithin)
	for time.Now().Before(deadline) {
		select {
		case <-s.exited:
			return fmt.Errorf("dovecot ended at once: %v", s.exitErr)
		case <-time.After(2 * time.Millisecond):
		}
		if program.Greets(s.Addr) {
			return nil
		}
	}
	return fmt.Errorf("dovecot does not greet on %s within %v", s.Addr, readyWithin)
}

// Stop ends the server and removes its folder. It may be called again.
func (s *Server) Stop() error {
	defer os.RemoveAll(s.dir)
	return s.end()
}

func (s *Server) end() error {
	if s.cmd == nil {
		return nil // never launched
	}
	select {
	case <-s.exited:
		return nil
	default:
		terminate(s.cmd.Process)
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(15 * time.Second):
	}
	s.cmd.Process.Kill()
	<-s.exited
	return fmt.Errorf("dovecot (process %d) had to be killed", s.PID())
}

// PID is the process id of Dovecot's master, whose children serve the connections.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log is what the server has logged and printed so far.
func (s *Server) Log() string {
	var b strings.Builder
	for _, name := range []string{"output", "log"} {
		raw, err := os.ReadFile(s.path(name))
		if err == nil {
			b.Write(raw)
		}
	}
	return b.String()
}

// important is the part of a log that may explain a failure: all errors and warnings, and the last lines.
func important(log string) string {
	lines := strings.SplitAfter(log, "\n")
	var b strings.Builder
	for i, line := range lines {
		if i >= len(lines)-20 || !strings.Contains(line, "Info: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// MailRoot is the folder with a user's mail: a Maildir++ tree for Maildir users.
func (s *Server) MailRoot(user string) string {
	if s.opt.Mail != "" {
		return filepath.Join(s.opt.Mail, user)
	}
	return s.path("mail", user)
}

func (s *Server) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// mkdir makes a folder, with its parents up to the server's folder or that of all mail, that the mail processes may write to.
func (s *Server) mkdir(dir string) error {
	at := s.dir
	if s.opt.Mail != "" {
		at = s.opt.Mail
	}
	rel, err := filepath.Rel(at, dir)
	if err != nil {
		return err
	}
	for part := range strings.SplitSeq(rel, string(filepath.Separator)) {
		at = filepath.Join(at, part)
		err := os.Mkdir(at, 0o755)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.owner.give(at); err != nil {
			return err
		}
	}
	return nil
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
