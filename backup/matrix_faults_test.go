package backup_test

import (
	"context"
	"sync/atomic"
	"time"

	"mailkeep/backup"
	"mailkeep/integration/gmailsim"
)

// greeting is as long as a greeting is at most, in bytes.
const greeting = 100

// faults are the rows of the matrix.
var faults = []weather{
	{name: "closed at a byte", strike: byteAt(gmailsim.Action{Close: true})},
	{name: "closed in a literal", strike: bodies(gmailsim.Action{CloseMidLiteral: 333})},
	{name: "closed in a line", strike: command("", gmailsim.Action{CutAfter: 11})},
	{name: "closed before the tagged line", strike: command("", gmailsim.Action{CutAfter: 1 << 14})},
	{name: "closed instead of an answer", strike: command("", gmailsim.Action{Close: true})},
	{name: "all connections closed", strike: func(c *cell) gmailsim.Fault {
		return command("", gmailsim.Action{Run: c.srv.DropConnections})(c)
	}},
	{name: "BYE at a byte", strike: byteAt(gmailsim.Action{Bye: "Session expired, please login again"})},
	{name: "BYE instead of an answer", strike: command("", gmailsim.Action{Bye: "Session expired, please login again"})},
	{name: "BYE after the data", strike: command("", gmailsim.Action{ByeAfter: "Temporary System Error"})},
	{name: "BYE [OVERQUOTA] instead of an answer", strike: command("", gmailsim.Action{Bye: "[OVERQUOTA] Account exceeded command or bandwidth limits."}), ends: []error{backup.ErrQuota}},
	{name: "BYE [OVERQUOTA] after the data", strike: command("", gmailsim.Action{ByeAfter: "[OVERQUOTA] Account exceeded command or bandwidth limits."}), ends: []error{backup.ErrQuota}},
	{name: "OK [THROTTLED]", strike: func(c *cell) gmailsim.Fault { return always(command("", gmailsim.Action{Throttled: true})(c)) }},
	{name: "NO, some delivered", strike: command("UID FETCH", gmailsim.Action{FailUIDs: []uint32{2, 5, 6, 7, 30}})},
	{name: "NO, some never delivered", strike: func(c *cell) gmailsim.Fault {
		return always(gmailsim.Fault{When: gmailsim.When{Command: "UID FETCH"}, Do: gmailsim.Action{FailUIDs: []uint32{uint32(1 + c.at*float64(c.scene.messages)/4), 7}}})
	}},
	{name: "NO, and [THROTTLED]", strike: command("UID FETCH", gmailsim.Action{No: "Some messages could not be FETCHed (Failure) [THROTTLED]"})},
	{name: "NO to anything", strike: command("", gmailsim.Action{No: "[UNAVAILABLE] Temporary System Problem (Failure)"}), ends: []error{backup.ErrProtocol}},
	{name: "BAD to anything", strike: command("", gmailsim.Action{Bad: "Could not parse command"}), ends: []error{backup.ErrProtocol}},
	{name: "an answer without FLAGS", strike: command("UID FETCH", gmailsim.Action{DropItem: "FLAGS"})},
	{name: "an answer without UID", strike: command("UID FETCH", gmailsim.Action{DropItem: "UID"})},
	{name: "an answer without INTERNALDATE", strike: command("UID FETCH", gmailsim.Action{DropItem: "INTERNALDATE"})},
	{name: "an answer without RFC822.SIZE", strike: command("UID FETCH", gmailsim.Action{DropItem: "RFC822.SIZE"})},
	{name: "an answer without X-GM-MSGID", only: "gmail", strike: command("UID FETCH", gmailsim.Action{DropItem: "X-GM-MSGID"})},
	{name: "an answer without X-GM-LABELS", only: "gmail", strike: command("UID FETCH", gmailsim.Action{DropItem: "X-GM-LABELS"})},
	{name: "empty bodies", strike: bodies(gmailsim.Action{EmptyUIDs: []uint32{1, 8, 20, 21}})},
	{name: "RFC822.SIZE lies", strike: func(c *cell) gmailsim.Fault { return always(command("UID FETCH", gmailsim.Action{WrongSize: 7})(c)) }},
	{name: "a literal longer than said", strike: bodies(gmailsim.Action{WrongLiteral: -9})},
	{name: "a literal shorter than said", strike: bodies(gmailsim.Action{WrongLiteral: 9})},
	{name: "unasked FETCH, EXISTS, EXPUNGE", strike: func(c *cell) gmailsim.Fault {
		f := command("", gmailsim.Action{
			Unsolicited:      []string{"* 3 FETCH (FLAGS (\\Seen \\Answered))", "* 4711 EXISTS", "* 2 EXPUNGE", "* OK [ALERT] read this", "* 1 FETCH (UID 1 MODSEQ (999999))"},
			UnsolicitedAfter: []string{"* 4710 EXISTS", "* 1 RECENT", "* XNEW thing", "* 5 FETCH (MODSEQ (1000000) FLAGS ())"}})(c)
		f.Times = 2
		return f
	}},
	{name: "garbage before an answer", strike: command("", gmailsim.Action{Raw: "\x00\xff{12}garbage\r\n\r\n)(\"\r\n"})},
	{name: "garbage at a byte", strike: func(c *cell) gmailsim.Fault {
		f := byteAt(gmailsim.Action{Raw: "\r\n* 1 FETCH (UID 1 BODY[] {5000000}\r\n", Close: true})(c)
		f.When.Byte += greeting // what greets with garbage is not taken for an IMAP server
		return f
	}},
	{name: "silence instead of an answer", strike: func(c *cell) gmailsim.Fault {
		c.o.Silence = time.Second
		return command("", gmailsim.Action{Stall: true})(c)
	}},
	{name: "silence at a byte", strike: func(c *cell) gmailsim.Fault {
		c.o.Silence = time.Second
		return byteAt(gmailsim.Action{Stall: true})(c)
	}},
	{name: "asleep: silence, then a reset", strike: func(c *cell) gmailsim.Fault {
		f := byteAt(gmailsim.Action{Stall: true})(c)
		f.Do.Run = func() { time.AfterFunc(100*time.Millisecond, c.srv.DropConnections) }
		return f
	}},
	{name: "a slow line", strike: byteAt(gmailsim.Action{Bandwidth: 4 << 20})},
	{name: "the name is not found for a while", strike: func(c *cell) gmailsim.Fault { return c.dnsGone(5) }},
	{name: "the name is not found any more", strike: func(c *cell) gmailsim.Fault { return c.dnsGone(1 << 30) }, ends: []error{backup.ErrConnection}},
	{name: "too many connections", strike: func(c *cell) gmailsim.Fault {
		return c.loginFails("[ALERT] Too many simultaneous connections. (Failure)")
	}, ends: []error{backup.ErrConnection}},
	{name: "password changed meanwhile", strike: func(c *cell) gmailsim.Fault {
		return c.loginFails("[AUTHENTICATIONFAILED] Invalid credentials (Failure)")
	}, ends: []error{backup.ErrAuth}},
	{name: "interrupted by the user", strike: func(c *cell) gmailsim.Fault {
		return command("", gmailsim.Action{Run: func() { c.cancel() }, Latency: 2 * time.Millisecond})(c)
	}, ends: []error{context.Canceled}},
	{name: "renumbered meanwhile", changes: true, strike: func(c *cell) gmailsim.Fault {
		return c.meanwhile(func() error { return c.srv.ChangeUIDValidity(c.busyBox()) })
	}},
	{name: "mailbox renamed meanwhile", only: "generic", changes: true, strike: func(c *cell) gmailsim.Fault {
		return c.meanwhile(func() error { return c.srv.RenameMailbox("Work", "Workshop") })
	}},
	{name: "mailbox deleted meanwhile", only: "generic", changes: true, strike: func(c *cell) gmailsim.Fault {
		c.o.AcceptChanges = true
		return c.meanwhile(func() error { return c.srv.DeleteMailbox("Work") })
	}},
	{name: "label deleted meanwhile", only: "gmail", changes: true, strike: func(c *cell) gmailsim.Fault {
		return c.meanwhile(func() error { return c.srv.DeleteLabel(c.anyLabel()) })
	}},
	{name: "expunged meanwhile", changes: true, strike: func(c *cell) gmailsim.Fault {
		return c.meanwhile(func() error {
			for _, m := range c.srv.Snapshot().Messages[10:20] {
				if err := c.srv.Expunge(m.ID); err != nil {
					return err
				}
			}
			return nil
		})
	}},
	{name: "new mail and flags meanwhile", changes: true, strike: func(c *cell) gmailsim.Fault {
		return c.meanwhile(func() error {
			for i, m := range c.srv.Snapshot().Messages {
				if i%9 == 0 {
					if err := c.srv.SetFlags(m.ID, `\Seen`, "$Later"); err != nil {
						return err
					}
				}
			}
			var err error
			if c.scene.personality == "gmail" {
				_, err = c.srv.Deliver(labelled(9999, `\Inbox`, "fresh"))
			} else {
				_, err = c.srv.Append("INBOX", mail(9999))
			}
			return err
		})
	}},
	{name: "NO [OVERQUOTA]", strike: func(c *cell) gmailsim.Fault {
		return always(command("", gmailsim.Action{No: "[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"})(c))
	}, ends: []error{backup.ErrQuota}},
}

