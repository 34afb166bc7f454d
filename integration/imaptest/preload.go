package imaptest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Scripts reads all scripts of a suite (the folder "tests" in dir), in the order of their names.
func Scripts(dir string) ([]*Script, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "tests"))
	if err != nil {
		return nil, err
	}
	var out []*Script
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".mbox") {
			continue
		}
		s, err := ReadScript(filepath.Join(dir, "tests", e.Name()))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// row is one line of preload.tsv: a message for a mailbox, or only the mailbox when eml is empty.
type row struct {
	mailbox, eml, date, flags string
	hole                      bool // to be expunged again, so that its UID is missing
}

// Preload fills a writable account with the mailboxes and messages that the scripts of the suite in dir expect
// (dir/preload.tsv, dir/eml). The server's hierarchy separator must be "/".
func Preload(server Server, dir string) error {
	rows, err := readRows(filepath.Join(dir, "preload.tsv"))
	if err != nil {
		return err
	}
	c, err := dial(server)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.login(server); err != nil {
		return err
	}
	for len(rows) > 0 {
		n := slices.IndexFunc(rows, func(r row) bool { return r.mailbox != rows[0].mailbox })
		if n < 0 {
			n = len(rows)
		}
		if err := c.preload(dir, rows[:n]); err != nil {
			return fmt.Errorf("mailbox %q: %w", rows[0].mailbox, err)
		}
		rows = rows[n:]
	}
	return nil
}

func readRows(path string) ([]row, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var rows []row
	for i, line := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n") {
		col := strings.Split(line, "\t")
		if len(col) != 5 {
			return nil, fmt.Errorf("%s, line %d: %d columns, want 5", path, i+1, len(col))
		}
		rows = append(rows, row{col[0], col[1], col[2], strings.Trim(col[3], "-"), col[4] == "expunged"})
	}
	return rows, nil
}

// preload fills one mailbox.
func (c *conn) preload(dir string, rows []row) error {
	box := quote(rows[0].mailbox)
	if _, err := c.must("CREATE " + box); err != nil && !strings.Contains(strings.ToLower(err.Error()), "exists") {
		return err
	}
	var holes []string
	n := 0
	for _, r := range rows {
		if r.eml == "" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, "eml", r.eml))
		if err != nil {
			return err
		}
		if _, err := c.mustLiteral(fmt.Sprintf("APPEND %s (%s) %q", box, r.flags, r.date), raw); err != nil {
			return fmt.Errorf("%q: %w", r.eml, err)
		}
		if n++; r.hole {
			holes = append(holes, strconv.Itoa(n))
		}
	}
	if len(holes) == 0 {
		return nil
	}
	set := strings.Join(holes, ",")
	// UID EXPUNGE, as \Deleted may also be a flag that a script looks for.
	for _, command := range []string{"SELECT " + box, "UID STORE " + set + ` +FLAGS (\Deleted)`, "UID EXPUNGE " + set, "UNSELECT"} {
		if _, err := c.must(command); err != nil {
			return err
		}
	}
	return nil
}
