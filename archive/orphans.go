package archive

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// Orphan is a message file without a row (A2).
type Orphan struct {
	Ref  Ref
	Size int64
}

var messageFolder = regexp.MustCompile(`^[0-9a-f]{2}$`)

// Orphans lists the message files that no row names, by their digests. Its result is exact only while no Writer is at work: a file is there before its row.
func (r *Reader) Orphans(ctx context.Context) ([]Orphan, error) {
	folders, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("look for files without a row: %w", err)
	}
	var orphans []Orphan
	for _, folder := range folders {
		if !folder.IsDir() || !messageFolder.MatchString(folder.Name()) {
			continue
		}
		found, err := r.orphansIn(ctx, folder.Name())
		if err != nil {
			return nil, fmt.Errorf("look for files without a row: %w", err)
		}
		orphans = append(orphans, found...)
	}
	return orphans, nil
}

func (r *Reader) orphansIn(ctx context.Context, folder string) ([]Orphan, error) {
	files, err := os.ReadDir(filepath.Join(r.dir, folder))
	if err != nil {
		return nil, err
	}
	first, err := ParseRef(folder + "00000000000000000000000000000000000000000000000000000000000000")
	if err != nil {
		return nil, err
	}
	last := first
	for i := 1; i < len(last); i++ {
		last[i] = 0xff
	}
	var refs []Ref
	if err := r.db.SelectContext(ctx, &refs, "SELECT ref FROM message WHERE ref BETWEEN ? AND ?", first, last); err != nil {
		return nil, err
	}
	known := make(map[Ref]bool, len(refs))
	for _, ref := range refs {
		known[ref] = true
	}
	var orphans []Orphan
	for _, f := range files {
		ref, err := ParseRef(trimExtension(f.Name()))
		if err != nil || known[ref] || f.Name() != ref.String()+extension || ref.String()[:2] != folder || !f.Type().IsRegular() {
			continue // not ours: nothing is taken for mail that does not look like it
		}
		info, err := f.Info()
		if err != nil {
			return nil, err
		}
		orphans = append(orphans, Orphan{Ref: ref, Size: info.Size()})
	}
	return orphans, nil
}
