package message

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// listed are field lists that mail programs send.
var listed = [][]string{
	{"From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Priority", "X-Priority", "References", "Newsgroups", "In-Reply-To", "Content-Type", "Reply-To", "Received"},
	{"DATE", "FROM", "SENDER", "SUBJECT", "TO", "CC", "MESSAGE-ID", "REFERENCES", "CONTENT-TYPE", "CONTENT-DESCRIPTION", "IN-REPLY-TO", "REPLY-TO", "LINES", "LIST-POST", "X-LABEL",
		"LIST-SUBSCRIBE", "LIST-UNSUBSCRIBE", "X-ORIGINAL-TO"},
	{"date", "subject", "from", "content-type", "to", "cc", "bcc", "reply-to", "message-id", "references", "in-reply-to", "list-post", "list-unsubscribe", "sender", "X-K9mail-Identity",
		"Chat-Version"},
	{"date", "subject", "from", "to", "cc", "message-id", "in-reply-to", "references", "content-type", "x-priority", "x-uniform-type-identifier", "x-universally-unique-identifier", "list-id",
		"list-unsubscribe", "bimi-indicator", "bimi-location", "x-bimi-indicator-hash", "authentication-results", "dkim-signature"},
	{"DATE", "FROM", "TO", "SUBJECT", "CONTENT-TYPE", "CC", "REPLY-TO", "LIST-POST", "DISPOSITION-NOTIFICATION-TO", "X-PRIORITY"},
	{"References", "X-Ref", "X-Priority", "X-MSMail-Priority", "X-MSOESRec", "Newsgroups"},
	{"Message-ID"}, {"received"}, {},
}

// checkSummary asserts that a summary of b answers as b does, and returns it.
func checkSummary(t *testing.T, b []byte) Summary {
	t.Helper()
	enc := Summarize([]byte("before"), b)
	if !bytes.HasPrefix(enc, []byte("before")) || len(enc) > MaxSummary+6 {
		t.Fatalf("a summary of %d bytes", len(enc))
	}
	s, err := OpenSummary(enc[6:])
	if err != nil {
		t.Fatalf("summary of %.80q: %v", b, err)
	}
	root := Parse(b)
	header := root.Header(b)
	if n, ok := s.HeaderSize(); s.Size() != int64(len(b)) || !ok || n != int64(len(header)) {
		t.Errorf("sizes %d, %d, want %d, %d", s.Size(), n, len(b), len(header))
	}
	same := func(what string, got, want []byte, most int) {
		if got == nil && len(want) > most {
			return
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s of %.200q\ngot  %.300q\nwant %.300q", what, b, got, want)
		}
	}
	same("ENVELOPE", s.Envelope(), AppendEnvelope(nil, header), maxSummaryEnvelope)
	structure := root.AppendBodyStructure(nil, b)
	body := root.AppendBody(nil, b)
	if len(structure) <= maxSummaryStructure || s.BodyStructure() != nil {
		same("BODY", s.Body(), body, maxSummaryBody)
	}
	if len(body) <= maxSummaryBody || s.BodyStructure() != nil {
		same("BODYSTRUCTURE", s.BodyStructure(), structure, maxSummaryStructure)
	}
	checkSent(t, &s, header)
	checkFields(t, &s, header)
	checkSearches(t, &s, header)
	checkSummaryTree(t, &s, root, b)
	return s
}

func checkSent(t *testing.T, s *Summary, header Header) {
	t.Helper()
	want, ok := ParseDate(header.Get("Date"))
	ok = ok && !want.IsZero()
	got, gotOK := s.Sent()
	if gotOK != ok || ok && got.Format(time.RFC3339) != want.Format(time.RFC3339) || !s.SentKnown() {
		t.Errorf("sent %v %v, want %v %v", got, gotOK, want, ok)
	}
	day, dayOK := s.SentDay()
	if dayOK != ok || ok && day.Format(time.DateTime) != want.Format(time.DateOnly)+" 00:00:00" {
		t.Errorf("sent on %v %v, want %v", day, dayOK, want)
	}
}

