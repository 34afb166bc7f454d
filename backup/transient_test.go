package backup_test

import (
	"slices"
	"testing"

	"mailkeep/archive"
	"mailkeep/integration/gmailsim"
)

// A label that was there between two lists of the folders only leaves no mailbox behind once it is empty.
func TestTransientLabel(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, `\Inbox`, "Kept"))
	r.run()
	a, err := r.w.AccountByName(t.Context(), account)
	r.must(err)
	names := func() (out []string) {
		boxes, err := r.w.Mailboxes(t.Context(), a.ID)
		r.must(err)
		for _, m := range boxes {
			out = append(out, m.Name)
		}
		return out
	}
	before := names()
	_, err = r.w.Record(t.Context(), archive.Batch{Account: a.ID, Mailboxes: []archive.MailboxSpec{{Name: "Transient"}}})
	r.must(err)
	if !slices.Contains(names(), "Transient") {
		t.Fatal("there is nothing to be hidden")
	}
	r.deliver(labelled(2, `\Inbox`))
	r.run()
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("mailboxes %q, before %q", after, before)
	}
	r.same("/")
}
