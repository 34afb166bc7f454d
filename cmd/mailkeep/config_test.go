package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestExampleConfig(t *testing.T) {
	c, err := loadConfig("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..")
	if c.Archive != filepath.Join(dir, "MailStore") || len(c.Accounts) != 3 || len(c.Serve.Logins) != 2 {
		t.Errorf("%+v", c)
	}
	want := Account{Name: "work", Host: "mail.example.org:143", User: "me", Auth: "password", PasswordCommand: "pass show mail/work", TLS: "starttls", Connections: 5}
	if !reflect.DeepEqual(c.Accounts[1], want) {
		t.Errorf("got  %+v\nwant %+v", c.Accounts[1], want)
	}
	if a := c.Accounts[2]; a.Auth != authOAuth || a.OAuth.Client.Name != "Microsoft" {
		t.Errorf("%+v", a)
	}
}

// TestExampleNamesEveryKey keeps the example complete.
func TestExampleNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"path", "name", "host", "user", "auth", "password_command", "password_file", "tls", "tls_ca", "exclude", "connections",
		"imap", "imaps", "web", "names", "tls_cert", "tls_key", "tls_self_signed", "password_hash", "account",
		"token_file", "token_command", "provider", "client_id", "client_secret", "auth_url", "token_url", "scopes", "redirect_url"} {
		if !strings.Contains(string(text), "\n"+key+" = ") && !strings.Contains(string(text), "\n# "+key+" = ") {
			t.Errorf("config.example.toml does not show %s", key)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	account := "[[account]]\nhost = \"imap.example.org\"\nuser = \"a@b.c\"\n"
	tests := []struct{ name, text, want string }{
		{"number for text", "[[account]]\nhost = 3", "f:2: account.host must be text in quotes, not the bare 3"},
		{"table for list", "[account]\nhost = \"x\"", "f:1: account must be a list of tables: write [[account]]"},
		{"list for table", "[[archive]]\npath = \"x\"", "f:1: archive must be a table"},
		{"no user", "\n[[account]]\nhost = \"x\"", "f:2: the account has no user"},
		{"no host", account + "[[account]]\nuser = \"x\"", "f:4: the account has no host"},
		{"two passwords", account + "password_command = \"x\"\npassword_file = \"y\"", "f:5: password_command and password_file exclude each other"},
		{"second account's line", account + account + "\ntls = \"ssl\"", `f:8: unknown tls "ssl"`},
		{"auth", account + "auth = \"magic\"", `f:4: unknown auth "magic"`},
		{"port", "[[account]]\nuser = \"x\"\nhost = \"imap.example.org:imaps\"", `f:3: the port in host "imap.example.org:imaps" must be a number`},
		{"port range", "[[account]]\nuser = \"x\"\nhost = \"h:70000\"", "f:3: the port in host"},
		{"host", "[[account]]\nuser = \"x\"\nhost = \"imaps://h\"", "f:3: "},
		{"host with blank", "[[account]]\nuser = \"x\"\nhost = \"my host\"", "f:3: host must look like"},
		{"exclude", account + "exclude = \"Spam\"", "f:4: account.exclude must be a list"},
		{"exclude of numbers", account + "exclude = [\"a\",\n 1]", "f:4: account.exclude must hold names"},
		{"too many connections", account + "connections = 16", "f:4: account.connections must be a number from 1 to 15"},
		{"top level key", "acount = 1", `f:1: unknown key "acount"; did you mean "account"?`},
		{"nothing near", "zzz = 1", `f:1: unknown key "zzz"; known here: account, archive, run, serve`},
		{"unknown table", account + "[sevre]\nimap = \"x\"", `f:4: unknown key "sevre"; did you mean "serve"?`},
		{"unknown in login", "[[serve.login]]\nuser = \"a\"\npasword_hash = \"x\"", `f:3: unknown key "serve.login.pasword_hash"; did you mean "password_hash"?`},
		{"inline tables", "account = [{host = \"h\", user = \"u\", tsl = \"x\"}]", `f:1: unknown key "account.tsl"; did you mean "tls"?`},
		{"imap address", "[serve]\nimap = \"1143\"", `f:2: serve.imap must be an address and a port`},
		{"half TLS", "[serve]\ntls_cert = \"x\"", "f:2: serve.tls_cert and serve.tls_key go together"},
		{"two certificates", "[serve]\ntls_cert = \"x\"\ntls_key = \"x\"\ntls_self_signed = true", "f:4: serve.tls_self_signed and serve.tls_cert exclude each other"},
		{"no certificate", "[serve]\ntls_self_signed = \"yes\"", `f:2: serve.tls_self_signed must be true or false, not the text "yes"`},
		{"name with a port", "[serve]\nnames = [\"a.example.org\",\"b:993\"]", `f:2: serve.names must hold names such as "mail.example.org", without a port, not "b:993"`},
		{"imaps address", "[serve]\nimaps = \"0.0.0.0\"", `f:2: serve.imaps must be an address and a port such as "0.0.0.0:1993"`},
		{"web address", "[serve]\nweb = \"8143\"", `f:2: serve.web must be an address and a port such as "127.0.0.1:8143"`},
		{"no address", "[serve]\nimap = \"\"", "f:2: serve.imap must be an address and a port"},
		{"login without user", "[[serve.login]]\npassword_hash = \"x\"", "f:1: the login has no user"},
		{"login of nobody", account + "[[serve.login]]\nuser = \"u\"\npassword_hash = \"" + hashOf(t, "x") + "\"\naccount = \"a@b\"", `f:7: login "u" names the unknown account "a@b"; did you mean "a@b.c"?`},
		{"line break", "[[account]]\nuser = \"a\\nb\"", "f:2: account.user must not contain line breaks"},
		{"after a long value", "[archive]\npath = '''x\ny'''\n[serve]\nfoo = 1", "f:2: archive.path must not contain line breaks"},
		{"empty path", "[archive]\npath = \"\"", "f:2: archive.path must not be empty"},
		{"names that differ by case", account + "[[account]]\nhost = \"x\"\nuser = \"A@b.c\"", `f:4: the account names "a@b.c" and "A@b.c" differ in upper and lower case only`},
		{"name with a slash", account + "name = \"a/b\"", `f:4: the account's name "a/b" holds a slash`},
		{"name with an escape", "[[account]]\nhost = \"x\"\nuser = \"a\\u001b[31m\"", `f:1: the account's name "a\x1b[31m" holds a control character`},
		{"blank name", account + "name = \" \"", `f:4: the account's name " " begins or ends with a blank`},
		{"name of a folder", account + "name = \"Inbox\"", `f:4: the account's name "Inbox" is taken`},
		{"host with scheme", "[[account]]\nuser = \"x\"\nhost = \"imaps://h\"", `f:3: host must look like "imap.example.org:993", without "imaps://" before it`},
		{"IPv6 without TLS", account + "[[account]]\nuser = \"x\"\nhost = \"[2001:db8::1]\"\ntls = \"none\"", `f:7: tls = "none" would send the password readable to 2001:db8::1`},
		{"imap port", "[serve]\nimap = \"127.0.0.1:99999\"", "f:2: serve.imap must be an address and a port"},
		{"half TLS with its line", "[serve]\ntls_key = \"x\"", "f:2: serve.tls_cert and serve.tls_key go together"},
		{"end of file", "[archive]\npath =", "f:2: the file ends too early; expected value; config"},
		{"defined twice", account + "user = \"x\"", "f:4: key 'account.user' has already been defined; config"},
		{"double key", "[archive]\npath = \"a\"\npath = \"b\"", "f:3: "},
		{"unclosed text", "[archive]\npath = \"a\n[serve]\n", "f:2: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseConfig("f", test.text)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if !errors.Is(err, errUsage) {
				t.Error("not an error of usage")
			}
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	c, err := parseConfig(filepath.Join("conf", "f"), `
[archive]
path = "~/mail"
[[account]]
host = "imap.example.org"
user = "a"
password_file = "pw"
[[account]]
host = "mail.example.org:143"
user = "b"
[[account]]
host = "::1"
tls = "none"
user = "c"`)
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(home, "mail"); c.Archive != want {
		t.Errorf("archive %q, want %q", c.Archive, want)
	}
	if c.Serve.IMAP != "127.0.0.1:1143" {
		t.Errorf("imap %q", c.Serve.IMAP)
	}
	want := []Account{
		{Name: "a", Host: "imap.example.org:993", User: "a", Auth: "app-password", TLS: "implicit", PasswordFile: filepath.Join("conf", "pw"), Connections: 5},
		{Name: "b", Host: "mail.example.org:143", User: "b", Auth: "app-password", TLS: "starttls", Connections: 5},
		{Name: "c", Host: "[::1]:143", User: "c", Auth: "app-password", TLS: "none", Connections: 5},
	}
	if !reflect.DeepEqual(c.Accounts, want) {
		t.Errorf("got  %+v\nwant %+v", c.Accounts, want)
	}
}

func TestNearest(t *testing.T) {
	known := map[string]int{"host": 0, "user": 0, "password_file": 0}
	for name, want := range map[string]string{
		"hots": `; did you mean "host"?`, "User": `; did you mean "user"?`, "passwordfile": `; did you mean "password_file"?`,
		"x": "; known here: host, password_file, user", strings.Repeat("a", 5000): "; known here: host, password_file, user",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%.20q) = %q, want %q", name, got, want)
		}
	}
}

