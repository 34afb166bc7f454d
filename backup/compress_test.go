package backup_test

import (
	"fmt"
	"strings"
	"testing"

	"mailkeep/integration/dovecot"
	"mailkeep/integration/gmailsim"
)

// With compression the archive is the same and less is received; a server that refuses, or that breaks off anywhere, is no trouble.
func TestCompressed(t *testing.T) {
	faults := map[string]*gmailsim.Fault{
		"calm":               nil,
		"COMPRESS refused":   {When: gmailsim.When{Command: "COMPRESS"}, Do: gmailsim.Action{No: "[COMPRESSIONACTIVE] not now"}, Times: -1},
		"COMPRESS unknown":   {When: gmailsim.When{Command: "COMPRESS"}, Do: gmailsim.Action{Bad: "what?"}, Times: -1},
		"closed at COMPRESS": {When: gmailsim.When{Command: "COMPRESS", Nth: 2}, Do: gmailsim.Action{Close: true}},
		"closed in a body":   {When: gmailsim.When{Command: "UID FETCH", Contains: "BODY.PEEK[]"}, Do: gmailsim.Action{CloseMidLiteral: 300}},
		"closed at a byte":   {When: gmailsim.When{Byte: 7777}, Do: gmailsim.Action{Close: true}},
	}
	for _, g := range []*gmailsim.Generic{nil, {Delimiter: "/", Compress: true}} {
		for name, fault := range faults {
			t.Run(fmt.Sprint(g == nil, " ", name), func(t *testing.T) {
				r := newRig(t, gmailsim.Options{Generic: g})
				for i := range 150 {
					m := mail(i)
					m.Body = append(m.Body, strings.Repeat("All work and no play makes Jack a dull boy.\r\n", 60)...)
					if g == nil {
						r.deliver(m)
					} else {
						r.appendTo("INBOX", m)
					}
				}
				if fault != nil {
					fault.Name = "it"
					r.srv.AddFault(*fault)
				}
				r.o.Compress = true
				sum := r.run()
				r.same("/")
				c := r.srv.Counters()
				if fault != nil && c.FaultsHit["it"] == 0 {
					t.Error("the fault did not happen")
				}
				if fault == nil && (c.Commands["COMPRESS"] == 0 || sum.BytesRead*5 > c.BytesOut) {
					t.Errorf("%d bytes received of %d sent: %v", sum.BytesRead, c.BytesOut, c.Commands)
				}
				r.o.Compress = false
				before := r.srv.Counters().Commands["COMPRESS"]
				if r.run(); r.srv.Counters().Commands["COMPRESS"] != before {
					t.Error("it compresses although it is switched off")
				}
			})
		}
	}
}

// Dovecot flushes without an empty stored block.
func TestDovecotCompressed(t *testing.T) {
	r, s := dovecotRig(t, dovecot.Options{Compress: true})
	f, err := s.Fill("user")
	r.must(err)
	const n = 600
	sent := 0
	for i := range n {
		m := mail(i)
		m.Body = append(m.Body, strings.Repeat("All work and no play makes Jack a dull boy.\r\n", i%200)...)
		sent += len(m.Body)
		r.must(f.Add([]string{"INBOX", "other"}[i%2], dovecot.Message{Raw: m.Body, Date: m.Date}))
	}
	r.must(f.Close())
	r.o.Compress = true
	sum := r.run()
	if sum.NewMessages != n || sum.BytesRead > int64(sent/2) {
		t.Errorf("%d bytes received for %d: %+v", sum.BytesRead, sent, sum)
	}
	r.sameAs(r.other(t).shows("/"))
	r.o.Compress = false
	if again := r.run(); again.Downloaded != 0 {
		t.Errorf("%+v", again)
	}
}
