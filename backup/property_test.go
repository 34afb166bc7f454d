package backup_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"mailkeep/integration/gmailsim"
)

// After any sequence of changes at the source and backups, the archive shows what the source has.
func TestGmailProperty(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			opt := gmailsim.Options{Locale: []string{"en-US", "ja"}[seed%2]}
			if seed == 3 {
				opt.Without = []string{"CONDSTORE", "ESEARCH", "LIST-STATUS"}
			}
			r := newRig(t, opt)
			r.o.AcceptChanges = true
			rng := rand.New(rand.NewPCG(seed, 7))
			names := []string{"a", "a/b", "c d", `\foo`, "Ü"}
			for i, name := range names {
				r.deliver(labelled(9000+i, name))
			}
			for step := range 12 {
				for range 1 + rng.IntN(12) {
					mutateGmail(r, rng, &names, step)
				}
				r.run()
				r.same("/")
				r.onceEach()
				if t.Failed() {
					t.Fatalf("at step %d", step)
				}
			}
		})
	}
}

func mutateGmail(r *rig, rng *rand.Rand, names *[]string, step int) {
	snap := r.srv.Snapshot()
	some := snap.Messages[rng.IntN(len(snap.Messages))]
	label := (*names)[rng.IntN(len(*names))]
	// Some of these are refused, such as renaming a label that is not there any more: then nothing changes.
	switch rng.IntN(14) {
	case 0, 1, 2:
		r.deliver(labelled(step*1000+rng.IntN(1_000_000), label, `\Inbox`))
	case 3:
		_ = r.srv.AddLabels(some.ID, label, `\Important`)
	case 4:
		_ = r.srv.RemoveLabels(some.ID, label, `\Inbox`)
	case 5:
		_ = r.srv.SetFlags(some.ID, `\Seen`, `\Flagged`, "$kw")
	case 6:
		_ = r.srv.SetFlags(some.ID)
	case 7:
		_ = r.srv.MoveToTrash(some.ID)
	case 8:
		_ = r.srv.MoveToSpam(some.ID)
	case 9:
		if len(snap.Messages) > 3 {
			r.must(r.srv.Expunge(some.ID))
		}
	case 10:
		to := fmt.Sprintf("renamed %d", rng.IntN(1000))
		if r.srv.RenameLabel(label, to) == nil {
			*names = append(*names, to)
		}
	case 11:
		_ = r.srv.DeleteLabel(label)
	case 12:
		use := []string{`\All`, `\Trash`, `\Junk`}[rng.IntN(3)]
		r.must(r.srv.ChangeUIDValidity(r.srv.FolderName(use)))
	case 13:
		_ = r.srv.CreateLabel(fmt.Sprintf("empty %d", rng.IntN(1000)))
	}
}

func TestGenericProperty(t *testing.T) {
	for name, g := range personalities {
		t.Run(name, func(t *testing.T) {
			r := genericRig(t, g)
			r.o.AcceptChanges = true
			rng := rand.New(rand.NewPCG(1, uint64(len(name))))
			names := boxNames(g)
			r.appendTo("INBOX", mail(1))
			for step := range 12 {
				for range 1 + rng.IntN(10) {
					mutateGeneric(r, rng, &names)
				}
				r.run()
				r.same(g.Delimiter)
				if t.Failed() {
					t.Fatalf("at step %d", step)
				}
			}
		})
	}
}

func mutateGeneric(r *rig, rng *rand.Rand, names *[]string) {
	snap := r.srv.Snapshot()
	box := (*names)[rng.IntN(len(*names))]
	switch n := rng.IntN(11); {
	case n < 3 || len(snap.Messages) < 3:
		_, _ = r.srv.Append(box, mail(rng.IntN(40)))
	case n < 5:
		_, _ = r.srv.Append(box, mail(rng.IntN(1_000_000)))
	case n == 5:
		r.must(r.srv.SetFlags(snap.Messages[rng.IntN(len(snap.Messages))].ID, `\Seen`, "kw"))
	case n == 6: // a move
		m := snap.Messages[rng.IntN(len(snap.Messages))]
		if _, err := r.srv.Append(box, gmailsim.Message{Body: m.Body(), Date: m.Date, Flags: m.Flags}); err == nil {
			r.must(r.srv.Expunge(m.ID))
		}
	case n == 7:
		r.must(r.srv.Expunge(snap.Messages[rng.IntN(len(snap.Messages))].ID))
	case n == 8:
		_ = r.srv.ChangeUIDValidity(box)
	case n == 9 && box != "INBOX":
		to := fmt.Sprintf("%s%d", (*names)[1], rng.IntN(1000))
		if r.srv.RenameMailbox(box, to) == nil {
			*names = append(*names, to)
		}
	case n == 10 && box != "INBOX":
		_ = r.srv.DeleteMailbox(box)
	}
}
