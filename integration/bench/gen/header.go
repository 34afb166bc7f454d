package gen

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"mime"
	"slices"
	"strings"
	"time"
)

// writer makes the bytes of one message, which depend on the corpus' seed and the message's number alone.
type writer struct {
	c    *Corpus
	r    *rand.Rand
	m    *Message
	h, b bytes.Buffer // header block and body
}

func (w *writer) write() {
	w.m.bodyHit = w.r.IntN(200) == 0
	if w.c.profile == Tiny {
		w.linef("Received: from mail.example.com by mx.provider.example with ESMTP id %s; %s", token(w.r, 12), w.gdate())
	} else {
		w.trace()
		w.signatures()
	}
	w.addresses()
	w.body()
	w.h.WriteString("\r\n")
	w.m.header = int64(w.h.Len())
	w.m.list = listFields(w.h.Bytes())
	w.h.Write(w.b.Bytes())
	w.m.Raw = w.h.Bytes()
}

func (w *writer) plan() plan { return w.c.plans[w.m.ID] }

func (w *writer) linef(format string, args ...any) { fmt.Fprintf(&w.h, format+"\r\n", args...) }

// gdate is the date as it stands in Received lines.
func (w *writer) gdate() string { return w.m.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700 (MST)") }

// trace writes the lines that servers put on top.
func (w *writer) trace() {
	r := w.r
	w.linef("Delivered-To: me@example.org")
	w.linef("Received: by 2002:a05:7010:%x:b0:%x:%x with SMTP id %s;\r\n        %s",
		r.IntN(65536), r.IntN(65536), r.IntN(65536), token(r, 14), w.gdate())
	w.linef("X-Source: %s", token(r, 88))
	w.linef("X-Received: by 2002:a17:902:%x:b0:%x with SMTP id %s.%d.%d;\r\n        %s",
		r.IntN(65536), r.IntN(65536), token(r, 30), r.IntN(90), w.m.Date.Unix(), w.gdate())
	w.linef("ARC-Seal: i=1; a=rsa-sha256; t=%d; cv=none;\r\n        d=provider.example; s=arc-20240605;\r\n        b=%s==",
		w.m.Date.Unix(), folded(r, 342))
	w.linef("ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=provider.example; s=arc-20240605;\r\n"+
		"        h=to:subject:message-id:date:from:in-reply-to:references:mime-version\r\n         :dkim-signature;\r\n"+
		"        bh=%s=;\r\n        fh=%s=;\r\n        b=%s==", token(r, 43), token(r, 43), folded(r, 342))
	w.linef("Return-Path: <sender@mail.example.com>")
	for range 2 + r.IntN(3) {
		w.linef("Received: from mail-sor-f%d.mail.example.com (mail-sor-f%d.mail.example.com. [209.85.220.%d])\r\n"+
			"        by mx.provider.example with SMTPS id %s\r\n        for <me@example.org>\r\n"+
			"        (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256);\r\n        %s",
			r.IntN(99), r.IntN(99), r.IntN(256), token(r, 34), w.gdate())
	}
}

// signatures writes what mail servers say and sign about the message.
func (w *writer) signatures() {
	r := w.r
	results := fmt.Sprintf("mx.provider.example;\r\n       dkim=pass header.i=@mail.example.com header.s=20230601 header.b=%s;\r\n"+
		"       spf=pass (provider.example: domain of sender@mail.example.com designates 209.85.220.%d as permitted sender) smtp.mailfrom=sender@mail.example.com;\r\n"+
		"       dmarc=pass (p=NONE sp=QUARANTINE dis=NONE) header.from=mail.example.com", token(r, 8), r.IntN(256))
	w.linef("ARC-Authentication-Results: i=1; %s", results)
	w.linef("Authentication-Results: %s", results)
	for range 1 + r.IntN(2) {
		w.linef("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n        d=mail.example.com; s=20230601; t=%d; x=%d;\r\n"+
			"        h=to:subject:message-id:date:from:in-reply-to:references:mime-version\r\n         :from:to:cc:subject:date:message-id:reply-to;\r\n"+
			"        bh=%s=;\r\n        b=%s==", w.m.Date.Unix(), w.m.Date.Unix()+604800, token(r, 43), folded(r, 342))
	}
	if r.IntN(5) == 0 && w.c.profile == Full {
		w.linef("X-MessageData: %s=", strings.TrimSpace(folded(r, 1200)))
	}
	w.linef("X-Message-State: %s", token(r, 180))
	if r.IntN(6) == 0 {
		w.linef("List-Unsubscribe: <https://lists.example.net/u/%s>, <mailto:leave-%s@lists.example.net>\r\n"+
			"List-Id: <announce.lists.example.net>\r\nPrecedence: list", token(r, 60), token(r, 30))
	}
}

// addresses writes what the sender's program writes.
func (w *writer) addresses() {
	r, p := w.r, w.plan()
	from := people[personUse.pick(r)]
	w.m.fromHit = strings.Contains(strings.ToLower(from), needleFrom)
	subject := w.c.subject(p.subject)
	w.m.subjectHit = strings.Contains(subject, needleSubject)
	if p.parent >= 0 {
		subject = "Re: " + subject
		w.references(p.parent)
	}
	if !isASCII(subject) {
		subject = mime.BEncoding.Encode("utf-8", subject)
	}
	w.linef("MIME-Version: 1.0")
	w.linef("From: %s\r\nDate: %s", address(from), w.m.Date.Format(time.RFC1123Z))
	w.m.messageID = messageID(w.c.seed, w.m.ID)
	w.linef("Message-ID: %s\r\nSubject: %s", w.m.messageID, subject)
	to := []string{"me@example.org"}
	for range r.IntN(3) {
		to = append(to, address(people[personUse.pick(r)]))
	}
	w.linef("To: %s", strings.Join(to, ",\r\n        "))
	if r.IntN(4) == 0 {
		w.linef("Cc: %s", address(people[personUse.pick(r)]))
	}
	if r.IntN(10) == 0 {
		w.linef("Reply-To: %s", address(from))
	}
}

func (w *writer) references(parent int) {
	var refs []string
	for a := parent; a >= 0 && len(refs) < 20; a = w.c.plans[a].parent {
		refs = append(refs, messageID(w.c.seed, a))
	}
	slices.Reverse(refs)
	w.linef("References: %s\r\nIn-Reply-To: %s", strings.Join(refs, "\r\n "), refs[len(refs)-1])
}

// subject is the subject of the thread that message number id starts.
func (c *Corpus) subject(id int) string {
	r := rand.New(rand.NewPCG(c.seed, uint64(id)^0x5B1EC7))
	words := make([]string, 2+r.IntN(7))
	for i := range words {
		words[i] = c.vocab[wordUse.pick(r)]
	}
	if r.IntN(100) == 0 {
		words[r.IntN(len(words))] = needleSubject
	} else if r.IntN(12) == 0 {
		words[0] = []string{"Büro", "Überweisung", "Grüße", "会議の件", "Привет", "Señor"}[r.IntN(6)]
	}
	return strings.Join(words, " ")
}
