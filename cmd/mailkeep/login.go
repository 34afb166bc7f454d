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
	return &cobra.Command{
		Use:   "login [account]",
		Short: "ask for an account's password again, test it and store it",
		Long: `Asks for the password of an account, tests it at the server, and stores it where it was: in password_file, or in the system keyring. The
account need not be named when there is only one. A password may come from a pipe.`,
		Example: "  mailkeep login me@gmail.com",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.login(cmd.Context(), args) },
	}
}

func (a *app) login(ctx context.Context, names []string) error {
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
	if acct.PasswordCommand != "" {
		return usagef("account %q gets its password from password_command; change it there, or take that line out of %s", acct.Name, c.File)
	}
	password, err := a.askUntilItWorks(ctx, &acct)
	if err != nil {
		return err
	}
	place, err := keepPassword(c.File, &acct, password)
	if err != nil {
		return err
	}
	if a.json {
		printJSON(a.stdout, loginLine{acct.Name, place})
	} else if !a.quiet {
		fmt.Fprintf(a.stdout, "the login of %s works; its password is in %s\n", printable(acct.Name), place)
	}
	return nil
}

// loginLine is the output of login --json.
type loginLine struct {
	Account  string `json:"account"`
	StoredIn string `json:"stored_in"` // a file, or "the system keyring"
}

// keepPassword stores a password where the account's configuration looks for it, and says where that is. Without a keyring it puts a password_file into
// the configuration.
func keepPassword(config string, acct *Account, password string) (place string, err error) {
	if acct.PasswordFile != "" {
		if err := writeFileAtomic(acct.PasswordFile, []byte(password+"\n")); err != nil {
			return "", fmt.Errorf("store the password of %q: %w", acct.Name, err)
		}
		return acct.PasswordFile, nil
	}
	file, err := storePassword(acct.Name, password, passwordFileFor(config, acct.Name))
	if err != nil {
		return "", err
	}
	if file == "" {
		return "the system keyring", nil
	}
	return file, addPasswordFile(config, acct.Name, file)
}

// addPasswordFile puts the key password_file into the account's table.
func addPasswordFile(config, account, file string) error {
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
		lines[header-1] = strings.TrimSuffix(lines[header-1], "\n") + "\npassword_file = " + value + "\n"
	}
	text := strings.Join(lines, "")
	changed, err := parseConfig(config, text)
	if err == nil {
		for _, acct := range changed.Accounts {
			if acct.Name == account && acct.PasswordFile == filepath.Join(filepath.Dir(config), filepath.Base(file)) {
				return saveConfig(config, text)
			}
		}
	}
	return usagef("there is no system keyring, so the password is in %q; add to account %q in %s: password_file = %s", file, account, config, value)
}
