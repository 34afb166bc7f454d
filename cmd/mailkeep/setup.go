package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"

	"mailkeep/backup"
	"mailkeep/discover"
)

// setupOptions are the answers that setup need not ask for.
type setupOptions struct {
	address, host, user, tls, ca string
	auth, provider, clientID     string
	authURL, tokenURL            string
	scopes                       []string
	database                     string // of mail services
	noLookup, noBrowser          bool
}

// passwordTries is how often someone at a terminal may mistype a password.
const passwordTries = 3

func (a *app) setupCommand() *cobra.Command {
	var o setupOptions
	var service bool
	cmd := &cobra.Command{
		Use:   "setup [address]",
		Short: "add an account: asks for address and password, tests them, writes the configuration",
		Long: `Asks for the address and the password of an account, finds the server, tests the login, and writes the account into the configuration
(mailkeep.toml in this folder, unless there is one elsewhere). The password goes into the system keyring, or into a file of mode 0600 beside the
configuration when there is no keyring. The first run also makes the login for mail programs and prints its password. Run it again to add
accounts. Answers may come from a pipe, one a line: address, server if it is not known, password.

The servers of large services are known. For other addresses their domain is asked, by DNS and HTTPS as mail programs do, and then Mozilla's database
of mail services, which learns the domain and not the address; --no-lookup asks nobody.

With --auth oauth2, and for services that take nothing else, you log in with the browser instead of a password. That takes a client id of your own,
which the README explains; setup asks for it and for its secret, which is empty where there is none.`,
		Example: "  mailkeep setup\n  mailkeep setup me@example.org --host mail.example.org:993\n  mailkeep setup me@gmail.com --auth oauth2",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.address = args[0]
			}
			if service {
				return a.setupService(args)
			}
			return a.setup(cmd.Context(), o)
		},
	}
	cmd.Flags().BoolVar(&service, "service", false, "write the file with which the system starts \"mailkeep run\" by itself, and say how to switch it on; asks for no account")
	cmd.Flags().StringVar(&o.host, "host", "", "`host:port` of the IMAP server, when it is not found from the address")
	cmd.Flags().StringVar(&o.user, "user", "", "login `name`, when it is not the address")
	cmd.Flags().StringVar(&o.tls, "tls", "", "implicit, starttls or none (loopback only)")
	cmd.Flags().StringVar(&o.ca, "tls-ca", "", "PEM `file` of a private certificate authority")
	cmd.Flags().StringVar(&o.auth, "auth", "", "app-password, password or oauth2 (default: what the service takes)")
	cmd.Flags().StringVar(&o.provider, "provider", "", "`name` of the OAuth service: google or microsoft (default: the server's)")
	cmd.Flags().StringVar(&o.clientID, "client-id", "", "OAuth client `id`")
	cmd.Flags().StringVar(&o.authURL, "auth-url", "", "`address` of another OAuth service's login page")
	cmd.Flags().StringVar(&o.tokenURL, "token-url", "", "`address` where another OAuth service gives tokens")
	cmd.Flags().StringSliceVar(&o.scopes, "scopes", nil, "what to ask another OAuth service for, with commas between")
	cmd.Flags().BoolVar(&o.noBrowser, "no-browser", false, "print the address of the OAuth login page instead of opening it")
	cmd.Flags().BoolVar(&o.noLookup, "no-lookup", false, "do not ask DNS and web servers for an unknown address's server")
	cmd.Flags().StringVar(&o.database, "database", discover.MozillaDatabase, "`address` of the database of mail services, https; empty asks none")
	return cmd
}

func (a *app) setup(ctx context.Context, o setupOptions) error {
	file, text, c, err := a.configToWrite()
	if err != nil {
		return err
	}
	acct, advice, err := a.askAccount(ctx, o, c)
	if err != nil {
		return err
	}
	if advice != "" {
		a.say("%s", advice)
	}
	if err := a.setupLogin(ctx, file, &acct, o.noBrowser); err != nil {
		return err
	}
	text += accountText(&acct, filepath.Dir(file))
	login := newLogin{}
	if len(c.Serve.Logins) == 0 {
		if login, err = makeLogin(); err != nil {
			return err
		}
		text += login.text()
	}
	if err := saveConfig(file, text); err != nil {
		return err
	}
	a.printSetup(file, &acct, login)
	return nil
}

