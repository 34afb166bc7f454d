package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"mailkeep/archive"
)

// VerifyAll is the depth of a verification that fetches and hashes every message.
const VerifyAll = -1

// ProblemKind tells apart what a verification finds.
type ProblemKind string

// The kinds of problems.
const (
	ProblemMissing  ProblemKind = "missing"  // the server has a message, and the archive does not
	ProblemLabels   ProblemKind = "labels"   // a message is not in all mailboxes of the archive that its labels stand for
	ProblemFlags    ProblemKind = "flags"    // other flags
	ProblemSize     ProblemKind = "size"     // the server tells another length
	ProblemReturned ProblemKind = "returned" // marked as gone, and at the server
	ProblemExtra    ProblemKind = "extra"    // left the mailbox at the server since the last backup
	ProblemBytes    ProblemKind = "bytes"    // the server has other bytes
	ProblemDamaged  ProblemKind = "damaged"  // the archive's own file is not what was recorded
	ProblemUnread   ProblemKind = "unread"   // a mailbox that could not be read
)

// Problem is a difference between an account and the archive.
type Problem struct {
	Kind     ProblemKind
	Mailbox  string      // the server's name
	UID      uint32      // the source's, or 0
	SourceID string      // X-GM-MSGID or EMAILID where known
	Ref      archive.Ref // of the message in the archive; zero when there is none
	Reason   string      // a phrase
}

// mostProblems bounds Verification.Problems of each kind.
const mostProblems = 1000

// Verification is how the comparison of an account with the archive came out.
type Verification struct {
	archive.Receipt
	Problems []Problem // the first thousand of each kind
	Elapsed  time.Duration
}

// Verify compares a live account with the archive message by message, and changes nothing at either side. deep is how many messages, chosen at random, are fetched and
// hashed: 0 none, VerifyAll all. The memory it takes does not grow with the account: both sides are read in portions, ascending by UID. An error means that the
// comparison did not come to its end; differences are no error. The caller decides whether the Receipt is kept.
func Verify(ctx context.Context, r *archive.Reader, o Options, deep int64) (*Verification, error) {
	started := time.Now()
	o = o.withDefaults()
	v := &verifier{archive: r, o: o, report: newReport(o.Progress), counted: make(map[string]*tallied), byKind: make(map[ProblemKind]int)}
	v.sample = newSample(deep)
	v.report.phase(PhaseConnect, "")
	o.Connections = 1
	v.pool = newPool(o, func(*Session) error { return nil }, v.report)
	v.pool.quota = newQuota(unnoted{r}, o.Account, o.DailyBytes, v.report)
	defer v.pool.close()
	if err := v.run(ctx); err != nil {
		return nil, err
	}
	v.result.Format, v.result.Account = archive.ReceiptFormat, o.Account
	v.result.Started, v.result.Finished = started.UTC().Truncate(time.Second), time.Now().UTC().Truncate(time.Second)
	v.result.Elapsed = time.Since(started)
	return &v.result, nil
}

// unnoted lets a verification keep to the limit of a day's download without the archive's lock: what it receives counts for itself alone.
type unnoted struct{ *archive.Reader }

func (unnoted) AddTraffic(string, time.Time, int64) error { return nil }

// verifier is one comparison.
type verifier struct {
	archive *archive.Reader
	o       Options
	report  *report
	pool    *pool
	sample  sample

	kind      archive.Kind
	account   archive.Account // zero when the archive does not know it
	objectIDs bool
	plan      plan
	names     map[archive.MailboxID]string
	holes     map[archive.FolderID]map[uint32]archive.Hole

	counted map[string]*tallied // by the archive's name of the mailbox
	byKind  map[ProblemKind]int
	result  Verification
}

// tallied counts the messages of one mailbox.
type tallied struct{ server, missing, matched int64 }

func (v *verifier) mailbox(name string) *tallied {
	t := v.counted[name]
	if t == nil {
		t = new(tallied)
		v.counted[name] = t
	}
	return t
}

func (v *verifier) problem(p Problem) {
	if v.byKind[p.Kind]++; v.byKind[p.Kind] <= mostProblems {
		v.result.Problems = append(v.result.Problems, p)
	}
}

func (v *verifier) run(ctx context.Context) error {
	if err := v.survey(ctx); err != nil {
		return err
	}
	// The digest needs the disk and a processor, the comparison the network.
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() error {
		list, err := v.archive.ListDigest(bothCtx, v.account.ID)
		v.result.ModSeq, v.result.Items, v.result.List = list.ModSeq, list.Items, list.SHA256
		return archiveFailure(err)
	})
	both.Go(func() error { return v.compareAll(bothCtx) })
	if err := both.Wait(); err != nil {
		return err
	}
	return v.sumUp(ctx)
}

func (v *verifier) compareAll(ctx context.Context) error {
	for i := range v.plan.folders {
		p := &v.plan.folders[i]
		if !p.source {
			v.mailbox(p.mailbox)
			continue
		}
		v.report.phase(PhaseVerify, p.name)
		if err := v.folder(ctx, p); err != nil {
			return fmt.Errorf("verify mailbox %q: %w", p.name, classify(err, "verify a mailbox"))
		}
	}
	if v.sample.most > 0 {
		return v.fetchSample(ctx)
	}
	return nil
}

