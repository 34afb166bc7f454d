package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"mailkeep/discover"
	"mailkeep/integration/oauthserver"
)

// network is all that the program under test can ask for an address's server: what the JSON file named by $NETWORK says.
type network struct {
	MX    map[string][]string
	SRV   map[string]string // "_imaps._tcp.example.org": host:port
	Pages map[string]string // without https://
}

func testFinder() (*discover.Finder, error) {
	n := &network{}
	if text, err := os.ReadFile(os.Getenv("NETWORK")); err == nil {
		if err := json.Unmarshal(text, n); err != nil {
			return nil, fmt.Errorf("read the network of the test: %w", err)
		}
	}
	return &discover.Finder{Resolver: n, HTTP: n}, nil
}

func (n *network) LookupMX(_ context.Context, name string) (all []*net.MX, err error) {
	for _, host := range n.MX[name] {
		all = append(all, &net.MX{Host: host})
	}
	return all, nil
}

func (n *network) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	host, port, err := net.SplitHostPort(n.SRV["_"+service+"._"+proto+"."+name])
	if err != nil {
		return "", nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	return "", []*net.SRV{{Target: host, Port: uint16(number)}}, err
}

func (n *network) Do(r *http.Request) (*http.Response, error) {
	page, ok := n.Pages[r.URL.Host+r.URL.Path]
	if !ok {
		return nil, errors.New("no such page")
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(page)), Request: r}, nil
}

// visit is the browser of the scripts: it opens a page, goes where it is sent, and writes what it sees at last into $VISITED.
func visit() error {
	answer, err := http.Get(os.Args[1])
	text := []byte(fmt.Sprint(err))
	if err == nil {
		text, err = io.ReadAll(answer.Body)
		text = fmt.Appendf(nil, "%d %s %s %v", answer.StatusCode, answer.Request.URL.Path, text, err)
	}
	return os.WriteFile(os.Getenv("VISITED"), text, 0o600)
}

type oauthKey struct{}

func oauthOf(ts *testscript.TestScript) *oauthserver.Server {
	s, _ := ts.Value(oauthKey{}).(map[string]*oauthserver.Server)["it"]
	if s == nil {
		ts.Fatalf("there is no OAuth server")
	}
	return s
}

// tokensOf asks the OAuth server whose a token is, each time a mail server is shown one.
func tokensOf(ts *testscript.TestScript) func(user, token string) bool {
	s := oauthOf(ts)
	return func(user, token string) bool {
		whose, err := s.UserOf(token)
		return err == nil && whose != "" && whose == user
	}
}

// oauth start: starts the script's OAuth server; $AUTH_URL and $TOKEN_URL are its addresses. oauth JSON: changes its settings.
func cmdOAuth(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "start" {
		s, err := oauthserver.Start()
		ts.Check(err)
		ts.Defer(func() { s.Stop() })
		ts.Value(oauthKey{}).(map[string]*oauthserver.Server)["it"] = s
		ts.Setenv("AUTH_URL", s.AuthURL)
		ts.Setenv("TOKEN_URL", s.TokenURL)
		return
	}
	var settings oauthserver.Settings
	ts.Check(json.Unmarshal([]byte(args[0]), &settings))
	_, err := oauthOf(ts).Set(settings)
	ts.Check(err)
}

// secretfree [FILE...]: none of the secrets that the OAuth server has seen stands in the last program's output, nor, but for the client's, in any file of
// the script's folder that is not named.
func cmdSecretFree(ts *testscript.TestScript, _ bool, args []string) {
	h, err := oauthOf(ts).Set(oauthserver.Settings{})
	ts.Check(err)
	if len(h.Secrets) < 5 {
		ts.Fatalf("the OAuth server has given %d secrets only", len(h.Secrets))
	}
	check := func(where, text string) {
		for _, secret := range h.Secrets {
			if strings.Contains(text, secret) {
				ts.Fatalf("%s holds the secret %s", where, secret)
			}
		}
	}
	check("the standard output", ts.ReadFile("stdout"))
	check("the standard error", ts.ReadFile("stderr"))
	allowed := map[string]bool{}
	for _, name := range args {
		allowed[ts.MkAbs(name)] = true
	}
	ts.Check(filepath.WalkDir(ts.MkAbs("."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || allowed[path] {
			return err
		}
		text, err := os.ReadFile(path)
		check(path, strings.ReplaceAll(string(text), oauthserver.ClientSecret, "")) // the configurations hold that one
		return err
	}))
}
