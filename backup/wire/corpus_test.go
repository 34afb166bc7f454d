package wire

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/integration/corpus"
)

// wireIDs is an oracle of its own: a search for ids, which works because they stand in the first line of a response.
var wireIDs = regexp.MustCompile(`(?m)^\* (\d+) FETCH \(X-GM-THRID (\d+) X-GM-MSGID (\d+) X-GM-LABELS \(([^)]*)\) UID (\d+)`)

// wireFile reads a conversation, which the corpus stores with bare line feeds.
func wireFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(corpus.GmailWire(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(b), "\r\n", "\n"), "\n", "\r\n")
}

// TestCorpusGmailSummary replays Gmail's answer about 21 messages to a real client.
func TestCorpusGmailSummary(t *testing.T) {
	answer := wireFile(t, "mailkit-gmail/search-summary.txt")
	data, _, _ := strings.Cut(answer, "A########")
	section := GmailSection()
	msgs, _ := wireFetch(t, wireAnswer{data: data}, &imap.FetchOptions{
		Flags: true, Envelope: true, RFC822Size: true, InternalDate: true, BodyStructure: &imap.FetchItemBodyStructure{},
		BodySection: []*imap.FetchItemBodySection{section}})
	want := wireIDs.FindAllStringSubmatch(data, -1)
	if len(want) != 21 || len(msgs) != len(want) {
		t.Fatalf("%d messages, want %d (21)", len(msgs), len(want))
	}
	for i, m := range msgs {
		items, err := ParseGmail(m.FindBodySection(section))
		got := []string{fmt.Sprint(m.SeqNum), fmt.Sprint(items.ThreadID), fmt.Sprint(items.MsgID), fmt.Sprint(m.UID)}
		if w := want[i]; err != nil || !reflect.DeepEqual(got, []string{w[1], w[2], w[3], w[5]}) {
			t.Errorf("got %v, %v, want %v", got, err, w[1:])
		}
		if !reflect.DeepEqual(items.Labels, []string{"Test Messages", `\Important`}) {
			t.Errorf("message %d: labels %q", m.SeqNum, items.Labels)
		}
		if m.RFC822Size == 0 || m.InternalDate.IsZero() || m.Envelope == nil || m.BodyStructure == nil || !reflect.DeepEqual(m.Flags, []imap.Flag{imap.FlagSeen}) {
			t.Errorf("message %d lost items: %+v", m.SeqNum, m)
		}
	}
}

// TestCorpusGmailLabels replays the answers to STORE of labels.
func TestCorpusGmailLabels(t *testing.T) {
	section := GmailSection()
	for _, name := range []string{"mailkit-gmail/add-labels.txt", "mailkit-gmail/set-labels.txt"} {
		data, _, _ := strings.Cut(wireFile(t, name), "A########")
		msgs, _ := wireFetch(t, wireAnswer{data: data}, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}})
		if len(msgs) != 21 {
			t.Fatalf("%s: %d messages", name, len(msgs))
		}
		for _, m := range msgs {
			items, err := ParseGmail(m.FindBodySection(section))
			if err != nil || !reflect.DeepEqual(items.Labels, []string{`\Important`, "Custom Label"}) || uint32(m.UID) != m.SeqNum {
				t.Errorf("%s, message %d: %q, %v", name, m.SeqNum, items.Labels, err)
			}
		}
	}
}

// wireBrokenFile has a literal that ends a line before its message does: to be refused, as the rest cannot be told from
// further responses.
const wireBrokenFile = "mailkit-gmail/headers.1+unsolicited-info.txt"

// TestCorpusGmailUnsolicited replays bodies among items nobody asked for; the message is one the corpus has as a file.
func TestCorpusGmailUnsolicited(t *testing.T) {
	for name, want := range map[string]int{"mailkit-gmail/fetch.1+unsolicited-info.txt": 181614, wireBrokenFile: 515} {
		data, _, _ := strings.Cut(wireFile(t, name), "A########")
		data = strings.Replace(data, "Outermost_Trek\r\n \r\n)", "Outermost_Trek\r\n)", 1)
		msgs, _ := wireFetch(t, wireAnswer{data: data}, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{Peek: true}}})
		if len(msgs) != 1 || len(msgs[0].BodySection) != 1 {
			t.Fatalf("%s: got %+v", name, msgs)
		}
		m := msgs[0]
		body := m.BodySection[0].Bytes
		if len(body) != want || m.UID != 1 || m.ModSeq != 29233 || !reflect.DeepEqual(m.Flags, []imap.Flag{imap.FlagSeen, imap.FlagDeleted}) {
			t.Errorf("%s: %d bytes, UID %d, MODSEQ %d, flags %v", name, len(body), m.UID, m.ModSeq, m.Flags)
		}
		file := []byte(wireFile(t, "gmail-structures/01.eml"))
		if !bytes.HasPrefix(file, body[:500]) {
			t.Errorf("%s: the body differs from the message", name)
		}
	}
}

