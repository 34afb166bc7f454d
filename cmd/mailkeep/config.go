package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// configName is the configuration's file name in the current folder, and in the folder "mailkeep" of the user's configuration folder.
const configName = "mailkeep.toml"

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 256 << 10

// The ways to protect a connection.
const (
	tlsImplicit = "implicit" // TLS from the first byte, usually port 993
	tlsStart    = "starttls" // plain first, then TLS, usually port 143
	tlsNone     = "none"     // no TLS; on loopback only
)

// The ways to log in.
const (
	authAppPassword = "app-password" // sent like the next one; it may be typed in groups of four letters
	authPassword    = "password"
	authOAuth       = "oauth2"
)

// maxConnections bounds account.connections: Gmail allows 15 for all programs of an account together.
const maxConnections = 15

// Config is the content of a configuration file. All paths in it are absolute or relative to the current folder, not to the file.
type Config struct {
	File     string // where it was read from; "" when there is none
	Archive  string // folder of the archive
	Accounts []Account
	Serve    ServeConfig
	Run      RunConfig
}

// Account is one source of mail.
type Account struct {
	Name            string // unique; User unless given
	Host            string // host:port
	User            string
	Auth            string // authAppPassword, authPassword or authOAuth
	PasswordCommand string // its first line of output is the password
	PasswordFile    string // its first line is the password
	TLS             string // tlsImplicit, tlsStart or tlsNone
	TLSCA           string // PEM file of further certificate authorities
	Exclude         []string
	Connections     int // how many at once
	OAuth           OAuthConfig
	Fetching
}

// ServeConfig says how the archive is served.
type ServeConfig struct {
	IMAP     string // host:port; plain, with STARTTLS where there is a certificate; "" for not
	IMAPS    string // host:port; TLS from the first byte; "" for not
	Web      string // host:port of the web page; "" for not
	WebAsked bool   // Web was configured, so that an address in use is an error
	TLSCert  string // PEM files
	TLSKey   string
	SelfMade bool     // a certificate is made instead
	Names    []string // by which clients reach this machine
	Logins   []ServeLogin
}

// ServeLogin is one login of the served archive.
type ServeLogin struct {
	User         string
	PasswordHash string // bcrypt
	Account      string // the one account it sees; "" sees all
}

const (
	defaultArchive = "MailStore"
	defaultServe   = "127.0.0.1:1143"
	defaultWeb     = "127.0.0.1:8143"
)

// defaultConnections is what mail programs open, too; Gmail slows down clients that open many more. Far from the server each waits for answers most of the time.
const defaultConnections = 5

// errNoConfig says that no configuration file was found.
var errNoConfig = errors.New("no configuration found")

// findConfig returns the configuration file to use: the one asked for, else the first that exists. When none exists it returns errNoConfig.
func findConfig(asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	candidates := []string{configName}
	if dir, err := os.UserConfigDir(); err == nil {
		candidates = append(candidates, filepath.Join(dir, "mailkeep", configName))
	}
	for _, c := range candidates {
		_, err := os.Stat(c)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", usagef("read the configuration: %w", err)
		}
	}
	return "", usagef("%w: looked for %s; run \"mailkeep setup\" to make one, or name one with --config", errNoConfig, strings.Join(candidates, " and "))
}

// loadConfig reads and checks a configuration file. Errors name the file and the line.
func loadConfig(file string) (*Config, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("%s: %w: there is no such file; run \"mailkeep setup\" to make one", file, errNoConfig)
	}
	if err != nil {
		return nil, usagef("read the configuration: %w", err)
	}
	if info.IsDir() {
		return nil, usagef("%s: it is a folder; --config wants the file in it, for example %s", file, filepath.Join(file, configName))
	}
	if info.Size() > maxConfig {
		return nil, usagef("%s: %d bytes is too large for a configuration file", file, info.Size())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("read the configuration: %w", err)
	}
	return parseConfig(file, string(text))
}

