package gmailsim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"mime"
	"mime/quotedprintable"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
)

var sampleCharsets = map[string]encoding.Encoding{
	"iso-8859-1": charmap.ISO8859_1, "koi8-r": charmap.KOI8R, "windows-1256": charmap.Windows1256,
	"iso-2022-jp": japanese.ISO2022JP,
}

// leafPart is an encoded part: its header lines and its body, CRLF.
type leafPart struct {
	head []string
	body []byte
}

func (p leafPart) bytes() []byte {
	return append([]byte(strings.Join(p.head, "\r\n")+"\r\n\r\n"), p.body...)
}

// textPart encodes text in the way encoding names: "7bit", "8bit",
// "quoted-printable" or "base64". A charset that cannot hold the text gives
// way to UTF-8.
func textPart(subtype, text, charset, transfer string, params string) leafPart {
	raw := []byte(text)
	if enc := sampleCharsets[charset]; enc != nil {
		if out, err := enc.NewEncoder().Bytes(raw); err == nil {
			raw = out
		} else {
			charset = "utf-8"
		}
	}
	if charset == "" {
		charset = "utf-8"
	}
	if transfer == "7bit" && has8bit(string(raw)) {
		transfer = "quoted-printable"
	}
	if transfer == "8bit" && !has8bit(string(raw)) {
		transfer = "7bit"
	}
	head := []string{
		"Content-Type: text/" + subtype + "; charset=" + charset + params,
		"Content-Transfer-Encoding: " + transfer,
	}
	return leafPart{head, transferEncode(transfer, raw)}
}

func transferEncode(transfer string, raw []byte) []byte {
	switch transfer {
	case "base64":
		return wrapBase64(raw)
	case "quoted-printable":
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		// Writing to a bytes.Buffer cannot fail.
		w.Write(raw)
		w.Close()
		return b.Bytes()
	}
	return raw
}

func wrapBase64(raw []byte) []byte {
	coded := base64.StdEncoding.EncodeToString(raw)
	var b bytes.Buffer
	for len(coded) > 76 {
		b.WriteString(coded[:76] + "\r\n")
		coded = coded[76:]
	}
	b.WriteString(coded + "\r\n")
	return b.Bytes()
}

// filePart is an attachment; a name outside of ASCII is written as RFC 2231
// wants it.
func filePart(contentType, name string, data []byte) leafPart {
	return leafPart{[]string{
		"Content-Type: " + contentType,
		"Content-Transfer-Encoding: base64",
		"Content-Disposition: " + strings.ReplaceAll(mime.FormatMediaType("attachment", map[string]string{"filename": name}), "; ", ";\r\n "),
	}, wrapBase64(data)}
}

// joinParts joins parts; the boundary must not occur in them.
func joinParts(subtype, boundary string, parts ...leafPart) leafPart {
	var b bytes.Buffer
	if subtype == "mixed" {
		b.WriteString("This is a message with several parts in MIME format.\r\n")
	}
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\n%s\r\n", boundary, p.bytes())
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return leafPart{[]string{fmt.Sprintf("Content-Type: multipart/%s;\r\n boundary=%q", subtype, boundary)}, b.Bytes()}
}

// embeddedPart is message/rfc822.
func embeddedPart(message []byte) leafPart {
	return leafPart{[]string{"Content-Type: message/rfc822", "Content-Disposition: inline"}, message}
}

// encodeHeader writes a header value, in encoded words where it must and
// folded between them.
func encodeHeader(coder mime.WordEncoder, value string) string {
	return strings.ReplaceAll(coder.Encode("utf-8", value), "?= =?", "?=\r\n =?")
}

func (p person) header(coder mime.WordEncoder) string {
	name := encodeHeader(coder, p.name)
	if name == p.name && strings.ContainsAny(name, `,.'"()`) {
		name = quote(name)
	}
	return name + " <" + p.addr + ">"
}

// samplePNG draws a small gradient.
func samplePNG(tint uint8, side int) []byte {
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			img.Set(x, y, color.NRGBA{tint, uint8(255 * x / side), uint8(255 * y / side), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic("gmailsim: encode sample picture: " + err.Error())
	}
	return b.Bytes()
}

// samplePDF is a one-page document with a correct cross-reference table.
func samplePDF(line string) []byte {
	line = strings.NewReplacer("(", "", ")", "", `\`, "").Replace(line)
	stream := "BT /F1 18 Tf 60 760 Td (" + line + ") Tj ET"
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(stream), stream),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
	offsets := make([]int, len(objects))
	for i, o := range objects {
		offsets[i] = b.Len()
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	start := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return b.Bytes()
}

// sampleICS is an invitation in UTC.
func sampleICS(uid, summary, start, end string) string {
	lines := []string{"BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example.org//gmailsim//EN", "METHOD:REQUEST", "BEGIN:VEVENT",
		"UID:" + uid, "DTSTAMP:" + start, "DTSTART:" + start, "DTEND:" + end, "SUMMARY:" + strings.ReplaceAll(summary, ",", `\,`),
		"ORGANIZER:mailto:ann@example.net", "ATTENDEE;RSVP=TRUE:mailto:" + owner.addr, "END:VEVENT", "END:VCALENDAR"}
	return strings.Join(lines, "\r\n") + "\r\n"
}