// TestCorpusConversations sends every recorded conversation through a Conn: nothing may be refused, every literal
// outside of dropped items must come out, and any cut of the stream gives the same result.
func TestCorpusConversations(t *testing.T) {
	dir := corpus.GmailWire(t)
	var names []string
	for _, pattern := range []string{"mailkit-gmail/*.txt", "mailkit-other/*/*.txt"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	if len(names) < 150 {
		t.Fatalf("only %d conversations", len(names))
	}
	for _, name := range names {
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		in := wireFile(t, rel)
		out, err := wireTranslate(t, wireAsk, strings.NewReader(in))
		if broken := rel == wireBrokenFile; err != nil || broken {
			if !broken || !errors.Is(err, ErrWire) {
				t.Errorf("%s: %v", rel, err)
			}
			continue
		}
		if got, err := wireTranslate(t, wireAsk, iotest.HalfReader(iotest.OneByteReader(strings.NewReader(in)))); err != nil || got != out {
			t.Errorf("%s: another cut gave another result (%v)", rel, err)
		}
		if again, err := wireTranslate(t, wireAsk, strings.NewReader(out)); err != nil || again != out {
			t.Errorf("%s: a translation is not stable (%v)", rel, err)
		}
	}
}

// TestCorpusObservedLabels reads the transcripts of a live account of September 2026.
func TestCorpusObservedLabels(t *testing.T) {
	doc := wireFile(t, "docs/gmail-observed-2026-09-16.md")
	lines := regexp.MustCompile(`(?m)^    S: (\* \d+ FETCH .*\))\r$`).FindAllStringSubmatch(doc, -1)
	want := map[string][]string{
		`("\\Inbox")`: {`\Inbox`},
		`()`:          nil,
		`("\\Starred" "\\foo" "work/project x" ProbeImplicit R&-D)`:           {`\Starred`, `\foo`, "work/project x", "ProbeImplicit", "R&D"},
		`("\\Starred" "\\foo" "work/project x" &ANw-bung ProbeImplicit R&-D)`: {`\Starred`, `\foo`, "work/project x", "Übung", "ProbeImplicit", "R&D"},
		`(&ANw-bung)`: {"Übung"},
		`("\\foo" "work/project x" "Übung" ProbeImplicit)`:                  {`\foo`, "work/project x", "Übung", "ProbeImplicit"},
		`("\\foo" "work/project x" ProbeImplicit)`:                          {`\foo`, "work/project x", "ProbeImplicit"},
		`("\\Starred" "\\foo" "work/project x" "Übung" ProbeImplicit R&-D)`: {`\Starred`, `\foo`, "work/project x", "Übung", "ProbeImplicit", "R&D"},
		`("\\foo" "work/project x" &ANw-bung ProbeImplicit)`:                {`\foo`, "work/project x", "Übung", "ProbeImplicit"},
		`("\\Starred" "work/project x" &ANw-bung)`:                          {`\Starred`, "work/project x", "Übung"},
		`("\\foo" &ANw-bung ProbeImplicit)`:                                 {`\foo`, "Übung", "ProbeImplicit"},
	}
	seen := 0
	for _, line := range lines {
		list := regexp.MustCompile(`X-GM-LABELS (\(.*?\))[ )]`).FindStringSubmatch(line[1])
		items := wireOneItem(t, line[1])
		if list == nil {
			continue
		}
		expected, known := want[list[1]]
		if !known || !reflect.DeepEqual(items.Labels, expected) || !items.HasLabels {
			t.Errorf("%s: got %q, want %q (known %v)", line[1], items.Labels, expected, known)
		}
		seen++
	}
	if seen < 12 {
		t.Errorf("only %d label lists among %d lines", seen, len(lines))
	}
}

// wireOneItem gives one response line to a real client, by sequence number, and parses the Gmail items.
func wireOneItem(t testing.TB, line string) GmailItems {
	t.Helper()
	section := GmailSection()
	var items GmailItems
	wireClient(t, "FETCH", wireAnswer{data: line + "\r\n"}, func(client *imapclient.Client) {
		var all imap.SeqSet
		all.AddRange(1, 4294967295)
		msgs, err := client.Fetch(all, &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}}).Collect()
		if err != nil || len(msgs) != 1 {
			t.Fatalf("%s: %d messages, %v", line, len(msgs), err)
		}
		if items, err = ParseGmail(msgs[0].FindBodySection(section)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	})
	return items
}

