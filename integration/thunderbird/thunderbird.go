// Package thunderbird runs a real Thunderbird on a screen of its own and drives it as a user does: it opens folders and messages, searches, drags, and tries to
// delete. Nothing in it knows the server at the other end.
//
// Thunderbird is remote-controlled through Marionette, Mozilla's protocol for that; what is done in its main window stands in driver.js.
package thunderbird

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/need"
)

//go:embed driver.js
var driver string

// The size of the screen and of the window, in pixels.
const (
	width  = 1400
	height = 900
)

// Options of a Thunderbird.
type Options struct {
	Accounts []Account      // at least one
	Prefs    map[string]any // further preferences: booleans, numbers, strings
}

// Thunderbird is a running program. Its methods end the test when they fail, and are not for several goroutines.
type Thunderbird struct {
	Version string
	Dir     string // holds the profile, and what the programs have printed

	t         *testing.T
	m         *marionette
	display   string
	programs  []*process
	artifacts string // folder
	pictures  *int   // so far
}

// Artifacts is the environment variable that names the folder which the pictures are kept in, instead of that of the test's artifacts.
const Artifacts = "MAILKEEP_ARTIFACTS"

// ready is how long Thunderbird may take to start; it takes 6 s on an idle machine.
const ready = 2 * time.Minute

// patience is how long any one thing may take in Thunderbird.
const patience = 4 * time.Minute

// Start runs Thunderbird with a new profile until the test ends. The test is skipped where a program is missing.
func Start(t *testing.T, o Options) *Thunderbird {
	t.Helper()
	path := find(t)
	xvfb := need.Program(t, "Xvfb", "xvfb")
	tb := &Thunderbird{t: t, Dir: t.TempDir(), artifacts: artifacts(t), pictures: new(int)}
	t.Cleanup(tb.stop)
	profile := filepath.Join(tb.Dir, "profile")
	err := os.Mkdir(profile, 0o700)
	if err == nil {
		err = writeProfile(profile, o.Accounts, o.Prefs)
	}
	if err == nil {
		err = tb.startScreen(xvfb)
	}
	if err == nil {
		err = tb.startProgram(path, profile)
	}
	if err != nil {
		t.Fatal(err)
	}
	tb.call(&tb.Version, "ready", width, height)
	for _, a := range o.Accounts {
		host, _, _ := net.SplitHostPort(a.Addr)
		tb.call(nil, "login", host, a.User, a.Password)
	}
	return tb
}

