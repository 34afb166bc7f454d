package integration

import (
	"testing"

	"mailkeep/integration/corpus"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/imaptest"
	"mailkeep/integration/program"
)

// differences are the scripts that do not pass on the served archive, and why. A script that passes must not stand here.
var differences = map[string]string{
	"atoms":    "a mailbox name that is not modified UTF-7 is answered BAD, not NO",
	"select.1": "OK [UNSEEN n] is left out, as IMAP4rev2 (RFC 9051) does; no client may rely on it (RFC 3501 section 6.3.1)",
	"select.2": "as select.1",
}

// lacking are the capabilities that are not offered, so that scripts for them do not apply.
var lacking = map[string]string{
	"MOVE":                  "nothing can be moved in an archive",
	"UIDPLUS":               "about APPEND, COPY and EXPUNGE, all of which are refused",
	"SORT":                  "mail programs sort by themselves; sorting on the server is not offered",
	"SORT=DISPLAY":          "as SORT",
	"ESORT":                 "as SORT",
	"THREAD=ORDEREDSUBJECT": "mail programs thread by themselves; threading on the server is not offered",
	"THREAD=REFERENCES":     "as THREAD=ORDEREDSUBJECT",
	"CONTEXT=SEARCH":        "live search results (RFC 5267) that no mail program asks for",
	"CONTEXT=SORT":          "as CONTEXT=SEARCH",
}

// imaptest's scripts run on a Dovecot that was backed up.
func TestImaptest(t *testing.T) {
	dir := corpus.Tools(t, "imaptest-ro")
	s := dovecot.New(t, dovecot.Options{NoFsync: true})
	if err := imaptest.Preload(imaptest.Server{Addr: s.Addr, User: "user", Password: "pass"}, dir); err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t, program.Account{Name: "home", Addr: s.Addr, User: "user", Password: "pass"})
	run(t, k, "backup")
	l := serve(t, k)
	scripts, err := imaptest.Scripts(dir)
	if err != nil {
		t.Fatal(err)
	}
	passed, left := 0, 0
	for _, script := range scripts {
		r := imaptest.Run(imaptest.Server{Addr: l.addr, User: l.user, Password: l.password}, script)
		reason, differs := differences[script.Name]
		switch {
		case r.Missing != "":
			left++
			if lacking[r.Missing] == "" {
				t.Errorf("%s: the server lacks %s, and no reason is given", script.Name, r.Missing)
			}
		case r.Err != nil && !differs:
			t.Errorf("%s: %v", script.Name, r.Err)
		case r.Err == nil && differs:
			t.Errorf("%s passes, but is listed to differ: %s", script.Name, reason)
		case r.Err == nil:
			passed++
		}
	}
	t.Logf("%d scripts: %d pass, %d differ, %d are for what is not offered", len(scripts), passed, len(scripts)-passed-left, left)
}
