package gmailsim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestLabelForms(t *testing.T) {
	_, id, c := labelled(t, `\Inbox`, `\Important`, "Receipts", "work/project x", "Übung", "R&D", `\foo`, "+x", "[odd]", `say "hi"`)
	want := `("[odd]" "\\Important" "\\Inbox" "\\foo" "say \"hi\"" "work/project x" &ANw-bung +x R&-D Receipts)`
	got := c.ok(`b UID FETCH 1:* (UID X-GM-MSGID X-GM-THRID X-GM-LABELS)`)[0]
	if got != fmt.Sprintf(`* 1 FETCH (X-GM-THRID %d X-GM-MSGID %d X-GM-LABELS %s UID 1)`, id, id, want) {
		t.Fatal(got)
	}
	// A label folder's view omits its own label, system or not.
	c.ok(`c SELECT "&ANw-bung"`)
	if got := c.ok(`d FETCH 1 (X-GM-LABELS)`)[0]; got != `* 1 FETCH (X-GM-LABELS `+strings.Replace(want, "&ANw-bung ", "", 1)+`)` {
		t.Fatal(got)
	}
	c.ok(`e SELECT INBOX`)
	if got := c.ok(`f FETCH 1 (X-GM-LABELS)`)[0]; got != `* 1 FETCH (X-GM-LABELS `+strings.Replace(want, `"\\Inbox" `, "", 1)+`)` {
		t.Fatal(got)
	}
}

