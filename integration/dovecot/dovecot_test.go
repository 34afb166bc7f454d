//go:build unix

package dovecot

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

var sample = []byte("From: a@example.org\r\nSubject: sample\r\n\r\nbody\r\n")

func login(t *testing.T, s *Server, user string) *imapclient.Client {
	t.Helper()
	c, err := imapclient.DialInsecure(s.Addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Login(user, "pass").Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

// What Fill writes is what a client sees: order, flags, keywords, dates, bytes, names.
func TestFill(t *testing.T) {
	for _, separator := range []string{"/", "."} {
		t.Run("separator "+separator, func(t *testing.T) { testFill(t, separator) })
	}
}

func testFill(t *testing.T, separator string) {
	s := New(t, Options{Separator: separator})
	f, err := s.Fill("user")
	if err != nil {
		t.Fatal(err)
	}
	date := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for i := range 30 {
		m := Message{Raw: append(bytes.Clone(sample), fmt.Sprintf("number %d\r\n", i)...), Date: date.Add(time.Duration(i) * time.Hour), Flags: []string{`\Seen`}}
		if i == 7 {
			m.Flags = []string{`\Flagged`, "$Custom", `\Answered`}
		}
		if err := f.Add("Büro/日本語", m); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	c := login(t, s, "user")
	if _, err := c.Select("Büro"+separator+"日本語", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	var all imap.SeqSet
	all.AddRange(1, 0)
	got, err := c.Fetch(all, &imap.FetchOptions{Flags: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 30 {
		t.Fatalf("%d messages, want 30", len(got))
	}
	for i, m := range got {
		want := append(bytes.Clone(sample), fmt.Sprintf("number %d\r\n", i)...)
		if body := m.BodySection[0].Bytes; !bytes.Equal(body, want) {
			t.Errorf("message %d: %q, want %q", i, body, want)
		}
		if !m.InternalDate.Equal(date.Add(time.Duration(i) * time.Hour)) {
			t.Errorf("message %d: date %v", i, m.InternalDate)
		}
		wantFlags := []imap.Flag{imap.FlagSeen}
		if i == 7 {
			wantFlags = []imap.Flag{imap.FlagFlagged, imap.FlagAnswered, "$Custom"}
		}
		for _, f := range wantFlags {
			if !slices.Contains(m.Flags, f) {
				t.Errorf("message %d: flags %v, want %v", i, m.Flags, wantFlags)
			}
		}
	}
}

func TestTLS(t *testing.T) {
	s := New(t, Options{TLS: true})
	config := &tls.Config{RootCAs: s.Roots, ServerName: "127.0.0.1"}
	c, err := imapclient.DialTLS(s.TLSAddr, &imapclient.Options{TLSConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("user", "pass").Wait(); err != nil {
		t.Fatal(err)
	}
	if c, err = imapclient.DialStartTLS(s.Addr, &imapclient.Options{TLSConfig: config}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("user", "wrong").Wait(); err == nil {
		t.Error("a wrong password was accepted")
	}
}

func TestSdboxAndAppend(t *testing.T) {
	s := New(t, Options{Users: []User{{Name: "box", Storage: Sdbox}, {Name: "other"}}, NoFsync: true})
	c := login(t, s, "box")
	cmd := c.Append("INBOX", int64(len(sample)), &imap.AppendOptions{Time: time.Unix(1e9, 0)})
	cmd.Write(sample)
	if err := cmd.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	n, err := c.Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	if err != nil || *n.NumMessages != 1 {
		t.Fatalf("%+v, %v", n, err)
	}
	n, err = login(t, s, "other").Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
	if err != nil || *n.NumMessages != 0 {
		t.Fatalf("%+v, %v", n, err)
	}
}

// Mail in a folder of its own outlives the server; a restarted server has the same address, and hands idle connections to the process that holds them.
func TestRestartAndHibernate(t *testing.T) {
	dir := t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	opt := Options{Mail: filepath.Join(dir, "mail")}
	s := New(t, opt)
	f, err := s.Fill("user")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Add("INBOX", Message{Raw: sample, Date: time.Unix(1e9, 0)}), f.Close()); err != nil {
		t.Fatal(err)
	}
	count := func(s *Server) {
		t.Helper()
		n, err := login(t, s, "user").Status("INBOX", &imap.StatusOptions{NumMessages: true}).Wait()
		if err != nil || *n.NumMessages != 1 {
			t.Fatalf("%+v, %v", n, err)
		}
	}
	count(s)
	addr := s.Addr
	if err := s.Halt(); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("a server that was halted takes connections")
	}
	if err := s.Restart(time.Second); err != nil || s.Addr != addr {
		t.Fatalf("%v, %q after %q", err, s.Addr, addr)
	}
	count(s)
	hibernates(t, s)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	count(New(t, opt))
}

// hibernates checks that an IDLE leaves no imap process behind, and is answered all the same.
func hibernates(t *testing.T, s *Server) {
	t.Helper()
	c := login(t, s, "user")
	if _, err := c.Select("INBOX", nil).Wait(); err != nil {
		t.Fatal(err)
	}
	idle, err := c.Idle()
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.GOOS == "linux" && !started(s, "imap-hibernate") {
		if time.Sleep(50 * time.Millisecond); time.Now().After(deadline) {
			t.Fatalf("no process imap-hibernate after 10 s:\n%s", important(s.Log()))
		}
	}
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Noop().Wait(); err != nil {
		t.Error(err)
	}
}

// started tells whether a service of that name is a child of the server.
func started(s *Server, service string) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	return slices.ContainsFunc(stats, func(path string) bool {
		raw, _ := os.ReadFile(path)
		name, rest, _ := strings.Cut(string(raw), ") ")
		return strings.HasSuffix(name, "("+service) && strings.HasPrefix(rest[min(1, len(rest)):], fmt.Sprintf(" %d ", s.PID()))
	})
}

func TestStopEndsTheProcessAndRemovesItsFolder(t *testing.T) {
	s := New(t, Options{})
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Stop: %v", s.PID(), err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder after Stop: %v", err)
	}
}
