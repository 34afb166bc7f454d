package gmailsim

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
)

func TestSampleIsDeterministicAndValid(t *testing.T) {
	a, b := Sample(400, 7), Sample(400, 7)
	if len(a) != 400 || len(SampleLabels) != 40 {
		t.Fatalf("%d messages, %d labels", len(a), len(SampleLabels))
	}
	if other := Sample(400, 8); bytes.Equal(other[0].Body, a[0].Body) {
		t.Fatal("the seed has no effect")
	}
	ids := map[string]bool{}
	for i, m := range a {
		if !bytes.Equal(m.Body, b[i].Body) || !m.Date.Equal(b[i].Date) || !slices.Equal(m.Labels, b[i].Labels) {
			t.Fatalf("message %d differs between two calls", i)
		}
		checkRFC5322(t, m.Body)
		msg, err := netmail.ReadMessage(bytes.NewReader(m.Body))
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		id := msg.Header.Get("Message-Id")
		if ids[id] {
			t.Fatalf("Message-ID %s twice", id)
		}
		ids[id] = true
		if _, err := msg.Header.AddressList("From"); err != nil {
			t.Fatalf("message %d: From: %v", i, err)
		}
		if _, err := msg.Header.Date(); err != nil {
			t.Fatalf("message %d: Date: %v", i, err)
		}
		checkParts(t, msg.Header.Get("Content-Type"), msg.Body)
	}
}

func checkRFC5322(t *testing.T, body []byte) {
	t.Helper()
	if !bytes.HasSuffix(body, []byte("\r\n")) {
		t.Fatalf("no final CRLF: %q", body[len(body)-20:])
	}
	for _, line := range bytes.Split(body, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("bad line %.200q", line)
		}
	}
	if has8bit(string(headerBlock(body))) {
		t.Fatalf("8-bit header %q", headerBlock(body))
	}
}

func checkParts(t *testing.T, contentType string, body io.Reader) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatalf("content type %q: %v", contentType, err)
	}
	if !strings.HasPrefix(kind, "multipart/") {
		return
	}
	r := multipart.NewReader(body, params["boundary"])
	n := 0
	for ; ; n++ {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		checkParts(t, p.Header.Get("Content-Type"), p)
	}
	if n == 0 {
		t.Fatalf("empty multipart %q", contentType)
	}
}

func TestSampleHasEverything(t *testing.T) {
	s := New(Options{})
	sample := Sample(300, 1)
	if err := s.Load(sample, SampleLabels...); err != nil {
		t.Fatal(err)
	}
	all := make([][]byte, len(sample))
	for i, m := range sample {
		all[i] = m.Body
	}
	text := string(bytes.Join(all, nil))
	for _, want := range []string{"image/png", "application/pdf", "text/calendar", "text/csv", "message/rfc822", "multipart/alternative",
		"multipart/related", "format=flowed", "charset=iso-2022-jp", "charset=koi8-r", "charset=iso-8859-1", "charset=windows-1256",
		"quoted-printable", "base64", "Transfer-Encoding: 8bit", "=?utf-8?q?", "=?utf-8?b?", "List-Id:", "References:", "filename*="} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the sample", want)
		}
	}
	snap := s.Snapshot()
	threads := map[MsgID]int{}
	unread := 0
	for _, m := range snap.Messages {
		threads[m.Thread]++
		if !slices.Contains(m.Flags, `\Seen`) {
			unread++
		}
	}
	if len(threads) > 250 || unread < 20 {
		t.Errorf("%d threads, %d unread among %d", len(threads), unread, len(sample))
	}
	for _, use := range []string{`\Junk`, `\Trash`, `\Sent`, `\Drafts`, `\Flagged`, `\Important`, `\All`} {
		if b, err := snap.Mailbox(s.FolderName(use)); err != nil || len(b.Messages) < 3 {
			t.Errorf("%s: %d messages, %v", use, len(b.Messages), err)
		}
	}
	for _, name := range SampleLabels {
		if b, err := snap.Mailbox(name); err != nil || len(b.Messages) == 0 {
			t.Errorf("label %q: %d messages, %v", name, len(b.Messages), err)
		}
	}
}

// The texts of a language fit its old charset, or the charset would never be
// used.
func TestSampleCharsets(t *testing.T) {
	for _, tg := range tongues {
		enc := sampleCharsets[tg.charset]
		if tg.charset == "" {
			enc = encoding.Nop
		}
		for _, sentence := range append(slices.Clone(tg.sentences), tg.hello, tg.bye) {
			if _, err := enc.NewEncoder().String(sentence); err != nil {
				t.Errorf("%s: %q: %v", tg.charset, sentence, err)
			}
		}
	}
}
