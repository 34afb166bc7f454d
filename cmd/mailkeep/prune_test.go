package main

import (
	"testing"

	"mailkeep/archive"
)

func TestLeavesOut(t *testing.T) {
	for _, test := range []struct {
		include, exclude []string
		box              archive.Mailbox
		want             bool
	}{
		{nil, []string{"Spam"}, archive.Mailbox{Name: "[Gmail]/Junk", SpecialUse: `\Junk`}, true},
		{nil, []string{"Spam"}, archive.Mailbox{Name: "INBOX"}, false},
		{[]string{"INBOX"}, nil, archive.Mailbox{Name: "INBOX"}, false},
		{[]string{"INBOX"}, nil, archive.Mailbox{Name: "Lists"}, true},
		{[]string{"INBOX"}, nil, archive.Mailbox{Name: archive.GoneMailbox}, false},
		{[]string{"INBOX"}, nil, archive.Mailbox{Name: archive.RecoveredMailbox}, false}, // the only place where messages without facts are shown
		{[]string{"INBOX"}, nil, archive.Mailbox{Name: archive.RecoveredMailbox + " mailbox 3"}, false},
		{nil, []string{archive.RecoveredMailbox}, archive.Mailbox{Name: archive.RecoveredMailbox}, true},
	} {
		a := Account{Exclude: test.exclude, Fetching: Fetching{Include: test.include}}
		if got := a.leavesOut(test.box, nil); got != test.want {
			t.Errorf("include %v, exclude %v: %q is left out: %v", test.include, test.exclude, test.box.Name, got)
		}
	}
}
