package integration

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// own is the import table: which of the project's packages each may import. What is not listed may import none.
var own = map[string][]string{
	"archive": {"message"},
	"backup":  {"archive", "deflate"},
	"imapd":   {"archive", "deflate", "message"},
	"restore": {"archive"},
	"web":     {"archive", "message"},
}

// only lists what just one layer may know, by the beginning of the import path.
var only = map[string]string{
	"database/sql":               "archive",
	"github.com/jmoiron/sqlx":    "archive",
	"modernc.org/sqlite":         "archive",
	"github.com/BurntSushi/toml": "cmd",
	"github.com/spf13/cobra":     "cmd",
	"golang.org/x/oauth2":        "oauth",
}

// TestLayers checks the arrows between the packages: siblings never import each other, all SQL is in archive, and cmd alone knows the configuration.
func TestLayers(t *testing.T) {
	const module = "mailkeep/"
	for _, p := range packages(t) {
		layer, inside := strings.CutPrefix(p.ImportPath, module)
		if !inside {
			continue
		}
		layer, _, _ = strings.Cut(layer, "/")
		for _, path := range p.Imports {
			imported, isOwn := strings.CutPrefix(path, module)
			imported, _, _ = strings.Cut(imported, "/")
			if isOwn && imported != layer && layer != "cmd" && layer != "integration" && !slices.Contains(own[layer], imported) {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
			for known, who := range only {
				if who != layer && (path == known || strings.HasPrefix(path, known+"/")) {
					t.Errorf("%s imports %s, which only %s may", p.ImportPath, path, who)
				}
			}
		}
	}
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "mailkeep/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 10 {
		t.Fatalf("go list names only %d packages", len(all))
	}
	return all
}
