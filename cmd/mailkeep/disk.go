package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"mailkeep/archive"
)

// lockTestCommand is the second process of archive.TestLocking.
func (a *app) lockTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "lock-test FILE",
		Short:  "hold a database's lock until the standard input ends",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return archive.HoldLock(args[0], a.stdin, a.stdout)
		},
	}
}

// checkDisk looks at what kind of disk the archive is on. On a network's file system it tests the locks, refuses one on which SQLite cannot be trusted, and warns of the others.
func (a *app) checkDisk(ctx context.Context, dir string) error {
	kind := archive.NetworkFileSystem(dir)
	if kind == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create archive %q: %w", dir, err)
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("test the locks of %q: %w", dir, err)
	}
	if err := archive.TestLocking(ctx, dir, program, "lock-test"); err != nil {
		return fmt.Errorf("the archive %q is on %s: %w; keep it on a disk of this machine, and let \"mailkeep snapshot\" copy it to the network", dir, kind, err)
	}
	a.log.Warn("the archive is on a network file system: only one machine at a time may use it, and a lost connection can damage gmail.db (\"mailkeep rebuild\" makes it again); "+
		"better keep it on a disk of this machine, and let \"mailkeep snapshot\" copy it to the network", "archive", dir, "file_system", kind)
	return nil
}
