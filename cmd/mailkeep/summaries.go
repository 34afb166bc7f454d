package main

import (
	"context"
	"errors"
	"time"

	"mailkeep/archive"
)

// How often the archive is looked at for messages without a summary, and how often at most after an error, such as a folder that cannot be written.
const (
	summariesEvery = 2 * time.Second
	summariesSoon  = 100 * time.Millisecond // the same during a backup, which brings many at once
	summariesRetry = 10 * time.Minute
)

// keepSummaries derives the summaries of new messages until ctx ends. Nothing depends on them but the speed of lists, so errors are only logged.
func (a *app) keepSummaries(ctx context.Context, r *archive.Reader) {
	wait := summariesEvery
	for ctx.Err() == nil {
		switch n, err := r.Summarize(ctx, nil); {
		case ctx.Err() != nil:
			return
		case err == nil, errors.Is(err, archive.ErrSummarizing):
			wait = summariesEvery
		default:
			a.log.Info("summaries of messages are not derived", "error", err, "derived", n)
			wait = min(2*wait, summariesRetry)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// summarizeBeside derives summaries while a backup runs. The function it returns ends that, and derives what is still missing then.
func (a *app) summarizeBeside(ctx context.Context, r *archive.Reader) (finish func()) {
	beside, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.summarizeWhenWorth(beside, r)
	}()
	return func() {
		stop()
		<-ended
		a.finishSummaries(ctx, r)
	}
}

// summarizeWhenWorth derives summaries as soon as enough are missing, until ctx ends: what is derived while the backup waits for the server or the disk need not be
// afterwards. After an error finishSummaries tries again.
func (a *app) summarizeWhenWorth(ctx context.Context, r *archive.Reader) {
	for {
		worth, err := r.WorthSummarizing(ctx)
		if err == nil && worth {
			_, err = r.Summarize(ctx, nil)
		}
		if err != nil && !errors.Is(err, archive.ErrSummarizing) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(summariesSoon):
		}
	}
}

// finishSummaries derives what is missing, and says so when that takes a while: an archive that is older than this version has none at first.
func (a *app) finishSummaries(ctx context.Context, r *archive.Reader) {
	started, told := time.Now(), false
	_, err := r.Summarize(ctx, func(done, total int) {
		if !told && done < total && time.Since(started) > time.Second {
			told = true
			a.say("everything is backed up; preparing the lists of %s for mail programs, which may be interrupted", count(int64(total), "message"))
		}
	})
	if err != nil && ctx.Err() == nil && !errors.Is(err, archive.ErrSummarizing) {
		a.log.Info("summaries of messages are not derived", "error", err)
	}
}
