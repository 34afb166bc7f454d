package gmailsim

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"mime"
	"slices"
	"strings"
	"time"
)

// Sample makes n messages of one person's mail over about eight years, in
// order of date. The same n and seed give the same bytes (with the same Go
// release, whose PNG encoder is used). Threads are joined by References;
// labels, flags and dates are set, ready for Deliver.
func Sample(n int, seed int64) []Message {
	g := &sampler{rng: rand.New(rand.NewPCG(uint64(seed), 0x6d61696c))}
	g.now = time.Date(2018, 3, 5, 8, 0, 0, 0, time.UTC)
	g.step = time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC).Sub(g.now) / time.Duration(max(n, 1))
	for i := 0; len(g.out) < n; i++ {
		sampleKinds[i%len(sampleKinds)](g)
	}
	out := g.out[:n]
	slices.SortStableFunc(out, func(a, b Message) int { return a.Date.Compare(b.Date) })
	g.spreadLabels(out)
	return out
}

// Load creates labels, without a message if need be, and delivers messages.
func (s *Server) Load(messages []Message, labels ...string) error {
	for _, l := range labels {
		s.st.mu.Lock()
		_, err := s.st.resolveLabel(l, true)
		s.st.mu.Unlock()
		if err != nil {
			return fmt.Errorf("create label %q: %w", l, err)
		}
	}
	for _, m := range messages {
		if _, err := s.Deliver(m); err != nil {
			return err
		}
	}
	return nil
}

type sampler struct {
	rng    *rand.Rand
	now    time.Time
	step   time.Duration
	serial int
	out    []Message
}

// sampleKinds take turns, so that even a small sample has everything.
var sampleKinds = []func(*sampler){
	(*sampler).conversation, (*sampler).attachments, (*sampler).list, (*sampler).html, (*sampler).conversation,
	(*sampler).invitation, (*sampler).forward, (*sampler).spam, (*sampler).trash, (*sampler).list,
	(*sampler).draft, (*sampler).conversation, (*sampler).flowed, (*sampler).html, (*sampler).attachments,
}

// letter is a message in the making.
type letter struct {
	from, to person
	subject  string
	date     time.Time
	id       string
	refs     []string
	extra    []string // header lines
	part     leafPart
	coder    mime.WordEncoder
}

func (l letter) bytes() []byte {
	head := []string{
		"Received: from mail.example.net (mail.example.net [192.0.2.7])\r\n\tby mx.example.org with ESMTPS id " +
			l.id[:8] + ";\r\n\t" + l.date.Add(3*time.Second).Format(time.RFC1123Z),
		"Message-ID: <" + l.id + ">",
		"Date: " + l.date.Format(time.RFC1123Z),
		"From: " + l.from.header(l.coder),
		"To: " + l.to.header(l.coder),
		"Subject: " + encodeHeader(l.coder, l.subject),
		"MIME-Version: 1.0",
	}
	if len(l.refs) > 0 {
		last := l.refs[len(l.refs)-1]
		head = append(head, "In-Reply-To: <"+last+">", "References: <"+strings.Join(l.refs, ">\r\n <")+">")
	}
	head = append(append(head, l.extra...), l.part.head...)
	return leafPart{head, l.part.body}.bytes()
}

func pick[T any](g *sampler, from []T) T { return from[g.rng.IntN(len(from))] }

// tick moves the clock on and gives it one of several zones.
func (g *sampler) tick() time.Time {
	g.now = g.now.Add(g.step/2 + time.Duration(g.rng.Int64N(int64(max(g.step, 1))))).Truncate(time.Second)
	zone := pick(g, []int{0, 3600, 7200, -5 * 3600, 9 * 3600, 19800})
	return g.now.In(time.FixedZone("", zone))
}

// newLetter picks a language's correspondent; every third one is written by
// the owner.
func (g *sampler) newLetter(t tongue) letter {
	g.serial++
	l := letter{from: pick(g, t.people), to: owner, subject: pick(g, t.subjects), date: g.tick(), coder: mime.QEncoding}
	if g.rng.IntN(3) == 0 {
		l.from, l.to = l.to, l.from
	}
	if g.rng.IntN(2) == 0 {
		l.coder = mime.BEncoding
	}
	l.id = g.messageID(l.from)
	return l
}

func (g *sampler) messageID(from person) string {
	var raw [8]byte
	for i := range raw {
		raw[i] = byte(g.rng.Uint32())
	}
	_, host, _ := strings.Cut(from.addr, "@")
	return fmt.Sprintf("%s.%d@%s", hex.EncodeToString(raw[:]), g.serial, host)
}

func (g *sampler) boundary() string { return fmt.Sprintf("=_part_%d_%08x", g.serial, g.rng.Uint32()) }

func (g *sampler) tongue() tongue { return tongues[g.serial%len(tongues)] }

