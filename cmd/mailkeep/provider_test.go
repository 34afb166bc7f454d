package main

import (
	"net"
	"testing"
)

func TestFindProvider(t *testing.T) {
	tests := []struct{ address, name, host, user string }{
		{"me@gmail.com", "Gmail", "imap.gmail.com:993", "me@gmail.com"},
		{"Me@GoogleMail.com", "Gmail", "imap.gmail.com:993", "Me@GoogleMail.com"},
		{"me@yahoo.co.uk", "Yahoo", "imap.mail.yahoo.com:993", "me@yahoo.co.uk"},
		{"me@yahoo.de", "Yahoo", "imap.mail.yahoo.com:993", "me@yahoo.de"},
		{"me@gmx.de", "GMX", "imap.gmx.net:993", "me@gmx.de"},
		{"me@gmx.us", "GMX", "imap.gmx.com:993", "me@gmx.us"},
		{"me@icloud.com", "iCloud", "imap.mail.me.com:993", "me"},
		{"me@pm.me", "Proton Mail", "127.0.0.1:1143", "me@pm.me"},
		{"me@fastmail.com", "Fastmail", "imap.fastmail.com:993", "me@fastmail.com"},
		{"me@hotmail.fr", "Outlook", "outlook.office365.com:993", "me@hotmail.fr"},
	}
	for _, test := range tests {
		p, ok := findProvider(test.address)
		if !ok || p.name != test.name || p.host != test.host || p.user(test.address) != test.user {
			t.Errorf("%s: %+v, %v, user %q", test.address, p, ok, p.user(test.address))
		}
	}
	for _, address := range []string{"me@example.org", "me@live.example.com", "me@yahoo.evil.example", "me@notgmail.com", "me@gmail.com.example.org", "me@yahoo"} {
		if p, ok := findProvider(address); ok {
			t.Errorf("%s is taken for %s", address, p.name)
		}
	}
}

// TestProviders keeps the two tables consistent.
func TestProviders(t *testing.T) {
	used := map[string]bool{}
	for domain, id := range providerDomains {
		if _, ok := providers[id]; !ok {
			t.Errorf("%s belongs to the unknown service %q", domain, id)
		}
		used[id] = true
	}
	for id, p := range providers {
		if !used[id] {
			t.Errorf("no address belongs to %s", id)
		}
		if p.refusal != "" {
			continue
		}
		if _, _, err := net.SplitHostPort(p.host); err != nil || p.advice == "" || p.name == "" {
			t.Errorf("%s: %+v", id, p)
		}
		a := Account{Host: p.host, TLS: p.tls}
		if bad := a.settleTLS(); bad != nil {
			t.Errorf("%s: %s", id, bad.text)
		}
	}
}

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
