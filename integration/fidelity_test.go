package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README says what is kept and which tests show it. They exist, in the packages it says.
func TestFidelityTable(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(readme), "\n## What is kept exactly\n")
	table, _, _ = strings.Cut(table, "\n## ")
	rows, named := 0, 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], "-") || strings.TrimSpace(cells[1]) == "what" {
			continue
		}
		rows++
		if strings.TrimSpace(cells[3]) == "" {
			if !strings.HasPrefix(strings.TrimSpace(cells[2]), "not kept") {
				t.Errorf("no test shows %q", cells[1])
			}
			continue
		}
		for _, group := range strings.Split(cells[3], ",") {
			words := strings.Fields(group)
			for _, name := range words[1:] {
				named++
				if !hasTest(t, words[0], strings.Trim(name, "`")) {
					t.Errorf("%q is to be shown by %s in %s, which is not there", cells[1], name, words[0])
				}
			}
		}
	}
	if rows < 15 || named < rows {
		t.Errorf("%d rows with %d tests were found", rows, named)
	}
}

func hasTest(t *testing.T, pkg, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	function := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name) + `\(`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if function.Match(text) {
			return true
		}
	}
	return false
}
