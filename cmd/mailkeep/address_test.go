package main

import "testing"

func TestCheckAddress(t *testing.T) {
	for _, s := range []string{"me@example.org", "a+b@x", "ü@ö.example"} {
		if err := checkAddress(s); err != nil {
			t.Error(err)
		}
	}
	for _, s := range []string{"", "me", "@x", "me@", "a b@x", "a@b@c", "a@b\n", "a\x1b[31m@b", "a\u00a0b@c"} {
		if checkAddress(s) == nil {
			t.Errorf("%q is taken for an address", s)
		}
	}
}