// prose writes a few paragraphs with a greeting, lines under 78 columns.
func (g *sampler) prose(t tongue, from person) string {
	var b strings.Builder
	b.WriteString(t.hello + ",\r\n\r\n")
	for range 1 + g.rng.IntN(3) {
		for range 2 + g.rng.IntN(3) {
			b.WriteString(pick(g, t.sentences) + "\r\n")
		}
		b.WriteString("\r\n")
	}
	return b.String() + t.bye + "\r\n" + from.name + "\r\n"
}

func (g *sampler) plain(t tongue, text string) leafPart {
	charset := ""
	if g.rng.IntN(2) == 0 {
		charset = t.charset
	}
	return textPart("plain", text, charset, pick(g, []string{"7bit", "8bit", "quoted-printable", "base64"}), "")
}

// add finishes a letter: Sent for the owner's, Inbox for recent ones, flags.
func (g *sampler) add(l letter, labels ...string) {
	m := Message{Body: l.bytes(), Date: l.date.Add(3 * time.Second).UTC(), Labels: labels}
	system := len(labels) > 0 && (labels[0] == `\Spam` || labels[0] == `\Trash` || labels[0] == `\Draft`)
	switch {
	case l.from == owner && !system:
		m.Labels = append(m.Labels, `\Sent`)
	case !system && g.rng.IntN(4) == 0:
		m.Labels = append(m.Labels, `\Inbox`)
	}
	if l.from == owner || g.rng.IntN(6) > 0 {
		m.Flags = append(m.Flags, `\Seen`)
	}
	if len(l.refs) > 0 && g.rng.IntN(3) == 0 {
		m.Flags = append(m.Flags, `\Answered`)
	}
	if !system && g.rng.IntN(12) == 0 {
		m.Labels = append(m.Labels, `\Starred`)
	}
	if !system && g.rng.IntN(8) == 0 {
		m.Labels = append(m.Labels, `\Important`)
	}
	if g.rng.IntN(25) == 0 {
		m.Flags = append(m.Flags, "$NotPhishing")
	}
	g.out = append(g.out, m)
}

// conversation is a thread of two to six messages that quote each other.
func (g *sampler) conversation() {
	t := g.tongue()
	l := g.newLetter(t)
	subject, quoted := l.subject, ""
	for i := range 2 + g.rng.IntN(5) {
		text := g.prose(t, l.from)
		l.part = g.plain(t, text+quoted)
		g.add(l)
		quoted = "\r\n" + fmt.Sprintf(t.wrote, l.from.name) + "\r\n> " + strings.TrimSuffix(strings.ReplaceAll(text, "\r\n", "\r\n> "), "> ")
		l.refs = append(slices.Clone(l.refs), l.id)
		l.from, l.to, l.date = l.to, l.from, g.tick()
		l.subject = "Re: " + subject
		g.serial++
		l.id = g.messageID(l.from)
		if i == 3 && g.rng.IntN(2) == 0 {
			return
		}
	}
}

func (g *sampler) attachments() {
	t := g.tongue()
	l := g.newLetter(t)
	files := []leafPart{
		filePart("image/png", fmt.Sprintf("Foto ä %d.png", g.serial), samplePNG(uint8(g.serial*37), 24+g.rng.IntN(60))),
		filePart("application/pdf", fmt.Sprintf("invoice-%d.pdf", 2000+g.serial), samplePDF(fmt.Sprintf("Invoice %d", 2000+g.serial))),
		filePart("text/csv; charset=utf-8", "Übersicht.csv", []byte("item,price\r\nladder,49.90\r\nschrauben,3.20\r\n")),
		filePart("application/octet-stream", "日本語.bin", bytes.Repeat([]byte{0, 255, 13, 10, byte(g.serial)}, 40+g.rng.IntN(400))),
	}
	n := 1 + g.rng.IntN(len(files))
	g.rng.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	l.part = joinParts("mixed", g.boundary(), append([]leafPart{g.plain(t, g.prose(t, l.from))}, files[:n]...)...)
	g.add(l, "Receipts")
}

// html has a text and an HTML side, sometimes with an inline picture.
func (g *sampler) html() {
	t := g.tongue()
	l := g.newLetter(t)
	text := g.prose(t, l.from)
	page := "<!DOCTYPE html>\r\n<html><body>\r\n<h1>" + l.subject + "</h1>\r\n<p>" +
		strings.ReplaceAll(text, "\r\n\r\n", "</p>\r\n<p>") + "</p>\r\n"
	right := textPart("html", page+"</body></html>\r\n", "", "quoted-printable", "")
	if g.rng.IntN(2) == 0 {
		picture := leafPart{[]string{"Content-Type: image/png; name=dot.png", "Content-Transfer-Encoding: base64",
			"Content-Disposition: inline; filename=dot.png", "Content-ID: <dot." + l.id + ">"},
			wrapBase64(samplePNG(uint8(g.serial), 16))}
		page += `<img alt="" src="cid:dot.` + l.id + "\">\r\n"
		right = joinParts("related", g.boundary(), textPart("html", page+"</body></html>\r\n", "", "base64", ""), picture)
	}
	l.part = joinParts("alternative", g.boundary(), g.plain(t, text), right)
	g.add(l)
}

