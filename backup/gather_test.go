package backup_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// Small mailboxes that are new cost two commands to be read and two to be downloaded, each pair of which goes to the server together.
func TestManySmallMailboxes(t *testing.T) {
	const boxes = 25
	for name, g := range map[string]gmailsim.Generic{"fingerprints": {Delimiter: "/", Condstore: true, ListStatus: true}, "ids": {Delimiter: ".", ObjectID: true, ListStatus: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: &g})
			for i := range boxes {
				box := fmt.Sprintf("box %d", i)
				r.must(r.srv.CreateMailbox(box))
				if i%5 == 0 {
					continue // stays empty
				}
				for k := range 3 {
					r.appendTo(box, mail(10*i+k))
				}
				r.appendTo(box, mail(7)) // the same everywhere
			}
			sum := r.run()
			if most := 4*(boxes+1) + 8; sum.Commands > most || sum.WarningCount != 0 || sum.Unfinished {
				t.Errorf("more than %d commands: %+v", most, sum)
			}
			if n := r.srv.Counters().Commands["UID SEARCH"]; n != 0 {
				t.Errorf("%d searches", n)
			}
			r.same("/")
			if sum := r.run(); g.Condstore && sum.Unchanged != boxes+1 || sum.Downloaded != 0 {
				t.Errorf("%+v", sum)
			}
		})
	}
}

// What comes behind an EXAMINE that says that the mailbox is another one is thrown away.
func TestRenumberedBeforeDownload(t *testing.T) {
	r := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: "/", ListStatus: true}})
	r.must(r.srv.CreateMailbox("other"))
	for i := range 10 {
		r.appendTo("INBOX", mail(i))
		r.appendTo("other", mail(100+i))
	}
	r.o.Connections = 1
	var seen atomic.Int32
	r.editing(func(line string) string {
		if strings.HasPrefix(line, "* OK [UIDVALIDITY ") && seen.Add(1) > 2 {
			return "* OK [UIDVALIDITY 4711] another one\r\n"
		}
		return line
	})
	sum := r.run()
	if !warned(sum, backup.WarnUnreadable) || !sum.Unfinished || sum.Holes != 0 {
		t.Errorf("%+v", sum)
	}
	// The one that was read last was open still.
	if have, _ := r.kept(); len(have["INBOX"])+len(have["other"]) > 10 {
		t.Errorf("%v", have)
	}
	seen.Store(-1 << 30)
	if sum = r.run(); sum.Unfinished {
		t.Errorf("%+v", sum)
	}
	r.same("/")
}
