package message

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

const simpleMessage = "Return-Path: <a@example.org>\r\nReceived: from x (x [192.0.2.1]) by y with ESMTP id 1; Thu, 15 Feb 2007 01:02:03 +0200\r\n" +
	"From: \"A. User\" <a@example.org>\r\nTo: B <b@example.org>, c@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= from here\r\n" +
	"Date: Thu, 15 Feb 2007 01:02:03 +0200\r\nMessage-ID: <1234567890@example.org>\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"

// benchmarkMessages are a note, a multipart with HTML, and one with a large attachment.
func benchmarkMessages() map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	prose := func(lines int) string {
		var s strings.Builder
		for range lines {
			for range 10 {
				fmt.Fprintf(&s, "word%d ", random.IntN(1000))
			}
			s.WriteString("\r\n")
		}
		return s.String()
	}
	attachment := strings.Repeat("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/ABCDEFGHIJKL\r\n", 20000)
	head := strings.Replace(simpleMessage, "text/plain; charset=utf-8", "multipart/mixed; boundary=\"=_outer\"", 1)
	alternative := "--=_outer\r\nContent-Type: multipart/alternative; boundary=\"=_inner\"\r\n\r\n--=_inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" +
		prose(30) + "--=_inner\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>" + prose(60) + "</p>\r\n--=_inner--\r\n"
	return map[string][]byte{
		"simple":     []byte(simpleMessage + prose(20)),
		"html":       []byte(head + alternative + "--=_outer--\r\n"),
		"attachment": []byte(head + alternative + "--=_outer\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + attachment + "--=_outer--\r\n"),
	}
}

func BenchmarkParse(b *testing.B) {
	for name, m := range benchmarkMessages() {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(m)))
			b.ReportAllocs()
			for b.Loop() {
				Parse(m)
			}
		})
	}
}

func BenchmarkAppendEnvelope(b *testing.B) {
	header := []byte(simpleMessage)
	b.SetBytes(int64(len(header)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = AppendEnvelope(dst[:0], header)
	}
}

func BenchmarkAppendBodyStructure(b *testing.B) {
	m := benchmarkMessages()["attachment"]
	root := Parse(m)
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = root.AppendBodyStructure(dst[:0], m)
	}
}

func BenchmarkAppendHeaderFields(b *testing.B) {
	header := []byte(simpleMessage)
	fields := []string{"From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "Priority", "X-Priority", "References", "Newsgroups", "In-Reply-To", "Content-Type", "Reply-To", "Received"}
	b.SetBytes(int64(len(header)))
	b.ReportAllocs()
	var dst []byte
	for b.Loop() {
		dst = AppendHeaderFields(dst[:0], header, fields, false)
	}
}

func BenchmarkSearchTexts(b *testing.B) {
	m := benchmarkMessages()["html"]
	root := Parse(m)
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		for s := range root.SearchTexts(m) {
			Fold(s)
		}
	}
}

func BenchmarkDecodeQuotedPrintable(b *testing.B) {
	body := bytes.Repeat([]byte("Gr=C3=BC=C3=9Fe aus dem S=C3=BCden, wo die Zeilen lang sind und weich enden=\r\n"), 1000)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		decodeQuotedPrintable(body)
	}
}