// configToWrite returns the configuration file that setup completes, and what stands in it: nothing yet when there is none.
func (a *app) configToWrite() (file, text string, c *Config, err error) {
	file, err = findConfig(a.configFile)
	if errors.Is(err, errNoConfig) {
		file, err = configName, nil
	}
	if err != nil {
		return "", "", nil, err
	}
	if c, err = loadConfig(file); errors.Is(err, errNoConfig) {
		text, err := a.newConfigText()
		return file, text, &Config{File: file}, err
	}
	if err != nil {
		return "", "", nil, err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", "", nil, usagef("read the configuration: %w", err)
	}
	text = string(content)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return file, text, c, err
}

func (a *app) newConfigText() (string, error) {
	dir := defaultArchive
	if a.archiveDir != "" {
		abs, err := filepath.Abs(a.archiveDir)
		if err != nil {
			return "", err
		}
		dir = abs
	}
	return "# Written by \"mailkeep setup\"; config.example.toml explains every key. Relative paths start at this file's folder.\n\n[archive]\npath = " +
		tomlString(dir) + "\n\n[serve]\nimap = " + tomlString(defaultServe) + "\n", nil
}

// askAccount asks for what the options leave open. advice says where to get the password.
func (a *app) askAccount(ctx context.Context, o setupOptions, c *Config) (acct Account, advice string, err error) {
	if o.address == "" {
		o.address, err = a.ask(ctx, question{title: "E-mail address", check: checkAddress})
	}
	if err == nil {
		err = checkAddress(o.address)
	}
	if err != nil {
		return Account{}, "", err
	}
	for _, known := range c.Accounts {
		if strings.EqualFold(known.Name, o.address) {
			return Account{}, "", usagef("%s: account %q is there already; \"mailkeep login %s\" gives it another password", c.File, known.Name, known.Name)
		}
	}
	acct = Account{Name: strings.ReplaceAll(o.address, "/", "_"), User: o.address, Connections: defaultConnections}
	if advice, err = a.findServer(ctx, o, &acct); err != nil {
		return Account{}, "", err
	}
	if o.user != "" {
		acct.User = o.user
	}
	if o.ca != "" {
		if acct.TLSCA, err = filepath.Abs(o.ca); err != nil {
			return Account{}, "", usagef("--tls-ca: %w", err)
		}
	}
	if bad := acct.settleTLS(); bad != nil {
		return Account{}, "", usagef("%s", bad.text)
	}
	return acct, advice, a.settleAuth(o, &acct)
}

// setupLogin gets what the account logs in with, tests it and stores it.
func (a *app) setupLogin(ctx context.Context, config string, acct *Account, noBrowser bool) (err error) {
	if acct.Auth != authOAuth {
		password, err := a.askUntilItWorks(ctx, acct)
		if err == nil {
			acct.PasswordFile, err = passwords.store(acct.Name, password, passwords.fileFor(config, acct.Name))
		}
		return err
	}
	if err := a.askClient(ctx, acct); err != nil {
		return err
	}
	return a.browse(ctx, acct, noBrowser, func(refresh string) (err error) {
		acct.OAuth.TokenFile, err = tokens.store(acct.Name, refresh, tokens.fileFor(config, acct.Name))
		return err
	})
}

// askUntilItWorks asks for the password and logs in with it. Who sits at a terminal may try again; a script may not.
func (a *app) askUntilItWorks(ctx context.Context, acct *Account) (string, error) {
	for try := 1; ; try++ {
		typed, err := a.ask(ctx, question{title: "Password for " + acct.Name, hidden: true})
		if err != nil {
			return "", err
		}
		password := normalPassword(acct.Auth, typed)
		a.say("testing the login at %s", acct.Host)
		err = a.testLogin(ctx, acct, passwordCredential{acct.User, password})
		if err == nil {
			return password, nil
		}
		if !errors.Is(err, backup.ErrAuth) || !a.isTerminal() || try == passwordTries {
			return "", fmt.Errorf("account %q: %w", acct.Name, err)
		}
		fmt.Fprintf(a.stderr, "mailkeep: %s\n", printable(err.Error()))
	}
}

