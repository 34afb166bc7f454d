package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// shownBy connects and returns the certificate that the server shows.
func shownBy(t *testing.T, addr string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // which certificate it is, is what the tests ask
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// echo accepts connections and sends back what comes.
func echo(t *testing.T, ln net.Listener) {
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(conn, conn)
				conn.Close()
			}()
		}
	}()
}

func configHome(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, home)
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "mailkeep", selfMadeName)
}

func TestSelfMadeCertificate(t *testing.T) {
	file := configHome(t)
	s := &ServeConfig{IMAPS: "127.0.0.1:0", SelfMade: true, Names: []string{"archive.example.org", "192.0.2.9"}, Logins: []ServeLogin{{User: "u"}}}
	l, err := s.listen(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	echo(t, l.imaps)
	shown := shownBy(t, l.imaps.Addr().String())
	now := time.Now()
	if shown.IsCA || shown.NotAfter.Sub(shown.NotBefore) > 825*24*time.Hour || now.Before(shown.NotBefore) || shown.NotAfter.Before(now.Add(700*24*time.Hour)) {
		t.Errorf("valid from %s to %s, authority %v", shown.NotBefore, shown.NotAfter, shown.IsCA)
	}
	for _, host := range []string{"archive.example.org", "192.0.2.9", "localhost", "127.0.0.1", "::1"} {
		if err := shown.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(shown)
	if _, err := shown.Verify(x509.VerifyOptions{Roots: roots, DNSName: "localhost"}); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("%d files in the folder", len(left))
	}
	if f := fingerprint(shown); !regexp.MustCompile(`^([0-9A-F]{2}:){31}[0-9A-F]{2}$`).MatchString(f) {
		t.Errorf("fingerprint %q", f)
	}

	// It stays, whatever the names, until shortly before its end.
	for _, test := range []struct {
		at   time.Time
		same bool
	}{{now, true}, {shown.NotAfter.Add(-selfMadeRenewal - time.Hour), true}, {shown.NotAfter.Add(-selfMadeRenewal + time.Hour), false}} {
		again, err := selfMade(file, nil, test.at)
		if err != nil {
			t.Fatal(err)
		}
		if same := bytes.Equal(again.Leaf.Raw, shown.Raw); same != test.same {
			t.Errorf("at %s: the same is %v", test.at, same)
		}
	}
	if stamp, err := selfMadeStamp(file, now.Add(selfMadeLife*3)); err != nil || !strings.Contains(stamp, "expires") {
		t.Errorf("stamp %q, %v", stamp, err)
	}
}

func TestSelfMadeCertificateSpoiled(t *testing.T) {
	file := configHome(t)
	if _, err := selfMade(file, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		os.Chmod(file, 0o644)
		if _, err := selfMade(file, nil, time.Now()); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "others may read it") {
			t.Errorf("readable for all: %v", err)
		}
		os.Chmod(file, 0o600)
	}
	for _, text := range [][]byte{nil, good[:len(good)/2], []byte("nonsense")} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := selfMade(file, nil, time.Now()); !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "delete it and another certificate is made") {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := selfMade(file, nil, time.Now()); err != nil {
		t.Error(err)
	}
}

