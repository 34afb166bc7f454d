package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// wireAnswer is what a scripted server says to the first FETCH (or LIST, or EXAMINE) it gets, tagged answer excluded.
type wireAnswer struct {
	data string
	ok   string // the tagged answer without its tag; "OK done" when empty
}

// wireServe plays a server: it answers every command with OK, and the one called verb with answer. It returns the commands.
func wireServe(conn net.Conn, greeting, verb string, answer wireAnswer, seen *[]string) error {
	defer conn.Close()
	if _, err := io.WriteString(conn, greeting); err != nil {
		return err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		tag, command, _ := strings.Cut(lines.Text(), " ")
		*seen = append(*seen, command)
		name, _, _ := strings.Cut(strings.TrimPrefix(command, "UID "), " ")
		data, ok := "", "OK done"
		switch name {
		case verb:
			data = answer.data
			if answer.ok != "" {
				ok = answer.ok
			}
		case "CAPABILITY":
			data = "* CAPABILITY IMAP4rev1 X-GM-EXT-1\r\n"
		case "LOGOUT":
			data = "* BYE\r\n"
		}
		if _, err := fmt.Fprintf(conn, "%s%s %s\r\n", data, tag, ok); err != nil {
			return err
		}
		if name == "LOGOUT" {
			return nil
		}
	}
	return lines.Err()
}

// wireClient connects a real client to a scripted server; use is called with it.
func wireClient(t testing.TB, verb string, answer wireAnswer, use func(*imapclient.Client)) (commands []string) {
	t.Helper()
	server, conn := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- wireServe(server, "* PREAUTH hello\r\n", verb, answer, &commands) }()
	client := imapclient.New(NewConn(conn), nil)
	defer client.Close()
	if err := client.WaitGreeting(); err != nil {
		t.Fatal(err)
	}
	use(client)
	if err := client.Noop().Wait(); err != nil {
		t.Errorf("the connection did not live on: %v", err)
	}
	client.Close()
	<-done
	return commands
}

// wireFetch has a real client fetch the Gmail items of every message of answer.
func wireFetch(t testing.TB, answer wireAnswer, options *imap.FetchOptions) ([]*imapclient.FetchMessageBuffer, []string) {
	t.Helper()
	var msgs []*imapclient.FetchMessageBuffer
	commands := wireClient(t, "FETCH", answer, func(client *imapclient.Client) {
		all := imap.UIDSet{}
		all.AddRange(1, 4294967295)
		got, err := client.Fetch(all, options).Collect()
		if err != nil && answer.ok == "" {
			t.Errorf("fetch: %v", err)
		}
		msgs = got
	})
	return msgs, commands
}

func TestClientReadsGmailItems(t *testing.T) {
	answer := wireAnswer{data: "* 1 FETCH (X-GM-THRID 18 X-GM-MSGID 19 X-GM-LABELS (\"\\\\Inbox\" &ANw-bung) UID 5 FLAGS (\\Seen [x]) BODY[] {3}\r\na)\n)\r\n" +
		"* 2 FETCH (FLAGS (\\Flagged))\r\n* 9 FETCH (X-GM-LABELS (x))\r\n" +
		"* 2 FETCH (BODY[] {4}\r\nabcd X-GM-LABELS () X-GM-THRID 20 X-GM-MSGID 21 UID 6)\r\n"}
	section := GmailSection()
	msgs, commands := wireFetch(t, answer, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section, {Peek: true}}})
	if want := "UID FETCH 1:4294967295 (UID X-GM-MSGID X-GM-THRID X-GM-LABELS BODY.PEEK[])"; !containsString(commands, want) {
		t.Errorf("the server got %q, want %q", commands, want)
	}
	if len(msgs) != 2 {
		t.Fatalf("%d messages", len(msgs))
	}
	for i, want := range []struct {
		uid   imap.UID
		body  string
		items GmailItems
	}{
		{5, "a)\n", GmailItems{19, 18, []string{`\Inbox`, "Übung"}, true, false}},
		{6, "abcd", GmailItems{21, 20, nil, true, false}},
	} {
		items, err := ParseGmail(msgs[i].FindBodySection(section))
		if err != nil || !reflect.DeepEqual(items, want.items) {
			t.Errorf("message %d: %v, %v", i, items, err)
		}
		if body := msgs[i].FindBodySection(&imap.FetchItemBodySection{}); msgs[i].UID != want.uid || string(body) != want.body {
			t.Errorf("message %d: UID %d, body %q", i, msgs[i].UID, body)
		}
	}
	if got := FlagName(msgs[0].Flags[1]); got != "[x]" {
		t.Errorf("flag %q", got)
	}
}

