package backup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func TestHiddenAllMail(t *testing.T) {
	r := newRig(t, gmailsim.Options{Locale: "de"})
	r.must(r.srv.HideFolder(`\All`))
	a := r.deliver(labelled(1, `\Inbox`, "Label one", "Label two"))
	r.deliver(labelled(2, `\Trash`))
	r.deliver(labelled(3, "Label one"))
	sum := r.run()
	if !warned(sum, backup.WarnHiddenAllMail) || !sum.Unfinished || sum.Downloaded != 3 {
		t.Errorf("%+v", sum)
	}
	r.onceEach()
	r.same("/")
	// Archived while All Mail is hidden: it cannot be seen, and is not gone.
	r.must(r.srv.SetLabels(a))
	sum = r.run()
	if _, gone := r.kept(); gone != 0 || sum.Downloaded != 0 || sum.Gone != 0 {
		t.Errorf("%d gone: %+v", gone, sum)
	}
	// Once it is shown, everything is as at the server, and what leaves it is gone.
	r.must(r.srv.ShowFolder(`\All`))
	sum = r.run()
	r.same("/")
	if sum.Downloaded != 0 || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.must(r.srv.Expunge(a))
	if sum = r.run(); sum.Gone != 1 {
		t.Errorf("%+v", sum)
	}
	r.same("/")
	// Hidden again after it was seen: nothing goes.
	r.must(r.srv.HideFolder(`\All`))
	if sum = r.run(); sum.Gone+sum.Downloaded != 0 || !warned(sum, backup.WarnHiddenAllMail) {
		t.Errorf("%+v", sum)
	}
	if have, _ := r.kept(); len(have[r.srv.FolderName(`\All`)]) != 1 {
		t.Errorf("All Mail: %v", have)
	}
}

func TestHiddenSystemFolder(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	id := r.deliver(labelled(1, `\Inbox`, `\Important`))
	r.deliver(labelled(2, `\Trash`))
	r.run()
	r.must(r.srv.HideFolder(`\Trash`))
	r.must(r.srv.HideFolder(`\Important`))
	r.must(r.srv.SetFlags(id, `\Seen`))
	sum := r.run()
	if !warned(sum, backup.WarnHiddenFolder) || sum.Gone != 0 {
		t.Errorf("%+v", sum)
	}
	have, _ := r.kept()
	if len(have[r.srv.FolderName(`\Important`)]) != 1 || len(have[r.srv.FolderName(`\Trash`)]) != 1 {
		t.Errorf("%v", have)
	}
}

func TestFolderLimit(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 1010 {
		r.deliver(labelled(i, `\Inbox`))
	}
	r.run()
	r.srv.FolderLimit(1000)
	r.deliver(labelled(2000, `\Inbox`))
	sum := r.run()
	if !warned(sum, backup.WarnFolderLimit) || sum.Gone != 0 || sum.Downloaded != 1 {
		t.Errorf("%+v", sum)
	}
	r.same("/")
	r.srv.FolderLimit(0)
	if sum = r.run(); sum.Gone+sum.Downloaded != 0 || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.same("/")
	// Exactly so many by chance: a warning, and what is gone is marked as soon as the number is another.
	for _, m := range r.srv.Snapshot().Messages[500:511] {
		r.must(r.srv.Expunge(m.ID))
	}
	if sum = r.run(); !warned(sum, backup.WarnFolderLimit) || sum.Gone != 0 || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.deliver(labelled(3000, `\Inbox`))
	if sum = r.run(); sum.Gone != 11 || sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}

func TestManyGone(t *testing.T) {
	for _, generic := range []*gmailsim.Generic{nil, {Delimiter: "/", Condstore: true, ListStatus: true}} {
		t.Run(fmt.Sprint("gmail ", generic == nil), func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: generic})
			var ids []gmailsim.MsgID
			for i := range 400 {
				if generic == nil {
					ids = append(ids, r.deliver(labelled(i, `\Inbox`)))
				} else {
					ids = append(ids, r.appendTo("INBOX", mail(i)))
				}
			}
			r.run()
			for _, id := range ids[:150] {
				r.must(r.srv.Expunge(id))
			}
			for range 2 {
				sum := r.run()
				if !warned(sum, backup.WarnManyGone) || sum.Gone != 0 || !sum.Unfinished {
					t.Fatalf("%+v", sum)
				}
			}
			r.o.AcceptChanges = true
			if sum := r.run(); sum.Gone != 150 || sum.Unfinished {
				t.Errorf("%+v", sum)
			}
			r.same("/")
		})
	}
}

// A folder of many messages that moves as a whole, or is deleted, is told apart.
func TestManyMoved(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/"}})
	r.must(r.srv.CreateMailbox("old"))
	r.must(r.srv.CreateMailbox("new"))
	var ids []gmailsim.MsgID
	for i := range 300 {
		ids = append(ids, r.appendTo("old", mail(i)))
	}
	r.run()
	for i := range 300 {
		r.appendTo("new", mail(i))
		r.must(r.srv.Expunge(ids[i]))
	}
	if sum := r.run(); sum.Gone != 0 || sum.Downloaded != 0 || sum.Unfinished {
		t.Errorf("moved: %+v", sum)
	}
	r.same("/")
	r.must(r.srv.DeleteMailbox("new"))
	if sum := r.run(); sum.Gone != 0 || !warned(sum, backup.WarnManyGone) {
		t.Errorf("deleted: %+v", sum)
	}
	r.o.AcceptChanges = true
	if sum := r.run(); sum.Gone != 300 {
		t.Errorf("accepted: %+v", sum)
	}
	r.same("/")
}

