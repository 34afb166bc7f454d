package integration

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailkeep/integration/need"
	"mailkeep/integration/program"
)

// pulled is a message as mbsync left it in a Maildir.
type pulled struct {
	raw   []byte // LF line ends, without mbsync's own X-TUID line
	flags string // Maildir letters
	date  time.Time
}

// pull has mbsync copy every mailbox of an account into a new folder, and gives the messages by mailbox (wire form of the
// name, "/" between levels) together with the bytes that the folder takes.
func pull(t *testing.T, addr, user, password string) (map[string][]pulled, int64) {
	t.Helper()
	mbsync := need.Program(t, "mbsync", "isync")
	dir := t.TempDir()
	rc := filepath.Join(dir, "rc")
	mail := filepath.Join(dir, "mail")
	if err := os.Mkdir(mail, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rc, []byte(program.MbsyncConfig(addr, user, password, mail, false)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, mbsync, "-c", rc, "all").CombinedOutput(); err != nil {
		t.Fatalf("mbsync: %v\n%s", err, out)
	}
	return readMaildirs(t, mail)
}

func readMaildirs(t *testing.T, root string) (map[string][]pulled, int64) {
	t.Helper()
	boxes := map[string][]pulled{}
	var size int64
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if d.Name() == "cur" {
				boxes[mailboxOf(root, filepath.Dir(path))] = nil
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		folder := filepath.Dir(path)
		if base := filepath.Base(folder); base != "cur" && base != "new" {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := mailboxOf(root, filepath.Dir(folder))
		_, flags, _ := strings.Cut(d.Name(), ":2,")
		boxes[name] = append(boxes[name], pulled{withoutTUID(raw), flags, info.ModTime()})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return boxes, size
}

func mailboxOf(root, folder string) string {
	rel, err := filepath.Rel(root, folder)
	if err != nil {
		return folder
	}
	return filepath.ToSlash(rel)
}

// withoutTUID takes away the header line by which mbsync knows its own copies.
func withoutTUID(raw []byte) []byte {
	start := bytes.Index(raw, []byte("X-TUID: "))
	if start < 0 || start > 0 && raw[start-1] != '\n' {
		return raw
	}
	end := bytes.IndexByte(raw[start:], '\n')
	if end < 0 {
		return raw
	}
	return append(bytes.Clone(raw[:start]), raw[start+end+1:]...)
}

// local gives a message as it stands in a Maildir: LF for CRLF.
func local(raw []byte) []byte { return bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")) }
