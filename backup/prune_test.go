package backup_test

import (
	"context"
	"testing"
	"time"

	"mailkeep/archive"
	"mailkeep/integration/gmailsim"
)

// pruneMailbox lets go of what is in a mailbox and nowhere else but in All Mail.
func (r *rig) pruneMailbox(name string) archive.Pruned {
	r.t.Helper()
	ctx := context.Background()
	a, err := r.w.AccountByName(ctx, account)
	r.must(err)
	boxes, err := r.w.Mailboxes(ctx, a.ID)
	r.must(err)
	policy := archive.PrunePolicy{Text: "label " + name, Tombstones: true}
	for _, b := range boxes {
		switch {
		case b.Name == name:
			policy.Mailboxes = append(policy.Mailboxes, b.ID)
		case b.SpecialUse == `\All`:
			policy.Beside = append(policy.Beside, b.ID)
		}
	}
	plan, err := r.w.PlanPrune(ctx, policy)
	r.must(err)
	done, err := r.w.Prune(ctx, plan, nil)
	r.must(err)
	return done
}

// Mail that was pruned does not return, however it is met again, is not even downloaded, and comes back when that is asked for.
func TestPrunedMailDoesNotReturn(t *testing.T) {
	for _, options := range []gmailsim.Options{{}, {Generic: &gmailsim.Generic{Delimiter: "/", ObjectID: true}}, {Generic: &gmailsim.Generic{Delimiter: "/", Condstore: true}}} {
		r := newRig(t, options)
		news, keep := "News", "Keep"
		if options.Generic != nil {
			r.must(r.srv.CreateMailbox(news))
			r.must(r.srv.CreateMailbox(keep))
			for n := range 4 {
				r.appendTo(news, mail(n))
			}
			r.appendTo(keep, mail(10))
		} else {
			for n := range 4 {
				r.deliver(labelled(n, news))
			}
			r.deliver(labelled(10, keep))
		}
		r.run()
		if done := r.pruneMailbox(news); done.Items != 4 || done.Messages != 4 {
			t.Fatalf("pruned %+v", done)
		}
		r.srv.ResetCounters()
		r.run()
		r.must(r.srv.ChangeUIDValidity(r.sourceOf(news)))
		if sum := r.run(); sum.Buried != 4 || sum.NewItems != 0 {
			t.Errorf("backed up %+v", sum)
		}
		if options.Generic != nil { // moved
			moved := r.srv.Snapshot().Messages[0].ID
			r.must(r.srv.Expunge(moved))
			r.appendTo(keep, mail(0))
			r.run()
		}
		if n := r.srv.Counters().Bodies; n != 0 {
			t.Errorf("%d bodies of pruned mail were downloaded", n)
		}
		v := r.verify(0)
		if v.Missing != 0 || v.LeftOut != 4 || v.Held != 1 {
			t.Errorf("verified %+v", v)
		}
		if n, err := r.w.ForgetTombstones(context.Background(), 0); err != nil || n != 4 {
			t.Errorf("forgot %d: %v", n, err)
		}
		if sum := r.run(); sum.NewItems != 4 || sum.Downloaded != 4 {
			t.Errorf("backed up %+v", sum)
		}
		r.same("/")
	}
}

// sourceOf names the mailbox of the server from which the messages of another one are read.
func (r *rig) sourceOf(name string) string {
	if all := r.srv.FolderName(`\All`); all != "" {
		return all
	}
	return name
}

func TestPruneOfWhatIsGoneAndReturns(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{}})
	first := r.appendTo("INBOX", mail(1))
	r.appendTo("INBOX", mail(2))
	r.run()
	r.must(r.srv.Expunge(first))
	r.run()
	ctx := context.Background()
	plan, err := r.w.PlanPrune(ctx, archive.PrunePolicy{Text: "gone", GoneBefore: time.Now().Add(time.Minute), Tombstones: true})
	r.must(err)
	_, err = r.w.Prune(ctx, plan, nil)
	r.must(err)
	r.appendTo("INBOX", mail(1))
	if sum := r.run(); sum.Buried != 1 || sum.Downloaded != 0 {
		t.Errorf("backed up %+v", sum)
	}
	if _, err := r.w.UndoPrune(ctx, 0, nil); err != nil {
		t.Fatal(err)
	}
	r.run()
	r.same("")
	if v := r.verify(0); v.Returned != 0 || v.Missing != 0 {
		t.Errorf("verified %+v", v)
	}
}
