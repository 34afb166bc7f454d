package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"mailkeep/archive"
	"mailkeep/backup"
)

// batchingMessages is how many messages are backed up to see what batches are worth. Without them a message costs some flushes of the disk, each alone.
const batchingMessages = 2000

// batchingRows tell the rate of a first backup that makes each message durable alone, and of one that does so in batches, as backups do.
func batchingRows(ctx context.Context, e *env) error {
	srv, err := largeAccount(batchingMessages)
	if err != nil {
		return err
	}
	defer srv.Close()
	addr, err := srv.Listen(ctx)
	if err != nil {
		return err
	}
	for _, one := range []struct {
		scenario string
		messages int // in a batch; 0 for what backups do
	}{
		{"messages made durable in batches", 0},
		{"messages made durable one by one", 1},
	} {
		e.note("back up %s messages, %s", thousands(batchingMessages), one.scenario)
		dir, err := e.folder(one.scenario)
		if err != nil {
			return err
		}
		took, err := backUpInBatches(ctx, filepath.Join(dir, "MailStore"), addr, one.messages)
		if err != nil {
			return fmt.Errorf("%s: %w", one.scenario, err)
		}
		e.report.add(&row{Scenario: fmt.Sprintf("a message, first backup of %s, %s", thousands(batchingMessages), one.scenario), Unit: "ms", Ours: ms(took) / batchingMessages})
	}
	return nil
}

// backUpInBatches makes a first backup into a new archive and tells how long it took. No summaries are derived: they are not made durable.
func backUpInBatches(ctx context.Context, store, addr string, messages int) (took time.Duration, err error) {
	w, err := archive.OpenWriter(store)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	begun := time.Now()
	_, err = backup.Run(ctx, w, backup.Options{Account: "bench", BatchMessages: messages, Dial: func(ctx context.Context) (*backup.Session, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		s, err := backup.NewSession(conn, backup.SessionOptions{})
		if err != nil {
			return nil, err
		}
		if err := s.Login("user@example.com", "password"); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}})
	return time.Since(begun), err
}