// TestCorpusIssues replays lines that broke other clients.
func TestCorpusIssues(t *testing.T) {
	text := wireFile(t, "issues/excerpts.txt")
	labels := map[string][]string{
		`([Mailbox])`: {"[Mailbox]"},
		`(+IMNews)`:   {"+IMNews"},
		`("()" "(foobar)" "[foobar]" "\\Draft" "\\Important" "\\Starred" fav)`: {"()", "(foobar)", "[foobar]", `\Draft`, `\Important`, `\Starred`, "fav"},
		`("\\Inbox" "\\Important")`:             {`\Inbox`, `\Important`},
		`("\\Sent" CustomLabel)`:                {`\Sent`, "CustomLabel"},
		`("\\Important" "\\Inbox" "\\Starred")`: {`\Important`, `\Inbox`, `\Starred`},
		`()`:                                    nil,
	}
	found := 0
	for _, line := range regexp.MustCompile(`(?m)^    (\* \d+ FETCH \(X-GM.*\))\r$`).FindAllStringSubmatch(text, -1) {
		list := regexp.MustCompile(`X-GM-LABELS (\((?:"[^"]*"|[^")])*\))`).FindStringSubmatch(line[1])
		want, known := labels[list[1]]
		if items := wireOneItem(t, line[1]); !known || !reflect.DeepEqual(items.Labels, want) {
			t.Errorf("%s: got %q, want %q (known %v)", line[1], items.Labels, want, known)
		}
		found++
	}
	if found != len(labels) {
		t.Errorf("%d lines with labels, want %d", found, len(labels))
	}
	for _, line := range regexp.MustCompile(`(?m)^    ((?:\*|A\d+|\d+) (?:OK|NO|BYE) .*)\r$`).FindAllStringSubmatch(text, -1) {
		if out, err := wireTranslate(t, "", strings.NewReader(line[1]+"\r\n")); err != nil || out != line[1]+"\r\n" {
			t.Errorf("%s: became %q, %v", line[1], out, err)
		}
	}
}

// TestCorpusNetIMAP reads the responses of another library's tests, with what it makes of them.
func TestCorpusNetIMAP(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus.GmailWire(t), "net-imap", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	response := regexp.MustCompile(`(?m)^ +:response: (".*")\s*$`)
	count := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, quoted := range response.FindAllStringSubmatch(string(text), -1) {
			in, err := strconv.Unquote(quoted[1])
			if err != nil {
				continue
			}
			count++
			out, err := wireTranslate(t, "", strings.NewReader(in))
			if err != nil {
				t.Errorf("%s: %q: %v", filepath.Base(file), in, err)
			}
			if again, err := wireTranslate(t, "", strings.NewReader(out)); err != nil || again != out {
				t.Errorf("%s: %q became %q, then %q, %v", filepath.Base(file), in, out, again, err)
			}
		}
	}
	if count < 80 {
		t.Errorf("only %d responses", count)
	}
	for line, want := range map[string]GmailItems{
		`* 1 FETCH (X-GM-MSGID 1278455344230334865)`:                        {MsgID: 1278455344230334865},
		`* 4 FETCH (X-GM-THRID 1266894439832287888)`:                        {ThreadID: 1266894439832287888},
		`* 1 FETCH (X-GM-LABELS (\Inbox \Sent Important "Muy Importante"))`: {Labels: []string{`\Inbox`, `\Sent`, "Important", "Muy Importante"}, HasLabels: true},
		`* 2 FETCH (X-GM-LABELS (foo))`:                                     {Labels: []string{"foo"}, HasLabels: true},
		`* 3 FETCH (X-GM-LABELS ())`:                                        {HasLabels: true},
	} {
		if got := wireOneItem(t, line); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v", line, got)
		}
	}
}

// TestCorpusFragments reads label lists from the tests of other clients.
func TestCorpusFragments(t *testing.T) {
	want := map[string][]string{
		`X-GM-LABELS (\Inbox \Sent "Important" "Muy Importante")`: {`\Inbox`, `\Sent`, "Important", "Muy Importante"},
		`X-GM-LABELS (\Inbox \Sent Important "Muy Importante")`:   {`\Inbox`, `\Sent`, "Important", "Muy Importante"},
		`X-GM-LABELS (foo)`:                       {"foo"},
		`X-GM-LABELS ()`:                          nil,
		`X-GM-LABELS (\Drafts)`:                   {`\Drafts`},
		`X-GM-LABELS ("\\Important")`:             {`\Important`},
		`X-GM-LABELS ("foo")`:                     {"foo"},
		`X-GM-LABELS (&AUE-abel "f\"o\"o") UID 1`: {"Łabel", `f"o"o`},
		`X-GM-LABELS ("f\"o\"o") UID 2`:           {`f"o"o`},
	}
	seen := map[string]bool{}
	for _, file := range []string{"swift-nio-imap/literals.jsonl", "imapclient/literals.jsonl"} {
		f, err := os.Open(filepath.Join(corpus.GmailWire(t), file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var entry struct{ Text string }
			if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
				t.Fatal(err)
			}
			text := strings.TrimSuffix(regexp.MustCompile(`^\d+ \(`).ReplaceAllString(entry.Text, ""), " 1)")
			if text != entry.Text {
				text = strings.TrimSuffix(strings.TrimPrefix(entry.Text[strings.IndexByte(entry.Text, '(')+1:], ""), ")")
			}
			labels, known := want[text]
			if !known || seen[text] {
				continue
			}
			seen[text] = true
			items := wireOneItem(t, "* 1 FETCH ("+text+")")
			if !reflect.DeepEqual(items.Labels, labels) {
				t.Errorf("%s: got %q", text, items.Labels)
			}
		}
	}
	if len(seen) != len(want) {
		t.Errorf("found %d of %d fragments: %v", len(seen), len(want), seen)
	}
}