func TestTOMLString(t *testing.T) {
	for _, s := range []string{"", "plain", `C:\Mail "old"`, "ü日本", "tab\tand\x01and\x7f"} {
		text := accountText(&Account{Name: "x", Host: "h:993", User: s + "x", Auth: "password", TLS: "implicit", TLSCA: "/" + s, PasswordFile: "/p" + s, Connections: 5}, ".")
		c, err := parseConfig("f", text)
		if err != nil {
			t.Fatalf("%q: %v\n%s", s, err, text)
		}
		if a := c.Accounts[0]; a.User != s+"x" || filepath.ToSlash(a.PasswordFile) != "/p"+s {
			t.Errorf("%q became %+v", s, a)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	example, err := os.ReadFile("../../config.example.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add("[[account]]\nhost=1")
	f.Add("account = [{host='x', user='y'}, {a.b=1}]\n[serve]\nlogin = [{}]")
	f.Add("[archive]\npath = \"\"\"\n\n\"\"\"\n[[serve.login]]\nfoo = '''\n'''")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 10_000 {
			return
		}
		started := time.Now()
		c, err := parseConfig("f", text)
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		if err == nil {
			if len(c.Archive) == 0 || c.Serve.IMAP == "" {
				t.Errorf("incomplete: %+v", c)
			}
			return
		}
		if !errors.Is(err, errUsage) || !strings.HasPrefix(err.Error(), "f:") {
			t.Errorf("error without file: %v", err)
		}
	})
}
