package wire_test

import (
	"net"
	"reflect"
	"slices"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailkeep/backup/wire"
	"mailkeep/integration/gmailsim"
)

// openSim logs in to a simulated server through a Conn and opens a mailbox.
func openSim(t *testing.T, addr, mailbox string) (*imapclient.Client, *wire.Conn) {
	t.Helper()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn := wire.NewConn(raw)
	client := imapclient.New(conn, nil)
	t.Cleanup(func() { client.Close() })
	if err := client.Login("user@example.com", "password").Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Select(mailbox, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		t.Fatal(err)
	}
	return client, conn
}

func everything() imap.UIDSet {
	var set imap.UIDSet
	set.AddRange(1, 4294967295)
	return set
}

// TestConnAgainstGmail compares everything fetched from the simulated Gmail with what the account holds.
func TestConnAgainstGmail(t *testing.T) {
	server := gmailsim.New(gmailsim.Options{})
	if err := server.Load(gmailsim.Sample(60, 1)); err != nil {
		t.Fatal(err)
	}
	addr := server.Start(t)
	all := server.FolderName(`\All`)
	client, conn := openSim(t, addr, all)
	section, body := wire.GmailSection(), &imap.FetchItemBodySection{Peek: true}
	msgs, err := client.Fetch(everything(), &imap.FetchOptions{Flags: true, RFC822Size: true, InternalDate: true, ModSeq: true,
		BodySection: []*imap.FetchItemBodySection{section, body}}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	byUID := map[uint32]gmailsim.MessageState{}
	for _, m := range server.Snapshot().Messages {
		if uid, ok := m.UIDs[all]; ok {
			byUID[uid] = m
		}
	}
	if len(msgs) == 0 || len(msgs) != len(byUID) {
		t.Fatalf("%d messages, want %d", len(msgs), len(byUID))
	}
	for _, m := range msgs {
		want := byUID[uint32(m.UID)]
		items, err := wire.ParseGmail(m.FindBodySection(section))
		slices.Sort(items.Labels)
		if err != nil || items.MsgID != uint64(want.ID) || items.ThreadID != uint64(want.Thread) || !items.HasLabels || !slices.Equal(items.Labels, want.Labels) {
			t.Errorf("UID %d: %+v, %v; want %v %v %q", m.UID, items, err, want.ID, want.Thread, want.Labels)
		}
		if !reflect.DeepEqual(m.FindBodySection(&imap.FetchItemBodySection{}), want.Body()) || m.RFC822Size != want.Size {
			t.Errorf("UID %d: the body differs", m.UID)
		}
	}
	if conn.BytesRead() < 1000 || conn.BytesWritten() < 100 {
		t.Errorf("counted %d and %d bytes", conn.BytesRead(), conn.BytesWritten())
	}
}

// TestConnAgainstUIDLast fetches from a server that sends UID behind the body.
func TestConnAgainstUIDLast(t *testing.T) {
	server := gmailsim.New(gmailsim.Options{Generic: &gmailsim.Generic{Delimiter: ".", ObjectID: true, UIDLast: true}})
	bodies := map[string]bool{}
	for _, m := range gmailsim.Sample(20, 2) {
		if _, err := server.Append("INBOX", m); err != nil {
			t.Fatal(err)
		}
		bodies[string(m.Body)] = true
	}
	client, _ := openSim(t, server.Start(t), "INBOX")
	section, body := wire.ObjectSection(), &imap.FetchItemBodySection{Peek: true}
	msgs, err := client.Fetch(everything(), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{body, section}}).Collect()
	if err != nil || len(msgs) != 20 {
		t.Fatalf("%d messages, %v", len(msgs), err)
	}
	for i, m := range msgs {
		email, _, err := wire.ParseObject(m.FindBodySection(section))
		if err != nil || email == "" || m.UID != imap.UID(i+1) || !bodies[string(m.FindBodySection(&imap.FetchItemBodySection{}))] {
			t.Errorf("message %d: UID %d, id %q, %v", i, m.UID, email, err)
		}
	}
}
