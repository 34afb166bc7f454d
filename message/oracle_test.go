package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"mailkeep/integration/corpus"
)

// crlf returns b as IMAP sends it.
func crlf(b []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), newline), newline, []byte("\r\n"))
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestImaptest answers the FETCH commands of the imaptest scripts that concern one message's structure.
func TestImaptest(t *testing.T) {
	dir := corpus.Tools(t, "imaptest-ro")
	asked := 0
	for _, name := range []string{"fetch-envelope", "fetch-bodystructure", "fetch-body", "fetch-body-mime", "fetch-body-message-rfc822", "fetch-body-message-rfc822-mime",
		"fetch-body-message-rfc822-x2", "fetch-binary-mime", "fetch-binary-mime-base64", "fetch-binary-mime-qp"} {
		script := string(readFile(t, dir, "tests", name))
		for _, step := range regexp.MustCompile(`(?m)^(\*|!) (\d+) (?i:fetch) (.*)`).FindAllStringSubmatchIndex(script, -1) {
			text := script[step[6]:]
			number, _ := strconv.Atoi(script[step[4]:step[5]])
			file := filepath.Join(dir, "eml", fmt.Sprintf("%s-%03d.eml", name, number-1))
			want, _, err := parseList(scriptText(text))
			if err != nil {
				t.Fatalf("%s: %v in %.80q", name, err, text)
			}
			b := crlf(readFile(t, file))
			root := Parse(b)
			items := want.([]any)
			for i := 0; i+1 < len(items); i += 2 {
				item := strings.ToLower(string(items[i].(atom)))
				got, ok := fetchItem(root, b, item)
				if !ok || strings.HasPrefix(fmt.Sprint(items[i+1]), "$") {
					continue
				}
				asked++
				diffs := differences(item, got, items[i+1])
				if script[step[2]] == '!' {
					if len(diffs) == 0 {
						t.Errorf("%s: message %d %s: must not be %.200q", name, number, item, got)
					}
				} else if len(diffs) > 0 {
					t.Errorf("%s: message %d: %s", name, number, strings.Join(diffs, "\n"))
				}
			}
		}
	}
	if asked < 70 {
		t.Errorf("only %d items were found in the scripts", asked)
	}
}

// scriptText turns imaptest's {{{ text }}} into literals and its items with spaces in brackets into atoms.
func scriptText(s string) string {
	s = regexp.MustCompile(`(?s)~?\{\{\{\n(.*?)\n?\}\}\}`).ReplaceAllStringFunc(s, func(block string) string {
		text, binary := strings.CutPrefix(block, "~")
		text = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(text, "{{{\n"), "}}}"), "\n")
		if !binary {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		return fmt.Sprintf("{%d}\r\n%s", len(text), text)
	})
	return regexp.MustCompile(`\[[^\]\r\n]*\]`).ReplaceAllStringFunc(s, func(section string) string {
		return strings.NewReplacer(" ", "_", "(", "<", ")", ">").Replace(section)
	})
}

var sectionItem = regexp.MustCompile(`^(body|binary|binary\.size)\[([0-9.]*?)\.?(header|text|mime|header\.fields(?:\.not)?_<.*>)?\](?:<(\d+)>)?$`)

// fetchItem answers one FETCH item as a server would; ok is false for items that this package has no part in.
func fetchItem(root *Part, b []byte, item string) (any, bool) {
	switch item {
	case "envelope":
		return list(AppendEnvelope(nil, root.Header(b))), true
	case "body":
		return list(root.AppendBody(nil, b)), true
	case "rfc822.text":
		item = "body[text]"
	}
	m := sectionItem.FindStringSubmatch(item)
	if m == nil || m[4] != "" {
		return nil, false // partial fetches cut these answers
	}
	var path []int
	for _, n := range strings.FieldsFunc(m[2], func(r rune) bool { return r == '.' }) {
		v, _ := strconv.Atoi(n)
		path = append(path, v)
	}
	if strings.HasPrefix(m[1], "binary") {
		content, err := Decode(root.Find(path), b)
		if len(path) == 0 {
			content = b
		}
		if err != nil {
			return err, true
		}
		if m[1] == "binary.size" {
			return atom(strconv.Itoa(len(content))), true
		}
		return string(content), true
	}
	specifier, fields, _ := strings.Cut(m[3], "_")
	base, _, _ := strings.Cut(specifier, ".")
	start, end, ok := root.Section(path, strings.ToUpper(base))
	if !ok {
		return nil, true
	}
	if fields != "" {
		names := strings.Split(strings.Trim(fields, "<>"), "_")
		return string(AppendHeaderFields(nil, b[start:end], names, strings.HasSuffix(specifier, ".not"))), true
	}
	return string(b[start:end]), true
}

