package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/zalando/go-keyring"
	"golang.org/x/crypto/bcrypt"

	"mailkeep/archive"
	"mailkeep/integration/gmailsim"
	"mailkeep/integration/need"
	"mailkeep/integration/oauthserver"
)

// TestMain makes the test binary also the program "mailkeep", with a keyring that never is the real one.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"mailkeep": func() {
			keyring.MockInitWithError(errors.New("no keyring in this test"))
			finder, err := testFinder()
			exitOn(err)
			os.Exit(run(finder))
		},
		"visit": func() { exitOn(visit()) },
	})
}

// exitOn ends a program of the scripts that cannot do its part.
func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestScripts runs testdata/*.txtar on the real main.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Values[simsKey{}] = map[string]*gmailsim.Server{}
			e.Values[oauthKey{}] = map[string]*oauthserver.Server{}
			e.Setenv("XDG_CONFIG_HOME", filepath.Join(e.WorkDir, "config-home"))
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("HASH", hashOf(t, "secret"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sim": cmdSim, "deliver": cmdDeliver, "expunge": cmdExpunge, "spoil": cmdSpoil, "mend": cmdMend, "stall": cmdStall, "stalled": cmdStalled, "bodies": cmdBodies, "fetched": cmdFetched, "listens": cmdListens, "same": cmdSame, "becomes": cmdBecomes, "reply": cmdReply,
			"freeport": cmdFreePort, "occupy": cmdOccupy, "waitfor": cmdWaitFor, "get": cmdGet, "hold": cmdHold, "exits": cmdExits, "fulldisk": cmdFullDisk, "enlarge": cmdEnlarge,
			"oauth": cmdOAuth, "secretfree": cmdSecretFree,
			"damage": cmdDamage, "cert": cmdCert, "expand": cmdExpand, "mode": cmdMode, "appears": cmdAppears, "jsonlines": cmdJSONLines,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "canmount":
				return canMount(), nil
			case "oauth": // where nothing may be skipped, the script fails instead
				return oauthserver.Installed() || os.Getenv(need.NoSkip) == "1", nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// canMount tells whether this test may mount a file system: it takes root, outside of most containers.
func canMount() bool {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		return false
	}
	dir, err := os.MkdirTemp("", "mailkeep-mount-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).Run() != nil {
		return false
	}
	return exec.Command("umount", dir).Run() == nil
}

type simsKey struct{}

func simOf(ts *testscript.TestScript, name string) *gmailsim.Server {
	s := ts.Value(simsKey{}).(map[string]*gmailsim.Server)[name]
	if s == nil {
		ts.Fatalf("there is no server %q", name)
	}
	return s
}

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

// sim NAME MESSAGES [tls] [starttls] [tokens]: starts a server with the user me@example.org and the password "right"; $NAME is its address, $NAME_PORT the port and $NAME_CA a
// file with its certificate. With tokens it takes access tokens of the script's OAuth server instead of the password.
func cmdSim(ts *testscript.TestScript, _ bool, args []string) {
	o := gmailsim.Options{User: "me@example.org", Password: "right", Now: func() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }}
	for _, a := range args[2:] {
		switch a {
		case "tls":
			o.TLS = true
		case "tokens":
			o.Password, o.TokenOK = "none is right", tokensOf(ts)
		case "starttls":
			o.Generic = &gmailsim.Generic{Delimiter: ".", StartTLS: true}
		}
	}
	s := gmailsim.New(o)
	messages := gmailsim.Sample(number(ts, args[1]), 7)
	if o.Generic != nil {
		for _, m := range messages {
			m.Labels = nil
			_, err := s.Append("INBOX", m)
			ts.Check(err)
		}
	} else {
		ts.Check(s.Load(messages))
	}
	addr, err := s.Listen(context.Background())
	ts.Check(err)
	ts.Defer(func() { s.Close() })
	ts.Value(simsKey{}).(map[string]*gmailsim.Server)[args[0]] = s
	ts.Setenv(args[0], addr)
	_, port, err := net.SplitHostPort(addr)
	ts.Check(err)
	ts.Setenv(args[0]+"_PORT", port)
	if s.CertPool() != nil {
		file := ts.MkAbs(args[0] + ".pem")
		ts.Check(os.WriteFile(file, certificateOf(ts, addr, o.Generic != nil), 0o600))
		ts.Setenv(args[0]+"_CA", file)
	}
}

// certificateOf fetches the certificate that a server shows.
func certificateOf(ts *testscript.TestScript, addr string, startTLS bool) []byte {
	raw, err := net.Dial("tcp", addr)
	ts.Check(err)
	defer raw.Close()
	if startTLS {
		buf := make([]byte, 4096)
		_, err = raw.Read(buf)
		ts.Check(err)
		_, err = raw.Write([]byte("a STARTTLS\r\n"))
		ts.Check(err)
		_, err = raw.Read(buf)
		ts.Check(err)
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	ts.Check(conn.Handshake())
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: conn.ConnectionState().PeerCertificates[0].Raw})
}

// deliver NAME SUBJECT LABEL...: a new message arrives.
func cmdDeliver(ts *testscript.TestScript, _ bool, args []string) {
	body := "From: a@example.org\r\nTo: me@example.org\r\nSubject: " + args[1] + "\r\nMessage-ID: <" + args[1] + "@example.org>\r\n\r\nHello.\r\n"
	_, err := simOf(ts, args[0]).Deliver(gmailsim.Message{Body: []byte(body), Date: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), Labels: args[2:]})
	ts.Check(err)
}

// expunge NAME: the first message vanishes for ever.
func cmdExpunge(ts *testscript.TestScript, _ bool, args []string) {
	s := simOf(ts, args[0])
	ts.Check(s.Expunge(s.Snapshot().Messages[0].ID))
}

// spoil NAME: from now on the body of the first message cannot be fetched.
func cmdSpoil(ts *testscript.TestScript, _ bool, args []string) {
	s := simOf(ts, args[0])
	s.AddFault(gmailsim.Fault{Name: "spoiled", When: gmailsim.When{Command: "*FETCH", Contains: "BODY.PEEK[]"},
		Do: gmailsim.Action{FailIDs: []gmailsim.MsgID{s.Snapshot().Messages[0].ID}}, Times: -1})
}

// mend NAME: it can be fetched again.
func cmdMend(ts *testscript.TestScript, _ bool, args []string) { simOf(ts, args[0]).ClearFaults() }

// stall NAME: the server answers the second request for messages and those after it no more.
func cmdStall(ts *testscript.TestScript, _ bool, args []string) {
	s := simOf(ts, args[0])
	s.ResetCounters()
	s.AddFault(gmailsim.Fault{Name: "stalled", When: gmailsim.When{Command: "*FETCH", Contains: "BODY.PEEK[]", Nth: 2}, Do: gmailsim.Action{Stall: true}, Times: -1})
}

// stalled NAME: waits until it does that.
func cmdStalled(ts *testscript.TestScript, _ bool, args []string) {
	s := simOf(ts, args[0])
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if s.Counters().FaultsHit["stalled"] > 0 {
			return
		}
	}
	ts.Fatalf("no request came")
}

// bodies NAME N: the server has sent N whole messages since the last call.
func cmdBodies(ts *testscript.TestScript, _ bool, args []string) {
	s := simOf(ts, args[0])
	if got := s.Counters().Bodies; got != number(ts, args[1]) {
		ts.Fatalf("%d whole messages were sent, want %s", got, args[1])
	}
	s.ResetCounters()
}

// same NAME ADDRESS USER PASSWORD: the IMAP server at the address serves exactly what the source NAME holds.
func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	result, err := checkServed(context.Background(), ts.Getenv(args[1]), args[2], args[3], simOf(ts, args[0]).Snapshot())
	if neg {
		if err == nil {
			ts.Fatalf("logged in and read: %+v", result)
		}
		return
	}
	ts.Check(err)
	if len(result.Differences) > 0 {
		ts.Fatalf("differences:\n%s", strings.Join(result.Differences, "\n"))
	}
	ts.Logf("%+v", result)
}

// becomes SIM NAME USER PASSWORD: like same, for a server that notices within seconds.
func cmdBecomes(ts *testscript.TestScript, _ bool, args []string) {
	var result *checkResult
	err := errors.New("nobody asked")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		result, err = checkServed(context.Background(), ts.Getenv(args[1]), args[2], args[3], simOf(ts, args[0]).Snapshot())
		if err == nil && len(result.Differences) == 0 {
			return
		}
	}
	ts.Fatalf("differences: %v, %q", err, result.Differences)
}

// reply NAME TEXT: a server that sends TEXT and a line end to whoever connects, and nothing more; $NAME is its address.
func cmdReply(ts *testscript.TestScript, _ bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(conn, "%s\r\n", args[1])
			time.AfterFunc(time.Second, func() { conn.Close() })
		}
	}()
	ts.Setenv(args[0], ln.Addr().String())
}

// freeport NAME: $NAME becomes an address on which nobody listens.
func cmdFreePort(ts *testscript.TestScript, _ bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], ln.Addr().String())
	ts.Check(ln.Close())
}

// occupy NAME: $NAME becomes an address that is in use.
func cmdOccupy(ts *testscript.TestScript, _ bool, args []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ln.Close() })
	ts.Setenv(args[0], ln.Addr().String())
}

// waitfor NAME: waits until somebody listens on $NAME.
func cmdWaitFor(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", ts.Getenv(args[0]))
		if err == nil {
			conn.Close()
			return
		}
	}
	ts.Fatalf("nobody listens on %s", ts.Getenv(args[0]))
}

// get NAME PATH: fetches a page from the HTTP server at $NAME; what it holds becomes the standard output.
func cmdGet(ts *testscript.TestScript, _ bool, args []string) {
	res, err := http.Get("http://" + ts.Getenv(args[0]) + args[1])
	ts.Check(err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %s", args[1], res.Status)
	}
	_, err = io.Copy(ts.Stdout(), res.Body)
	ts.Check(err)
}

// appears FILE: waits until the file exists.
func cmdAppears(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
	}
	ts.Fatalf("%s does not appear", args[0])
}

// jsonlines: every line of the last program's standard output is a JSON object with an "event".
func cmdJSONLines(ts *testscript.TestScript, _ bool, _ []string) {
	out := ts.ReadFile("stdout")
	if out == "" {
		ts.Fatalf("nothing was printed")
	}
	for line := range strings.Lines(out) {
		var object struct{ Event string }
		if err := json.Unmarshal([]byte(line), &object); err != nil || object.Event == "" || !strings.HasSuffix(line, "\n") {
			ts.Fatalf("%q: %v", line, err)
		}
	}
}

// hold FOLDER: holds the archive's lock until the script ends.
func cmdHold(ts *testscript.TestScript, _ bool, args []string) {
	w, err := archive.OpenWriter(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Defer(func() { w.Close() })
}

// exits CODE PROGRAM ARGUMENT...: runs a program, which must end with this exit code.
func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit interface{ ExitCode() int }
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != number(ts, args[0]) {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

// expand FILE: replaces $NAME in a file by the environment's values.
func cmdExpand(ts *testscript.TestScript, _ bool, args []string) {
	file := ts.MkAbs(args[0])
	text, err := os.ReadFile(file)
	ts.Check(err)
	// The values of bcrypt hold "$" themselves, so there is one pass only.
	ts.Check(os.WriteFile(file, []byte(os.Expand(string(text), ts.Getenv)), 0o600))
}

// damage FOLDER N: one bit of each of N messages of the archive changes.
func cmdDamage(ts *testscript.TestScript, _ bool, args []string) {
	files, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "[0-9a-f][0-9a-f]", "*.eml"))
	ts.Check(err)
	for _, file := range files[:number(ts, args[1])] {
		text, err := os.ReadFile(file)
		ts.Check(err)
		text[len(text)/2] ^= 1
		ts.Check(os.Remove(file))
		ts.Check(os.WriteFile(file, text, 0o400))
	}
}

// mode FILE MODE: the file has these permissions.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[1] {
		ts.Fatalf("%s has the mode %s, want %s", args[0], got, args[1])
	}
}

// fulldisk FOLDER: the folder becomes a file system of one megabyte. For root only.
func cmdFullDisk(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir).Run())
	ts.Defer(func() { exec.Command("umount", dir).Run() })
}

// enlarge FOLDER: the file system gets more room.
func cmdEnlarge(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(exec.Command("mount", "-o", "remount,size=50m", ts.MkAbs(args[0])).Run())
}

// cert FILE HOST [expired]: makes a certificate with its key, in one PEM file.
func cmdCert(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	end := time.Now().Add(time.Hour)
	if len(args) > 2 {
		end = time.Now().Add(-time.Hour)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	if ip := net.ParseIP(args[1]); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{args[1]}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	var out bytes.Buffer
	ts.Check(pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}))
	ts.Check(pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o600))
}
