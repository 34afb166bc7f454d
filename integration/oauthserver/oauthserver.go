// Package oauthserver runs a real OAuth server on a loopback port for a test: npm's oauth2-mock-server, which signs tokens and checks PKCE, made as strict
// as those of large services by server.js beside this file. Every instance is a child of the caller and ends with it.
package oauthserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"mailkeep/integration/need"
)

// The one client that the server knows, and the scope that it must ask for.
const (
	ClientID     = "mailkeep-test"
	ClientSecret = "the-client-secret"
	Scope        = "mail"
)

// ErrAbsent is wrapped by Start's error when the server is not installed.
var ErrAbsent = errors.New("the OAuth server for tests is not installed; install nodejs and npm, then: npm ci --prefix integration/oauthserver")

// Server is a running OAuth server.
type Server struct {
	AuthURL, TokenURL string
	// UserInfoURL tells whose token one is, to a mail server that shows it as a bearer token: {"email": USER}, or the status 401.
	UserInfoURL string

	control string
	cmd     *exec.Cmd
	stdin   io.Closer
}

// Settings change what the server does from now on; fields that are nil stay as they are.
type Settings struct {
	ExpiresIn      *int    `json:"expiresIn,omitempty"`      // seconds that access tokens last
	Deny           *string `json:"deny,omitempty"`           // an error code that the browser brings instead of a code
	User           *string `json:"user,omitempty"`           // who is logged in in the browser; "" for who is suggested
	NoRefreshToken *bool   `json:"noRefreshToken,omitempty"` // give access tokens alone
	Rotate         *bool   `json:"rotate,omitempty"`         // give a new refresh token with each access token, and end the old one
	Down           *int    `json:"down,omitempty"`           // the HTTP status of every answer of the token endpoint; 0 for good ones
	Revoke         bool    `json:"revoke,omitempty"`         // end all refresh tokens that were given
	Expire         bool    `json:"expire,omitempty"`         // end all access tokens that were given
}

// Happened is what the server has seen and given so far.
type Happened struct {
	Authorizations []map[string]string // the parameters of every visit of a browser
	Requests       []string            // the grant types of every request for tokens
	Secrets        []string            // codes, verifiers, tokens and the client's secret
}

// New starts a server for a test and stops it when the test ends. The test is skipped where the server is not installed.
func New(t testing.TB) *Server {
	t.Helper()
	s, err := Start()
	if errors.Is(err, ErrAbsent) {
		need.Missing(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Installed tells whether Start can work.
func Installed() bool {
	_, _, err := find()
	return err == nil
}

func find() (node, script string, err error) {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(file)
	if node, err = exec.LookPath("node"); err != nil {
		return "", "", ErrAbsent
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oauth2-mock-server")); err != nil {
		return "", "", ErrAbsent
	}
	return node, filepath.Join(dir, "server.js"), nil
}

// readyWithin is generous: the server makes a key first.
const readyWithin = time.Minute

// Start runs a server and waits until it listens. The caller ends it with Stop.
func Start() (*Server, error) {
	node, script, err := find()
	if err != nil {
		return nil, err
	}
	s := &Server{cmd: exec.Command(node, script)}
	var trouble bytes.Buffer
	s.cmd.Stderr = &trouble
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(readyWithin, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var ready struct{ Issuer, Control string }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	if err != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		return nil, fmt.Errorf("start the OAuth server: %w\n%s", err, trouble.Bytes())
	}
	s.AuthURL, s.TokenURL, s.UserInfoURL, s.control = ready.Issuer+"/authorize", ready.Issuer+"/token", ready.Issuer+"/userinfo", ready.Control
	return s, nil
}

// Stop ends the server. It may be called once.
func (s *Server) Stop() error {
	s.stdin.Close()
	late := time.AfterFunc(10*time.Second, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	return s.cmd.Wait()
}

// Set changes settings and gives what has happened until now.
func (s *Server) Set(o Settings) (Happened, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return Happened{}, err
	}
	answer, err := http.Post(s.control, "application/json", bytes.NewReader(body))
	if err != nil {
		return Happened{}, err
	}
	defer answer.Body.Close()
	var h Happened
	return h, json.NewDecoder(answer.Body).Decode(&h)
}

// UserOf asks whose access token one is, as a mail server does; "" when it is nobody's.
func (s *Server) UserOf(token string) (string, error) {
	r, err := http.NewRequest(http.MethodGet, s.UserInfoURL, nil)
	if err != nil {
		return "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var said struct{ Email string }
	if answer.StatusCode != http.StatusOK {
		return "", nil
	}
	return said.Email, json.NewDecoder(answer.Body).Decode(&said)
}
