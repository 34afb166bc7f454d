package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"golang.org/x/sync/errgroup"

	"mailkeep/archive"
)

// Run backs up one account once: it brings the archive up to what the server has now, and deletes nothing there or here. An interrupted run loses nothing that
// was recorded; the next one goes on. The Summary is valid beside an error.
func Run(ctx context.Context, w *archive.Writer, o Options) (Summary, error) {
	start := time.Now()
	o = o.withDefaults()
	r := newRun(w, o)
	quota := newQuota(w, o.Account, o.DailyBytes, r.report)
	r.pool.quota = quota
	err := r.run(ctx)
	cost := r.pool.close()
	quota.close()
	quota.settle(err)
	r.report.summary(func(s *Summary) {
		s.Connections, s.Commands, s.BytesRead, s.BytesSent = cost.connections, cost.commands, cost.read, cost.sent
		s.Elapsed = time.Since(start)
	})
	return r.report.result(), err
}

// run is one pass over one account.
type run struct {
	w       *archive.Writer
	o       Options
	report  *report
	pool    *pool
	flights *flights

	objectIDs bool // the server has OBJECTID
	stocked   bool // the archive may have had messages when the run began

	account archive.Account
	plan    plan
	holes   map[archive.FolderID]uidSet // of the failure ledger, under the folder's current UIDVALIDITY

	rec  *recorder
	jobs chan *job

	gathered map[*planned]*gathered // by gather, for the passes to come; nil for what it could not use
	passed   []*folder              // whose pass was begun
	labelled map[string]bool        // Gmail: mailboxes that a label seen in this run stands for
	keepGone bool                   // a mailbox that was readable is not: what seems to have vanished may be in there
	poisoned atomic.Int32           // messages given up in a row because the connection broke over each
	ending   ending
}

func newRun(w *archive.Writer, o Options) *run {
	r := &run{w: w, o: o, report: newReport(o.Progress), flights: newFlights(), labelled: make(map[string]bool), gathered: make(map[*planned]*gathered), jobs: make(chan *job, 2*o.Connections)}
	r.pool = newPool(o, r.prepare, r.report)
	return r
}

