package gen

import (
	"bytes"
	"mime"
	"mime/multipart"
	"net/mail"
	"slices"
	"testing"
)

func TestDeterministicAndParsable(t *testing.T) {
	for _, profile := range []Profile{Full, Small, Tiny} {
		a, b := New(300, 5, profile), New(300, 5, profile)
		tally := a.NewTally()
		err := a.Each(func(m Message) error {
			if m.ID != tally.Messages {
				t.Fatalf("message %d comes as number %d", m.ID, tally.Messages)
			}
			tally.Add(m)
			again := b.Message(m.ID)
			if !bytes.Equal(m.Raw, again.Raw) || !m.Date.Equal(again.Date) || !slices.Equal(m.Mailboxes, again.Mailboxes) {
				t.Errorf("message %d differs the second time", m.ID)
			}
			checkParses(t, m)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if all := tally.Mailboxes[AllMail]; all.Messages != 300 || all.Bytes != tally.Bytes || tally.Messages != 300 {
			t.Errorf("All Mail holds %+v of %d", all, tally.Messages)
		}
		if len(tally.Mailboxes) < 30 || tally.Copies < 700 {
			t.Errorf("%d mailboxes, %d copies", len(tally.Mailboxes), tally.Copies)
		}
		if mean := tally.Bytes / 300; profile == Full && mean < 20_000 || profile == Small && (mean < 4_000 || mean > 9_000) || profile == Tiny && (mean < 800 || mean > 1_800) {
			t.Errorf("profile %v: mean size %d", profile, mean)
		}
	}
}

func checkParses(t *testing.T, m Message) {
	t.Helper()
	p, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		t.Fatalf("message %d: %v", m.ID, err)
	}
	if from, err := p.Header.AddressList("From"); err != nil || len(from) != 1 {
		t.Errorf("message %d: From: %v, %v", m.ID, from, err)
	}
	if date, err := p.Header.Date(); err != nil || !date.Equal(m.Date) {
		t.Errorf("message %d: Date: %v, %v", m.ID, date, err)
	}
	kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("message %d: %v", m.ID, err)
	}
	if kind == "text/plain" {
		return
	}
	r := multipart.NewReader(p.Body, params["boundary"])
	parts := 0
	for {
		if _, err := r.NextRawPart(); err != nil {
			break
		}
		parts++
	}
	if parts != 2 {
		t.Errorf("message %d: %d parts", m.ID, parts)
	}
}

// Another seed gives other messages.
func TestSeed(t *testing.T) {
	if bytes.Equal(New(10, 1, Full).Message(3).Raw, New(10, 2, Full).Message(3).Raw) {
		t.Error("seeds 1 and 2 give the same message")
	}
}
