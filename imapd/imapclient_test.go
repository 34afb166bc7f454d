package imapd

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// TestGoIMAPClient reads an archive with another library than the tests' own client.
func TestGoIMAPClient(t *testing.T) {
	s := newArchive(t)
	s.mailbox("[Gmail]/Gesendet", `\Sent`)
	s.add(simple, "INBOX,Größe", `\Seen`)
	s.add(multi, "INBOX", "$Forwarded")
	exists := make(chan uint32, 10)
	c, err := imapclient.DialInsecure(serve(t, s.w.Reader, testOptions()), &imapclient.Options{
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(data *imapclient.UnilateralDataMailbox) {
			if data.NumMessages != nil {
				exists <- *data.NumMessages
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Login("u", password).Wait())
	boxes, err := c.List("", "*", &imap.ListOptions{ReturnSpecialUse: true, ReturnStatus: &imap.StatusOptions{NumMessages: true, UIDNext: true}}).Collect()
	must(err)
	var names []string
	for _, b := range boxes {
		names = append(names, fmt.Sprint(b.Mailbox, b.Attrs))
	}
	if got, want := strings.Join(names, ", "), `INBOX[\HasNoChildren], Größe[\HasNoChildren], [Gmail][\Noselect \NonExistent \HasChildren], [Gmail]/Gesendet[\HasNoChildren \Sent]`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if n := boxes[1].Status; n == nil || *n.NumMessages != 1 || n.UIDNext != 2 {
		t.Errorf("status %+v", n)
	}
	selected, err := c.Select("INBOX", nil).Wait()
	must(err)
	if selected.NumMessages != 2 || selected.UIDNext != 3 || len(selected.PermanentFlags) != 0 {
		t.Errorf("%+v", selected)
	}
	messages, err := c.Fetch(imap.UIDSetNum(1, 2), &imap.FetchOptions{
		Flags: true, Envelope: true, InternalDate: true, RFC822Size: true, BodyStructure: &imap.FetchItemBodyStructure{Extended: true},
		BodySection: []*imap.FetchItemBodySection{{Peek: true}, {Specifier: imap.PartSpecifierHeader, HeaderFields: []string{"Subject"}, Peek: true}},
	}).Collect()
	must(err)
	if len(messages) != 2 || messages[0].Envelope.Subject != "hello" || !messages[0].InternalDate.Equal(testDate) || messages[1].RFC822Size != int64(len(multi)) {
		t.Fatalf("%+v", messages)
	}
	if b := messages[1].FindBodySection(&imap.FetchItemBodySection{Peek: true}); string(b) != multi {
		t.Errorf("%q", b)
	}
	if got := messages[1].BodyStructure.MediaType(); got != "multipart/mixed" {
		t.Error(got)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{Text: []string{"héllo"}}, &imap.SearchOptions{ReturnAll: true, ReturnCount: true}).Wait()
	must(err)
	if fmt.Sprint(found.AllUIDs()) != "[2]" || found.Count != 1 {
		t.Errorf("%+v", found)
	}
	if err := c.Create("Trash", nil).Wait(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Error(err)
	}
	appending := c.Append("INBOX", int64(len(simple)), nil)
	io.WriteString(appending, simple)
	appending.Close()
	if _, err := appending.Wait(); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Error(err)
	}
	rights, err := c.MyRights("INBOX").Wait()
	must(err)
	if string(rights.Rights) != "lr" {
		t.Errorf("%+v", rights)
	}
	idle, err := c.Idle()
	must(err)
	for len(exists) > 0 {
		<-exists
	}
	s.add("3"+simple, "INBOX")
	select {
	case n := <-exists:
		if n != 3 {
			t.Errorf("EXISTS %d", n)
		}
	case <-time.After(10 * time.Second):
		t.Error("IDLE tells nothing")
	}
	must(idle.Close())
	must(idle.Wait())
	must(c.UnselectAndExpunge().Wait())
	must(c.Logout().Wait())
}
