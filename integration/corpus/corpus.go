// Package corpus finds the shared test corpus (real messages and IMAP conversations kept outside the project) and unpacks it for a test.
package corpus

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Dev returns the folder that holds the messages, mailboxes and expected results. The test is skipped where the corpus is absent.
func Dev(t testing.TB) string { return unpacked(t, "dev") }

// GmailWire returns the folder that holds the IMAP conversations. The test is skipped where the corpus is absent.
func GmailWire(t testing.TB) string { return unpacked(t, "gmail-wire") }

// Tools returns the folder of shared test data and tools called name beside the corpus. The test is skipped where it is absent.
func Tools(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(sharedDir(), "tools", name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the shared tools are not here (%v); put them at ../shared/tools beside the project", err)
	}
	return dir
}

// sharedDir is ../shared as seen from the project's root.
func sharedDir() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "shared")
}

// unpacked extracts NAME.tar.zst once per version of the archive into the system's temporary folder, which later tests reuse.
func unpacked(t testing.TB, name string) string {
	t.Helper()
	packed := filepath.Join(sharedDir(), "corpus", name+".tar.zst")
	info, err := os.Stat(packed)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the test corpus is not here (%v); put it at ../shared/corpus beside the project", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(os.TempDir(), fmt.Sprintf("mailkeep-corpus-%d-%d", os.Getuid(), info.Size()))
	done := filepath.Join(base, name)
	if _, err := os.Stat(done); err == nil {
		return done
	}
	if err := os.MkdirAll(base, 0o700); err != nil {
		t.Fatal(err)
	}
	partial, err := os.MkdirTemp(base, "unpack-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(partial)
	if err := extract(packed, partial); err != nil {
		t.Fatalf("unpack %q: %v", packed, err)
	}
	// Another test process may have won the race; its copy is as good as ours.
	if err := os.Rename(filepath.Join(partial, name), done); err != nil {
		if _, statErr := os.Stat(done); statErr != nil {
			t.Fatal(err)
		}
	}
	return done
}

func extract(packed, dir string) error {
	f, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := extractOne(r, h, dir); err != nil {
			return err
		}
	}
}

func extractOne(r io.Reader, h *tar.Header, dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(h.Name))
	if !strings.HasPrefix(path, dir+string(filepath.Separator)) {
		return nil
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(path, 0o700)
	case tar.TypeReg:
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, r); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	}
	return nil
}