// survey learns what the server lists and what the archive knows.
func (v *verifier) survey(ctx context.Context) error {
	v.kind = archive.IMAP
	var boxes []listing
	err := v.pool.do(ctx, "", "list mailboxes", func(s *Session) error {
		if s.caps.Has(capGmail) {
			v.kind = archive.Gmail
		}
		v.objectIDs = s.caps.Has("OBJECTID")
		var err error
		boxes, err = s.list()
		return err
	})
	if err != nil {
		return classify(err, "list mailboxes")
	}
	v.account, err = v.archive.AccountByName(ctx, v.o.Account)
	if err != nil {
		return err
	}
	if v.account.Kind != v.kind {
		return fail(ErrProtocol, nil, "account %q was backed up as %q, and the server is now %q; check the host in the configuration", v.o.Account, v.account.Kind, v.kind)
	}
	known, err := v.archive.Folders(ctx, v.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	v.plan = makePlan(v.kind, boxes, known, v.o)
	for _, n := range v.plan.renames {
		v.plan.folders[n.to].known = n.from
	}
	for _, f := range v.plan.folders {
		if f.source && f.hasStatus {
			v.report.expect(int64(f.status.Messages))
		}
	}
	if v.plan.visible {
		v.unread("All Mail", "Gmail hides it")
	}
	return v.load(ctx)
}

func (v *verifier) unread(mailbox, reason string) {
	v.result.Unread = append(v.result.Unread, mailbox)
	v.problem(Problem{Kind: ProblemUnread, Mailbox: mailbox, Reason: reason})
}

// load reads the names of mailboxes and the failure ledger.
func (v *verifier) load(ctx context.Context) error {
	boxes, err := v.archive.Mailboxes(ctx, v.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	v.names = make(map[archive.MailboxID]string)
	for _, b := range boxes {
		v.names[b.ID] = b.Name
	}
	holes, err := v.archive.Holes(ctx, v.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	v.holes = make(map[archive.FolderID]map[uint32]archive.Hole)
	for _, h := range holes {
		if v.holes[h.Folder] == nil {
			v.holes[h.Folder] = make(map[uint32]archive.Hole)
		}
		v.holes[h.Folder][h.UID] = h
	}
	return nil
}

// sumUp puts the counts of mailboxes beside those of the archive.
func (v *verifier) sumUp(ctx context.Context) error {
	totals, err := v.archive.Totals(ctx, v.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	v.result.Gone += totals.Gone
	boxes, err := v.archive.Mailboxes(ctx, v.account.ID)
	if err != nil {
		return archiveFailure(err)
	}
	lines := make(map[string]archive.ReceiptMailbox)
	for name, t := range v.counted {
		lines[name] = archive.ReceiptMailbox{Name: name, Server: t.server, Missing: t.missing}
	}
	for _, b := range boxes {
		line, compared := lines[b.Name]
		line.Name, line.Archive = b.Name, int64(b.Messages)
		line.Excluded = !compared && v.o.leavesOut(b.Name, "/", b.SpecialUse)
		if !line.Excluded {
			line.Extra = max(line.Archive-v.mailbox(b.Name).matched, 0)
		}
		lines[b.Name] = line
	}
	v.result.Mailboxes = slices.SortedFunc(maps.Values(lines), func(a, b archive.ReceiptMailbox) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// folder compares one mailbox of the server.
func (v *verifier) folder(ctx context.Context, p *planned) error {
	f := &verified{folder: folder{plan: p, ID: p.known.ID}}
	buried, err := v.archive.Buried(ctx, f.ID)
	if err != nil {
		return archiveFailure(err)
	}
	var listed uidSet
	err = v.pool.do(ctx, p.name, "list the messages of a mailbox", func(s *Session) error {
		data, err := s.examine(p.name, true)
		if err != nil {
			return err
		}
		f.state = counted(data)
		f.state.UIDValidity = data.UIDValidity
		if data.NumMessages == 0 {
			return nil
		}
		if listed, err = s.listUIDs(1); err != nil || v.o.MaxAge == 0 && v.o.MaxSize == 0 {
			return err
		}
		f.selecting = true
		f.wanted, err = s.search(v.o.selection(time.Now()))
		return err
	})
	if no := refused(err); no != nil {
		v.unread(p.name, refusal(no))
		return nil
	}
	if err != nil {
		return err
	}
	if f.state.UIDValidity == p.known.Current {
		for _, uid := range buried {
			f.pruned.add(uid)
		}
	}
	if falls(listed, f.state) {
		v.unread(p.name, fmt.Sprintf("the server counts %d messages and lists %d", f.state.Messages, listed.count()))
	}
	err = v.portions(ctx, f, listed)
	if errors.Is(err, errAbandoned) {
		v.unread(p.name, err.Error())
		return nil
	}
	return err
}

// verified is a mailbox of the server that is being compared.
type verified struct {
	folder
	selecting bool   // the configuration leaves messages out by age or size:
	wanted    uidSet // all but these
	used      map[archive.ItemID]bool
	pruned    uidSet // not kept on purpose
}

// portions walks through both sides in step: each portion is a range of UIDs, what lies between the server's included, so that nothing of the archive is passed over.
func (v *verifier) portions(ctx context.Context, f *verified, listed uidSet) error {
	for first := uint32(1); ; {
		var head uidSet
		head, listed = listed.cut(chunkVerify)
		last := ^uint32(0)
		if len(listed) > 0 {
			last = head[len(head)-1].hi
		}
		if err := v.portion(ctx, f, head, first, last); err != nil {
			return err
		}
		if len(listed) == 0 {
			return nil
		}
		first = last + 1
	}
}

// chunkVerify is how many messages are compared at a time.
const chunkVerify = 5000
