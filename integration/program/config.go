package program

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// Configure writes the configuration for some accounts, from k's fields as they are now.
func (k *Keeper) Configure(accounts ...Account) error {
	var b strings.Builder
	fmt.Fprintf(&b, "[archive]\npath = %q\n", k.Archive())
	for i, a := range accounts {
		if a.Auth != "" {
			fmt.Fprintf(&b, "\n[[account]]\nname = %q\nhost = %q\nuser = %q\ntls = \"none\"\n%s\n", a.Name, a.Addr, a.User, a.Auth)
			continue
		}
		file := filepath.Join(k.Dir, fmt.Sprintf("password-%d", i+1))
		if err := os.WriteFile(file, []byte(a.Password+"\n"), 0o600); err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n[[account]]\nname = %q\nhost = %q\nuser = %q\nauth = \"password\"\npassword_file = %q\ntls = \"none\"\n",
			a.Name, a.Addr, a.User, file)
	}
	// The cost that "mailkeep setup" uses as well, so that logins cost here what they cost there.
	hash, err := bcrypt.GenerateFromPassword([]byte(k.Password), bcrypt.MinCost)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n[serve]\nimap = %q\nweb = \"\"\n", k.IMAP)
	if k.IMAPS != "" {
		fmt.Fprintf(&b, "imaps = %q\ntls_self_signed = true\n", k.IMAPS)
	}
	fmt.Fprintf(&b, "\n[[serve.login]]\nuser = %q\npassword_hash = %q\n", k.User, hash)
	return os.WriteFile(filepath.Join(k.Dir, "mailkeep.toml"), []byte(b.String()), 0o600)
}