// list parses what this package wrote; a parse error takes its place.
func list(wire []byte) any {
	v, err := mustList(string(wire))
	if err != nil {
		return err
	}
	return v
}

// TestGmail compares with the answers that Gmail gave for 21 messages.
func TestGmail(t *testing.T) {
	dir := filepath.Join(corpus.GmailWire(t), "gmail-structures")
	var messages []struct {
		File, Envelope, Body string
		Size                 int `json:"rfc822_size"`
	}
	if err := json.Unmarshal(readFile(t, dir, "expected.json"), &messages); err != nil {
		t.Fatal(err)
	}
	if len(messages) != 21 {
		t.Errorf("%d messages", len(messages))
	}
	for _, m := range messages {
		b := crlf(readFile(t, dir, m.File))
		root := Parse(b)
		if len(b) != m.Size {
			t.Errorf("%s: %d bytes, want %d", m.File, len(b), m.Size)
		}
		diffs := differences("envelope", list(AppendEnvelope(nil, root.Header(b))), list([]byte(m.Envelope)))
		diffs = append(diffs, differences("body", list(root.AppendBody(nil, b)), list([]byte(m.Body)))...)
		for _, d := range diffs {
			if gmailDifference(m.File, d) == "" {
				t.Errorf("%s: %s", m.File, d)
			}
		}
	}
}

// gmailDifferences are all that is left between Gmail's answers and ours; each expression matches "file place: got, want".
var gmailDifferences = []struct{ match, reason string }{
	{`envelope/\d/\d+/3: got "", want .*nil`, "an address without a domain: Gmail's NIL host would make it the beginning of a group (RFC 9051 section 7.5.2)"},
	{`^(01|50).eml envelope/[234]/0/[02]: .* want .*nil`, "of From without a domain Gmail drops name and mailbox too"},
	{`^(03).eml envelope/1: got "test of =\?iso-8859-8`, "Gmail encodes words anew in UTF-8; ours are the sender's"},
	{`^(07|14|28|43).eml envelope/\d/0/0: got "Yutaka Sato =\?ISO-2022-JP`, "Gmail encodes words anew; ours are the sender's"},
	{`^(07|14|28).eml envelope/8: got .*nil`, "Gmail fills In-Reply-To from References; the field itself is missing"},
	{`^(03|08).eml envelope/9: `, "the message has no Message-ID, and whoever put it into Gmail and into the corpus made up another each time"},
	{`^05.eml body/1/7/8: got .*nil.*, want "NIL"`, "Gmail sends the string NIL for a missing In-Reply-To"},
	{`^05.eml body/1/8/0/2/[0-3]: `, "Gmail sorts parameters; ours are in the order of the message"},
}

func gmailDifference(file, diff string) string {
	for _, known := range gmailDifferences {
		if regexp.MustCompile(known.match).MatchString(file + " " + diff) {
			return known.reason
		}
	}
	return ""
}

