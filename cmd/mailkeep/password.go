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

// keyringService is the name under which passwords stand in the system keyring; the user there is the account's name.
const keyringService = "mailkeep"

// Limits of the sources of passwords.
const (
	maxPassword     = 4096 // bytes
	passwordTimeout = time.Minute
)

// errNoPassword says that no source has the account's password.
var errNoPassword = errors.New("no password is stored")

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
	switch {
	case acct.PasswordCommand != "":
		return passwordFromCommand(ctx, acct, stderr)
	case acct.PasswordFile != "":
		return passwordFromFile(acct)
	}
	pass, err := keyring.Get(keyringService, acct.Name)
	if err == nil && pass != "" {
		return pass, nil
	}
	if err == nil || errors.Is(err, keyring.ErrNotFound) {
		return "", fmt.Errorf("%w in the system keyring; run \"mailkeep login %s\"", errNoPassword, acct.Name)
	}
	return "", fmt.Errorf("%w: the system keyring does not answer (%w); run \"mailkeep login %s\" or set password_file or password_command",
		errNoPassword, err, acct.Name)
}

func passwordFromCommand(ctx context.Context, acct *Account, stderr io.Writer) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, passwordTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", acct.PasswordCommand)
	if runtime.GOOS == "windows" {
		cmd = exec.CommandContext(ctx, "cmd", "/C", acct.PasswordCommand)
	}
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second // a child that keeps the pipe open does not hold us
	var out headWriter
	cmd.Stdout = &out
	err := cmd.Run()
	pass := firstLine(out.head)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "", context.Canceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return "", fmt.Errorf("password_command took longer than %s; try it in a terminal", passwordTimeout)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return "", fmt.Errorf("password_command: %w; try it in a terminal", err)
	case len(pass) > maxPassword:
		return "", errors.New("the first line that password_command printed is too long for a password; try it in a terminal")
	case pass == "":
		return "", fmt.Errorf("password_command printed nothing; its first line must be the password")
	}
	return pass, nil
}

func passwordFromFile(acct *Account) (string, error) {
	info, err := os.Stat(acct.PasswordFile) // before it is opened, which would wait for the other end of a pipe
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("password_file %q does not exist; run \"mailkeep login %s\" to write it", acct.PasswordFile, acct.Name)
	}
	if err != nil {
		return "", fmt.Errorf("read password_file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", usagef("password_file %q is not a plain file; for anything else use password_command", acct.PasswordFile)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", usagef("password_file %q may be read by others (mode %04o); run: chmod 600 %q", acct.PasswordFile, info.Mode().Perm(), acct.PasswordFile)
	}
	f, err := os.Open(acct.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("read password_file: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return "", fmt.Errorf("read password_file: %w", err)
	}
	pass := firstLine(content)
	if len(pass) > maxPassword {
		return "", fmt.Errorf("the first line of password_file %q is too long for a password", acct.PasswordFile)
	}
	if pass == "" {
		return "", fmt.Errorf("the first line of password_file %q is empty; it must be the password", acct.PasswordFile)
	}
	return pass, nil
}

// headWriter keeps enough of what is written to find the password in it, and drops the rest.
type headWriter struct{ head []byte }

func (w *headWriter) Write(p []byte) (int, error) {
	w.head = append(w.head, p[:min(len(p), maxPassword+2-len(w.head))]...) // a line end may follow the longest password
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

// storePassword keeps the password of an account where password finds it: in the system keyring, or, when that does not answer, in file with mode 0600. It
// returns the file if that was used, else "".
func storePassword(name, pass, file string) (string, error) {
	if err := keyring.Set(keyringService, name, pass); err == nil {
		if back, err := keyring.Get(keyringService, name); err == nil && back == pass {
			return "", nil
		}
	}
	if err := writeFileAtomic(file, []byte(pass+"\n")); err != nil {
		return "", fmt.Errorf("store the password of %q: %w", name, err)
	}
	return file, nil
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
