package gmailsim

import (
	"slices"
	"strings"
	"testing"
)

func TestListLocalized(t *testing.T) {
	for locale, want := range map[string][]string{
		"en-GB": {`* LIST (\Trash \HasNoChildren) "/" "[Gmail]/Bin"`, `* LIST (\HasChildren \Noselect) "/" "[Gmail]"`},
		"de":    {`* LIST (\All \HasNoChildren) "/" "[Google Mail]/Alle Nachrichten"`, `* LIST (\Drafts \HasNoChildren) "/" "[Google Mail]/Entw&APw-rfe"`},
		"fr":    {`* LIST (\Sent \HasNoChildren) "/" "[Gmail]/Messages envoy&AOk-s"`, `* LIST (\Trash \HasNoChildren) "/" "[Gmail]/Corbeille"`},
		"ru":    {`* LIST (\All \HasNoChildren) "/" "[Gmail]/&BBIEQQRP- &BD8EPgRHBEIEMA-"`},
		"ja":    {`* LIST (\All \HasNoChildren) "/" "[Gmail]/&MFkweTBmMG4w4TD8MOs-"`},
	} {
		s := New(Options{Locale: locale})
		got := login(t, s.Start(t)).ok(`a LIST "" "*"`)
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: no %s in\n%s", locale, w, strings.Join(got, "\n"))
			}
		}
		if err := s.HideFolder(`\All`); err != nil {
			t.Fatal(err)
		}
		if got := login(t, s.Start(t)).ok(`a LIST "" "*"`); strings.Contains(strings.Join(got, "\n"), `\All `) {
			t.Errorf("%s: All Mail is listed though hidden", locale)
		}
	}
}

func TestListExtended(t *testing.T) {
	s := New(Options{})
	deliver(t, s, Message{Body: rfcMail("1", "one"), Labels: []string{"work/project x"}, Date: march})
	login(t, s.Start(t)).play(`C: a LIST "" (work%) RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN UIDNEXT))
		S: * LIST (\HasChildren \Noselect \Subscribed) "/" "work"
		S: a OK Success
		C: b LIST "" ("work/*") RETURN (STATUS (MESSAGES UNSEEN UIDNEXT))
		S: * LIST (\HasNoChildren) "/" "work/project x"
		S: * STATUS "work/project x" (MESSAGES 1 UNSEEN 1 UIDNEXT 2)
		S: b OK Success
		C: c LIST (SPECIAL-USE) "" "[Gmail]/S*"
		S: * LIST (\Sent \HasNoChildren) "/" "[Gmail]/Sent Mail"
		S: * LIST (\Junk \HasNoChildren) "/" "[Gmail]/Spam"
		S: * LIST (\Flagged \HasNoChildren) "/" "[Gmail]/Starred"
		S: c OK Success
		C: d XLIST "" INBOX
		S: * XLIST (\Inbox \HasNoChildren) "/" "Inbox"
		S: d OK Success
		C: e UNSUBSCRIBE "work/project x"
		S: e OK Success
		C: f LIST (SUBSCRIBED) "" "work/*"
		S: f OK Success
		C: g LIST "" ""
		S: * LIST (\Noselect) "/" ""
		S: g OK Success`)
}