// TestMimeKitOffsets compares offsets, octets and line counts with MimeKit's for mailboxes with CRLF.
func TestMimeKitOffsets(t *testing.T) {
	dir := filepath.Join(corpus.Dev(t), "mimekit", "UnitTests", "TestData", "mbox")
	jwz := filepath.Join(corpus.Dev(t), "libetpan", "unittest", "mime-parser", "data", "input", "mbox", "jwz")
	for _, name := range []string{"content-length", "issue1189", "jwz"} {
		var messages []mimeKitPart
		if err := json.Unmarshal(readFile(t, dir, name+".dos-offsets.json"), &messages); err != nil {
			t.Fatal(err)
		}
		var mbox []byte
		if name != "jwz" {
			mbox = crlf(readFile(t, dir, name+".mbox.txt"))
		}
		for i, m := range messages {
			label := fmt.Sprintf("%s %d", name, i)
			var b []byte
			if mbox != nil {
				b = mbox[m.Begin:m.End]
			} else {
				b = crlf(readFile(t, jwz, strconv.Itoa(i+1)))
			}
			if name == "jwz" && (i+1 == 20 || i+1 == 52 || i+1 == 132) {
				continue // the corpus has these with a few bytes more or less
			}
			if size := m.End - m.Begin; name == "jwz" && int64(len(b)) == size+2 {
				b = b[:size] // the empty line before the next message of the mailbox
			}
			root := Parse(b)
			if len(b) != int(m.End-m.Begin) || root.BodyStart != m.HeadersEnd-m.Begin {
				t.Errorf("%s: %d bytes, header %d, want %d, %d", label, len(b), root.BodyStart, m.End-m.Begin, m.HeadersEnd-m.Begin)
				continue
			}
			m.Body.compare(t, label, root, m.Begin)
		}
	}
}

// mimeKitDifferences says why a part differs from MimeKit's.
var mimeKitDifferences = map[string]string{
	"issue1189 1.2": "a header that a boundary ends without an empty line: our header keeps its last line end, so that it consists of lines",

	// As Gmail has it. The empty line that ends the header of the last part is the line end before the boundary, too.
	"jwz 4.2":           "the empty line is the header's",
	"jwz 4.2.message":   "the empty line is the header's",
	"jwz 4.2.message.3": "the empty line is the header's",

	"jwz 0.2.3": "Content-Type without a subtype: text/plain (RFC 2045 section 5.2), as Gmail has it",
	"jwz 28":    "Content-Type without a subtype",
	"jwz 133":   "Content-Type without a subtype",
	"jwz 134":   "Content-Type without a subtype",
}

type mimeKitPart struct {
	Type       string `json:"mimeType"`
	Begin      int64  `json:"beginOffset"`
	HeadersEnd int64  `json:"headersEndOffset"`
	End        int64  `json:"endOffset"`
	Octets     int64
	Lines      int64
	Children   []mimeKitPart
	Message    *mimeKitPart
	Body       *mimeKitPart
}

func (m *mimeKitPart) compare(t *testing.T, label string, p *Part, base int64) {
	t.Helper()
	got := fmt.Sprintf("%s/%s %d %d %d (%d)", strings.ToLower(p.Type), strings.ToLower(p.Subtype), p.Start, p.BodyStart, p.End, p.End-p.BodyStart)
	want := fmt.Sprintf("%s %d %d %d (%d)", strings.ToLower(m.Type), m.Begin-base, m.HeadersEnd-base, m.End-base, m.Octets)
	if got != want && mimeKitDifferences[label] == "" {
		t.Errorf("%s: got %s, want %s", label, got, want)
	}
	if len(m.Children) != len(p.Children) && mimeKitDifferences[label] == "" {
		t.Errorf("%s: %d children, want %d", label, len(p.Children), len(m.Children))
	}
	for i := range min(len(m.Children), len(p.Children)) {
		m.Children[i].compare(t, fmt.Sprintf("%s.%d", label, i+1), p.Children[i], base)
	}
	if m.Message != nil && p.Embedded != nil {
		m.Message.Body.compare(t, label+".message", p.Embedded, base)
	}
}

// TestCorpus checks on every message there is that the tree and all that is made of it are sound.
func TestCorpus(t *testing.T) {
	files := 0
	for path, b := range corpusMessages(t) {
		files++
		t.Run(path, func(t *testing.T) { checkMessage(t, b) })
	}
	if files < 3300 {
		t.Errorf("only %d messages", files)
	}
}

