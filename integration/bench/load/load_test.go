package load

import (
	"strings"
	"testing"

	"mailkeep/integration/bench/gen"
	"mailkeep/integration/dovecot"
)

// filled gives a Dovecot with one corpus in a Maildir and in an sdbox.
func filled(t *testing.T) []*Target {
	t.Helper()
	s := dovecot.New(t, dovecot.Options{NoFsync: true, Users: []dovecot.User{{Name: "maildir"}, {Name: "sdbox", Storage: dovecot.Sdbox}}})
	corpus := gen.New(200, 3, gen.Full)
	tally, err := FillMaildir(s, "maildir", corpus)
	if err != nil {
		t.Fatal(err)
	}
	maildir := &Target{Name: "maildir", Addr: s.Addr, User: "maildir", Password: "pass", Want: tally}
	sdbox := &Target{Name: "sdbox", Addr: s.Addr, User: "sdbox", Password: "pass", Want: tally}
	if err := sdbox.Fill(corpus); err != nil {
		t.Fatal(err)
	}
	return []*Target{maildir, sdbox}
}

func TestScenariosAgainstDovecot(t *testing.T) {
	for _, target := range filled(t) {
		for _, s := range Scenarios() {
			took, err := s.Run(target)
			if err != nil {
				t.Errorf("%s: %s: %v", target.Name, s.Name, err)
			}
			if took <= 0 {
				t.Errorf("%s: %s took %v", target.Name, s.Name, took)
			}
		}
	}
}

// A server that has one message too few, one byte too many or another body fails the scenarios that would notice.
func TestWrongAnswersAreFound(t *testing.T) {
	target := filled(t)[0]
	spoil := func(change func(*gen.Total)) {
		total := target.Want.Mailboxes[gen.AllMail]
		change(&total)
		target.Want.Mailboxes[gen.AllMail] = total
	}
	for _, c := range []struct {
		change   func(*gen.Total)
		scenario string
	}{
		{func(t *gen.Total) { t.Messages++ }, "FLAGS"},
		{func(t *gen.Total) { t.Messages++ }, "STATUS"},
		{func(t *gen.Total) { t.HeaderBytes++ }, "header list"},
		{func(t *gen.Total) { t.Bytes++ }, "ENVELOPE"},
		{func(t *gen.Total) { t.CRCSum++ }, "one FETCH"},
		{func(t *gen.Total) { t.CRCSum++ }, "pipelined"},
	} {
		right := target.Want.Mailboxes[gen.AllMail]
		spoil(c.change)
		for _, s := range Scenarios() {
			if strings.Contains(s.Name, c.scenario) && !strings.HasPrefix(s.Name, "50") {
				if _, err := s.Run(target); err == nil {
					t.Errorf("%s did not notice a wrong answer", s.Name)
				}
			}
		}
		target.Want.Mailboxes[gen.AllMail] = right
	}
	target.Want.Searches[0].Count++
	if _, err := search(target, 0); err == nil {
		t.Error("a search with a wrong number of results was accepted")
	}
}
