package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) loginCommand() *cobra.Command {
	var noBrowser bool
	cmd := &cobra.Command{
		Use:   "login [account]",
		Short: "ask for an account's password again, or log in with the browser; test it and store it",
		Long: `Asks for the password of an account, tests it at the server, and stores it where it was: in password_file, or in the system keyring. The
account need not be named when there is only one. A password may come from a pipe.

An account with auth = "oauth2" is logged in with the browser instead: it is opened at the page where you agree, and comes back to this machine. On a
machine without a browser, or with --no-browser, open the printed address in a browser anywhere; it ends at a page that cannot be shown, whose address
you copy and paste here. What is stored then, in token_file or the system keyring, is a token that reads mail until you revoke it.`,
		Example: "  mailkeep login me@gmail.com\n  mailkeep login me@gmail.com --no-browser",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.login(cmd.Context(), args, noBrowser) },
	}
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address of the login page instead of opening it")
	return cmd
}

func (a *app) login(ctx context.Context, names []string, noBrowser bool) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	accounts, err := c.pick(names)
	if err != nil {
		return err
	}
	if len(accounts) > 1 {
		known := map[string]bool{}
		for _, acct := range accounts {
			known[acct.Name] = true
		}
		return usagef("there are several accounts; name one: %s", strings.Join(sortedKeys(known), ", "))
	}
	acct := accounts[0]
	if acct.Auth == authOAuth {
		return a.loginByBrowser(ctx, c.File, &acct, noBrowser)
	}
	if acct.PasswordCommand != "" {
		return usagef("account %q gets its password from password_command; change it there, or take that line out of %s", acct.Name, c.File)
	}
	password, err := a.askUntilItWorks(ctx, &acct)
	if err != nil {
		return err
	}
	place, err := passwords.keep(c.File, acct.Name, password, acct.PasswordFile)
	if err != nil {
		return err
	}
	a.printLogin(&acct, passwords, place)
	return nil
}

func (a *app) printLogin(acct *Account, k secretKind, place string) {
	if a.json {
		printJSON(a.stdout, loginLine{acct.Name, place})
	} else if !a.quiet {
		fmt.Fprintf(a.stdout, "the login of %s works; its %s is in %s\n", printable(acct.Name), k.noun, place)
	}
}

// loginLine is the output of login --json.
type loginLine struct {
	Account  string `json:"account"`
	StoredIn string `json:"stored_in"` // a file, or "the system keyring"
}

// keep stores a secret where the account's configuration looks for it, its file being named by have, and says where that is. Without a keyring it puts
// the file's key into the configuration.
func (k secretKind) keep(config, account, secret, have string) (place string, err error) {
	if have != "" {
		return have, k.write(account, secret, have)
	}
	file, err := k.store(account, secret, k.fileFor(config, account))
	if err != nil {
		return "", err
	}
	if file == "" {
		return "the system keyring", nil
	}
	return file, k.addFile(config, account, file)
}

// fileOf returns the file that an account's configuration names for secrets of this kind.
func (k secretKind) fileOf(acct *Account) string {
	if k == tokens {
		return acct.OAuth.TokenFile
	}
	return acct.PasswordFile
}

// addFile puts the key for the file into the account's table.
func (k secretKind) addFile(config, account, file string) error {
	content, err := os.ReadFile(config)
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	c, err := parseConfig(config, string(content))
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(content), "\n")
	value := tomlString(relativeTo(filepath.Dir(config), file))
	for i, acct := range c.Accounts {
		if acct.Name != account {
			continue
		}
		header := lineOf(string(content), fmt.Sprintf("account[%d]", i))
		lines[header-1] = strings.TrimSuffix(lines[header-1], "\n") + "\n" + k.key + " = " + value + "\n"
	}
	text := strings.Join(lines, "")
	changed, err := parseConfig(config, text)
	if err == nil {
		for _, acct := range changed.Accounts {
			if acct.Name == account && k.fileOf(&acct) == filepath.Join(filepath.Dir(config), filepath.Base(file)) {
				return saveConfig(config, text)
			}
		}
	}
	return usagef("there is no system keyring, so the %s is in %q; add to account %q in %s: %s = %s", k.noun, file, account, config, k.key, value)
}