// meanwhile changes the source at one of the commands.
func (c *cell) meanwhile(change func() error) gmailsim.Fault {
	return command("", gmailsim.Action{Run: func() {
		if err := change(); err != nil {
			c.t.Error(err)
		}
	}})(c)
}

// busyBox is the mailbox that most is read from.
func (c *cell) busyBox() string {
	if c.scene.personality == "gmail" {
		return c.srv.FolderName(`\All`)
	}
	return "Work"
}

// anyLabel is a user's label that messages carry.
func (c *cell) anyLabel() string {
	for _, m := range c.srv.Snapshot().Messages {
		for _, l := range m.Labels {
			if l[0] != '\\' {
				return l
			}
		}
	}
	c.t.Fatal("no message has a label of the user")
	return ""
}

// dnsGone breaks all connections and lets so many new ones fail to look the server's name up.
func (c *cell) dnsGone(times int32) gmailsim.Fault {
	var left atomic.Int32
	left.Store(times)
	return command("", gmailsim.Action{Run: func() {
		c.mu.Lock()
		c.dialErr = func() error {
			if left.Add(-1) >= 0 {
				return errLookup
			}
			return nil
		}
		c.mu.Unlock()
		c.srv.DropConnections()
	}})(c)
}

// loginFails breaks all connections and refuses the logins that follow.
func (c *cell) loginFails(text string) gmailsim.Fault {
	refuse := gmailsim.Fault{Name: "refused", When: gmailsim.When{Command: "LOGIN"}, Do: gmailsim.Action{No: text}, Times: -1}
	return command("", gmailsim.Action{Run: func() {
		c.srv.AddFault(refuse)
		c.srv.DropConnections()
	}})(c)
}
