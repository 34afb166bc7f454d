package message

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mailkeep/integration/corpus"
)

// jsonLines decodes each line of a file into a T.
func jsonLines[T any](t *testing.T, b []byte) []T {
	t.Helper()
	var all []T
	for _, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// TestImapTools compares decoded subjects, addresses and texts with those that imap_tools expects of the same messages.
func TestImapTools(t *testing.T) {
	dev := corpus.Dev(t)
	files := map[string]string{}
	err := filepath.WalkDir(filepath.Join(dev, "mikel-mail"), func(path string, d fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(d.Name(), ".eml"); ok {
			files[name] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	type expectation struct {
		At       string
		Expected struct {
			Subject string
			From    string `json:"from_"`
			To      []string
			Cc      []string
			Bcc     []string
			ReplyTo []string `json:"reply_to"`
			Text    any
		}
	}
	compared := 0
	for _, e := range jsonLines[expectation](t, readFile(t, dev, "imap-tools-expected", "expected.jsonl")) {
		name := strings.TrimSuffix(path.Base(e.At), ".py")
		file := files[name]
		if file == "" {
			continue
		}
		compared++
		b := readFile(t, file)
		root := Parse(b)
		h := root.Header(b)
		want := e.Expected
		check := func(field, got, want string) {
			if got != want && !strings.Contains(imapToolsDifferences[name], field) {
				t.Errorf("%s %s: got %q, want %q", name, field, got, want)
			}
		}
		check("subject", oneSpace(h.Text("Subject")), oneSpace(want.Subject))
		check("from", mails(h, "From", 1), want.From)
		check("to", mails(h, "To", 0), strings.Join(want.To, " "))
		check("cc", mails(h, "Cc", 0), strings.Join(want.Cc, " "))
		check("bcc", mails(h, "Bcc", 0), strings.Join(want.Bcc, " "))
		check("reply-to", mails(h, "Reply-To", 0), strings.Join(want.ReplyTo, " "))
		if text, ok := want.Text.(string); ok {
			found := strings.Join(slices.Collect(root.SearchTexts(b)), "\n")
			check("text", strings.Join(missingWords(text, found), " "), "")
		}
	}
	if compared < 95 {
		t.Errorf("only %d messages compared", compared)
	}
}

// imapToolsDifferences names the fields that differ by message, and says why.
var imapToolsDifferences = map[string]string{
	"content_transfer_encoding_7-bit":  "text: C1 controls of ISO-8859-1 are read as Windows-1252, like browsers do",
	"content_transfer_encoding_plain":  "text: it joins texts without a space between them",
	"invalid_subject_characters":       "subject: raw Windows-1252 bytes are dropped there",
	"missing_body":                     "to: a group inside angle brackets",
	"mix_caps_content_type":            "from: a name without brackets",
	"multipart_report_multiple_status": "text: it joins texts without a space between them",
	"raw_email6":                       "text: raw Windows-1252 bytes are dropped there",
	"raw_email_incorrect_header":       "subject from to text: it ends the header at the first line that is no field; we, like Dovecot, at the empty line",
	"example13":                        "subject from text: white space before the colon ends the header there; it is allowed (RFC 5322 section 4.5)",
	"raw_email_with_at_display_name":   "to: a display name with @ counts as an address there",
	"example14":                        "subject: the space between a plain and an encoded word is dropped there",
}

func oneSpace(s string) string { return strings.Join(strings.Fields(s), " ") }

// mails lists the addresses of a field that have a domain; limit 0 means all.
func mails(h Header, field string, limit int) string {
	var list []string
	for _, a := range h.Addresses(field) {
		if a.Host != "" {
			list = append(list, a.Mailbox+"@"+a.Host)
		}
	}
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	return strings.Join(list, " ")
}

// TestPlainText looks for the words that mailcore2 shows of a message in what we find in it.
func TestPlainText(t *testing.T) {
	dir := filepath.Join(corpus.Dev(t), "libetpan", "unittest", "plaintext-rendering", "data")
	entries, err := os.ReadDir(filepath.Join(dir, "input"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		base := strings.TrimSuffix(entry.Name(), ".eml")
		if plainTextDifferences[base] != "" {
			continue
		}
		b := readFile(t, dir, "input", entry.Name())
		_, rendered, _ := strings.Cut(string(readFile(t, dir, "output", base+".txt")), "\n\n")
		root := Parse(b)
		got := root.PlainText(b)
		missing := missingWords(rendered, got)
		if len(missing) > 0 {
			t.Errorf("%s: %d of %d words missing: %.600q", base, len(missing), len(strings.Fields(rendered)), missing)
		}
	}
}

// plainTextDifferences says of which messages the text differs, and why.
var plainTextDifferences = map[string]string{
	"1808-winmail-dat":      "lists the names of attached files",
	"2977-chinese":          "lists the names of attached files",
	"4489-to-field-chinese": "lists the names of attached files",
	"2113-formatting":       "lists the names of attached files, and the header of an embedded message",
	"1970-anchor":           "reads the HTML alternative, we the plain one",
	"5229-cyrillic-asian":   "reads the HTML alternative",
	"6144-russian":          "reads the HTML alternative",
	"emoji1":                "reads the HTML alternative",
	"2458-encoding":         "guesses that the charset is not the declared one",
	"2518-encoding":         "guesses that the charset is not the declared one",
	"3424-encoding":         "guesses that the charset is not the declared one",
	"989-encoding-5":        "UTF-8 cut in the middle of characters",
	"gh-965-utf8":           "takes a line of one space for the empty line; we, like Dovecot, do not",
}

// TestGluon compares with the answers that the tests of Proton's gluon expect.
func TestGluon(t *testing.T) {
	dir := filepath.Join(corpus.Dev(t), "gluon")
	answers := map[string]string{} // by the place in gluon's tests
	type literal struct{ At, Text string }
	for _, l := range jsonLines[literal](t, readFile(t, dir, "EXPECTED-literals.jsonl")) {
		answers[l.At] = l.Text
	}
	b := crlf(readFile(t, dir, "tests", "testdata", "multipart-mixed.eml"))
	want := strings.TrimSuffix(strings.TrimPrefix(answers["tests/fetch_body_test.go:81"], "* 1 FETCH (BODYSTRUCTURE "), ")")
	want = strings.ReplaceAll(want, `"en-US"`, `("en-US")`)                                                                                               // a single language may lose its parentheses
	want = strings.ReplaceAll(want, `"name" "thing.txt" "x-mac-creator" "0" "x-mac-type" "0"`, `"x-mac-type" "0" "x-mac-creator" "0" "name" "thing.txt"`) // it sorts
	want = strings.ReplaceAll(want, `"base64" 32 1`, `"base64" 32 0`)                                                                                     // it counts a line without a line end
	if got := string(Parse(b).AppendBodyStructure(nil, b)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	b = crlf(readFile(t, dir, "imap", "testdata", "envelope.eml"))
	if got, want := string(AppendEnvelope(nil, b)), answers["imap/envelope_test.go:25"]; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// link is how mailcore2 shows the target of a link.
var link = regexp.MustCompile(`\((http|//|mailto:|#)\S*\)\S*`)

// missingWords lists the words of want that are no substring of got.
func missingWords(want, got string) []string {
	var missing []string
	for _, word := range strings.Fields(link.ReplaceAllString(want, " ")) {
		if !strings.Contains(got, word) {
			missing = append(missing, word)
		}
	}
	return missing
}