func (a *app) testLogin(ctx context.Context, acct *Account, c credential) error {
	session, err := a.dialer(acct, c)(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { session.Close() })
	defer stop()
	// Exchange lets in who has a good token, and then says that he is not connected: IMAP is switched off, or the mailbox is another's.
	if _, err := session.Client.List("", "INBOX", nil).Collect(); err != nil {
		return fmt.Errorf("%s lets %s in, but shows no mailbox: %w; check that IMAP is switched on, and that the user name is the mailbox's", acct.Host, acct.User, err)
	}
	session.Client.Logout().Wait() // only politeness: the login has worked
	return nil
}

// saveConfig writes a configuration after checking that it can be read again.
func saveConfig(file, text string) error {
	if _, err := parseConfig(file, text); err != nil {
		return fmt.Errorf("nothing was written, because the result would not be valid: %w", err)
	}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target // keep a link a link
	}
	if err := writeFileAtomic(file, []byte(text)); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// accountText is the account as a table of the configuration in the folder dir.
func accountText(acct *Account, dir string) string {
	var b strings.Builder
	line := func(key, value string) { fmt.Fprintf(&b, "%s = %s\n", key, tomlString(value)) }
	b.WriteString("\n[[account]]\n")
	line("name", acct.Name)
	line("host", acct.Host)
	line("user", acct.User)
	line("auth", acct.Auth)
	line("tls", acct.TLS)
	if acct.TLSCA != "" {
		line("tls_ca", acct.TLSCA)
	}
	if acct.PasswordFile != "" {
		line("password_file", relativeTo(dir, acct.PasswordFile))
	}
	if acct.OAuth.TokenFile != "" {
		line("token_file", relativeTo(dir, acct.OAuth.TokenFile))
	}
	if acct.Auth == authOAuth {
		b.WriteString(acct.OAuth.text())
	}
	return b.String()
}

// relativeTo shortens a path to one that starts at dir when it lies in there.
func relativeTo(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// newLogin is a login for mail programs; the zero one is none.
type newLogin struct{ user, password, hash string }

// makeLogin makes up a password. What bcrypt can be made to cost protects those that people think up; of 100 random bits none is guessed however fast one can be tried, so that
// no mail program has to wait for it.
func makeLogin() (newLogin, error) {
	password := strings.ToLower(rand.Text()[:20]) // 100 bits
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		return newLogin{}, fmt.Errorf("make the login for mail programs: %w", err)
	}
	return newLogin{"archive", password, string(hash)}, nil
}

func (l newLogin) text() string {
	return "\n[[serve.login]]\nuser = " + tomlString(l.user) + "\npassword_hash = " + tomlString(l.hash) + "\n"
}

// setupLine is the output of setup --json.
type setupLine struct {
	Config        string `json:"config"`
	Account       string `json:"account"`
	Host          string `json:"host"`
	PasswordFile  string `json:"password_file,omitempty"` // "" when the keyring has it
	TokenFile     string `json:"token_file,omitempty"`    // likewise
	ServeUser     string `json:"serve_user,omitempty"`
	ServePassword string `json:"serve_password,omitempty"` // shown this once
}

func (a *app) printSetup(file string, acct *Account, login newLogin) {
	if a.json {
		printJSON(a.stdout, setupLine{file, acct.Name, acct.Host, acct.PasswordFile, acct.OAuth.TokenFile, login.user, login.password})
		return
	}
	fmt.Fprintf(a.stdout, "account %s is in %s\n", acct.Name, file)
	kind := passwords
	if acct.Auth == authOAuth {
		kind = tokens
	}
	if secret := kind.fileOf(acct); secret == "" {
		fmt.Fprintf(a.stdout, "its %s is in the system keyring\n", kind.noun)
	} else {
		fmt.Fprintf(a.stdout, "its %s is in %s, which only you may read\n", kind.noun, secret)
	}
	if login.user != "" {
		fmt.Fprintf(a.stdout, "login for mail programs: user %s, password %s (note it down, it is not shown again)\n", login.user, login.password)
	}
	fmt.Fprintln(a.stdout, "next: mailkeep backup, then mailkeep serve")
}

// tomlString quotes a string as TOML's basic strings are.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