// parseConfig reads the text of the configuration that file names.
func parseConfig(file, text string) (*Config, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	var top map[string]any
	if _, err := toml.Decode(text, &top); err != nil {
		return nil, syntaxError(file, text, err)
	}
	p := &configParser{file: file, dir: filepath.Dir(file), text: text}
	c := p.config(top)
	if p.err != nil {
		return nil, p.err
	}
	return c, nil
}

func syntaxError(file, text string, err error) error {
	var at toml.ParseError
	if !errors.As(err, &at) {
		return usagef("%s: %w", file, err)
	}
	message := strings.TrimPrefix(strings.TrimSuffix(at.Message, "."), "toml: ")
	message = strings.Replace(message, "unexpected EOF", "the file ends too early", 1)
	if message == "" {
		message = "it is not TOML"
	}
	before := text[:min(max(at.Position.Start, 0), len(text))] // Position.Line counts a line end at fault as the next line's
	if key, _, _ := strings.Cut(before[strings.LastIndexByte(before, '\n')+1:], "="); strings.Contains(key, "secret") || strings.Contains(key, "password") {
		message = "the value is not written as it should: text stands in quotes" // TOML's own words may quote it
	}
	return usagef("%s:%d: %s; config.example.toml shows how it should look", file, 1+strings.Count(before, "\n"), lowerFirst(message))
}

// configParser turns TOML's values into a Config and keeps the first error.
type configParser struct {
	file, dir, text string
	err             error
}

// fail records an error at a key such as "account[1].host".
func (p *configParser) fail(key, format string, args ...any) {
	if p.err == nil {
		p.err = usagef("%s:%d: %w", p.file, lineOf(p.text, key), fmt.Errorf(format, args...))
	}
}

// keys is the set of keys that a table may have, with what to do with each value; the string is the key's full path.
type keys map[string]func(path string, value any)

func (p *configParser) table(path string, value any, known keys) {
	table, ok := value.(map[string]any)
	if !ok {
		p.fail(path, "%s must be a table: write [%s] on a line of its own", plainKey(path), plainKey(path))
		return
	}
	for _, key := range sortedKeys(table) {
		full := key
		if path != "" {
			full = path + "." + key
		}
		set, ok := known[key]
		if !ok {
			p.fail(full, "unknown key %q%s", plainKey(full), nearest(key, known))
			return
		}
		set(full, table[key])
	}
}

func (p *configParser) tables(path string, value any, each func(path string, value any)) {
	var list []any
	switch v := value.(type) {
	case []map[string]any:
		for _, t := range v {
			list = append(list, t)
		}
	case []any:
		list = v
	default:
		p.fail(path, "%s must be a list of tables: write [[%s]]", path, plainKey(path))
	}
	for i, v := range list {
		each(fmt.Sprintf("%s[%d]", path, i), v)
	}
}

func (p *configParser) str(to *string) func(string, any) {
	return func(path string, value any) {
		s, ok := value.(string)
		switch {
		case !ok:
			p.fail(path, "%s must be text in quotes, not %s", plainKey(path), describe(value))
		case strings.ContainsAny(s, "\x00\r\n"):
			p.fail(path, "%s must not contain line breaks or NUL", plainKey(path))
		}
		*to = s
	}
}

// path is str for a file or folder: relative ones start at the configuration's folder, "~/" at the user's.
func (p *configParser) path(to *string) func(string, any) {
	return func(key string, value any) {
		p.str(to)(key, value)
		if *to == "" {
			if p.err == nil {
				p.fail(key, "%s must not be empty", plainKey(key))
			}
			return
		}
		if rest, ok := strings.CutPrefix(*to, "~/"); ok {
			if home, err := os.UserHomeDir(); err == nil {
				*to = filepath.Join(home, rest)
			}
		}
		if !filepath.IsAbs(*to) {
			*to = filepath.Join(p.dir, *to)
		}
	}
}

