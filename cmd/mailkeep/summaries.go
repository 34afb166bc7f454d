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
		a.keepSummaries(beside, r)
	}()
	return func() {
		stop()
		<-ended
		a.finishSummaries(ctx, r)
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