// corpusMessages yields the path and bytes of each message of the corpus.
func corpusMessages(t testing.TB) func(func(string, []byte) bool) {
	dev := corpus.Dev(t)
	return func(yield func(string, []byte) bool) {
		for i, row := range strings.Split(string(readFile(t, dev, "index.tsv")), "\n") {
			columns := strings.Split(row, "\t")
			if i == 0 || len(columns) < 8 || columns[7] != "eml" {
				continue
			}
			path := filepath.Join(dev, strings.TrimPrefix(columns[0], "dev/"))
			b, err := os.ReadFile(path)
			if err != nil {
				continue // a name with odd bytes, written differently in the index
			}
			if !yield(columns[0], b) {
				return
			}
		}
	}
}

// checkMessage asserts what must hold for any bytes whatsoever.
func checkMessage(t testing.TB, b []byte) {
	t.Helper()
	original := bytes.Clone(b)
	root := Parse(b)
	checkTree(t, root, b)
	for _, wire := range [][]byte{AppendEnvelope(nil, root.Header(b)), root.AppendBody(nil, b), root.AppendBodyStructure(nil, b)} {
		if err, bad := list(wire).(error); bad {
			t.Errorf("%v in %.300q", err, wire)
		}
		if bytes.IndexByte(wire, 0) >= 0 {
			t.Errorf("NUL in %.300q", wire)
		}
	}
	start, end, ok := root.Section(nil, "")
	header, headerEnd, _ := root.Section(nil, "HEADER")
	text, textEnd, _ := root.Section(nil, "TEXT")
	if !ok || start != 0 || end != int64(len(b)) || header != 0 || headerEnd != text || textEnd != end {
		t.Errorf("sections [%d,%d) [%d,%d) [%d,%d) of %d bytes", start, end, header, headerEnd, text, textEnd, len(b))
	}
	checkPaths(t, root, root, nil)
	all := AppendHeaderFields(nil, root.Header(b), nil, true)
	if want := bytes.TrimRight(root.Header(b), "\r\n"); !bytes.Equal(bytes.TrimRight(all, "\r\n"), want) {
		t.Errorf("HEADER.FIELDS.NOT () is %.200q, want %.200q", all, want)
	}
	size := 0
	for s := range root.SearchTexts(b) {
		size += len(s)
		if s != strings.ToValidUTF8(s, "?") {
			t.Errorf("search text is not UTF-8: %.200q", s)
		}
	}
	if limit := 100*len(b) + 1000; size > limit || len(root.PlainText(b)) > limit {
		t.Errorf("%d bytes give %d bytes of text", len(b), size)
	}
	root.Walk(func(p *Part) bool {
		content, err := Decode(p, b)
		if err == nil && len(content) > len(p.Body(b)) {
			t.Errorf("part at %d decodes to more than it has", p.Start)
		}
		p.Filename()
		return true
	})
	if !bytes.Equal(b, original) {
		t.Error("the message was changed")
	}
}

// checkPaths asserts that each part is found under its number, and nothing beside it.
func checkPaths(t testing.TB, root, p *Part, path []int) {
	t.Helper()
	switch {
	case p.Multipart():
		for i, c := range p.Children {
			sub := append(path[:len(path):len(path)], i+1)
			if root.Find(sub) != c {
				t.Errorf("part %v is not found", sub)
			}
			checkPaths(t, root, c, sub)
		}
		if root.Find(append(path[:len(path):len(path)], len(p.Children)+1)) != nil {
			t.Errorf("part %v has one too many", path)
		}
	case len(path) == 0:
		if root.Find([]int{1}) != p || root.Find([]int{2}) != nil {
			t.Error("part 1 of a message without parts is not its body")
		}
		checkEmbedded(t, root, p, []int{1})
	default:
		checkEmbedded(t, root, p, path)
	}
}

func checkEmbedded(t testing.TB, root, p *Part, path []int) {
	t.Helper()
	switch e := p.Embedded; {
	case e == nil:
		if root.Find(append(path[:len(path):len(path)], 1)) != nil {
			t.Errorf("leaf %v has a part", path)
		}
	case e.Multipart():
		checkPaths(t, root, e, path)
	default:
		sub := append(path[:len(path):len(path)], 1)
		if root.Find(sub) != e {
			t.Errorf("part %v is not found", sub)
		}
		checkEmbedded(t, root, e, sub)
	}
}
