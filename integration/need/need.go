// Package need finds the programs that an integration test starts, and says which Debian package brings one that is missing.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// NoSkip is the environment variable that, set to 1, turns every "skipped because something is missing" into a failure.
const NoSkip = "MAILKEEP_NO_SKIP"

// sbin are the folders that hold servers but are often not in an ordinary user's PATH.
var sbin = []string{"/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/homebrew/sbin"}

// Find gives the path of a program, looking into the folders for servers too.
func Find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	for _, dir := range sbin {
		if found, err := exec.LookPath(dir + "/" + program); err == nil {
			return found, nil
		}
	}
	return "", err
}

// Program gives the path of a program that the test starts. Where it is absent the test is skipped with a
// sentence that names the Debian package to install; with MAILKEEP_NO_SKIP=1 it fails instead.
func Program(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := Find(program)
	if err != nil {
		Missing(t, "%s is not installed; on Debian: apt-get install %s", program, debianPackage)
	}
	return path
}

// Missing ends a test that lacks something: skipped, or failed with MAILKEEP_NO_SKIP=1.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(NoSkip) == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
