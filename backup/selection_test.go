package backup_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func TestSelectByAgeAndSize(t *testing.T) {
	for _, g := range []*gmailsim.Generic{nil, {Delimiter: "/"}} {
		r := newRig(t, gmailsim.Options{Generic: g})
		for i := range 40 {
			m := mail(i)
			m.Date = time.Now().AddDate(0, 0, -i)
			if i%4 == 0 {
				m.Body = append(m.Body, bytes.Repeat([]byte("x"), 20_000)...)
			}
			if g == nil {
				m.Labels = []string{`\Inbox`}
				r.deliver(m)
			} else {
				r.appendTo("INBOX", m)
			}
		}
		r.o.MaxAge, r.o.MaxSize = 20*24*time.Hour+time.Hour, 10_000
		want := 15 // of 21 days, 0 to 20, without each fourth; 21 days back may still be the same date
		sum := r.run()
		if sum.NewMessages < want || sum.NewMessages > want+1 || sum.Unfinished || sum.Holes > 0 || sum.Gone > 0 {
			t.Errorf("%+v", sum)
		}
		if again := r.run(); again.Downloaded+again.Gone+again.Entered != 0 {
			t.Errorf("again: %+v", again)
		}
		// A wider selection finds what was left out; a narrower one takes nothing away.
		r.o.MaxSize = 0
		if wider := r.run(); wider.NewMessages < 5 || wider.NewMessages > 6 {
			t.Errorf("wider: %+v", wider)
		}
		r.o.MaxAge = 0
		r.run()
		r.same("/")
		r.o.MaxAge = time.Hour
		if narrow := r.run(); narrow.Gone+narrow.Left+narrow.Downloaded != 0 {
			t.Errorf("narrow: %+v", narrow)
		}
		r.same("/")
		r.must(r.w.Close())
	}
}

func TestInclude(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.deliver(labelled(1, `\Inbox`, "Receipts"))
	r.deliver(labelled(2, `\Inbox`))
	r.deliver(labelled(3, "Work/one"))
	r.deliver(labelled(4, `\Trash`))
	r.o.Include, r.o.Exclude = []string{"Receipts", "Work/*"}, []string{"Work/two"}
	if sum := r.run(); sum.NewMessages != 2 {
		t.Errorf("%+v", sum)
	}
	have, _ := r.kept()
	if len(have["Receipts"]) != 1 || len(have["Work/one"]) != 1 || len(have["INBOX"]) != 0 {
		t.Errorf("%v", have)
	}
	r.o.Include, r.o.Exclude = nil, nil
	r.run()
	r.same("/")
	r.onceEach()

	g := newRig(t, gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: ".", SpecialUse: true}})
	g.must(g.srv.CreateMailbox("Lists.go"))
	g.must(g.srv.CreateMailbox("Lists.rust"))
	for i, name := range []string{"INBOX", "Lists.go", "Lists.rust"} {
		g.appendTo(name, mail(i))
	}
	g.o.Include, g.o.Exclude = []string{"Lists.*"}, []string{"Lists/rust"}
	if sum := g.run(); sum.NewMessages != 1 || sum.Mailboxes != 1 {
		t.Errorf("%+v", sum)
	}
}

// A label that the selection covers only later comes with the messages that were recorded without it; a label that is new costs no look at all the others.
func TestWidened(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	first := r.deliver(labelled(1, `\Inbox`, "Lists/a"))
	second := r.deliver(labelled(2, `\Inbox`, `\Important`))
	r.o.Exclude = []string{"Lists/*", `Important`}
	r.run()
	r.run()
	if have, _ := r.kept(); len(have["INBOX"]) != 2 || len(have["Lists/a"])+len(have[r.srv.FolderName(`\Important`)]) != 0 {
		t.Errorf("%v", have)
	}
	r.o.Exclude = nil
	if sum := r.run(); sum.Entered != 2 || sum.Unfinished {
		t.Errorf("wider: %+v", sum)
	}
	r.same("/")
	// Left out again, changed meanwhile, and back.
	r.o.Exclude = []string{"Lists/*"}
	r.run()
	r.must(r.srv.AddLabels(second, "Lists/a"))
	r.run()
	r.o.Exclude = nil
	if sum := r.run(); sum.Entered == 0 {
		t.Errorf("wider again: %+v", sum)
	}
	r.same("/")
	before := len(r.log.String())
	r.must(r.srv.AddLabels(first, "New"))
	r.run()
	r.same("/")
	for line := range strings.Lines(r.log.String()[before:]) {
		if strings.Contains(line, "UID FETCH") && !strings.Contains(line, "CHANGEDSINCE") {
			t.Errorf("all is read for a new label: %s", line)
		}
	}
	if sum := r.run(); sum.Unchanged != 3 {
		t.Errorf("%+v", sum)
	}
	r.onceEach()
}

