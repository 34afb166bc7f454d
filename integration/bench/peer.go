package main

import (
	"errors"
	"fmt"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/dovecot"
)

// startDovecot starts the peer, or says what to install.
func startDovecot(opt dovecot.Options) (*dovecot.Server, error) {
	s, err := dovecot.Start(opt)
	if errors.Is(err, dovecot.ErrAbsent) {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	return s, err
}

func describe(t *gen.Tally) string {
	return fmt.Sprintf("%s messages of %.1f KB, %.0f MB, in %d mailboxes (%s copies)",
		thousands(t.Messages), float64(t.Bytes)/float64(t.Messages)/1e3, float64(t.Bytes)/1e6, len(t.Mailboxes), thousands(t.Copies))
}
