package imapd

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/integration/corpus"
	"mailkeep/integration/imaptest"
)

func TestImaptest(t *testing.T) {
	dir := corpus.Tools(t, "imaptest-ro")
	s := newArchive(t)
	s.preload(dir)
	server := imaptest.Server{Addr: serve(t, s.w.Reader, testOptions()), User: "u", Password: password}
	scripts, err := imaptest.Scripts(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		r := imaptest.Run(server, script)
		if r.Err != nil {
			t.Errorf("%s: %v", r.Script, r.Err)
		}
		if r.Missing != "" {
			t.Logf("%s: not run, the server has no %s", r.Script, r.Missing)
		}
	}
}

// preload fills the archive with what the scripts in dir expect.
func (s *mailSource) preload(dir string) {
	s.t.Helper()
	f, err := os.Open(filepath.Join(dir, "preload.tsv"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		col := strings.Split(strings.ReplaceAll(lines.Text(), "&AOQA5A-", "ää"), "\t")
		if col[1] == "" {
			s.mailbox(col[0], "")
			continue
		}
		body, err := os.ReadFile(filepath.Join(dir, "eml", col[1]))
		if err != nil {
			s.t.Fatal(err)
		}
		c := s.copyOf(string(body), "x", strings.Fields(strings.Trim(col[3], "-"))...)
		c.Mailboxes = []string{col[0]}
		if c.Date, err = time.Parse("_2-Jan-2006 15:04:05 -0700", col[2]); err != nil {
			s.t.Fatal(err)
		}
		s.record(archive.Batch{Copies: []archive.Copy{c}})
		if col[4] == "expunged" {
			s.change(s.uid, "Elsewhere")
		}
	}
}
