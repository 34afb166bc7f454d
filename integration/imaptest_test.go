package integration

import (
	"testing"

	"mailkeep/integration/corpus"
	"mailkeep/integration/dovecot"
	"mailkeep/integration/imaptest"
	"mailkeep/integration/program"
)

// differences are the scripts that do not pass on the served archive, and why. A script that passes must not stand here.
var differences = map[string]string{}

// lacking are the capabilities that are not offered, so that scripts for them do not apply.
var lacking = map[string]string{
	"CONTEXT=SEARCH": "live search results (RFC 5267) that no mail program asks for",
	"CONTEXT=SORT":   "as CONTEXT=SEARCH",
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
	passed, left, lacks := 0, 0, map[string]bool{}
	for _, script := range scripts {
		r := imaptest.Run(imaptest.Server{Addr: l.addr, User: l.user, Password: l.password}, script)
		reason, differs := differences[script.Name]
		switch {
		case r.Missing != "":
			left++
			lacks[r.Missing] = true
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
	for name := range lacking {
		if !lacks[name] {
			t.Errorf("%s is listed to be lacking, but it is offered", name)
		}
	}
	t.Logf("%d scripts: %d pass, %d differ, %d are for what is not offered", len(scripts), passed, len(scripts)-passed-left, left)
}
