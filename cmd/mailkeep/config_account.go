package main

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
	"golang.org/x/crypto/bcrypt"
)

func (p *configParser) account(path string, value any) Account {
	a := Account{Auth: authAppPassword, Connections: defaultConnections}
	p.table(path, value, keys{
		"name":             p.str(&a.Name),
		"host":             p.str(&a.Host),
		"user":             p.str(&a.User),
		"auth":             p.str(&a.Auth),
		"password_command": p.str(&a.PasswordCommand),
		"password_file":    p.path(&a.PasswordFile),
		"tls":              p.str(&a.TLS),
		"tls_ca":           p.path(&a.TLSCA),
		"exclude":          p.strs(&a.Exclude),
		"connections":      p.number(&a.Connections, 1, maxConnections),
		"token_file":       p.path(&a.OAuth.TokenFile),
		"token_command":    p.str(&a.OAuth.TokenCommand),
		"oauth2":           func(path string, v any) { p.oauth(path, v, &a.OAuth) },
		"daily_limit":      p.bytes(&a.DailyLimit, noLimit),
		"compress":         p.not(&a.Plain),
		"include":          p.strs(&a.Include),
		"max_age":          p.age(&a.MaxAge),
		"max_size":         p.bytes(&a.MaxSize, 0),
	})
	if p.err != nil {
		return a
	}
	if a.User == "" {
		p.fail(path, "the account has no user: add user = \"me@example.org\"")
	}
	if a.Host == "" {
		p.fail(path, "the account has no host: add host = \"imap.example.org:993\"")
	}
	if a.Name == "" {
		a.Name = a.User
	}
	if bad := checkName(a.Name); bad != "" && p.err == nil {
		p.fail(path+".name", "the account's name %q %s; set another one with name = ...", a.Name, bad)
	}
	if a.PasswordCommand != "" && a.PasswordFile != "" {
		p.fail(path+".password_file", "password_command and password_file exclude each other: keep one")
	}
	switch a.Auth {
	case authAppPassword, authPassword, authOAuth:
	default:
		p.fail(path+".auth", "unknown auth %q; it is \"app-password\", \"password\" or \"oauth2\"", a.Auth)
	}
	if err := a.settleTLS(); err != nil {
		p.fail(path+"."+err.key, "%s", err.text)
	}
	if a.Auth == authOAuth && p.err == nil {
		p.settleOAuth(path, &a)
	}
	return a
}

// checkName tells what is wrong with the name of an account, which is also a folder in mail programs; "" when nothing is.
func checkName(name string) string {
	switch {
	case strings.TrimSpace(name) != name || name == "":
		return "begins or ends with a blank"
	case strings.ContainsFunc(name, unicode.IsControl):
		return "holds a control character"
	case strings.Contains(name, "/"):
		return "holds a slash, which separates the levels of folders"
	case strings.EqualFold(name, "INBOX"):
		return "is taken: every mail program has a folder of that name"
	}
	return ""
}

// badKey is a wrong value of one key.
type badKey struct{ key, text string }

// settleTLS completes Host and TLS from each other and checks them.
func (a *Account) settleTLS() *badKey {
	host, port, err := splitHost(a.Host)
	if err != nil {
		return &badKey{"host", err.Error()}
	}
	if a.TLS == "" {
		a.TLS = tlsImplicit
		if port == "143" {
			a.TLS = tlsStart
		}
	}
	switch a.TLS {
	case tlsImplicit, tlsStart:
	case tlsNone:
		if !isLoopback(host) {
			return &badKey{"tls", fmt.Sprintf("tls = \"none\" would send the password readable to %s; it is allowed to this machine only (127.0.0.1)", host)}
		}
	default:
		return &badKey{"tls", fmt.Sprintf("unknown tls %q; it is \"implicit\", \"starttls\" or \"none\"", a.TLS)}
	}
	if port == "" {
		port = "993"
		if a.TLS != tlsImplicit {
			port = "143"
		}
	}
	a.Host = net.JoinHostPort(host, port)
	return nil
}

// splitHost takes "host", "host:port", "::1", "[::1]" and "[::1]:port"; port is "" when there is none.
func splitHost(s string) (host, port string, err error) {
	if ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return ip.String(), "", nil
	}
	if strings.Contains(s, "://") {
		return "", "", fmt.Errorf("host must look like \"imap.example.org:993\", without %q before it", s[:strings.Index(s, "://")+3])
	}
	if !strings.Contains(s, ":") {
		host = s
	} else if host, port, err = net.SplitHostPort(s); err != nil {
		return "", "", fmt.Errorf("host must look like \"imap.example.org:993\", not %q", s)
	}
	if host == "" || strings.ContainsAny(host, " \t/@") {
		return "", "", fmt.Errorf("host must look like \"imap.example.org:993\", not %q", s)
	}
	if port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "", fmt.Errorf("the port in host %q must be a number from 1 to 65535", s)
		}
	}
	return host, port, nil
}

// isLoopback tells whether an address can only mean this machine. Names other than localhost are not looked up.
func isLoopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

