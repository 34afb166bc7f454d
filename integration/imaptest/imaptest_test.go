package imaptest

import (
	"testing"

	"mailkeep/integration/corpus"
	"mailkeep/integration/dovecot"
)

// Dovecot is the author of the scripts: if the interpreter is right, all of them pass there, and the one whose
// capability it lacks is left out.
func TestDovecotPasses(t *testing.T) {
	dir := corpus.Tools(t, "imaptest-ro")
	s := dovecot.New(t, dovecot.Options{NoFsync: true})
	server := Server{Addr: s.Addr, User: "user", Password: "pass"}
	if err := Preload(server, dir); err != nil {
		t.Fatal(err)
	}
	scripts, err := Scripts(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(scripts) != 75 {
		t.Errorf("%d scripts, want 75", len(scripts))
	}
	passed := 0
	for _, script := range scripts {
		r := Run(server, script)
		switch {
		case r.Err != nil:
			t.Errorf("%s: %v", r.Script, r.Err)
		case r.Missing != "" && r.Missing != "CONTEXT=SORT":
			t.Errorf("%s: Dovecot lacks %s", r.Script, r.Missing)
		case r.Missing == "":
			passed++
		}
	}
	if passed != 74 {
		t.Errorf("%d scripts passed, want 74", passed)
	}
}
