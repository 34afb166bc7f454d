package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/zalando/go-keyring"
)

func TestPasswordFromKeyring(t *testing.T) {
	keyring.MockInit()
	file := filepath.Join(t.TempDir(), "pw")
	if _, err := storedPassword(t.Context(), &Account{Name: "me"}, nil); !errors.Is(err, errNoPassword) {
		t.Errorf("an empty keyring: %v", err)
	}
	if used, err := passwords.store("me", "s3cret", file); used != "" || err != nil {
		t.Fatalf("stored in %q, %v", used, err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("the password also stands in a file")
	}
	if got, err := storedPassword(t.Context(), &Account{Name: "me"}, nil); got != "s3cret" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := storedPassword(t.Context(), &Account{Name: "you"}, nil); !errors.Is(err, errNoPassword) {
		t.Errorf("another account: %v", err)
	}
}

func TestPasswordWithoutKeyring(t *testing.T) {
	keyring.MockInitWithError(errors.New("none"))
	file := filepath.Join(t.TempDir(), "sub", "pw")
	if used, err := passwords.store("me", "s3cret", file); used != file || err != nil {
		t.Fatalf("stored in %q, %v", used, err)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if got, err := storedPassword(t.Context(), &Account{Name: "me", PasswordFile: file}, nil); got != "s3cret" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPasswordFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pw")
	for content, want := range map[string]string{"a b\n": "a b", "x\r\ny": "x", "no end": "no end", "": "", "\nsecond": ""} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := passwords.fromFile("", file)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", content, got, err)
		}
	}
}

func TestPasswordFileThatIsNone(t *testing.T) {
	dir := t.TempDir()
	if _, err := passwords.fromFile("", dir); err == nil || !strings.Contains(err.Error(), "is not a plain file") {
		t.Errorf("a folder: %v", err)
	}
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, bytes.Repeat([]byte("x"), passwords.most+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := passwords.fromFile("", long); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a long line: %v", err)
	}
}

func TestPasswordCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the commands are a Unix shell's")
	}
	var stderr bytes.Buffer
	got, err := passwords.fromCommand(t.Context(), "echo unlocking >&2; printf 'pass word\\nurl: x\\n'", &stderr)
	if got != "pass word" || err != nil || stderr.String() != "unlocking\n" {
		t.Errorf("%q, %v, %q", got, err, stderr.String())
	}
	// A child that lives on and keeps the pipe does not hold us.
	got, err = passwords.fromCommand(t.Context(), "sleep 5 & echo x", &stderr)
	if got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// Neither much output nor a long line takes memory.
	got, err = passwords.fromCommand(t.Context(), "echo x; head -c 10000000 /dev/zero", &stderr)
	if got != "x" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if _, err = passwords.fromCommand(t.Context(), "head -c 10000000 /dev/zero", &stderr); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Error(err)
	}
	out := headWriter{most: passwords.most}
	for range 10 {
		if n, err := out.Write(make([]byte, passwords.most)); n != passwords.most || err != nil || len(out.head) > passwords.most+2 {
			t.Fatalf("%d, %v, %d bytes are kept", n, err, len(out.head))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := passwords.fromCommand(ctx, "sleep 5", &stderr); err == nil {
		t.Error("a cancelled command succeeds")
	}
}

func TestNormalPassword(t *testing.T) {
	for _, test := range []struct{ auth, typed, want string }{
		{"app-password", "abcd efgh ijkl mnop", "abcdefghijklmnop"},
		{"app-password", "abcd  efgh\tijkl mnop ", "abcdefghijklmnop"},
		{"app-password", "abcdefghijklmnop", "abcdefghijklmnop"},
		{"app-password", "abcd-efgh-ijkl-mnop", "abcd-efgh-ijkl-mnop"},
		{"app-password", "correct horse battery", "correct horse battery"},
		{"app-password", "two word", "two word"},
		{"password", "abcd efgh ijkl mnop", "abcd efgh ijkl mnop"},
	} {
		if got := normalPassword(test.auth, test.typed); got != test.want {
			t.Errorf("%s %q became %q, want %q", test.auth, test.typed, got, test.want)
		}
	}
}

func TestPasswordFileFor(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"me@gmail.com", "Me@gmail.com", "../../etc/passwd", "a/b", "a=2Fb", "CON", "ü", "a b"} {
		file := passwords.fileFor(filepath.Join("dir", "mailkeep.toml"), name)
		if filepath.Dir(file) != "dir" {
			t.Errorf("%q leaves the folder: %s", name, file)
		}
		if other := seen[strings.ToLower(file)]; other != "" {
			t.Errorf("%q and %q share %s", name, other, file)
		}
		seen[strings.ToLower(file)] = name
	}
}

// TestUnwritableFolder does without such a folder, because root may write everywhere.
func TestUnwritableFolder(t *testing.T) {
	err := explainCreate("/etc", &fs.PathError{Op: "open", Path: "/etc/.mailkeep.toml.123", Err: syscall.EACCES})
	if want := `nothing may be written into the folder "/etc"; make it writable, or use another one`; err.Error() != want || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := explainCreate("/etc", io.ErrUnexpectedEOF); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}