func TestClientReadsObjectIDs(t *testing.T) {
	section := ObjectSection()
	msgs, _ := wireFetch(t, wireAnswer{data: "* 1 FETCH (EMAILID (M1) UID 5 THREADID (T1))\r\n"},
		&imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{section}})
	if len(msgs) != 1 {
		t.Fatalf("%d messages", len(msgs))
	}
	if email, thread, err := ParseObject(msgs[0].FindBodySection(section)); email != "M1" || thread != "T1" || err != nil {
		t.Errorf("got %q, %q, %v", email, thread, err)
	}
}

// TestClientOpensOddNames lists mailboxes whose names the client refuses without the Conn, and opens one.
func TestClientOpensOddNames(t *testing.T) {
	answer := wireAnswer{data: "* LIST (\\HasNoChildren [odd]) \"/\" \"R&D\"\r\n* LIST () \"\" {5}\r\n\xdcbung\r\n"}
	commands := wireClient(t, "LIST", answer, func(client *imapclient.Client) {
		boxes, err := client.List("", "*", nil).Collect()
		if err != nil || len(boxes) != 2 || boxes[0].Mailbox != "R&D" || boxes[1].Mailbox != "Übung" {
			t.Fatalf("got %v, %v", boxes, err)
		}
		for _, box := range boxes {
			if _, err := client.Select(box.Mailbox, &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
				t.Error(err)
			}
		}
	})
	for _, want := range []string{`EXAMINE "R&D"`, "EXAMINE \"\xdcbung\""} {
		if !containsString(commands, want) {
			t.Errorf("%q is not among the commands %q", want, commands)
		}
	}
}

func TestClientAfterStartTLS(t *testing.T) {
	server, conn := net.Pipe()
	var commands []string
	go wireServe(server, "", "", wireAnswer{}, &commands)
	client := imapclient.New(NewConnAfterStartTLS(conn), nil)
	defer client.Close()
	if err := client.WaitGreeting(); err != nil {
		t.Fatal(err)
	}
	if !client.Caps().Has("X-GM-EXT-1") || client.State() != imap.ConnStateNotAuthenticated {
		t.Errorf("capabilities %v, state %v", client.Caps(), client.State())
	}
	if err := client.Logout().Wait(); err != nil {
		t.Error(err)
	}
}

// TestClientSeesLiteralCutShort makes sure that half a message is not taken for a whole one.
func TestClientSeesLiteralCutShort(t *testing.T) {
	server, conn := net.Pipe()
	go func() {
		io.WriteString(server, "* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n")
		bufio.NewReader(server).ReadString('\n')
		io.WriteString(server, "* 1 FETCH (UID 1 BODY[] {100}\r\nhalf")
		server.Close()
	}()
	client := imapclient.New(NewConn(conn), nil)
	defer client.Close()
	msg := client.Fetch(imap.UIDSetNum(1), &imap.FetchOptions{BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Next()
	if msg == nil {
		t.Fatal("no message")
	}
	msg.Next() // the UID
	body, ok := msg.Next().(imapclient.FetchItemDataBodySection)
	if !ok {
		t.Fatal("no body")
	}
	// Neither the message nor the command is read further: the library would read the literal again, beside its own goroutine.
	if got, err := io.ReadAll(body.Literal); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v", got, err)
	}
}

func containsString(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}
