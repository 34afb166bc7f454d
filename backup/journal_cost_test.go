package backup_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailkeep/integration/gmailsim"
)

// mostJournal is what the journal may cost for each message of a first backup.
const mostJournal = 300 // bytes

// TestJournalCost tells what the journal of a first backup costs, for messages with the labels that people have.
func TestJournalCost(t *testing.T) {
	const messages = 800
	for name, generic := range map[string]*gmailsim.Generic{"gmail": nil, "generic": {Delimiter: "/"}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, gmailsim.Options{Generic: generic})
			sample := gmailsim.Sample(messages, 3)
			if generic == nil {
				r.must(r.srv.Load(sample))
			} else {
				for _, m := range sample {
					m.Labels = nil
					r.appendTo("INBOX", m)
				}
			}
			r.o.BatchAge = 0 // as usual: batches of a second
			sum := r.run()
			files, err := filepath.Glob(filepath.Join(r.dir, "journal", "*.jsonl"))
			r.must(err)
			var all, each int
			for _, f := range files {
				text, err := os.ReadFile(f)
				r.must(err)
				all += len(text)
				for line := range strings.Lines(string(text)) {
					if strings.HasPrefix(line, `{"item"`) || strings.HasPrefix(line, `{"commit"`) {
						each += len(line)
					}
				}
			}
			each /= sum.NewItems
			t.Logf("%d bytes for %d messages in %d mailboxes: %d a message, the rest for the mailboxes", all, sum.NewItems, sum.Mailboxes, each)
			if each > mostJournal {
				t.Errorf("the journal costs %d bytes a message, and may cost %d", each, mostJournal)
			}
		})
	}
}
