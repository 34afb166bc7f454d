package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
)

func TestResultsOfSeveralAccounts(t *testing.T) {
	const accounts, lines = 8, 200
	var out bytes.Buffer
	results := &resultWriter{out: &out}
	var printing sync.WaitGroup
	for i := range accounts {
		printing.Go(func() {
			for range lines {
				fmt.Fprintf(results, "account %d is backed up\n", i)
			}
		})
	}
	printing.Wait()
	for i := range accounts {
		if got := strings.Count(out.String(), fmt.Sprintf("account %d is backed up\n", i)); got != lines {
			t.Errorf("account %d printed %d whole lines; want %d", i, got, lines)
		}
	}
	if err := results.failure(); err != nil {
		t.Errorf("printing failed: %v", err)
	}
}

// brokenOnce fails the first time only.
type brokenOnce struct{ broke bool }

func (b *brokenOnce) Write(p []byte) (int, error) {
	if !b.broke {
		b.broke = true
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestResultsKeepTheFirstFailure(t *testing.T) {
	results := &resultWriter{out: &brokenOnce{}}
	fmt.Fprintln(results, "lost")
	fmt.Fprintln(results, "printed")
	if err := results.failure(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("the failure is %v; want %v", err, io.ErrShortWrite)
	}
}