// Labels that seem to be taken off many messages at once are not believed either, until somebody says so. Flags and a few labels pass.
func TestManyLabelsLost(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	var ids []gmailsim.MsgID
	for i := range 300 {
		ids = append(ids, r.deliver(labelled(i, `\Inbox`, "Keep", fmt.Sprint("label ", i%5))))
	}
	r.run()
	before, _ := r.kept()
	for _, id := range ids[:60] {
		r.must(r.srv.RemoveLabels(id, "Keep"))
	}
	if sum := r.run(); sum.Left != 60 || sum.Unfinished {
		t.Errorf("a few: %+v", sum)
	}
	r.same("/")
	for _, id := range ids {
		r.must(r.srv.SetLabels(id))
		r.must(r.srv.SetFlags(id, `\Seen`))
	}
	r.deliver(labelled(1000, `\Inbox`))
	for range 2 {
		sum := r.run()
		if !warned(sum, backup.WarnManyGone) || sum.Left != 0 || sum.Gone != 0 || !sum.Unfinished {
			t.Fatalf("%+v", sum)
		}
	}
	if after, _ := r.kept(); len(after["INBOX"]) != len(before["INBOX"])+1 || len(after["Keep"]) != 240 {
		t.Errorf("INBOX %d, Keep %d", len(after["INBOX"]), len(after["Keep"]))
	}
	r.o.AcceptChanges = true
	if sum := r.run(); sum.Left == 0 || sum.Unfinished {
		t.Errorf("accepted: %+v", sum)
	}
	r.same("/")
}

// So are labels of messages that are met under new UIDs, in each run until the changes are accepted.
func TestManyLabelsLostRenumbered(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	for i := range 130 {
		r.deliver(labelled(i, `\Inbox`, "Keep"))
	}
	r.run()
	r.must(r.srv.ChangeUIDValidity(r.srv.FolderName(`\All`)))
	for _, m := range r.srv.Snapshot().Messages[:20] {
		r.must(r.srv.RemoveLabels(m.ID, "Keep"))
	}
	if sum := r.run(); sum.Left != 20 || sum.Unfinished {
		t.Errorf("a few: %+v", sum)
	}
	r.same("/")
	r.must(r.srv.ChangeUIDValidity(r.srv.FolderName(`\All`)))
	for _, m := range r.srv.Snapshot().Messages {
		r.must(r.srv.SetLabels(m.ID))
		r.must(r.srv.SetFlags(m.ID, `\Seen`))
	}
	r.deliver(labelled(1000, `\Inbox`, "New"))
	for range 2 {
		sum := r.run()
		if !warned(sum, backup.WarnManyGone) || sum.Left+sum.Gone != 0 || !sum.Unfinished {
			t.Fatalf("%+v", sum)
		}
	}
	if have, _ := r.kept(); len(have["INBOX"]) != 131 || len(have["Keep"]) != 110 || len(have["New"]) != 1 {
		t.Errorf("INBOX %d, Keep %d, New %d", len(have["INBOX"]), len(have["Keep"]), len(have["New"]))
	}
	r.o.AcceptChanges = true
	if sum := r.run(); sum.Left != 240 || sum.Downloaded != 0 || sum.Unfinished {
		t.Errorf("accepted: %+v", sum)
	}
	r.same("/")
}

// A mailbox that was renumbered and lost most of its messages is held back, in each run until the changes are accepted, also when the run that saw the renumbering was stopped.
func TestManyGoneRenumbered(t *testing.T) {
	for _, generic := range []*gmailsim.Generic{nil, {Delimiter: "/", Condstore: true, ListStatus: true}} {
		for _, stopped := range []bool{false, true} {
			t.Run(fmt.Sprint("gmail ", generic == nil, ", stopped ", stopped), func(t *testing.T) {
				r := newRig(t, gmailsim.Options{Generic: generic})
				box := "INBOX"
				if generic == nil {
					box = r.srv.FolderName(`\All`)
				}
				var ids []gmailsim.MsgID
				for i := range 300 {
					if generic == nil {
						ids = append(ids, r.deliver(labelled(i, `\Inbox`)))
					} else {
						ids = append(ids, r.appendTo(box, mail(i)))
					}
				}
				r.run()
				for _, id := range ids[:270] {
					r.must(r.srv.Expunge(id))
				}
				r.must(r.srv.ChangeUIDValidity(box))
				if stopped {
					ctx, cancel := context.WithCancel(context.Background())
					remove := r.srv.AddFault(gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH"}, Do: gmailsim.Action{Run: cancel, Latency: 20 * time.Millisecond}})
					if _, err := backup.Run(ctx, r.w, r.o); !errors.Is(err, context.Canceled) {
						t.Fatal(err)
					}
					remove()
				}
				for range 3 {
					sum := r.run()
					if _, gone := r.kept(); gone != 0 || sum.Gone != 0 || !warned(sum, backup.WarnManyGone) || !sum.Unfinished {
						t.Fatalf("%d gone: %+v", gone, sum)
					}
				}
				r.o.AcceptChanges = true
				if sum := r.run(); sum.Gone != 270 || sum.Unfinished {
					t.Errorf("%+v", sum)
				}
				r.same("/")
			})
		}
	}
}