// writePair writes a new certificate and its key to files of their own, and returns it.
func writePair(t *testing.T, certFile, keyFile string) *x509.Certificate {
	t.Helper()
	text, err := makeSelfMade(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cut := bytes.Index(text, []byte("-----BEGIN PRIVATE KEY"))
	for file, part := range map[string][]byte{certFile: text[:cut], keyFile: text[cut:]} {
		if file == "" {
			continue
		}
		if err := os.WriteFile(file, part, 0o600); err != nil {
			t.Fatal(err)
		}
		// Renewals are days apart; these must not look like the same file.
		later := time.Now().Add(time.Duration(writePairs) * time.Second)
		if err := os.Chtimes(file, later, later); err != nil {
			t.Fatal(err)
		}
	}
	writePairs++
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

var writePairs int

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	s := &ServeConfig{TLSCert: filepath.Join(dir, "c.pem"), TLSKey: filepath.Join(dir, "k.pem"), IMAPS: "127.0.0.1:0", Logins: []ServeLogin{{User: "u"}}}
	first := writePair(t, s.TLSCert, s.TLSKey)
	var logged bytes.Buffer
	l, err := s.listen(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	l.certificate.interval = 0
	echo(t, l.imaps)
	addr := l.imaps.Addr().String()
	expect := func(want *x509.Certificate, when string) {
		t.Helper()
		if got := shownBy(t, addr); !got.Equal(want) {
			t.Errorf("%s: the wrong certificate is shown", when)
		}
	}
	expect(first, "at first")
	open, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()

	writePair(t, s.TLSCert, "") // the key follows in a moment
	expect(first, "while the two do not belong together")
	expect(first, "while the two do not belong together")
	if n := strings.Count(logged.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, &logged)
	}
	if err := os.Remove(s.TLSKey); err != nil {
		t.Fatal(err)
	}
	expect(first, "without the key")
	second := writePair(t, s.TLSCert, s.TLSKey)
	expect(second, "after the renewal")

	if _, err := open.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(open, got); err != nil || string(got) != "hello" {
		t.Errorf("the connection from before: %q, %v", got, err)
	}
}

// Of each two addresses one is this machine's alone.
func TestListenersRefusePlainText(t *testing.T) {
	logins := []ServeLogin{{User: "u"}}
	for _, s := range []ServeConfig{
		{IMAP: "0.0.0.0:0"}, {IMAP: ":0"}, {IMAP: "192.0.2.1:0"}, {IMAP: "[::]:0"}, {IMAP: "example.org:0"}, {IMAP: "127.0.0.1:0", Web: ":0"}, {IMAPS: "127.0.0.1:0"}, {IMAP: "127.0.0.1:0", IMAPS: ":0"},
	} {
		s.Logins = logins
		l, err := s.listen(slog.New(slog.DiscardHandler))
		if err == nil {
			l.Close()
		}
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), "serve.tls_self_signed = true") {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestListenersOfAllKinds(t *testing.T) {
	configHome(t)
	s := &ServeConfig{IMAP: "0.0.0.0:0", IMAPS: "0.0.0.0:0", Web: "0.0.0.0:0", SelfMade: true, Logins: []ServeLogin{{User: "u"}}}
	l, err := s.listen(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, ok := l.imap.(*net.TCPListener); !ok {
		t.Errorf("imap is a %T", l.imap)
	}
	for _, ln := range []net.Listener{l.imaps, l.web} {
		if _, plain := ln.(*net.TCPListener); plain {
			t.Error("a listener without TLS")
		}
	}
	var kinds []string
	for _, server := range l.servers() {
		kinds = append(kinds, server.Security.String())
		if server.Host != "" || server.Port == 0 {
			t.Errorf("%+v", server)
		}
	}
	if !slices.Equal(kinds, []string{"SSL/TLS", "STARTTLS"}) {
		t.Error(kinds)
	}
	l.names = []string{"archive.example.org", "other"}
	for _, server := range l.servers() {
		if server.Host != "archive.example.org" {
			t.Errorf("%+v", server)
		}
	}
	if url := l.webURL(); !strings.HasPrefix(url, "https://localhost:") {
		t.Error(url)
	}
}

// A page that nobody asked for must not keep the archive from being served.
func TestDefaultPageInUse(t *testing.T) {
	taken := listenAny(t)
	s := &ServeConfig{IMAP: "127.0.0.1:0", Web: taken.Addr().String(), Logins: []ServeLogin{{User: "u"}}}
	l, err := s.listen(slog.New(slog.DiscardHandler))
	if err != nil || l.web != nil {
		t.Fatalf("%+v, %v", l, err)
	}
	l.Close()
	s.WebAsked = true
	if _, err = s.listen(slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Error(err)
	}
}

func listenAny(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestLimitedListener(t *testing.T) {
	ln := &limited{Listener: listenAny(t), places: make(chan struct{}, 1)}
	echo(t, ln)
	answers := func(conn net.Conn, within time.Duration) bool {
		conn.Write([]byte("x"))
		conn.SetReadDeadline(time.Now().Add(within))
		_, err := conn.Read(make([]byte, 1))
		return err == nil
	}
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	first, second := dial(), dial()
	if !answers(first, 10*time.Second) || answers(second, 200*time.Millisecond) {
		t.Error("two connections are served at once, or none")
	}
	first.Close()
	if !answers(second, 10*time.Second) {
		t.Error("the second connection waits although the first has ended")
	}
}
