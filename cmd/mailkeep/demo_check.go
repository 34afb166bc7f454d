package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/archive"
	"mailkeep/integration/gmailsim"
)

// seenMessage is a message as one side shows it.
type seenMessage struct {
	mailboxes []string // sorted; one that shows it twice stands twice
	flags     string   // sorted
	date      time.Time
}

// checkResult is the outcome of demo --check.
type checkResult struct {
	Mailboxes   int      `json:"mailboxes"`
	Messages    int      `json:"messages"` // distinct
	Copies      int      `json:"copies"`   // read back: once per mailbox
	Bytes       int64    `json:"bytes"`
	Differences []string `json:"differences"`
}

func (r *checkResult) verdict() string {
	if len(r.Differences) > 0 {
		return count(int64(len(r.Differences)), "difference")
	}
	return fmt.Sprintf("all %s are equal in SHA-256, labels, flags and dates (%s)", count(int64(r.Messages), "message"), size(r.Bytes))
}

// checkServed logs into the server at addr, reads every message of every mailbox, and compares what it got with what the source holds.
func checkServed(ctx context.Context, addr, user, password string, source gmailsim.Snapshot) (*checkResult, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	client := imapclient.New(conn, nil)
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := client.Login(user, password).Wait(); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	boxes, err := client.List("", "*", nil).Collect()
	if err != nil {
		return nil, fmt.Errorf("list mailboxes: %w", err)
	}
	served := map[archive.Ref]*seenMessage{}
	result := &checkResult{Differences: []string{}}
	names := map[string]bool{}
	for _, box := range boxes {
		if slices.Contains(box.Attrs, imap.MailboxAttrNoSelect) || slices.Contains(box.Attrs, imap.MailboxAttrNonExistent) {
			continue
		}
		names[box.Mailbox] = true
		result.Mailboxes++
		if err := result.readMailbox(client, box.Mailbox, served); err != nil {
			return nil, fmt.Errorf("read mailbox %q: %w", box.Mailbox, err)
		}
	}
	result.Messages = len(served)
	result.compare(served, expected(source))
	result.compareNames(names, source)
	return result, client.Logout().Wait()
}

// readMailbox adds the messages of one mailbox to what was seen.
func (r *checkResult) readMailbox(client *imapclient.Client, name string, seen map[archive.Ref]*seenMessage) error {
	selected, err := client.Select(name, &imap.SelectOptions{ReadOnly: true}).Wait()
	if err != nil || selected.NumMessages == 0 {
		return err
	}
	body := &imap.FetchItemBodySection{Peek: true}
	cmd := client.Fetch(imap.UIDSet{{Start: 1}}, &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{body}})
	defer cmd.Close()
	read := uint32(0)
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		if err := r.readMessage(msg, name, seen); err != nil {
			return err
		}
		read++
	}
	if read != selected.NumMessages {
		return fmt.Errorf("%d messages announced, %d read", selected.NumMessages, read)
	}
	return cmd.Close()
}

func (r *checkResult) readMessage(msg *imapclient.FetchMessageData, mailbox string, seen map[archive.Ref]*seenMessage) error {
	var got seenMessage
	var ref archive.Ref
	for item := msg.Next(); item != nil; item = msg.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataFlags:
			got.flags = joinFlags(item.Flags)
		case imapclient.FetchItemDataInternalDate:
			got.date = item.Time
		case imapclient.FetchItemDataBodySection:
			hash := sha256.New()
			n, err := io.Copy(hash, item.Literal)
			if err != nil {
				return err
			}
			ref = archive.Ref(hash.Sum(nil))
			r.Bytes += n
		}
	}
	if ref.IsZero() {
		return fmt.Errorf("message %d came without its body", msg.SeqNum)
	}
	r.Copies++
	if known := seen[ref]; known != nil {
		known.mailboxes = append(known.mailboxes, mailbox)
		if known.flags != got.flags || !known.date.Equal(got.date) {
			r.differ("message %s: flags or date differ between mailboxes %q", ref, known.mailboxes)
		}
		return nil
	}
	got.mailboxes = []string{mailbox}
	seen[ref] = &got
	return nil
}

func joinFlags[F ~string](flags []F) string {
	var names []string
	for _, f := range flags {
		if !strings.EqualFold(string(f), `\Recent`) {
			names = append(names, strings.ToLower(string(f)))
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// expected is what the source would show.
func expected(source gmailsim.Snapshot) map[archive.Ref]*seenMessage {
	all := map[archive.Ref]*seenMessage{}
	muted := mutedMailbox(source)
	for _, m := range source.Messages {
		ref := archive.RefOf(m.Body())
		known := all[ref]
		if known == nil {
			known = &seenMessage{flags: joinFlags(m.Flags), date: m.Date}
			all[ref] = known
		}
		known.mailboxes = append(known.mailboxes, slices.Collect(maps.Keys(m.UIDs))...)
		if slices.Contains(m.Labels, `\Muted`) {
			known.mailboxes = append(known.mailboxes, muted)
		}
	}
	return all
}

// mutedMailbox is where the archive shows the one label that Gmail has no mailbox for: beside All Mail.
func mutedMailbox(source gmailsim.Snapshot) string {
	for _, box := range source.Mailboxes {
		if box.Attr == `\All` {
			return box.Name[:strings.LastIndexByte(box.Name, '/')+1] + "Muted"
		}
	}
	return "Muted"
}

func (r *checkResult) differ(format string, args ...any) {
	r.Differences = append(r.Differences, fmt.Sprintf(format, args...))
}

func (r *checkResult) compare(served, source map[archive.Ref]*seenMessage) {
	for ref, want := range source {
		got := served[ref]
		if got == nil {
			r.differ("message %s of %q is not served", ref, want.mailboxes)
			continue
		}
		slices.Sort(want.mailboxes)
		slices.Sort(got.mailboxes)
		if !slices.Equal(want.mailboxes, got.mailboxes) {
			r.differ("message %s: served in %q, at the source in %q", ref, got.mailboxes, want.mailboxes)
		}
		if got.flags != want.flags {
			r.differ("message %s: served with flags %q, at the source %q", ref, got.flags, want.flags)
		}
		if !got.date.Equal(want.date.Truncate(time.Second)) {
			r.differ("message %s: served with the date %s, at the source %s", ref, got.date, want.date)
		}
	}
	for ref, got := range served {
		if source[ref] == nil {
			r.differ("message %s of %q is not at the source", ref, got.mailboxes)
		}
	}
}

// compareNames checks that the mailboxes are the source's. The one for vanished messages is the archive's own.
func (r *checkResult) compareNames(served map[string]bool, source gmailsim.Snapshot) {
	want := map[string]bool{}
	for _, box := range source.Mailboxes {
		if !box.NoSelect && !box.Hidden {
			want[box.Name] = true
		}
	}
	for name := range want {
		if !served[name] {
			r.differ("mailbox %q is not served", name)
		}
	}
	for name := range served {
		if !want[name] && name != archive.GoneMailbox && name != mutedMailbox(source) {
			r.differ("mailbox %q is not at the source", name)
		}
	}
}
