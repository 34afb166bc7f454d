package backup_test

import (
	"testing"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

func TestGmailFirstAndSecondRun(t *testing.T) {
	for _, locale := range []string{"en-US", "en-GB", "de", "fr", "ru", "ja"} {
		t.Run(locale, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Locale: locale})
			r.must(r.srv.Load(gmailsim.Sample(300, 1), "Empty", "Nested/deep/er"))
			first := r.run()
			r.same("/")
			r.onceEach()
			if first.Downloaded != 300 {
				t.Errorf("downloaded %d, want 300", first.Downloaded)
			}
			r.srv.ResetCounters()
			second := r.run()
			r.same("/")
			c := r.srv.Counters()
			if second.Downloaded != 0 || c.Bodies != 0 || second.Entered+second.Left+second.Flags+second.Gone != 0 {
				t.Errorf("the second run did something: %+v", second)
			}
			// LOGIN, two CAPABILITY, ID, LIST, LOGOUT.
			total := 0
			for _, n := range c.Commands {
				total += n
			}
			if total > 7 {
				t.Errorf("the second run took %d commands: %v", total, c.Commands)
			}
			if warned(first, backup.WarnHole) {
				t.Errorf("warnings: %v", first.Warnings)
			}
		})
	}
}

func TestGmailOddLabels(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	odd := []string{`\foo`, "R&D", "+x", `say "hi"`, "Übung", "work/project x", "日本語/メール", "a.b", "100%", "%2F", "[brackets]", "(paren)", "*", "tab{3}", "Gone from server"}
	for i, label := range odd {
		r.deliver(labelled(i, label, `\Inbox`))
		r.deliver(labelled(100+i, label))
	}
	r.deliver(labelled(900, odd...))
	r.deliver(labelled(901, `\Muted`))
	r.run()
	have, _ := r.kept()
	want := r.source("/")
	for _, label := range odd {
		name := label
		switch label {
		case "%2F":
			name = "%252F"
		case "Gone from server":
			name = "Gone%20from server"
		}
		if len(want[label]) != 3 || len(have[name]) != 3 {
			t.Errorf("label %q: %d at the server, %d in the archive", label, len(want[label]), len(have[name]))
		}
	}
	if len(have["[Gmail]/Muted"]) != 1 {
		t.Errorf("muted: %v", have["[Gmail]/Muted"])
	}
}

func TestGmailChanges(t *testing.T) {
	r := newRig(t, gmailsim.Options{})
	r.must(r.srv.Load(gmailsim.Sample(120, 2), "Empty"))
	r.run()
	ids := r.srv.Snapshot().Messages
	step := func(name string, change func() error, check func(backup.Summary)) {
		t.Helper()
		r.must(change())
		r.srv.ResetCounters()
		sum := r.run()
		r.same("/")
		if t.Failed() {
			t.Fatalf("after %s: %+v", name, sum)
		}
		check(sum)
	}
	expect := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	live := ids[60].ID
	r.must(r.srv.SetLabels(live, "Empty"))
	step("label", func() error { return r.srv.AddLabels(live, "New label", `\Important`) }, func(s backup.Summary) { expect("downloaded", s.Downloaded, 0) })
	step("flag", func() error { return r.srv.SetFlags(live, `\Seen`, `\Answered`, "$Keyword") }, func(s backup.Summary) { expect("flags", s.Flags, 1) })
	step("unlabel", func() error { return r.srv.RemoveLabels(live, "New label") }, func(s backup.Summary) { expect("left", s.Left, 1) })
	step("trash", func() error { return r.srv.MoveToTrash(live) }, func(s backup.Summary) { expect("gone", s.Gone, 0); expect("downloaded", s.Downloaded, 0) })
	step("untrash", func() error { return r.srv.RemoveLabels(live, `\Trash`) }, func(s backup.Summary) { expect("gone", s.Gone, 0) })
	step("spam", func() error { return r.srv.MoveToSpam(live) }, func(s backup.Summary) { expect("gone", s.Gone, 0) })
	step("not spam", func() error { return r.srv.AddLabels(live, `\Inbox`) }, func(s backup.Summary) { expect("downloaded", s.Downloaded, 0) })
	step("new mail", func() error { r.deliver(labelled(5000, `\Inbox`)); return nil }, func(s backup.Summary) { expect("downloaded", s.Downloaded, 1) })
	step("expunge", func() error { return r.srv.Expunge(live) }, func(s backup.Summary) { expect("gone", s.Gone, 1) })
	step("rename", func() error { return r.srv.RenameLabel("Empty", "Renamed/Empty") }, func(s backup.Summary) { expect("renamed", s.Renamed, 1) })
	for _, all := range []string{`\All`, `\Trash`, `\Junk`} {
		step("renumber "+all, func() error { return r.srv.ChangeUIDValidity(r.srv.FolderName(all)) }, func(s backup.Summary) {
			expect("downloaded", s.Downloaded, 0)
			expect("entered", s.Entered, 0)
			expect("left", s.Left, 0)
			expect("gone", s.Gone, 0)
		})
	}
	step("delete label", func() error { return r.srv.DeleteLabel("Renamed/Empty") }, func(s backup.Summary) { expect("gone", s.Gone, 0) })
	step("nothing", func() error { return nil }, func(s backup.Summary) { expect("changes", s.Entered+s.Left+s.Flags, 0) })
}
