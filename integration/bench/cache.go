package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// The messages of a full run, as Dovecot and mailkeep keep them, take minutes to make and stay for the next run. A folder's name holds a digest of the
// sources that made it, so that none outlives a change of them; a file "complete" is written into it last.

const complete = "complete"

// openCache makes the cache's folder and keeps other runs out until the returned function is called. Dovecot's own users must be able to enter it.
func (e *env) openCache() (release func() error, err error) {
	if err := os.MkdirAll(e.cache, 0o755); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(e.cache, "lock"))
	got, err := lock.TryLock()
	if err == nil && !got {
		err = errors.New("another benchmark is using it")
	}
	if err != nil {
		return nil, fmt.Errorf("use the cache %q: %w", e.cache, err)
	}
	return lock.Unlock, nil
}

// kept gives the folder name-KEY of the cache, made by fill unless it is there already. Those of the same name and other sources are removed. A small run
// gets a temporary folder.
func (e *env) kept(ctx context.Context, name string, sources []string, fill func(dir string) error) (string, error) {
	if !e.full {
		dir, err := e.folder(name)
		if err != nil {
			return "", err
		}
		return dir, fill(dir)
	}
	key, err := digestOf(ctx, sources)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(e.cache, name+"-"+key)
	if _, err := os.Stat(filepath.Join(dir, complete)); err == nil {
		return dir, nil
	}
	old, err := filepath.Glob(filepath.Join(e.cache, name+"-*"))
	if err != nil {
		return "", err
	}
	for _, o := range old {
		if err := os.RemoveAll(o); err != nil {
			return "", err
		}
	}
	if err := errors.Join(os.MkdirAll(dir, 0o755), fill(dir)); err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, complete), nil, 0o644)
}

// digestOf is a short digest of sources: packages of this module, without their tests, or single files of them as PACKAGE:FILE.
func digestOf(ctx context.Context, sources []string) (string, error) {
	h := sha256.New()
	for _, source := range sources {
		name, only, _ := strings.Cut(source, ":")
		out, err := exec.CommandContext(ctx, "go", "list", "-f", `{{.Dir}}
{{range .GoFiles}}{{.}}
{{end}}{{range .EmbedFiles}}{{.}}
{{end}}`, name).Output()
		if err != nil {
			return "", fmt.Errorf("list the sources of %q: %w", name, err)
		}
		files := strings.Split(strings.TrimSpace(string(out)), "\n")
		for _, file := range files[1:] {
			if only != "" && file != only {
				continue
			}
			raw, err := os.ReadFile(filepath.Join(files[0], file))
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %d\n%s", file, len(raw), raw)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

func readJSON(path string, v any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, v)
}