// A dry run tells the same numbers as the run after it, and writes nothing.
func TestDryRun(t *testing.T) {
	for _, g := range []*gmailsim.Generic{nil, {Delimiter: "/", ESearch: true}} {
		r := newRig(t, gmailsim.Options{Generic: g})
		for i := range 60 {
			if g == nil {
				r.deliver(labelled(i, `\Inbox`))
			} else {
				r.appendTo("INBOX", mail(i))
			}
		}
		box := "INBOX"
		if g == nil {
			box = r.srv.FolderName(`\All`)
		}
		r.o.Exclude = []string{"spam"}
		look := func() backup.Preview {
			t.Helper()
			before := tree(t, r.dir)
			all, err := backup.DryRun(context.Background(), r.w.Reader, r.o)
			r.must(err)
			if after := tree(t, r.dir); !slices.Equal(before, after) {
				t.Errorf("it wrote: %v, before %v", after, before)
			}
			at := slices.IndexFunc(all, func(p backup.Preview) bool { return p.Mailbox == box })
			if at < 0 {
				t.Fatalf("%q is missing: %+v", box, all)
			}
			if g == nil && !slices.ContainsFunc(all, func(p backup.Preview) bool { return p.Mailbox == r.srv.FolderName(`\Junk`) && p.Excluded }) {
				t.Errorf("spam is not excluded: %+v", all)
			}
			return all[at]
		}
		first := look()
		sum := r.run()
		if first.New != 60 || first.Messages != 60 || first.Bytes != sum.Bytes || sum.Downloaded != 60 {
			t.Errorf("%+v, and the run: %+v", first, sum)
		}
		if again := look(); again.New != 0 || again.Bytes != 0 || again.Messages != 60 {
			t.Errorf("again: %+v", again)
		}
		r.o.MaxSize = 1
		if g == nil {
			r.deliver(labelled(100, `\Inbox`))
		} else {
			r.appendTo("INBOX", mail(100))
		}
		if left := look(); left.New != 0 || left.LeftOut != 1 {
			t.Errorf("left out: %+v", left)
		}
		r.must(r.w.Close())
	}
}

// tree lists the files of a folder with their sizes and times.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, "-wal") {
			return err
		}
		info, err := d.Info()
		if err == nil {
			all = append(all, path+" "+info.ModTime().String())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A message that moves is not gone, although the selection leaves it out at its new place; one that left is.
func TestMovedOutsideSelection(t *testing.T) {
	for name, g := range map[string]*gmailsim.Generic{"gmail": nil, "plain": {Delimiter: "/"}, "objects": {Delimiter: "/", ObjectID: true, Condstore: true, ListStatus: true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: g})
			put := func(box string, m gmailsim.Message) gmailsim.MsgID {
				if g == nil {
					m.Labels = []string{`\Inbox`}
					return r.deliver(m)
				}
				return r.appendTo(box, m)
			}
			if g != nil {
				r.must(r.srv.CreateMailbox("Old"))
			}
			var ids []gmailsim.MsgID
			for i := range 12 {
				ids = append(ids, put("INBOX", mail(i)))
			}
			r.run()
			put("INBOX", mail(50)) // is never selected
			put("Old", mail(51))
			r.o.MaxAge = 30 * 24 * time.Hour
			sum := r.run()
			if sum.Downloaded+sum.Gone != 0 {
				t.Errorf("nothing was selected: %+v", sum)
			}
			// Two move and one goes.
			for i, id := range ids[:2] {
				if g == nil {
					r.must(r.srv.MoveToTrash(id))
				} else {
					r.must(r.srv.Expunge(id))
					r.appendTo("Old", mail(i))
				}
			}
			r.must(r.srv.Expunge(ids[2]))
			if sum = r.run(); sum.Gone != 1 || sum.Downloaded+sum.NewMessages != 0 || sum.Holes != 0 {
				t.Errorf("moved: %+v", sum)
			}
			if sum = r.run(); sum.Gone+sum.Entered+sum.Left+sum.Downloaded != 0 {
				t.Errorf("again: %+v", sum)
			}
			r.o.MaxAge = 0
			if sum = r.run(); sum.Downloaded != 2 || sum.Gone != 0 {
				t.Errorf("everything: %+v", sum)
			}
			r.same("/")
		})
	}
}

func TestExclude(t *testing.T) {
	r := newRig(t, gmailsim.Options{Locale: "fr"})
	r.deliver(labelled(1, `\Inbox`, "Lists/a"))
	r.deliver(labelled(2, `\Trash`))
	r.deliver(labelled(3, `\Spam`))
	r.o.Exclude = []string{"spam", "Trash", "Lists/*"}
	r.run()
	have, _ := r.kept()
	for name := range have {
		if strings.HasPrefix(name, "Lists") || name == r.srv.FolderName(`\Trash`) || name == r.srv.FolderName(`\Junk`) {
			t.Errorf("%q is there", name)
		}
	}
	if len(have[r.srv.FolderName(`\All`)]) != 1 {
		t.Errorf("All Mail: %v", have)
	}
}