func checkFields(t *testing.T, s *Summary, header Header) {
	t.Helper()
	kept := 0
	for f := range header.Fields() {
		if n := summaryField(f.Name); f.Value != nil && n >= 0 && notedFields>>n&1 == 0 {
			kept += len(f.Raw) + 4
		}
	}
	random := rand.New(rand.NewPCG(uint64(len(header)), 1))
	some := append([][]string(nil), listed...)
	for range 5 {
		var names []string
		for range random.IntN(8) {
			names = append(names, summaryFields[random.IntN(len(summaryFields))])
		}
		some = append(some, names)
	}
	for _, names := range some {
		set, known := NewFieldSet(names)
		if !known {
			t.Fatalf("%q are not known", names)
		}
		want := AppendHeaderFields([]byte("x"), header, names, false)
		got, ok := s.AppendFields([]byte("x"), set)
		n, lenOK := s.FieldsLen(set)
		noted := header.has(names, notedFields)
		switch {
		case ok != lenOK || ok && n != len(want)-1:
			t.Errorf("%q: %d bytes %v, want %d", names, n, lenOK, len(want)-1)
		case !ok && (!noted && kept < 2048 || string(got) != "x"):
			t.Errorf("%q are not answered: %q", names, got)
		case ok && (!bytes.Equal(got, want) || noted):
			t.Errorf("%q\ngot  %q\nwant %q", names, got, want)
		}
	}
}

// has reports whether h has a field that is both called one of names and in set.
func (h Header) has(names []string, set FieldSet) bool {
	for f := range h.Fields() {
		if n := summaryField(f.Name); f.Value != nil && n >= 0 && set>>n&1 != 0 && isOneOf(f, names) {
			return true
		}
	}
	return false
}

// slowSearch is the meaning of a FieldSearch, without its short cuts.
func slowSearch(header Header, name, text string) bool {
	want := Fold(text)
	for f := range header.Fields() {
		if f.Value == nil || !f.Is(name) {
			continue
		}
		if want == "" || strings.Contains(Fold(f.Text()), want) {
			return true
		}
		switch strings.ToLower(name) {
		case "from", "to", "cc", "bcc", "sender", "reply-to":
			plain := ""
			for _, a := range ParseAddresses(f.Unfolded()) {
				plain += DecodeWords(a.Name) + " <" + a.Mailbox + "@" + a.Host + ">\n"
			}
			if strings.Contains(Fold(plain), want) {
				return true
			}
		}
	}
	return false
}

// checkSearches looks for pieces of the header's own text, and for others.
func checkSearches(t *testing.T, s *Summary, header Header) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(len(header)), 2))
	var seen, seenSummary FoldedValues
	for _, name := range []string{"From", "to", "Cc", "Bcc", "Sender", "Reply-To", "Subject", "Message-ID", "References", "X-None", "List-Id"} {
		texts := []string{"", "a", "alice", "<", "=?", "\n", "ü", " <", "@example."}
		for f := range header.Fields() {
			if !f.Is(name) || len(texts) > 20 {
				continue
			}
			for _, source := range []string{f.Text(), addressText(f.Value), string(f.Value)} {
				for range 3 {
					from := random.IntN(len(source) + 1)
					to := from + random.IntN(min(len(source)-from, 12)+1)
					texts = append(texts, source[from:to], strings.ToUpper(source[from:to]))
				}
			}
		}
		for _, text := range texts {
			q := NewFieldSearch(name, text)
			want := slowSearch(header, name, text)
			if got := q.In(header, &seen); got != want {
				t.Errorf("%s %q in %.500q: %v, want %v", name, text, header, got, want)
			}
			found, ok := q.InSummary(s, &seenSummary)
			set, known := NewFieldSet([]string{name})
			if ok != (known && s.Has(set)) || ok && found != want {
				t.Errorf("%s %q in the summary of %.500q: %v %v, want %v", name, text, header, found, ok, want)
			}
		}
	}
}

func checkSummaryTree(t *testing.T, s *Summary, want *Part, b []byte) {
	t.Helper()
	got := s.Root()
	if got == nil {
		if len(appendTree(nil, want, 0)) <= maxSummaryTree {
			t.Error("there is no tree")
		}
		return
	}
	if !reflect.DeepEqual(bare(want), got) {
		t.Errorf("the tree of %.300q differs", b)
	}
	for _, path := range [][]int{nil, {1}, {2}, {1, 1}, {1, 2}, {2, 1}, {1, 1, 1}, {3}, {2, 2, 1}} {
		for _, specifier := range []string{"", "HEADER", "TEXT", "MIME"} {
			start, end, ok := got.Section(path, specifier)
			wantStart, wantEnd, wantOK := want.Section(path, specifier)
			if start != wantStart || end != wantEnd || ok != wantOK {
				t.Errorf("section %v %s: %d %d %v, want %d %d %v", path, specifier, start, end, ok, wantStart, wantEnd, wantOK)
			}
		}
		if p := want.Find(path); p != nil && len(b) < 100<<10 {
			wantData, wantErr := Decode(p, b)
			data, err := Decode(got.Find(path), b)
			if !bytes.Equal(data, wantData) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("decoded part %v differs: %v, want %v", path, err, wantErr)
			}
		}
	}
}

