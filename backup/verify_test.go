package backup_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailkeep/archive"
	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func (r *rig) verify(deep int64) *backup.Verification {
	r.t.Helper()
	v, err := backup.Verify(context.Background(), r.w.Reader, r.o, deep)
	if err != nil {
		r.t.Fatalf("verify: %v", err)
	}
	return v
}

func problems(v *backup.Verification, kind backup.ProblemKind) (found []backup.Problem) {
	for _, p := range v.Problems {
		if p.Kind == kind {
			found = append(found, p)
		}
	}
	return found
}

func lineOf(v *backup.Verification, name string) archive.ReceiptMailbox {
	for _, m := range v.Mailboxes {
		if m.Name == name {
			return m
		}
	}
	return archive.ReceiptMailbox{}
}

// clean fails the test unless the account and the archive are the same.
func clean(t *testing.T, v *backup.Verification) {
	t.Helper()
	if v.Missing+v.Labels+v.Flags+v.Sizes+v.Differ+v.Damaged+v.Returned != 0 || len(v.Problems) > 0 || v.Held != v.Server {
		t.Errorf("found %+v", v)
	}
	for _, m := range v.Mailboxes {
		if m.Missing != 0 || m.Server != m.Archive && m.Extra == 0 {
			t.Errorf("mailbox %+v", m)
		}
	}
	if reason, ok := v.Sound(); !ok {
		t.Error(reason)
	}
}

func TestVerifyGmail(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.must(r.srv.Load(gmailsim.Sample(80, 3)))
	moved := r.deliver(labelled(1, "Receipts"))
	flagged := r.deliver(labelled(2, "Receipts"))
	doomed := r.deliver(labelled(3, `\Inbox`, "Receipts"))
	r.run()
	v := r.verify(backup.VerifyAll)
	clean(t, v)
	if v.Server != 83 || v.Deep != 83 || v.Items != 83 || lineOf(v, "Receipts").Server < 3 {
		t.Errorf("found %+v", v)
	}
	before := v.List

	fresh := r.deliver(labelled(4, "New label"))
	r.must(r.srv.AddLabels(moved, `\Inbox`))
	r.must(r.srv.SetFlags(flagged, `\Seen`, `\Flagged`))
	r.must(r.srv.Expunge(doomed))
	v = r.verify(0)
	if v.Server != 83 || v.Missing != 1 || v.Fresh != 1 || v.Labels < 1 || v.Flags != 1 || v.Gone != 1 || v.List != before {
		t.Errorf("found %+v", v)
	}
	missing := problems(v, backup.ProblemMissing)
	if len(missing) != 1 || missing[0].SourceID != fmt.Sprint(uint64(fresh)) || !strings.Contains(missing[0].Reason, "after the last backup") {
		t.Errorf("missing %+v", missing)
	}
	if box := lineOf(v, "New label"); box.Server != 1 || box.Missing != 1 || box.Archive != 0 {
		t.Errorf("found %+v", box)
	}
	if box := lineOf(v, "Receipts"); box.Extra != 1 {
		t.Errorf("found %+v", box)
	}
	if len(problems(v, backup.ProblemExtra)) != 1 || len(problems(v, backup.ProblemLabels)) != 2 { // the star is a label, too
		t.Errorf("found %+v", v.Problems)
	}
	r.run()
	v = r.verify(0)
	clean(t, v)
	if v.Gone != 1 || v.List == before || lineOf(v, archive.GoneMailbox).Archive != 1 {
		t.Errorf("found %+v", v)
	}
}

func TestVerifyTellsWhyAMessageIsMissing(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.must(r.srv.Load(gmailsim.Sample(20, 5)))
	r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "*FETCH", Contains: "BODY.PEEK[]"},
		Do: gmailsim.Action{FailIDs: []gmailsim.MsgID{r.srv.Snapshot().Messages[4].ID}}, Times: -1})
	r.run()
	v := r.verify(0)
	missing := problems(v, backup.ProblemMissing)
	if v.Missing != 1 || v.Failed != 1 || len(missing) != 1 || !strings.Contains(missing[0].Reason, "failure ledger: ") {
		t.Errorf("found %+v", v)
	}
	if _, ok := v.Sound(); !ok {
		t.Error("what the failure ledger knows keeps a receipt from being sound")
	}
}

func TestVerifyFindsRenumberedMessages(t *testing.T) {
	for _, objects := range []bool{false, true} {
		r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: ".", ObjectID: objects}})
		r.must(r.srv.CreateMailbox("Work"))
		for n := range 6 {
			r.appendTo("INBOX", mail(n))
			r.appendTo("Work", mail(n+3))
		}
		r.run()
		clean(t, r.verify(3))
		r.must(r.srv.ChangeUIDValidity("Work"))
		r.appendTo("Work", mail(0)) // its bytes are here, and the copy is not
		v := r.verify(0)
		if v.Server != 13 || v.Held != 12 || v.Missing != 1 || lineOf(v, "Work").Missing != 1 {
			t.Errorf("found %+v", v)
		}
	}
}

func TestVerifyComparesBytes(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{}})
	other := r.appendTo("INBOX", mail(1))
	r.appendTo("INBOX", mail(2))
	r.run()
	r.must(r.srv.ReplaceBody(other, append(mail(1).Body, "and more"...)))
	v := r.verify(backup.VerifyAll)
	if v.Deep != 2 || v.Differ != 1 || v.Sizes != 1 || v.Damaged != 0 {
		t.Errorf("found %+v", v)
	}
	path := filepath.Join(r.dir, archive.RefOf(mail(2).Body).String()[:2], archive.RefOf(mail(2).Body).String()+".eml")
	whole, err := os.ReadFile(path)
	r.must(err)
	broken := slices.Clone(whole)
	broken[10] ^= 1
	r.must(errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, broken, 0o600)))
	v = r.verify(2)
	if v.Damaged != 1 || len(problems(v, backup.ProblemDamaged)) != 1 {
		t.Errorf("found %+v", v)
	}
	r.must(os.WriteFile(path, whole, 0o600))
}

func TestVerifyLeavesOutWhatTheConfigurationDoes(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.must(r.srv.Load(gmailsim.Sample(60, 3)))
	r.run()
	r.o.Exclude = []string{"Spam"}
	r.must(r.srv.MoveToSpam(r.deliver(labelled(9, `\Inbox`))))
	v := r.verify(0)
	if spam := lineOf(v, "[Gmail]/Spam"); v.Missing != 0 || !spam.Excluded || spam.Extra != 0 {
		t.Errorf("found %+v", v)
	}
	r.o.Exclude, r.o.MaxSize = nil, 1000
	if v := r.verify(0); v.Missing != 1 || v.LeftOut != 0 {
		t.Errorf("found %+v", v)
	}
	r.deliver(gmailsim.Message{Body: append(mail(10).Body, make([]byte, 2000)...)})
	if v := r.verify(0); v.Missing != 1 || v.LeftOut != 1 {
		t.Errorf("found %+v", v)
	}
}

func TestVerifyWithoutAllMailIsNotSound(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.must(r.srv.Load(gmailsim.Sample(30, 3)))
	r.run()
	r.must(r.srv.HideFolder(`\All`))
	v := r.verify(0)
	if _, ok := v.Sound(); ok || len(v.Unread) != 1 || v.Missing != 0 {
		t.Errorf("found %+v", v)
	}
}