func TestStoreLabels(t *testing.T) {
	s, id, c := labelled(t, "work/project x", `\foo`)
	at := func() uint64 {
		t.Helper()
		m, err := s.Message(id)
		if err != nil {
			t.Fatal(err)
		}
		return m.ModSeq
	}
	expect := func(cmd string, want ...string) {
		t.Helper()
		got := c.do(cmd)
		for i, w := range want {
			want[i] = strings.ReplaceAll(w, "@", fmt.Sprint(at()))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s:\ngot  %s\nwant %s", cmd, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	expect(`b UID FETCH 1 (FLAGS MODSEQ X-GM-LABELS)`, `* 1 FETCH (X-GM-LABELS ("\\foo" "work/project x") UID 1 MODSEQ (@) FLAGS (\Seen))`, `b OK Success`)
	expect(`c UID STORE 1 +X-GM-LABELS (&ANw-bung ProbeImplicit)`,
		`* 1 FETCH (X-GM-LABELS ("\\foo" "work/project x" &ANw-bung ProbeImplicit) MODSEQ (@) UID 1)`, `c OK Success`)
	expect(`d STORE 1 -X-GM-LABELS ("\\foo")`, `* 1 FETCH (X-GM-LABELS ("work/project x" &ANw-bung ProbeImplicit) MODSEQ (@))`, `d OK Success`)
	expect(`e UID STORE 1 +X-GM-LABELS (\Starred)`,
		`* 1 FETCH (X-GM-LABELS ("\\Starred" "work/project x" &ANw-bung ProbeImplicit) MODSEQ (@) UID 1)`,
		`* 1 FETCH (UID 1 MODSEQ (@) FLAGS (\Flagged \Seen))`, `e OK Success`)
	expect(`f UID STORE 1 (UNCHANGEDSINCE 1) +X-GM-LABELS (no)`,
		`* 1 FETCH (X-GM-LABELS ("\\Starred" "work/project x" &ANw-bung ProbeImplicit) MODSEQ (@) UID 1)`,
		`f OK [MODIFIED 1] Conditional Store Failed (Success)`)
	expect(`g UID STORE 1 -X-GM-LABELS.SILENT (\Starred)`, `* 1 FETCH (UID 1 MODSEQ (@))`, `* 1 FETCH (UID 1 MODSEQ (@) FLAGS (\Seen))`, `g OK Success`)
	expect(`h UID STORE 1 +X-GM-LABELS (SPAM)`, `h BAD Invalid Arguments: Label name is not allowed: SPAM`)
	expect(`i UID STORE 1 X-GM-LABELS (only)`, `* 1 FETCH (X-GM-LABELS (only) MODSEQ (@) UID 1)`, `i OK Success`)
	expect(`j UID STORE 1 +X-GM-LABELS (\Sent \Draft)`, `* 1 FETCH (X-GM-LABELS (only) MODSEQ (@) UID 1)`, `j OK Success`)
	if m, _ := s.Message(id); !slices.Equal(m.Labels, []string{"only"}) || m.UIDs["only"] != 1 {
		t.Fatalf("labels %q, UIDs %v", m.Labels, m.UIDs)
	}
}

func TestFoldersOfLabels(t *testing.T) {
	s := New(Options{})
	c := login(t, s.Start(t))
	c.play(`C: a CREATE "work/project x"
		S: a OK Success
		C: b LIST "" "work*"
		S: * LIST (\HasChildren \Noselect) "/" "work"
		S: * LIST (\HasNoChildren) "/" "work/project x"
		S: b OK Success
		C: c DELETE "work/project x"
		S: c OK Success
		C: d DELETE "work"
		S: d NO [NONEXISTENT] Unknown folder (Failure)
		C: e CREATE " blank"
		S: e NO [CANNOT] Folder contains excess whitespace (Failure)
		C: f CREATE "two  blanks"
		S: f NO [CANNOT] Folder contains excess whitespace (Failure)
		C: g CREATE "a//b"
		S: g NO [CANNOT] No folder name given. (Failure)
		C: h CREATE "a^b"
		S: h NO [CANNOT] Invalid folder name (Failure)
		C: i CREATE Foo
		S: i OK Success
		C: j CREATE foo
		S: j NO [ALREADYEXISTS] Duplicate folder name (Failure)
		C: k CREATE "\\Starred"
		S: k OK Success
		C: l RENAME Foo "Bar/R&-D"
		S: l OK Success
		C: m LIST "" "B*"
		S: * LIST (\HasChildren \Noselect) "/" "Bar"
		S: * LIST (\HasNoChildren) "/" "Bar/R&-D"
		S: m OK Success
		C: m2 DELETE Bar
		S: m2 NO [NONEXISTENT] Unknown folder (Failure)
		C: m3 CREATE "Baz/x"
		S: m3 OK Success
		C: m4 RENAME "Bar/R&-D" "Baz/x"
		S: m4 NO [ALREADYEXISTS] Duplicate folder name (Failure)
		C: m5 RENAME "Bar/R&-D" plain
		S: m5 OK Success
		C: m6 LIST "" "B*"
		S: * LIST (\HasChildren \Noselect) "/" "Baz"
		S: * LIST (\HasNoChildren) "/" "Baz/x"
		S: m6 OK Success
		C: n DELETE INBOX
		S: n NO [CANNOT] System folder cannot be changed (Failure)
		C: o CREATE "&ANw"
		S: o BAD Could not parse command`)
}

func TestTrashAndSpamExclude(t *testing.T) {
	s, id, c := labelled(t, `\Inbox`, `\Starred`, "work")
	c.ok(`b UID MOVE 1 "[Gmail]/Trash"`)
	m, err := s.Message(id)
	if err != nil || len(m.UIDs) != 1 || m.UIDs["[Gmail]/Trash"] != 1 || !slices.Equal(m.Labels, []string{`\Trash`}) {
		t.Fatalf("in Trash: %v %q %v", m.UIDs, m.Labels, err)
	}
	c.ok(`c SELECT "[Gmail]/Trash"`)
	if got := c.ok(`d UID FETCH 1 (X-GM-LABELS)`)[0]; got != `* 1 FETCH (X-GM-LABELS () UID 1)` {
		t.Fatal(got)
	}
	c.ok(`e UID COPY 1 work`)
	m, _ = s.Message(id)
	if !slices.Equal(m.Labels, []string{`\Starred`, "work"}) || m.UIDs["[Gmail]/All Mail"] != 2 {
		t.Fatalf("back from Trash: %v %q", m.UIDs, m.Labels)
	}
	if err := s.MoveToSpam(id); err != nil {
		t.Fatal(err)
	}
	c.ok(`f SELECT "[Gmail]/Spam"`)
	c.ok(`g UID STORE 1 +FLAGS (\Deleted)`)
	if _, err := s.Message(id); err == nil {
		t.Fatal("deleting in Spam must be for ever")
	}
}

func TestAutoExpunge(t *testing.T) {
	s, id, c := labelled(t, "work")
	c.ok("b SELECT work")
	c.play("C: c UID STORE 1 +FLAGS.SILENT (\\Deleted)\nS: * 1 EXPUNGE\nS: * 0 EXISTS\nS: c OK Success")
	if m, err := s.Message(id); err != nil || len(m.Labels) != 0 || len(m.UIDs) != 1 {
		t.Fatalf("only the label goes: %v %v", m, err)
	}
	off := New(Options{AutoExpungeOff: true})
	for i := range 3 {
		deliver(t, off, Message{Body: rfcMail(fmt.Sprint(i), "x"), Labels: []string{"work"}, Date: march})
	}
	d := login(t, off.Start(t))
	d.ok("a SELECT work")
	d.ok(`b STORE 1:3 +FLAGS (\Deleted)`)
	d.play("C: c UID EXPUNGE 2:9\nS: * 2 EXPUNGE\nS: * 2 EXPUNGE\nS: * 1 EXISTS\nS: c OK Success\n" +
		"C: d EXPUNGE\nS: * 1 EXPUNGE\nS: * 0 EXISTS\nS: d OK Success")
	if n := len(off.Snapshot().Messages); n != 3 {
		t.Fatalf("%d messages left", n)
	}
}
