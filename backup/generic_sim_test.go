package backup_test

import (
	"fmt"
	"testing"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// personalities are the plain servers that every scenario runs against.
var personalities = map[string]gmailsim.Generic{
	"bare":      {Delimiter: "/", Bare: true},
	"dots":      {Delimiter: ".", Prefix: "INBOX.", SpecialUse: true},
	"flat":      {Delimiter: "", ListStatus: true},
	"condstore": {Delimiter: "/", Condstore: true, ESearch: true, ListStatus: true, SpecialUse: true},
	"objects":   {Delimiter: "/", Condstore: true, ObjectID: true, ESearch: true, ListStatus: true, UTF8: true},
	"uid last":  {Delimiter: "/", UIDLast: true, ESearch: true, ThreadNil: true, ObjectID: true},
}

func eachPersonality(t *testing.T, f func(*testing.T, gmailsim.Generic)) {
	for name, g := range personalities {
		t.Run(name, func(t *testing.T) { f(t, g) })
	}
}

// boxNames are mailboxes for a server with this delimiter.
func boxNames(g gmailsim.Generic) []string {
	switch g.Delimiter {
	case "":
		return []string{"INBOX", "Sent", "a/b", "Übung"}
	case ".":
		return []string{"INBOX", "INBOX.Sent", "INBOX.a/b", "INBOX.work.Übung", "INBOX.work.x & y"}
	}
	return []string{"INBOX", "Sent", "work/Übung", "work/x & y", "100%"}
}

func genericRig(t *testing.T, g gmailsim.Generic) *rig {
	r := newRig(t, gmailsim.Options{Generic: &g})
	for _, name := range boxNames(g)[1:] {
		r.must(r.srv.CreateMailbox(name))
	}
	return r
}

func TestGenericFirstAndSecondRun(t *testing.T) {
	eachPersonality(t, func(t *testing.T, g gmailsim.Generic) {
		r := genericRig(t, g)
		names := boxNames(g)
		for i := range 120 {
			m := mail(i)
			if i%3 == 0 {
				m.Flags = []string{`\Seen`, "Custom"}
			}
			r.appendTo(names[i%len(names)], m)
			if i%4 == 0 { // and a copy elsewhere, with other flags
				m.Flags = []string{`\Flagged`}
				r.appendTo(names[(i+1)%len(names)], m)
			}
		}
		first := r.run()
		r.same(g.Delimiter)
		want := 120
		if g.ObjectID {
			want = 150 // the simulator gives an APPENDed copy an EMAILID of its own
		}
		if first.Downloaded != want || first.NewMessages != 120 {
			t.Errorf("downloaded %d, want %d; new %d, want 120", first.Downloaded, want, first.NewMessages)
		}
		r.srv.ResetCounters()
		second := r.run()
		r.same(g.Delimiter)
		c := r.srv.Counters()
		if second.Downloaded != 0 || c.Bodies != 0 || second.Entered+second.Left+second.Flags+second.Gone != 0 {
			t.Errorf("the second run did something: %+v", second)
		}
		if g.Condstore && c.Commands["EXAMINE"] != 0 {
			t.Errorf("the second run opened mailboxes: %v", c.Commands)
		}
	})
}

func TestGenericChanges(t *testing.T) {
	eachPersonality(t, func(t *testing.T, g gmailsim.Generic) {
		r := genericRig(t, g)
		names := boxNames(g)
		var ids []gmailsim.MsgID
		for i := range 40 {
			ids = append(ids, r.appendTo(names[i%3], mail(i)))
		}
		r.run()
		step := func(name string, change func(), check func(backup.Summary) error) {
			t.Helper()
			change()
			sum := r.run()
			r.same(g.Delimiter)
			if t.Failed() {
				t.Fatalf("after %q: %+v", name, sum)
			}
			if check != nil {
				if err := check(sum); err != nil {
					t.Errorf("after %q: %v: %+v", name, err, sum)
				}
			}
		}
		count := func(what string, have func(backup.Summary) int, want int) func(backup.Summary) error {
			return func(s backup.Summary) error {
				if have(s) != want {
					return fmt.Errorf("%s %d, want %d", what, have(s), want)
				}
				return nil
			}
		}
		downloads := func(s backup.Summary) int { return s.Downloaded }
		gone := func(s backup.Summary) int { return s.Gone }
		step("flags", func() { r.must(r.srv.SetFlags(ids[0], `\Seen`, `\Deleted`)) }, count("flags", func(s backup.Summary) int { return s.Flags }, 1))
		step("new mail", func() { r.appendTo(names[1], mail(500)) }, count("downloaded", downloads, 1))
		step("expunge", func() { r.must(r.srv.Expunge(ids[3])) }, count("gone", gone, 1))
		step("returned", func() { r.appendTo(names[0], mail(3)) }, nil)
		if !g.ObjectID {
			step("move", func() { r.appendTo(names[2], mail(6)); r.must(r.srv.Expunge(ids[6])) }, count("gone", gone, 0))
			step("move back", func() {
				for _, m := range r.srv.Snapshot().Messages {
					if string(m.Body()) == string(mail(6).Body) {
						r.must(r.srv.Expunge(m.ID))
					}
				}
				r.appendTo(names[0], mail(6))
			}, count("downloaded", downloads, 0))
		}
		for _, name := range names[:3] {
			step("renumber", func() { r.must(r.srv.ChangeUIDValidity(name)) }, func(s backup.Summary) error {
				if s.Downloaded+s.Gone+s.Entered+s.Left != 0 {
					return fmt.Errorf("did something")
				}
				return nil
			})
		}
		step("rename", func() { r.must(r.srv.RenameMailbox(names[1], names[1]+" renamed")) }, func(s backup.Summary) error {
			if s.Downloaded+s.Gone+s.Entered+s.Left != 0 || s.Renamed != 1 {
				return fmt.Errorf("did something else")
			}
			return nil
		})
		step("delete", func() { r.must(r.srv.DeleteMailbox(names[2])) }, count("downloaded", downloads, 0))
		step("nothing", func() {}, count("entered", func(s backup.Summary) int { return s.Entered + s.Left + s.Flags + s.Gone }, 0))
	})
}