// bare is p with only what a summary's tree has.
func bare(p *Part) *Part {
	c := &Part{Start: p.Start, BodyStart: p.BodyStart, End: p.End, Encoding: p.Encoding}
	if p.Embedded != nil {
		c.Embedded = bare(p.Embedded)
	}
	for _, child := range p.Children {
		c.Children = append(c.Children, bare(child))
	}
	return c
}

func TestSummaryOfSeeds(t *testing.T) {
	for _, m := range seedMessages {
		checkSummary(t, []byte(m))
	}
	for _, m := range benchmarkMessages() {
		checkSummary(t, m)
	}
	for _, line := range []string{"", "From", "From:", "From: x", "Date: 0001-01-01T00:00:00Z", "Date: 31 Dec 9999 23:59:59 -2359", "Date: 1 Jan 1 00:00 +2359", "Subject :x\r\n y\n",
		"From: \"a\"b <c@d>, (x)y@z, \"=\"?utf-8?q?=41?= <e@f>, g h: i@j;, k(l\\\r\n m)@n\r\nSender: <>\r\nReply-To: \"\"a\"\" b c@d"} {
		checkSummary(t, []byte(line))
		checkSummary(t, []byte(line+"\r\n\r\nbody"))
	}
}

// TestSummaryOfCorpus: every answer from a summary is the answer from the bytes.
func TestSummaryOfCorpus(t *testing.T) {
	files, whole, messages, summaries := 0, 0, 0, 0
	for path, b := range corpusMessages(t) {
		files++
		t.Run(path, func(t *testing.T) {
			s := checkSummary(t, b)
			if s.Envelope() != nil && s.BodyStructure() != nil && s.Root() != nil && s.unkept&^notedFields == 0 {
				whole++
			}
		})
		messages += len(b)
		summaries += len(Summarize(nil, b))
	}
	t.Logf("%d messages of %d bytes have summaries of %d bytes", files, messages/max(files, 1), summaries/max(files, 1))
	if files < 3300 || whole < files*99/100 {
		t.Errorf("%d messages, of %d nothing has to be read again", files, whole)
	}
}

// TestSummaryBounds: however long the header or the structure, a summary stays small and answers what it can.
func TestSummaryBounds(t *testing.T) {
	var many, parts, nested strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, "To: person%d@example.org\r\n", i)
	}
	for i := range 12000 {
		fmt.Fprintf(&parts, "--b\r\nContent-Type: text/x%d\r\nContent-Transfer-Encoding: %s\r\n\r\nx\r\n", i, strings.Repeat("z", i%50))
	}
	for i := range 150 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	s := checkSummary(t, []byte(many.String()+"Subject: kept\r\n\r\n"))
	if set, _ := NewFieldSet([]string{"Subject"}); !s.Has(set) {
		t.Error("a thousand recipients hide the subject")
	}
	if set, _ := NewFieldSet([]string{"To"}); s.Has(set) || s.Envelope() != nil {
		t.Error("all recipients are kept")
	}
	s = checkSummary(t, []byte("Content-Type: multipart/mixed; boundary=b\r\n\r\n"+parts.String()))
	if s.Root() != nil || s.BodyStructure() != nil || s.Envelope() == nil {
		t.Error("10,000 parts are kept, or the envelope is not")
	}
	checkSummary(t, []byte(nested.String()))
	checkSummary(t, []byte(strings.Repeat("Cc:\r\n", 5000)+"\r\n"))
	checkSummary(t, []byte("Subject: "+strings.Repeat("x", 1<<20)))
	checkSummary(t, bytes.Repeat([]byte("Content-Type: message/rfc822\r\n\r\n"), 200))
}

