package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/zalando/go-keyring"
)

// secretKind is a kind of secrets that accounts log in with.
type secretKind struct {
	noun    string // for users
	service string // the name under which they stand in the system keyring; the user there is the account's name
	key     string // of the configuration, for their file
	command string // the configuration's key for a command that prints a secret
	suffix  string // of their file's name
	most    int    // bytes
}

var (
	passwords = secretKind{"password", "mailkeep", "password_file", "password_command", ".password", 4096}
	// The command prints access tokens, which live for an hour; what is stored makes them.
	tokens = secretKind{"token", "mailkeep oauth2", "token_file", "token_command", ".token", 16 << 10}
)

// passwordTimeout bounds how long a command may take to print a secret.
const passwordTimeout = time.Minute

// errNoPassword says that no source has the account's secret.
var errNoPassword = errors.New("no password or token is stored")

// password returns the account's password from the source that the configuration names, else from the system keyring, else from who sits at the terminal.
func (a *app) password(ctx context.Context, acct *Account) (string, error) {
	pass, err := storedPassword(ctx, acct, a.stderr)
	if errors.Is(err, errNoPassword) && a.typed[acct.Name] != "" {
		pass, err = a.typed[acct.Name], nil
	}
	if errors.Is(err, errNoPassword) && a.isTerminal() {
		if pass, err = a.ask(ctx, question{title: "Password of " + acct.Name, hidden: true}); err == nil {
			a.typed[acct.Name] = pass
		}
	}
	if err != nil {
		return "", err
	}
	return normalPassword(acct.Auth, pass), nil
}

// storedPassword asks the source that the configuration names, else the system keyring.
func storedPassword(ctx context.Context, acct *Account, stderr io.Writer) (string, error) {
	if acct.PasswordCommand != "" {
		return passwords.fromCommand(ctx, acct.PasswordCommand, stderr)
	}
	return passwords.stored(acct.Name, acct.PasswordFile)
}

// stored reads an account's secret from its file, or from the system keyring when file is "".
func (k secretKind) stored(account, file string) (string, error) {
	if file != "" {
		return k.fromFile(account, file)
	}
	secret, err := keyring.Get(k.service, account)
	switch {
	case err == nil && secret != "":
		return secret, nil
	case err == nil, errors.Is(err, keyring.ErrNotFound):
		return "", tellf(errNoPassword, "no %s is stored in the system keyring; run \"mailkeep login %s\"", k.noun, account)
	}
	return "", tellf(errors.Join(errNoPassword, err), "no %s is stored: the system keyring does not answer (%v); run \"mailkeep login %s\" or set %s or %s",
		k.noun, err, account, k.key, k.command)
}

// fromCommand runs a command and returns the first line of its output.
func (k secretKind) fromCommand(ctx context.Context, command string, stderr io.Writer) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, passwordTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	if runtime.GOOS == "windows" {
		cmd = exec.CommandContext(ctx, "cmd", "/C", command)
	}
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second // a child that keeps the pipe open does not hold us
	out := headWriter{most: k.most}
	cmd.Stdout = &out
	err := cmd.Run()
	secret := firstLine(out.head)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "", context.Canceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("%s took longer than %s; try it in a terminal", k.command, passwordTimeout)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", fmt.Errorf("%s: %w; try it in a terminal", k.command, err)
	case len(secret) > k.most:
		return "", fmt.Errorf("the first line that %s printed is too long for a %s; try it in a terminal", k.command, k.noun)
	case secret == "":
		return "", fmt.Errorf("%s printed nothing; its first line must be the %s", k.command, k.noun)
	}
	return secret, nil
}

// fromFile returns the first line of a file that nobody else may read.
func (k secretKind) fromFile(account, file string) (string, error) {
	info, err := os.Stat(file) // before it is opened, which would wait for the other end of a pipe
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s %q does not exist; run \"mailkeep login %s\" to write it", k.key, file, account)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", k.key, err)
	}
	if !info.Mode().IsRegular() {
		return "", usagef("%s %q is not a plain file; for anything else use %s", k.key, file, k.command)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", usagef("%s %q may be read by others (mode %04o); run: chmod 600 %q", k.key, file, info.Mode().Perm(), file)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", k.key, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, int64(k.most)+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", k.key, err)
	}
	secret := firstLine(content)
	if len(secret) > k.most {
		return "", fmt.Errorf("the first line of %s %q is too long for a %s", k.key, file, k.noun)
	}
	if secret == "" {
		return "", fmt.Errorf("the first line of %s %q is empty; it must be the %s", k.key, file, k.noun)
	}
	return secret, nil
}

// headWriter keeps enough of what is written to find the password in it, and drops the rest.
type headWriter struct {
	head []byte
	most int // bytes of the secret
}

func (w *headWriter) Write(p []byte) (int, error) {
	w.head = append(w.head, p[:min(len(p), w.most+2-len(w.head))]...) // a line end may follow the longest one
	return len(p), nil
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimSuffix(string(line), "\r")
}

// normalPassword takes the blanks out of an app password as Google and others show it: groups of four letters.
func normalPassword(auth, pass string) string {
	groups := strings.Fields(pass)
	if auth != "app-password" || len(groups) < 3 {
		return pass
	}
	for _, g := range groups {
		if len(g) != 4 {
			return pass
		}
	}
	return strings.Join(groups, "")
}

// store keeps an account's secret where stored finds it: in the system keyring, or, when that does not take it, in file with mode 0600. It returns the
// file if that was used, else "".
func (k secretKind) store(account, secret, file string) (string, error) {
	if k.storeInKeyring(account, secret) == nil {
		return "", nil
	}
	return file, k.write(account, secret, file)
}

func (k secretKind) storeInKeyring(account, secret string) error {
	err := keyring.Set(k.service, account, secret)
	if err != nil {
		return err
	}
	back, err := keyring.Get(k.service, account)
	if err == nil && back != secret {
		err = errors.New("the system keyring gives back something else")
	}
	return err
}

func (k secretKind) write(account, secret, file string) error {
	if err := writeFileAtomic(file, []byte(secret+"\n")); err != nil {
		return fmt.Errorf("store the %s of %q: %w", k.noun, account, err)
	}
	return nil
}

// fileFor names the file for an account's secret beside the configuration. Different accounts get different files, also where upper and
// lower case are the same to the file system.
func (k secretKind) fileFor(config, account string) string {
	var b strings.Builder
	for _, c := range []byte(account) {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '@' || c == '.' || c == '-' || c == '_' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return filepath.Join(filepath.Dir(config), "mailkeep-"+b.String()+k.suffix)
}

// writeFileAtomic replaces a file as a whole, with mode 0600: whatever happens, the old content or the new one stands.
func writeFileAtomic(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*") // CreateTemp's mode is 0600
	if err != nil {
		return explainCreate(dir, err)
	}
	defer os.Remove(f.Name()) // does nothing after the rename
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// explainCreate names the folder rather than the temporary file that could not be made in it.
func explainCreate(dir string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return tellf(err, "nothing may be written into the folder %q; make it writable, or use another one", dir)
	}
	return err
}
