package gen

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"mime/quotedprintable"
	"strings"
)

// plainWords is how long the messages without HTML are: a quarter to five quarters of it; 0 for the profile that has HTML.
var plainWords = [...]int{Full: 0, Small: 160, Tiny: 60}

// body writes the Content-* fields into the header and the parts into the body.
func (w *writer) body() {
	w.m.parts = 1
	if words := plainWords[w.c.profile]; words > 0 {
		w.h.WriteString("Content-Type: text/plain; charset=\"UTF-8\"\r\n")
		writeText(&w.h, &w.b, w.plain(words/4+w.r.IntN(words)), false)
		return
	}
	plain := w.plain(min(int(math.Exp(w.r.NormFloat64()*0.8+5.2)), 4000))
	outer, inner := token(w.r, 28), token(w.r, 28)
	attach := w.r.Float64() < 0.15
	w.m.parts = 2
	if attach {
		w.m.parts = 3
		w.linef("Content-Type: multipart/mixed; boundary=\"%s\"", outer)
		fmt.Fprintf(&w.b, "--%s\r\nContent-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n", outer, inner)
	} else {
		w.linef("Content-Type: multipart/alternative; boundary=\"%s\"", inner)
	}
	w.textPart(inner, "plain", plain)
	w.textPart(inner, "html", w.html(plain))
	fmt.Fprintf(&w.b, "--%s--\r\n", inner)
	if attach {
		size := math.Exp(w.r.NormFloat64() + math.Log(60e3))
		w.attachment(outer, int(min(max(size, 20e3), 2e6)))
		fmt.Fprintf(&w.b, "--%s--\r\n", outer)
	}
}

func (w *writer) textPart(boundary, subtype, text string) {
	fmt.Fprintf(&w.b, "--%s\r\nContent-Type: text/%s; charset=\"UTF-8\"\r\n", boundary, subtype)
	var encoded bytes.Buffer
	writeText(&w.b, &encoded, text, w.r.IntN(20) == 0)
	w.b.WriteString("\r\n")
	w.b.Write(encoded.Bytes())
	w.b.WriteString("\r\n")
}

// plain makes paragraphs of n words, with an umlaut here and there.
func (w *writer) plain(n int) string {
	n = max(n, 1)
	words := make([]string, n)
	for i := range words {
		words[i] = w.c.vocab[wordUse.pick(w.r)]
	}
	if w.r.IntN(4) == 0 {
		words[w.r.IntN(n)] = "Grüße"
	}
	if w.m.bodyHit {
		words[w.r.IntN(n)] = needleBody
	}
	var b strings.Builder
	column := 0
	for i, word := range words {
		b.WriteString(word)
		column += len(word) + 1
		switch {
		case i%90 == 89:
			b.WriteString(".\r\n\r\n")
			column = 0
		case column > 65:
			b.WriteString("\r\n")
			column = 0
		default:
			b.WriteByte(' ')
		}
	}
	b.WriteString("\r\n")
	return b.String()
}

func (w *writer) html(plain string) string {
	var b strings.Builder
	b.WriteString("<html><head><meta charset=\"utf-8\"><style>p{margin:0 0 1em 0;font-family:Arial,sans-serif}</style></head><body>\r\n")
	for para := range strings.SplitSeq(plain, "\r\n\r\n") {
		fmt.Fprintf(&b, "<div dir=\"ltr\" class=\"default\" style=\"font-family:arial,helvetica,sans-serif;font-size:small\">"+
			"<a href=\"https://click.example.com/t/%s\">link</a><p>%s</p></div>\r\n", token(w.r, 120), para)
	}
	b.WriteString("</body></html>\r\n")
	return b.String()
}

// writeText writes the Content-Transfer-Encoding field to h and the encoded text to b.
func writeText(h, b *bytes.Buffer, text string, asBase64 bool) {
	switch {
	case asBase64:
		h.WriteString("Content-Transfer-Encoding: base64\r\n")
		writeBase64(b, []byte(text))
	case !isASCII(text) || strings.Contains(text, "href="):
		h.WriteString("Content-Transfer-Encoding: quoted-printable\r\n")
		q := quotedprintable.NewWriter(b)
		q.Write([]byte(text))
		q.Close()
	default:
		h.WriteString("Content-Transfer-Encoding: 7bit\r\n")
		b.WriteString(text)
	}
}

// attachment writes size random bytes, which do not compress, as PDF, JPEG and ZIP files do not.
func (w *writer) attachment(boundary string, size int) {
	kind := [][2]string{{"application/pdf", "pdf"}, {"image/jpeg", "jpg"}, {"application/zip", "zip"}}[w.r.IntN(3)]
	name := fmt.Sprintf("%s-%s.%s", w.c.vocab[wordUse.pick(w.r)], token(w.r, 6), kind[1])
	fmt.Fprintf(&w.b, "--%s\r\nContent-Type: %s; name=\"%s\"\r\nContent-Disposition: attachment; filename=\"%s\"\r\n"+
		"Content-Transfer-Encoding: base64\r\nContent-ID: <f_%s>\r\n\r\n", boundary, kind[0], name, name, token(w.r, 10))
	var raw []byte
	for len(raw) < size {
		raw = binary.LittleEndian.AppendUint64(raw, w.r.Uint64())
	}
	writeBase64(&w.b, raw[:size])
}

func writeBase64(b *bytes.Buffer, raw []byte) {
	for len(raw) > 0 {
		k := min(len(raw), 57)
		b.WriteString(base64.StdEncoding.EncodeToString(raw[:k]))
		b.WriteString("\r\n")
		raw = raw[k:]
	}
}
