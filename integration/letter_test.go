package integration

import (
	"bytes"
	"encoding/base64"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	rfc5322 "net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/text/encoding/htmlindex"
)

// letter is what a reader sees of a message, found out with nothing of the program under test. It understands well-formed messages only.
type letter struct {
	id      string // Message-ID, without angle brackets
	subject string
	date    time.Time

	texts  []string // what is shown of the bodies, each in one piece
	hidden []string // what is not shown: attachments, and bodies that another one stands in for
	files  []string // names of attachments
	kind   string   // media type of the first body that is shown
}

func parseLetter(t *testing.T, raw []byte) *letter {
	t.Helper()
	m, err := rfc5322.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	l := &letter{id: strings.Trim(m.Header.Get("Message-Id"), "<>")}
	if l.subject, err = encodedWords.DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	if l.date, err = m.Header.Date(); err != nil {
		t.Fatal(err)
	}
	if err := l.read(textproto.MIMEHeader(m.Header), m.Body, true); err != nil {
		t.Fatalf("message %q: %v", l.id, err)
	}
	return l
}

var encodedWords = &mime.WordDecoder{CharsetReader: fromCharset}

func fromCharset(charset string, r io.Reader) (io.Reader, error) {
	enc, err := htmlindex.Get(charset)
	if err != nil {
		return nil, err
	}
	return enc.NewDecoder().Reader(r), nil
}

// read takes one part and those in it; visible is false for what another part stands in for.
func (l *letter) read(h textproto.MIMEHeader, body io.Reader, visible bool) error {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		media = "text/plain"
	}
	switch {
	case strings.HasPrefix(media, "multipart/"):
		return l.readParts(media, params["boundary"], body, visible)
	case strings.EqualFold(h.Get("Content-Transfer-Encoding"), "base64"):
		body = base64.NewDecoder(base64.StdEncoding, body)
	case strings.EqualFold(h.Get("Content-Transfer-Encoding"), "quoted-printable"):
		body = quotedprintable.NewReader(body)
	}
	disposition, fileParams, _ := mime.ParseMediaType(h.Get("Content-Disposition"))
	if disposition == "attachment" {
		l.files = append(l.files, fileParams["filename"])
		visible = false
	}
	if media == "message/rfc822" {
		return l.embedded(body, visible)
	}
	if charset := params["charset"]; charset != "" {
		if body, err = fromCharset(charset, body); err != nil {
			return err
		}
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	l.add(media, string(raw), visible)
	return nil
}

// embedded takes a message in a message, which is an attachment and shown too.
func (l *letter) embedded(body io.Reader, visible bool) error {
	m, err := rfc5322.ReadMessage(body)
	if err != nil {
		return err
	}
	l.files = append(l.files, "ForwardedMessage.eml")
	return l.read(textproto.MIMEHeader(m.Header), m.Body, visible)
}

func (l *letter) readParts(media, boundary string, body io.Reader, visible bool) error {
	type part struct {
		header textproto.MIMEHeader
		raw    []byte
	}
	var parts []part
	r := multipart.NewReader(body, boundary)
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		raw, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		parts = append(parts, part{p.Header, raw})
	}
	for i, p := range parts {
		// Of alternatives the last one is the best (RFC 2046 section 5.1.4): of an invitation the calendar entry and not the text beside it.
		best := media != "multipart/alternative" || i == len(parts)-1
		if err := l.read(p.header, bytes.NewReader(p.raw), visible && best); err != nil {
			return err
		}
	}
	return nil
}

func (l *letter) add(media, text string, visible bool) {
	switch media {
	case "text/html":
		text = html.UnescapeString(tags.ReplaceAllString(text, " "))
	case "text/calendar": // shown as a card with the entry's title
		if m := summary.FindStringSubmatch(text); m != nil && visible {
			l.hidden = append(l.hidden, text)
			text = strings.ReplaceAll(m[1], `\`, "")
		}
	case "text/plain":
	default:
		visible = false
	}
	if !visible {
		l.hidden = append(l.hidden, text)
		return
	}
	if l.kind == "" {
		l.kind = media
	}
	l.texts = append(l.texts, text)
}

var (
	tags    = regexp.MustCompile(`<[^>]*>`)
	summary = regexp.MustCompile(`(?m)^SUMMARY:(.*?)\r?$`)
)

// squeeze makes texts comparable with what is shown of them: where lines are broken does not count, nor do blanks (Gecko leaves out a line break between two
// Japanese letters), nor the signs of quoting, which become lines at the side.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '>' {
			return -1
		}
		return r
	}, s)
}