func (p *configParser) login(path string, value any) ServeLogin {
	var l ServeLogin
	p.table(path, value, keys{
		"user":          p.str(&l.User),
		"password_hash": p.str(&l.PasswordHash),
		"account":       p.str(&l.Account),
	})
	if p.err != nil {
		return l
	}
	if l.User == "" {
		p.fail(path, "the login has no user: add user = \"archive\"")
	}
	if _, err := bcrypt.Cost([]byte(l.PasswordHash)); err != nil {
		p.fail(path+".password_hash", "password_hash of login %q is not a bcrypt hash; \"mailkeep setup\" makes one", l.User)
	}
	return l
}

// checkNames checks what needs all tables: names are unique, and the accounts that logins name exist.
func (p *configParser) checkNames(c *Config) {
	names := map[string]bool{}
	folded := map[string]string{}
	for i, a := range c.Accounts {
		fold := strings.ToLower(a.Name)
		if names[a.Name] {
			p.fail(fmt.Sprintf("account[%d]", i), "two accounts are named %q; give one another name = ...", a.Name)
		} else if folded[fold] != "" {
			p.fail(fmt.Sprintf("account[%d]", i), "the account names %q and %q differ in upper and lower case only, which mail programs may take for one folder; give one another name = ...", folded[fold], a.Name)
		}
		names[a.Name] = true
		folded[fold] = a.Name
	}
	users := map[string]bool{}
	for i, l := range c.Serve.Logins {
		path := fmt.Sprintf("serve.login[%d]", i)
		if users[l.User] {
			p.fail(path, "two logins have the user %q", l.User)
		}
		users[l.User] = true
		if l.Account != "" && !names[l.Account] {
			p.fail(path+".account", "login %q names the unknown account %q%s", l.User, l.Account, nearest(l.Account, names))
		}
	}
}

// lineOf returns the line, from 1, on which a key such as "account[1].host" stands, or else the table around it. The text is valid TOML.
func lineOf(text, key string) int {
	lines := keyLines(text)
	for key != "" {
		if n, ok := lines[key]; ok {
			return n
		}
		cut := max(strings.LastIndexByte(key, '.'), strings.LastIndexByte(key, '['))
		if cut < 0 {
			break
		}
		key = key[:cut]
	}
	return 1
}

// maxStatement bounds how many lines of one value keyLines tries: each costs a pass over the lines before it.
const maxStatement = 500

// keyLines maps the paths of keys and tables to their lines. It cuts the text into statements: the fewest lines that are TOML by themselves.
func keyLines(text string) map[string]int {
	found := map[string]int{}
	counts := map[string]int{}
	note := func(path string, line int) {
		if _, ok := found[path]; !ok {
			found[path] = line
		}
	}
	header, pending, start := "", "", 0
	for i, line := range strings.SplitAfter(text, "\n") {
		if pending == "" {
			start = i + 1
		}
		pending += line
		var ignored map[string]any
		md, err := toml.Decode(pending, &ignored)
		if err != nil {
			if i-start > maxStatement {
				return found
			}
			continue // a value that goes on
		}
		isHeader := strings.HasPrefix(strings.TrimSpace(pending), "[")
		isList := strings.HasPrefix(strings.TrimSpace(pending), "[[")
		pending = ""
		for _, key := range md.Keys() {
			path := strings.Join(key, ".")
			switch {
			case isList:
				header = fmt.Sprintf("%s[%d]", path, counts[path])
				counts[path]++
				path = header
			case isHeader:
				if table, rest, ok := strings.Cut(path, "."); ok && counts[table] > 0 { // it belongs to the list's last table
					path = fmt.Sprintf("%s[%d].%s", table, counts[table]-1, rest)
				}
				header = path
			case header != "":
				path = header + "." + path
			}
			note(path, start)
		}
	}
	return found
}

// plainKey takes the indexes out of a key's path: what the user wrote.
func plainKey(path string) string {
	var b strings.Builder
	inIndex := false
	for _, r := range path {
		switch {
		case r == '[':
			inIndex = true
		case r == ']':
			inIndex = false
		case !inIndex:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func describe(value any) string {
	switch v := value.(type) {
	case string:
		return "the text " + strconv.Quote(v)
	case bool, int64, float64:
		return fmt.Sprintf("the bare %v", v)
	case []any, []map[string]any:
		return "a list"
	case map[string]any:
		return "a table"
	}
	return "a date"
}

// nearest returns `; did you mean "x"?` for the candidate that is spelled most like name, or the list of all when none comes close.
func nearest[V any](name string, candidates map[string]V) string {
	best, least := "", 2+len(name)/3
	for _, c := range sortedKeys(candidates) {
		if d := distance(strings.ToLower(name), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if len(candidates) == 0 {
		return ""
	}
	return "; known here: " + strings.Join(sortedKeys(candidates), ", ")
}

// distance is how many letters must be inserted, removed or replaced to turn a into b (Levenshtein). Long inputs count as far.
func distance(a, b string) int {
	if len(a) > 100 || len(b) > 100 {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
