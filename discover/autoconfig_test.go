package discover

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseConfig(t *testing.T) {
	tests := []struct {
		file, address string
		want          Server
		err           error
	}{
		{file: "full.xml", address: "me@example.org", want: Server{Name: "Example Mail of the Examples", Host: "imap.example.org:993", TLS: Implicit, User: "me", Advice: adviceOwn, Access: Access{Password: true}}},
		{file: "oauth.xml", address: "me@sso.example", want: Server{Name: "Single Sign-On & Sons", Host: "imap.sso.example:993", TLS: Implicit, User: "me@sso.example", Advice: adviceOwn,
			Access: Access{OAuth: true, AuthURL: "https://login.sso.example/authorize", TokenURL: "https://login.sso.example/token", Scopes: []string{"mail.read", "offline_access"}}}},
		{file: "latin1.xml", address: "me@buero.example", want: Server{Name: "Büro-Post", Host: "imap.buero.example:993", TLS: Implicit, User: "me@buero.example", Advice: adviceOwn, Access: Access{Password: true}}},
		{file: "gmail.xml", address: "me@company.example", want: Server{Name: "Google Mail", Host: "imap.gmail.com:993", TLS: Implicit, User: "me@company.example", Advice: adviceOwn, Access: Access{OAuth: true, Password: true}}},
		{file: "plain-only.xml", address: "me@old.example", err: errNoIMAP},
		{file: "pop-only.xml", address: "me@pop.example", err: errNoIMAP},
	}
	for _, test := range tests {
		got, err := ParseConfig(seed(t, test.file), test.address)
		if !errors.Is(err, test.err) || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v\nwant %+v", test.file, got, err, test.want)
		}
	}
	if s, err := ParseConfig(seed(t, "not-found.xml"), "me@example.org"); err == nil {
		t.Errorf("a page that says that there is nothing is read as %+v", s)
	}
}

// TestParseConfigRefuses gives it what a careless or hostile domain may send.
func TestParseConfigRefuses(t *testing.T) {
	good := `<clientConfig><emailProvider><displayName>N</displayName><incomingServer type="imap"><hostname>imap.example.org</hostname><port>993</port>` +
		`<socketType>SSL</socketType><username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></incomingServer></emailProvider></clientConfig>`
	if _, err := ParseConfig([]byte(good), "me@example.org"); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"imap.example.org", "imap.example.org/evil"}, {"imap.example.org", ""}, {"imap.example.org", "192.0.2.1"}, {"imap.example.org", "a b"}, {"imap.example.org", "-x.example"},
		{">993<", ">0<"}, {">993<", ">70000<"}, {">993<", ">-1<"}, {">993<", "><"}, {">SSL<", ">plain<"}, {">SSL<", "><"},
		{"%EMAILADDRESS%", ""}, {"%EMAILADDRESS%", "a&#10;b"}, {"password-cleartext", "NTLM"}, {`type="imap"`, `type="exchange"`},
	} {
		if s, err := ParseConfig([]byte(strings.Replace(good, change[0], change[1], 1)), "me@example.org"); err == nil {
			t.Errorf("%q instead of %q is accepted: %+v", change[1], change[0], s)
		}
	}
	s, err := ParseConfig([]byte(strings.Replace(good, ">N<", ">N\x1b[31m&#27;<", 1)), "me@example.org")
	if err == nil {
		t.Errorf("XML with control characters is accepted: %+v", s)
	}
	s, err = ParseConfig([]byte(strings.Replace(good, ">N<", ">"+strings.Repeat("N", 1000)+"<", 1)), "me@example.org")
	if err != nil || s.Name != "imap.example.org" {
		t.Errorf("a name of 1000 letters: %+v, %v", s, err)
	}
	bomb := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>` + strings.Replace(good, ">N<", ">&b;<", 1)
	if s, err := ParseConfig([]byte(bomb), "me@example.org"); err == nil {
		t.Errorf("entities of its own are accepted: %+v", s)
	}
	deep := strings.Repeat("<a>", maxConfig/3)
	if _, err := ParseConfig([]byte("<clientConfig>"+deep[:maxConfig-100]), "me@example.org"); err == nil {
		t.Error("an endless nesting is accepted")
	}
	if _, err := ParseConfig(make([]byte, maxConfig+1), "me@example.org"); err == nil {
		t.Error("a configuration beyond the limit is accepted")
	}
}

func seed(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// FuzzParseConfig checks that whatever a domain publishes gives settings that can be used and shown, or an error.
func FuzzParseConfig(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) < 7 {
		f.Fatalf("%d seeds, %v", len(files), err)
	}
	for _, file := range files {
		f.Add(seed(f, filepath.Base(file)), "me@example.org")
	}
	f.Add([]byte("<clientConfig/>"), "ü@ö.example")
	f.Fuzz(func(t *testing.T, text []byte, address string) {
		s, err := ParseConfig(text, address)
		if err != nil {
			return
		}
		host, port, err := net.SplitHostPort(s.Host)
		if err != nil || !isHostName(host) || port == "0" || s.TLS != Implicit && s.TLS != StartTLS {
			t.Errorf("settings of no use: %+v", s)
		}
		for _, shown := range append([]string{s.Name, s.Access.AuthURL, s.Access.TokenURL}, s.Access.Scopes...) {
			if strings.ContainsAny(shown, "\n\r\x00\x1b") || len(s.Name) > maxName {
				t.Errorf("%q is shown", shown)
			}
		}
		if strings.ContainsAny(s.User, "\n\r\x00 ") || s.User == "" || utf8.ValidString(string(text)) && utf8.ValidString(address) && !utf8.ValidString(s.User) {
			t.Errorf("login name %q", s.User)
		}
		for _, raw := range []string{s.Access.AuthURL, s.Access.TokenURL} {
			if raw != "" && !strings.HasPrefix(strings.ToLower(raw), "https://") {
				t.Errorf("%q is no https", raw)
			}
		}
	})
}