// artifacts makes the folder for what a test leaves to look at.
func artifacts(t *testing.T) string {
	root := os.Getenv(Artifacts)
	if root == "" {
		return t.ArtifactDir()
	}
	dir := filepath.Join(root, filepath.FromSlash(t.Name()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// For gives the same Thunderbird to a subtest.
func (tb *Thunderbird) For(t *testing.T) *Thunderbird {
	other := *tb
	other.t = t
	return &other
}

// find gives Debian's program itself, since what is in the PATH there is a script that runs it; elsewhere what is in the PATH.
func find(t *testing.T) string {
	const debian = "/usr/lib/thunderbird/thunderbird"
	if _, err := os.Stat(debian); err == nil {
		return debian
	}
	return need.Program(t, "thunderbird", "thunderbird")
}

// startScreen runs an X server on a display number that it chooses.
func (tb *Thunderbird) startScreen(xvfb string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	cmd := exec.Command(xvfb, "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", width, height), "-nolisten", "tcp", "-noreset")
	cmd.ExtraFiles = []*os.File{w}
	err = tb.run(cmd)
	w.Close()
	if err != nil {
		return err
	}
	r.SetReadDeadline(time.Now().Add(ready))
	var line []byte // Xvfb may write it in pieces
	for !bytes.HasSuffix(line, []byte("\n")) {
		var buf [16]byte
		n, err := r.Read(buf[:])
		if err != nil {
			return fmt.Errorf("xvfb names no display: %w", err)
		}
		line = append(line, buf[:n]...)
	}
	tb.display = ":" + strings.TrimSpace(string(line))
	return nil
}

// startProgram runs Thunderbird and waits until it can be driven.
func (tb *Thunderbird) startProgram(path, profile string) error {
	cmd := exec.Command(path, "--marionette", "--remote-allow-system-access", "--no-remote", "--profile", profile)
	cmd.Env = append(os.Environ(), "DISPLAY="+tb.display, "HOME="+profile, "XDG_RUNTIME_DIR="+profile, "LC_ALL=C.UTF-8", "TZ=UTC",
		"DBUS_SESSION_BUS_ADDRESS=disabled:", "NO_AT_BRIDGE=1", "GDK_BACKEND=x11", "MOZ_ENABLE_WAYLAND=0", "LIBGL_ALWAYS_SOFTWARE=1", "MOZ_CRASHREPORTER_DISABLE=1")
	if err := tb.run(cmd); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(tb.t.Context(), ready)
	defer cancel()
	program := tb.programs[len(tb.programs)-1]
	port, err := waitForPort(ctx, filepath.Join(profile, "MarionetteActivePort"), program.exited)
	if err != nil {
		return fmt.Errorf("thunderbird cannot be driven: %w", err)
	}
	if tb.m, err = connect(ctx, port); err != nil {
		return fmt.Errorf("drive thunderbird: %w", err)
	}
	return tb.m.script(ctx, driver, nil)
}

// waitForPort reads the port that Thunderbird listens on from the file into which it writes it.
func waitForPort(ctx context.Context, file string, exited <-chan struct{}) (int, error) {
	for {
		// Written in one go, and without a line end.
		if raw, err := os.ReadFile(file); err == nil && len(raw) > 0 {
			return strconv.Atoi(strings.TrimSpace(string(raw)))
		}
		select {
		case <-exited:
			return 0, errors.New("it has ended")
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// call runs a function of driver.js and stores its result into out, unless that is nil.
func (tb *Thunderbird) call(out any, function string, args ...any) {
	tb.t.Helper()
	if err := tb.try(out, function, args...); err != nil {
		tb.Picture("failed-" + function)
		tb.t.Fatalf("%s%v: %v", function, args, err)
	}
}

func (tb *Thunderbird) try(out any, function string, args ...any) error {
	ctx, cancel := context.WithTimeout(tb.t.Context(), patience)
	defer cancel()
	const body = `return Services.wm.getMostRecentWindow("mail:3pane").mailkeepTest[args.shift()](...args);`
	return tb.m.script(ctx, body, out, append([]any{function}, args...)...)
}

// Picture keeps a picture of the window as NUMBER-NAME.png.
func (tb *Thunderbird) Picture(name string) {
	tb.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	raw, err := tb.m.picture(ctx)
	if err != nil {
		tb.t.Errorf("picture %s: %v", name, err)
		return
	}
	*tb.pictures++
	tb.Keep(fmt.Sprintf("%02d-%s.png", *tb.pictures, name), raw)
}

// Keep writes a file into the folder of the test's artifacts.
func (tb *Thunderbird) Keep(name string, raw []byte) {
	tb.t.Helper()
	if err := os.WriteFile(filepath.Join(tb.artifacts, name), raw, 0o644); err != nil {
		tb.t.Error(err)
	}
}

// stop ends all programs.
func (tb *Thunderbird) stop() {
	if tb.m != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		tb.m.quit(ctx) // what does not end is ended below
		select {
		case <-tb.programs[len(tb.programs)-1].exited:
		case <-ctx.Done():
		}
	}
	for i := len(tb.programs) - 1; i >= 0; i-- {
		tb.programs[i].stop()
	}
	if tb.t.Failed() {
		for _, p := range tb.programs {
			tb.t.Logf("%s printed:\n%s", filepath.Base(p.cmd.Path), p.printed())
		}
	}
}