func TestSummarizeHead(t *testing.T) {
	m := benchmarkMessages()["html"]
	header := Parse(m).Header(m)
	for n := range len(header) + 2 {
		s, err := OpenSummary(SummarizeHead(nil, m[:n], int64(len(m))))
		if err != nil {
			t.Fatal(err)
		}
		size, ok := s.HeaderSize()
		if s.Size() != int64(len(m)) || ok != (n >= len(header)) || ok && size != int64(len(header)) || s.BodyStructure() != nil || s.Body() != nil || s.Root() != nil {
			t.Fatalf("from %d bytes: %+v", n, s)
		}
		if !ok {
			if found, known := NewFieldSearch("Subject", "").InSummary(&s, nil); s.Envelope() != nil || s.Has(1) || s.SentKnown() || found || known {
				t.Fatalf("from %d bytes of %d it knows the header", n, len(header))
			}
			continue
		}
		checkSent(t, &s, header)
		checkFields(t, &s, header)
		if !bytes.Equal(s.Envelope(), AppendEnvelope(nil, header)) {
			t.Fatal("the envelope differs")
		}
	}
	s, err := OpenSummary(SummarizeHead(nil, []byte("Subject: all"), 12))
	if n, ok := s.HeaderSize(); err != nil || !ok || n != 12 {
		t.Errorf("%d %v %v", n, ok, err)
	}
}

func TestFieldSets(t *testing.T) {
	seen := map[string]bool{}
	for n, name := range summaryFields {
		if seen[strings.ToLower(name)] {
			t.Errorf("%s stands twice", name)
		}
		seen[strings.ToLower(name)] = true
		for _, form := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := summaryField([]byte(form)); got != n {
				t.Errorf("%s has number %d, want %d", form, got, n)
			}
		}
	}
	for _, name := range []string{"", "X", "Subjec", "Subject ", "X-Spam", "Тема", strings.Repeat("x", 100), "\x00rom"} {
		if _, ok := NewFieldSet([]string{"From", name}); ok {
			t.Errorf("%q is known", name)
		}
	}
}

func FuzzSummarize(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) { checkSummary(t, b) })
}

// FuzzOpenSummary: a damaged summary is refused or gives other answers, but never more than that.
func FuzzOpenSummary(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, m := range seedMessages {
		enc := Summarize(nil, []byte(m))
		f.Add(enc)
		for range 5 {
			mutated := bytes.Clone(enc)
			mutated[random.IntN(len(mutated))] ^= byte(1 << random.IntN(8))
			f.Add(mutated)
		}
	}
	f.Fuzz(func(t *testing.T, enc []byte) { useSummary(t, enc) })
}

func useSummary(t *testing.T, enc []byte) {
	s, err := OpenSummary(enc)
	if err != nil {
		return
	}
	for _, names := range listed {
		set, _ := NewFieldSet(names)
		n, ok := s.FieldsLen(set)
		if got, gotOK := s.AppendFields(nil, set); gotOK != ok || ok && len(got) != n {
			t.Errorf("%d bytes are said to be %d", len(got), n)
		}
	}
	s.Envelope()
	s.Body()
	s.BodyStructure()
	s.Sent()
	s.SentDay()
	for range s.Lines().Fields() {
	}
	for _, name := range []string{"From", "Subject"} {
		NewFieldSearch(name, "x").InSummary(&s, nil)
	}
	if root := s.Root(); root != nil {
		root.Walk(func(p *Part) bool {
			if p.Start < 0 || p.Start > p.BodyStart || p.BodyStart > p.End || p.End > s.Size() {
				t.Errorf("a part lies at %d, %d, %d", p.Start, p.BodyStart, p.End)
			}
			return true
		})
		root.Section([]int{1, 2, 3}, "MIME")
	}
}

func TestDamagedSummaries(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, m := range benchmarkMessages() {
		enc := Summarize(nil, m)
		for n := range enc {
			useSummary(t, enc[:n])
		}
		for range 20000 {
			mutated := bytes.Clone(enc)
			for range 1 + random.IntN(3) {
				mutated[random.IntN(len(mutated))] = byte(random.Uint32())
			}
			useSummary(t, mutated)
		}
	}
	if _, err := OpenSummary(nil); err == nil {
		t.Error("nothing is a summary")
	}
}

func BenchmarkSummarize(b *testing.B) {
	for name, m := range benchmarkMessages() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(m)))
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst = Summarize(dst[:0], m)
			}
		})
	}
}

func BenchmarkSummaryFields(b *testing.B) {
	enc := Summarize(nil, benchmarkMessages()["html"])
	set, _ := NewFieldSet(listed[0])
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		s, err := OpenSummary(enc)
		if err != nil {
			b.Fatal(err)
		}
		dst, _ = s.AppendFields(dst[:0], set)
	}
}

func BenchmarkFieldSearch(b *testing.B) {
	s, err := OpenSummary(Summarize(nil, benchmarkMessages()["html"]))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"Subject", "From", "To"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			q := NewFieldSearch(name, "nobody")
			for b.Loop() {
				q.InSummary(&s, nil)
			}
		})
	}
}
