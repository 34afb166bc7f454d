package main

import (
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mailkeep/integration/gmailsim"
)

// await waits until f holds of a server.
func await(ts *testscript.TestScript, name, what string, f func(gmailsim.Counters) bool) {
	const patience = 30 * time.Second
	s := simOf(ts, name)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if f(s.Counters()) {
			return
		}
	}
	ts.Fatalf("%s: %s: it did not happen: %+v", name, what, s.Counters())
}

// fetched NAME N: waits until so many bodies were fetched from a server.
func cmdFetched(ts *testscript.TestScript, _ bool, args []string) {
	n := number(ts, args[1])
	await(ts, args[0], "bodies fetched", func(c gmailsim.Counters) bool { return c.Bodies >= n })
}

// listens NAME N: waits until a client has begun to wait for new mail with IDLE so many times.
func cmdListens(ts *testscript.TestScript, _ bool, args []string) {
	n := number(ts, args[1])
	await(ts, args[0], "IDLE", func(c gmailsim.Counters) bool { return c.Commands["IDLE"] >= n })
}
