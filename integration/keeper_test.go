package integration

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/integration/program"
)

var build struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if build.dir != "" {
		os.RemoveAll(build.dir)
	}
	os.Exit(code)
}

// binary gives the path of the program, which is built once for all tests.
func binary(t *testing.T) string {
	t.Helper()
	build.once.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "mailkeep-test-"); build.err == nil {
			// Not the test's context: the program outlives the test that needs it first.
			build.path, build.err = program.Build(context.Background(), build.dir)
		}
	})
	if build.err != nil {
		t.Fatal(build.err)
	}
	return build.path
}

// newKeeper makes a configuration for some accounts in a new folder. When the test ends the archive's invariants are checked.
func newKeeper(t *testing.T, accounts ...program.Account) *program.Keeper {
	t.Helper()
	k, err := program.New(binary(t), t.TempDir(), accounts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := os.Stat(k.Archive()); err == nil {
			checkArchive(t, k)
		}
	})
	return k
}

// checkArchive verifies all invariants, every message's digest and that the journal alone gives the same database.
func checkArchive(t *testing.T, k *program.Keeper) {
	t.Helper()
	r, err := archive.Open(k.Archive())
	if err != nil {
		t.Error(err)
		return
	}
	defer r.Close()
	findings, err := r.Check(context.Background(), archive.CheckOptions{Digests: true, Journal: true})
	if err != nil {
		t.Error(err)
	}
	for _, f := range findings {
		if f.Harmless() {
			continue
		}
		t.Errorf("check of the archive: %v", f)
	}
}

// patience is the longest that one call of the program may take.
const patience = 3 * time.Minute

// run calls the program, which must succeed.
func run(t *testing.T, k *program.Keeper, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, err := k.Run(ctx, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// serve starts the IMAP server until the test ends.
func serve(t *testing.T, k *program.Keeper) login {
	t.Helper()
	s, err := k.Serve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("mailkeep serve:\n%s", tail([]byte(s.Output()), 5000))
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return login{k.IMAP, k.User, k.Password}
}

// served reads everything that is served, without the mailbox of what vanished while that is empty.
func served(t *testing.T, l login) account {
	t.Helper()
	all := readAccount(t, l)
	if len(all[archive.GoneMailbox]) == 0 {
		delete(all, archive.GoneMailbox)
	}
	return all
}

// folderSize sums up the files under dir.
func folderSize(t *testing.T, dir string) int64 {
	t.Helper()
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// messageFiles counts the messages in an archive's folder.
func messageFiles(t *testing.T, k *program.Keeper) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(k.Archive(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".eml") && len(filepath.Base(filepath.Dir(path))) == 2 {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