func (g *sampler) list() {
	t := tongues[0]
	l := g.newLetter(t)
	if l.from == owner {
		l.from = pick(g, t.people)
	}
	list := pick(g, sampleLists)
	_, host, _ := strings.Cut(list.id, ".")
	local, _, _ := strings.Cut(list.id, ".")
	l.to = person{list.name, local + "@" + host}
	l.subject = list.prefix + " " + l.subject
	l.extra = []string{"List-Id: " + list.name + " <" + list.id + ">", "List-Post: <mailto:" + l.to.addr + ">",
		"List-Unsubscribe: <https://" + host + "/leave>,\r\n <mailto:" + local + "-leave@" + host + ">", "Precedence: list"}
	text := g.prose(t, l.from) + "\r\n-- \r\n" + list.name + "\r\nhttps://" + host + "/\r\n"
	l.part = textPart("plain", text, "", "7bit", "")
	g.add(l, list.label)
}

func (g *sampler) invitation() {
	l := g.newLetter(tongues[0])
	start := l.date.Add(72 * time.Hour).UTC()
	const stamp = "20060102T150405Z"
	ics := sampleICS(l.id, l.subject, start.Format(stamp), start.Add(time.Hour).Format(stamp))
	l.subject = "Invitation: " + l.subject
	l.part = joinParts("mixed", g.boundary(),
		joinParts("alternative", g.boundary()+"a", textPart("plain", g.prose(tongues[0], l.from), "", "7bit", ""),
			textPart("calendar", ics, "", "7bit", "; method=REQUEST")),
		filePart("application/ics", "invite.ics", []byte(ics)))
	g.add(l, "work")
}

// forward carries another message as message/rfc822.
func (g *sampler) forward() {
	t := g.tongue()
	inner := g.newLetter(t)
	inner.part = joinParts("mixed", g.boundary(), textPart("plain", g.prose(t, inner.from), "", "8bit", ""),
		filePart("image/png", "inner.png", samplePNG(9, 20)))
	l := g.newLetter(tongues[0])
	l.subject = "Fwd: " + inner.subject
	l.part = joinParts("mixed", g.boundary(), textPart("plain", "See below.\r\n", "", "7bit", ""), embeddedPart(inner.bytes()))
	g.add(l)
}

func (g *sampler) spam() {
	l := g.newLetter(tongues[0])
	l.from, l.to = person{"PRIZE DESK", "prize@example.com"}, owner
	l.subject = pick(g, spamSubjects)
	l.part = textPart("html", "<p>"+pick(g, spamSentences)+"</p>\r\n<p>"+pick(g, spamSentences)+"</p>\r\n", "", "base64", "")
	g.add(l, `\Spam`)
}

func (g *sampler) trash() {
	t := g.tongue()
	l := g.newLetter(t)
	l.part = g.plain(t, g.prose(t, l.from))
	g.add(l, `\Trash`)
}

func (g *sampler) draft() {
	t := g.tongue()
	l := g.newLetter(t)
	l.from, l.to = owner, pick(g, t.people)
	l.part = g.plain(t, t.hello+",\r\n\r\n"+pick(g, t.sentences)+"\r\n")
	g.add(l, `\Draft`)
}

// flowed is format=flowed (RFC 3676): soft line ends, stuffed lines, quotes.
func (g *sampler) flowed() {
	t := tongues[g.serial%3]
	l := g.newLetter(t)
	var b strings.Builder
	for range 3 {
		b.WriteString(pick(g, t.sentences) + " \r\n" + pick(g, t.sentences) + "\r\n\r\n")
	}
	b.WriteString("> " + pick(g, t.sentences) + " \r\n> " + pick(g, t.sentences) + "\r\n From the shed, stuffed with a blank.\r\n")
	l.part = textPart("plain", b.String(), "", "8bit", "; format=flowed; delsp=no")
	g.add(l)
}

// spreadLabels deals every user label out, odd ones too, a few messages each.
func (g *sampler) spreadLabels(out []Message) {
	var free []int
	for i, m := range out {
		if len(m.Labels) == 0 || !slices.Contains([]string{`\Spam`, `\Trash`, `\Draft`}, m.Labels[0]) {
			free = append(free, i)
		}
	}
	for k, label := range SampleLabels {
		for j := 0; j < 1+k%5 && len(free) > 0; j++ {
			m := &out[pick(g, free)]
			if !slices.Contains(m.Labels, label) {
				m.Labels = append(m.Labels, label)
			}
		}
	}
	if len(free) > 0 {
		m := &out[pick(g, free)]
		m.Labels = append(m.Labels, `\Muted`)
	}
}