func (p *configParser) strs(to *[]string) func(string, any) {
	return func(path string, value any) {
		list, ok := value.([]any)
		if !ok {
			p.fail(path, "%s must be a list such as [\"Spam\", \"Trash\"], not %s", plainKey(path), describe(value))
		}
		for _, v := range list {
			s, ok := v.(string)
			if !ok || s == "" {
				p.fail(path, "%s must hold names in quotes, not %s", plainKey(path), describe(v))
			}
			*to = append(*to, s)
		}
	}
}

func (p *configParser) number(to *int, least, most int) func(string, any) {
	return func(path string, value any) {
		n, ok := value.(int64)
		if !ok || n < int64(least) || n > int64(most) {
			p.fail(path, "%s must be a number from %d to %d", plainKey(path), least, most)
			return
		}
		*to = int(n)
	}
}

func (p *configParser) config(top map[string]any) *Config {
	c := &Config{File: p.file, Archive: filepath.Join(p.dir, defaultArchive), Serve: ServeConfig{IMAP: defaultServe, Web: defaultWeb}}
	p.table("", top, keys{
		"archive": func(path string, v any) { p.table(path, v, keys{"path": p.path(&c.Archive)}) },
		"account": func(path string, v any) {
			p.tables(path, v, func(path string, v any) { c.Accounts = append(c.Accounts, p.account(path, v)) })
		},
		"serve": func(path string, v any) { p.serve(path, v, &c.Serve) },
		"run":   func(path string, v any) { p.run(path, v, &c.Run) },
	})
	if p.err == nil {
		p.checkNames(c)
	}
	return c
}

// checkListen tells whether a server can be told to listen at an address such as "127.0.0.1:1143".
func checkListen(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	return err
}

func (p *configParser) serve(path string, value any, s *ServeConfig) {
	p.table(path, value, keys{
		"imap":  p.str(&s.IMAP),
		"imaps": p.str(&s.IMAPS),
		"web": func(path string, v any) {
			p.str(&s.Web)(path, v)
			s.WebAsked = true
		},
		"tls_cert":        p.path(&s.TLSCert),
		"tls_key":         p.path(&s.TLSKey),
		"tls_self_signed": p.yes(&s.SelfMade),
		"names":           p.hostNames(&s.Names),
		"login": func(path string, v any) {
			p.tables(path, v, func(path string, v any) { s.Logins = append(s.Logins, p.login(path, v)) })
		},
	})
	for _, l := range []struct{ key, addr, example string }{{"imap", s.IMAP, defaultServe}, {"imaps", s.IMAPS, "0.0.0.0:1993"}, {"web", s.Web, defaultWeb}} {
		if l.addr != "" && checkListen(l.addr) != nil {
			p.fail(path+"."+l.key, "serve.%s must be an address and a port such as %q, not %q", l.key, l.example, l.addr)
		}
	}
	if s.IMAP == "" && s.IMAPS == "" {
		p.fail(path+".imap", "serve.imap must be an address and a port such as %q; it may be empty only where serve.imaps is one", defaultServe)
	}
	if given := map[bool]string{true: "tls_cert", false: "tls_key"}[s.TLSCert != ""]; (s.TLSCert == "") != (s.TLSKey == "") {
		p.fail(path+"."+given, "serve.tls_cert and serve.tls_key go together: give both or none")
	}
	if s.TLSCert != "" && s.SelfMade {
		p.fail(path+".tls_self_signed", "serve.tls_self_signed and serve.tls_cert exclude each other")
	}
}

// yes is a key that is true or false.
func (p *configParser) yes(to *bool) func(string, any) {
	return func(path string, value any) {
		b, ok := value.(bool)
		if !ok {
			p.fail(path, "%s must be true or false, not %s", plainKey(path), describe(value))
		}
		*to = b
	}
}

// hostNames is a list of DNS names or IP addresses.
func (p *configParser) hostNames(to *[]string) func(string, any) {
	return func(path string, value any) {
		p.strs(to)(path, value)
		for i, name := range *to {
			(*to)[i] = strings.ToLower(name)
			if !isHostName((*to)[i]) && net.ParseIP(name) == nil {
				p.fail(path, "%s must hold names such as \"mail.example.org\", without a port, not %q", plainKey(path), name)
			}
		}
	}
}