func (r *run) run(ctx context.Context) error {
	if err := r.pool.quota.worthwhile(); err != nil {
		return err
	}
	r.report.phase(PhaseConnect, "")
	if err := r.survey(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	if err := r.transfer(ctx); err != nil {
		return err
	}
	return r.close(ctx)
}

// prepare makes a session that just logged in ready: Gmail asks programs to say who they are. Other servers are not told, since the client library takes offence at
// the answers of some.
func (r *run) prepare(s *Session) error {
	if !s.caps.Has(capGmail) {
		if r.account.Kind == archive.Gmail {
			return fail(ErrProtocol, errFatal, "account %q was backed up from Gmail, and the server offers %s no more; check the host in the configuration", r.o.Account, capGmail)
		}
		return nil
	}
	if !s.caps.Has(imap.CapID) {
		return nil
	}
	s.commands++
	_, err := s.Client.ID(&imap.IDData{Name: r.o.Client, SupportURL: r.o.Contact}).Wait()
	if refused(err) != nil {
		return nil // it was only a courtesy
	}
	return err
}

// survey learns what the server has and what the archive knows, and makes the plan.
func (r *run) survey(ctx context.Context) error {
	if known, err := r.w.AccountByName(ctx, r.o.Account); err == nil {
		r.account = known
	}
	kind := archive.IMAP
	var boxes []listing
	err := r.pool.do(ctx, "", "list mailboxes", func(s *Session) error {
		if s.caps.Has(capGmail) {
			kind = archive.Gmail
		}
		r.objectIDs = s.caps.Has(imap.CapObjectID)
		var err error
		boxes, err = s.list()
		for _, alert := range s.noted.take() {
			r.report.warn(Warning{Kind: WarnAlert, Text: "the server says: " + alert})
		}
		return err
	})
	if err != nil {
		return classify(err, "list mailboxes")
	}
	if r.account, err = r.w.EnsureAccount(ctx, r.o.Account, kind); err != nil {
		return archiveFailure(err)
	}
	known, err := r.w.Folders(ctx, r.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	others, err := r.w.Accounts(ctx)
	if err != nil {
		return archiveFailure(err)
	}
	r.stocked = len(known) > 0 || len(others) > 1
	r.report.summary(func(s *Summary) { s.Inbox = inboxState(boxes) })
	r.plan = makePlan(kind, boxes, known, r.o)
	for _, warning := range r.plan.warnings {
		r.report.warn(warning)
	}
	return nil
}

// settle records the mailboxes as they are listed now, so that the passes have folders to put their copies into.
func (r *run) settle(ctx context.Context) error {
	b := archive.Batch{Account: r.account.ID}
	for _, n := range r.plan.renames {
		to := &r.plan.folders[n.to]
		same, err := r.proven(ctx, n.from, to)
		if err != nil {
			return err
		}
		if !same {
			r.plan.missing = append(r.plan.missing, n.from)
			continue
		}
		b.Renamed = append(b.Renamed, archive.Rename{Folder: n.from.ID, Name: to.name, Mailbox: to.mailbox})
	}
	for i := range r.plan.folders {
		f := &r.plan.folders[i]
		b.Folders = append(b.Folders, archive.FolderSpec{Name: f.name, Delimiter: f.delim, SpecialUse: f.use, Mailbox: f.mailbox})
	}
	unlisted, err := r.unlisted(ctx)
	if err != nil {
		return err
	}
	for _, f := range unlisted {
		b.Folders = append(b.Folders, archive.FolderSpec{Name: f.name, Delimiter: f.delim, SpecialUse: f.use, Mailbox: f.mailbox})
	}
	r.plan.folders = append(r.plan.folders, unlisted...)
	r.leaveOut(&b)
	if err := r.record(ctx, b); err != nil {
		return err
	}
	r.report.summary(func(s *Summary) { s.Mailboxes, s.Renamed = len(r.plan.folders), len(b.Renamed) })
	return r.reload(ctx)
}

// leaveOut notes the labels that the selection leaves out, as folders without a mailbox and without a state. That tells a later run whose selection covers one that the
// messages are recorded without it: the server tells what changed, and for the server nothing has.
func (r *run) leaveOut(b *archive.Batch) {
	for _, f := range r.plan.leftOut {
		switch {
		case f.known.ID == 0:
			b.Folders = append(b.Folders, archive.FolderSpec{Name: f.name, Delimiter: f.delim, SpecialUse: f.use})
		case f.known.UIDValidity != 0:
			b.States = append(b.States, archive.FolderResult{Folder: f.known.ID})
		}
	}
}

// record records a batch as a whole, also when the run is cancelled meanwhile.
func (r *run) record(ctx context.Context, b archive.Batch) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	done, err := r.w.Record(context.WithoutCancel(ctx), b)
	if err != nil {
		return archiveFailure(err)
	}
	r.report.recorded(done)
	return nil
}

// reload joins the plan with the folders as they are in the archive now, and reads the failure ledger.
func (r *run) reload(ctx context.Context) error {
	known, err := r.w.Folders(ctx, r.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	current := make(map[archive.FolderID]uint32)
	for _, k := range known {
		current[k.ID] = k.Current
	}
	for i := range r.plan.folders {
		f := &r.plan.folders[i]
		f.known = byName(known, f.name)
	}
	holes, err := r.w.Holes(ctx, r.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	r.holes = make(map[archive.FolderID]uidSet)
	for _, h := range holes {
		if h.Validity == current[h.Folder] {
			set := r.holes[h.Folder]
			set.add(h.UID)
			r.holes[h.Folder] = set
		}
	}
	return nil
}

// transfer reads all mailboxes and downloads what is missing, both at the same time.
func (r *run) transfer(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.rec = startRecorder(r.w, r.account.ID, r.o, r.flights, r.report, cancel)
	workers, ctx := errgroup.WithContext(ctx)
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.ending.stop = stop
	workers.Go(func() error {
		defer close(r.jobs)
		return r.gently(ctx, causeOf(reading, ctx, r.read(reading)))
	})
	for range r.o.Connections {
		workers.Go(func() error { return r.gently(ctx, r.work(ctx, reading)) })
	}
	err := workers.Wait()
	if recording := r.rec.finish(); recording != nil {
		return recording
	}
	if err == nil {
		err = r.ending.why()
	}
	if err == nil {
		err = r.rec.complete()
	}
	return err
}

// gently makes an error end the run without a cancellation, when it says nothing about the other connections: what these have under way may still arrive, and need not be downloaded
// again.
func (r *run) gently(ctx context.Context, err error) error {
	if ctx.Err() == nil && (errors.Is(err, ErrQuota) || errors.Is(err, ErrAuth)) {
		r.ending.begin(err)
		return nil
	}
	return err
}

// causeOf tells an error of what was done in a context that is part of whole: when only the part was ended, why it was, which the error of what was interrupted need not say.
func causeOf(part, whole context.Context, err error) error {
	if err != nil && part.Err() != nil && whole.Err() == nil {
		return context.Cause(part)
	}
	return err
}

// ending ends a run early and cleanly: nothing new is asked for, and what was asked for is received and recorded.
type ending struct {
	stop context.CancelCauseFunc // of reading

	mu  sync.Mutex
	err error
}

func (e *ending) begin(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
		e.stop(err)
	}
}

// why is nil while the run shall go on.
func (e *ending) why() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// read passes over all mailboxes, one after the other.
func (r *run) read(ctx context.Context) error {
	var todo []*planned
	for i := range r.plan.folders {
		f := &r.plan.folders[i]
		if !f.source {
			continue
		}
		if f.unchanged() && len(r.holes[f.known.ID]) == 0 && !r.rereadAll(f) {
			r.report.summary(func(s *Summary) { s.Unchanged++ })
			continue
		}
		todo = append(todo, f)
		r.report.expect(f.expected())
	}
	slices.SortStableFunc(todo, func(a, b *planned) int { return cmp.Compare(a.rank(), b.rank()) })
	for i, f := range todo {
		r.report.phase(PhaseRead, f.name)
		if _, before := r.gathered[f]; !before && r.gatherable(f) {
			if err := r.gather(ctx, todo[i:]); err != nil {
				return fmt.Errorf("back up mailbox %q: %w", f.name, err)
			}
		}
		if err := r.pass(ctx, f); err != nil {
			return fmt.Errorf("back up mailbox %q: %w", f.name, err)
		}
	}
	// Before and after the other mailboxes are looked at again: that finds more to leave out.
	for _, step := range []func(context.Context) error{r.seekMoved, r.catchUp, r.seekMoved} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	r.report.phase(PhaseDownload, "")
	return nil
}

// used notes mailboxes that labels stand for. Only the reading goroutine calls it.
func (r *run) used(mailboxes []string) {
	for _, name := range mailboxes {
		r.labelled[name] = true
	}
}

// rereadAll tells whether all labels of a folder must be read again because a label was renamed or removed, which servers need not tell as a change of the messages, or is
// covered by the selection only now.
func (r *run) rereadAll(f *planned) bool {
	return r.account.Kind == archive.Gmail && f.use == `\All` && (r.plan.widened || len(r.plan.missing)+len(r.plan.renames) > 0)
}
